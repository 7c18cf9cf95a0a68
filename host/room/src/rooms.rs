//! The rooms of a home.

use cap_std::fs::Dir;
use glovebox_contract::envelope::Envelope;

use crate::error::{Context as _, Result, RoomError};
use crate::files;
use crate::home::Home;
use crate::room::{Room, RoomSummary, create_log, read_summary};

impl Home {
    /// The rooms of this home, in the order of their names. Their logs are not checked.
    pub fn rooms(&self) -> Result<Vec<RoomSummary>> {
        let reading = || "list the rooms".into();
        let mut rooms = Vec::new();
        for entry in self.directory("rooms")?.entries().trying(reading)? {
            let name = entry.trying(reading)?.file_name();
            let summary = read_summary(&self.path().join("rooms").join(&name))?;
            if name.to_str() != Some(summary.id.0.to_hex().as_str()) {
                return Err(RoomError::internal(format!(
                    "the directory `{}` holds the log of another room",
                    name.display()
                )));
            }
            rooms.push(summary);
        }
        rooms.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        Ok(rooms)
    }

    /// Opens the room with this name, this id, or an id that begins so (with or without
    /// `blake3:`). Checks the whole log and cleans up after runs that died.
    ///
    /// # Errors
    /// `not-found` when there is none, or more than one.
    pub fn room(&self, wanted: &str) -> Result<Room> {
        let digits = wanted.strip_prefix("blake3:").unwrap_or(wanted);
        let rooms = self.rooms()?;
        let by_name: Vec<_> = rooms.iter().filter(|room| room.name.as_str() == wanted).collect();
        let by_id = || rooms.iter().filter(|room| room.id.0.to_hex().starts_with(digits)).collect();
        let found: Vec<_> = if by_name.is_empty() && digits.len() >= 4 { by_id() } else { by_name };
        match found.as_slice() {
            [one] => self.open_room(&one.id.0.to_hex()),
            [] => Err(RoomError::not_found(format!(
                "this home has no room `{}`",
                wanted.escape_debug()
            ))),
            several => Err(RoomError::not_found(format!(
                "`{}` may be any of {} rooms: {}",
                wanted.escape_debug(),
                several.len(),
                several.iter().map(|room| room.id.to_string()).collect::<Vec<_>>().join(", ")
            ))),
        }
    }

    /// Creates a room from the signed statement that creates it.
    ///
    /// # Errors
    /// With the reason when the statement is refused; `already-exists` when this home has the room;
    /// `not-permitted` when the room names another host's key.
    pub fn create_room(&self, envelope: &Envelope) -> Result<Room> {
        let _lock = self.lock()?;
        let staging = self.directory("staging")?;
        let staged = files::temporary_name();
        let creating = || "make the room's directory".into();
        files::create_new_directory(&staging, &staged).trying(creating)?;
        let created = create_log(self, &self.path().join("staging").join(&staged), envelope)
            .and_then(|id| {
                let name = id.0.to_hex();
                self.adopt_room(&staging, &staged, &name)?;
                Ok(name)
            });
        match created {
            Ok(name) => self.open_room(&name),
            Err(error) => {
                // The first error is the one to tell; what is left is swept with the staging area.
                let _ = staging.remove_dir_all(&staged);
                Err(error)
            }
        }
    }

    /// Gives the whole new room its name, or nothing.
    fn adopt_room(&self, staging: &Dir, staged: &str, name: &str) -> Result<()> {
        let rooms = self.directory("rooms")?;
        let adopting = || "add the room to this home".into();
        staging.open_dir(staged).and_then(|room| files::sync_directory(&room)).trying(adopting)?;
        match files::rename_new(staging, staged, &rooms, name) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(RoomError::new(
                glovebox_contract::reason::ReasonCode::AlreadyExists,
                "this home has the room already",
            )),
            other => other.and_then(|()| files::sync_directory(&rooms)).trying(adopting),
        }
    }

    fn open_room(&self, name: &str) -> Result<Room> {
        let directory =
            self.directory("rooms")?.open_dir(name).trying(|| format!("open the room `{name}`"))?;
        Room::open(self, directory, &self.path().join("rooms").join(name))
    }
}
