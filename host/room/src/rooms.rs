//! The rooms of a home.

use cap_std::fs::Dir;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::RoomId;

use crate::error::{Context as _, Result, RoomError};
use crate::files;
use crate::home::Home;
use crate::room::{Room, RoomSummary, create_log, read_summary};

/// Fewest digits of an id that find a room.
const MIN_ID_DIGITS: usize = 4;

/// A directory of this home that should hold a room and does not.
#[derive(Debug)]
pub struct DamagedRoom {
    /// The directory's name, which is the id of the room in hex.
    pub directory: String,
    /// Why it cannot be read.
    pub error: RoomError,
}

impl Home {
    /// The rooms of this home, in the order of their names. Their logs are not checked.
    pub fn rooms(&self) -> Result<Vec<RoomSummary>> {
        Ok(self.list_rooms()?.0)
    }

    /// The rooms of this home that cannot be read.
    pub fn damaged_rooms(&self) -> Result<Vec<DamagedRoom>> {
        Ok(self.list_rooms()?.1)
    }

    fn list_rooms(&self) -> Result<(Vec<RoomSummary>, Vec<DamagedRoom>)> {
        let reading = || "list the rooms".into();
        let (mut rooms, mut damaged) = (Vec::new(), Vec::new());
        for entry in self.directory("rooms")?.entries().trying(reading)? {
            let directory = entry.trying(reading)?.file_name().to_string_lossy().into_owned();
            match read_summary(&self.path().join("rooms").join(&directory)) {
                Ok(summary) if summary.id.0.to_hex() == directory => rooms.push(summary),
                Ok(_) => damaged.push(DamagedRoom {
                    directory,
                    error: RoomError::internal("the directory holds the log of another room"),
                }),
                Err(error) => damaged.push(DamagedRoom { directory, error }),
            }
        }
        rooms.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        damaged.sort_by(|a, b| a.directory.cmp(&b.directory));
        Ok((rooms, damaged))
    }

    /// Opens the room with this name, this id, or an id that begins so (with or without
    /// `blake3:`, at least four digits). Checks the whole log and cleans up after runs that died.
    ///
    /// # Errors
    /// `not-found` when there is none, or more than one; when there is none and a room cannot be
    /// read, the reason why not.
    pub fn room(&self, wanted: &str) -> Result<Room> {
        let (rooms, damaged) = self.list_rooms()?;
        let digits = wanted.strip_prefix("blake3:").unwrap_or(wanted);
        let directories = || {
            let readable = rooms.iter().map(|room| room.id.0.to_hex());
            readable.chain(damaged.iter().map(|room| room.directory.clone()))
        };
        let mut found: Vec<String> = rooms
            .iter()
            .filter(|room| room.name.as_str() == wanted)
            .map(|room| room.id.0.to_hex())
            .collect();
        if found.is_empty() && digits.len() >= MIN_ID_DIGITS {
            found = directories().filter(|directory| directory.starts_with(digits)).collect();
        }
        match found.as_slice() {
            [one] => self.open_room(one),
            [] => Err(no_such_room(wanted, damaged)),
            several => Err(RoomError::not_found(format!(
                "`{}` may be any of {} rooms: {}",
                wanted.escape_debug(),
                several.len(),
                several.join(", ")
            ))),
        }
    }

    /// Opens the room with this id, without looking at the others. Checks its whole log and cleans up
    /// after runs that died.
    ///
    /// # Errors
    /// `not-found` when this home has no such room.
    pub fn room_by_id(&self, id: &RoomId) -> Result<Room> {
        let name = id.0.to_hex();
        if !self.directory("rooms")?.is_dir(&name) {
            return Err(RoomError::not_found(format!("this home has no room `{id}`")));
        }
        let room = self.open_room(&name)?;
        if room.id() == id {
            return Ok(room);
        }
        Err(RoomError::internal("the directory holds the log of another room"))
    }

    /// Opens every room once, one after the other: runs that died with an earlier process end, with
    /// the reason `host-restarted`. Each room is handed to `opened`. A room that cannot be opened
    /// stops nobody; those come back.
    ///
    /// # Errors
    /// When the rooms cannot be listed.
    pub fn recover_all(&self, opened: &mut dyn FnMut(Room)) -> Result<Vec<DamagedRoom>> {
        let mut damaged = Vec::new();
        for entry in self.directory("rooms")?.entries().trying(|| "list the rooms".into())? {
            let name = entry.trying(|| "list the rooms".into())?.file_name();
            let directory = name.to_string_lossy().into_owned();
            let room = self.open_room(&directory).and_then(|room| {
                if room.id().0.to_hex() == directory {
                    return Ok(room);
                }
                Err(RoomError::internal("the directory holds the log of another room"))
            });
            match room {
                Ok(room) => opened(room),
                Err(error) => damaged.push(DamagedRoom { directory, error }),
            }
        }
        damaged.sort_by(|a, b| a.directory.cmp(&b.directory));
        Ok(damaged)
    }

    /// Creates a room from the signed statement that creates it.
    ///
    /// # Errors
    /// With the reason when the statement is refused; `already-exists` when this home has the room;
    /// `not-permitted` when the room names another host's key.
    pub fn create_room(&self, envelope: &Envelope) -> Result<Room> {
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

fn no_such_room(wanted: &str, damaged: Vec<DamagedRoom>) -> RoomError {
    let wanted = wanted.escape_debug();
    match damaged.into_iter().next() {
        None => RoomError::not_found(format!("this home has no room `{wanted}`")),
        // It may be the one, so its reason is the better answer.
        Some(DamagedRoom { directory, error }) => RoomError::new(
            error.reason(),
            format!("this home has no room `{wanted}` that can be read; {directory} cannot"),
        )
        .because(error),
    }
}
