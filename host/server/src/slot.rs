//! A room as the server holds it: what is known without the disk, and open values to work with.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use glovebox_contract::key::PublicKey;
use glovebox_contract::name::{Alias, AssetName, RoomId, RunId};
use glovebox_contract::state::RoomState;
use glovebox_contract::statement::HOST_ALIAS;
use glovebox_room::{Home, Room};
use tokio::sync::{Semaphore, watch};

use crate::config::Limits;
use crate::error::Result;

/// A room's log as it was at one time.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) state: Arc<RoomState>,
}

impl View {
    fn of(room: &Room) -> Self {
        Self { state: Arc::new(room.state().clone()) }
    }

    /// How many entries the log has.
    pub(crate) fn size(&self) -> u64 {
        self.state.statements()
    }

    /// The party whose present key this is; the host is none.
    pub(crate) fn party(&self, key: &PublicKey) -> Option<&Alias> {
        self.state.party_with_key(key).filter(|alias| alias.as_str() != HOST_ALIAS)
    }
}

/// What shows that some process has appended to the log: the file that it writes afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    modified: (i64, i64),
}

/// One room.
pub(crate) struct Slot {
    pub(crate) id: RoomId,
    pub(crate) name: AssetName,
    anchor: PathBuf,
    stamp: Mutex<Option<Stamp>>,
    view: watch::Sender<View>,
    idle: Mutex<Idle>,
    /// Places for runs at once, given in the order of asking.
    pub(crate) places: Arc<Semaphore>,
    /// Runs that wait for a place and who asked for them, in the order of asking.
    waiting: Mutex<Vec<(RunId, Alias)>>,
}

/// Open values that nobody uses. Another process or thread may append meanwhile; whoever takes one
/// refreshes it.
struct Idle {
    rooms: Vec<Room>,
    since: Instant,
}

impl Slot {
    /// A slot for a room that was just opened, and is handed to [`Slot::keep`] next.
    pub(crate) fn new(home: &Home, room: &Room, runs_at_once: usize) -> Self {
        let directory = home.path().join("rooms").join(room.id().0.to_hex());
        Self {
            id: *room.id(),
            name: room.name().clone(),
            anchor: directory.join("checkpoint"),
            stamp: Mutex::default(),
            view: watch::Sender::new(View::of(room)),
            idle: Mutex::new(Idle { rooms: Vec::new(), since: Instant::now() }),
            places: Arc::new(Semaphore::new(runs_at_once)),
            waiting: Mutex::default(),
        }
    }

    /// The newest view that is known without the disk.
    pub(crate) fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// Told of every new view.
    pub(crate) fn subscribe(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    /// Whether some process has appended since the view was made.
    pub(crate) fn is_stale(&self) -> bool {
        let known = *self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        known.is_none() || known != self.stamp_on_disk()
    }

    /// Two system calls' worth of time, so it is called from async code as well.
    fn stamp_on_disk(&self) -> Option<Stamp> {
        match std::fs::metadata(&self.anchor) {
            Ok(file) => {
                Some(Stamp { inode: file.ino(), modified: (file.mtime(), file.mtime_nsec()) })
            }
            // There is none before the second statement.
            Err(_) => Some(Stamp { inode: 0, modified: (0, 0) }),
        }
    }

    /// Works with the room as it is now. Blocks.
    pub(crate) fn act<T>(
        &self,
        opener: &dyn Opener,
        act: impl FnOnce(&mut Room) -> Result<T>,
    ) -> Result<T> {
        let idle = self.idle().rooms.pop();
        let mut room = match idle {
            Some(room) => {
                opener.took();
                room
            }
            None => opener.open(&self.id)?,
        };
        room.refresh()?;
        let result = act(&mut room);
        self.keep(opener, room);
        result
    }

    /// Takes in what `room` knows, and keeps it for the next one.
    pub(crate) fn keep(&self, opener: &dyn Opener, mut room: Room) {
        // Looked at before the log, so that what is appended in between shows the next time.
        let stamp = self.stamp_on_disk();
        if room.refresh().is_err() {
            return;
        }
        if self.view.borrow().size() < room.state().statements() {
            let view = View::of(&room);
            let newer = self.view.send_if_modified(|known| {
                let newer = known.size() < view.size();
                if newer {
                    *known = view;
                }
                newer
            });
            if newer {
                opener.changed(self);
            }
        }
        *self.stamp.lock().unwrap_or_else(PoisonError::into_inner) = stamp;
        if opener.may_keep() {
            let mut idle = self.idle();
            idle.rooms.push(room);
            idle.since = Instant::now();
        }
    }

    /// Closes what nobody has used since `before`. Returns how many were closed.
    pub(crate) fn close_idle(&self, before: Instant) -> usize {
        let mut idle = self.idle();
        if idle.since < before { std::mem::take(&mut idle.rooms).len() } else { 0 }
    }

    /// Puts a run of `party` into the queue, unless that is full or holds enough of the party's.
    pub(crate) fn queue(&self, run: RunId, party: &Alias, limits: &Limits) -> bool {
        let mut waiting = self.waiting();
        let of_party = waiting.iter().filter(|(_, asked)| asked == party).count();
        let fits = waiting.len() < limits.waiting_runs_per_room
            && limits.party.waiting_runs_per_room.is_none_or(|most| of_party < most);
        if fits {
            waiting.push((run, party.clone()));
        }
        fits
    }

    /// Takes it out again.
    pub(crate) fn leave_queue(&self, run: &RunId) {
        self.waiting().retain(|(waiting, _)| waiting != run);
    }

    /// How many runs are in the queue before this one; none when it is not in it.
    pub(crate) fn ahead(&self, run: &RunId) -> Option<u64> {
        self.waiting().iter().position(|(waiting, _)| waiting == run)?.try_into().ok()
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<(RunId, Alias)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What slots need of the whole.
pub(crate) trait Opener {
    /// Opens the room anew.
    fn open(&self, id: &RoomId) -> Result<Room>;

    /// An idle value is idle no more.
    fn took(&self);

    /// Whether there is room for one more idle value, which is counted then.
    fn may_keep(&self) -> bool;

    /// The view of the slot has changed.
    fn changed(&self, slot: &Slot);
}
