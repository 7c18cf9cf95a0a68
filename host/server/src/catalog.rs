//! All rooms of the home, and whose keys are in them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use glovebox_contract::key::PublicKey;
use glovebox_contract::name::RoomId;
use glovebox_room::{Home, Room};

use crate::error::Result;
use crate::slot::{Opener, Slot};

/// The rooms.
pub(crate) struct Catalog {
    home: Home,
    open_rooms: usize,
    idle: AtomicUsize,
    index: RwLock<Index>,
}

#[derive(Default)]
struct Index {
    slots: BTreeMap<RoomId, Arc<Slot>>,
    /// Rooms by the present keys of their parties.
    rooms: HashMap<[u8; 32], BTreeSet<RoomId>>,
    keys: HashMap<RoomId, BTreeSet<[u8; 32]>>,
}

impl Catalog {
    /// Keeps up to `open_rooms` rooms open that nobody uses.
    pub(crate) fn new(home: Home, open_rooms: usize) -> Self {
        Self { home, open_rooms, idle: AtomicUsize::new(0), index: RwLock::default() }
    }

    /// The room, if it is known.
    pub(crate) fn get(&self, id: &RoomId) -> Option<Arc<Slot>> {
        self.read().slots.get(id).cloned()
    }

    /// Takes in a room that was opened. The slot that is there already stays.
    pub(crate) fn add(&self, room: Room, runs_at_once: usize) -> Arc<Slot> {
        let id = *room.id();
        let slot = {
            let mut index = self.write();
            if let Some(slot) = index.slots.get(&id) {
                return slot.clone();
            }
            let slot = Arc::new(Slot::new(&self.home, &room, runs_at_once));
            index.slots.insert(id, slot.clone());
            slot
        };
        slot.keep(self, room);
        self.changed(&slot);
        slot
    }

    /// How many rooms there are.
    pub(crate) fn len(&self) -> usize {
        self.read().slots.len()
    }

    /// All rooms, in the order of their ids.
    pub(crate) fn all(&self) -> Vec<Arc<Slot>> {
        self.read().slots.values().cloned().collect()
    }

    /// Whether the key is a party's in any room.
    pub(crate) fn knows(&self, key: &PublicKey) -> bool {
        self.read().rooms.contains_key(key.as_bytes())
    }

    /// The rooms with this key in them, in the order of their ids, at most `most` of them and only
    /// those behind `after`.
    pub(crate) fn rooms_of(
        &self,
        key: &PublicKey,
        after: Option<RoomId>,
        most: usize,
    ) -> Vec<Arc<Slot>> {
        let index = self.read();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rooms = index.rooms.get(key.as_bytes()).into_iter();
        let rooms = rooms.flat_map(|rooms| rooms.range((from, Bound::Unbounded)));
        rooms.filter_map(|id| index.slots.get(id).cloned()).take(most).collect()
    }

    /// Closes rooms that nobody has used since `before`.
    pub(crate) fn close_idle(&self, before: Instant) {
        for slot in self.all() {
            self.idle.fetch_sub(slot.close_idle(before), Ordering::SeqCst);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opener for Catalog {
    fn open(&self, id: &RoomId) -> Result<Room> {
        Ok(self.home.room_by_id(id)?)
    }

    fn took(&self) {
        self.idle.fetch_sub(1, Ordering::SeqCst);
    }

    fn may_keep(&self) -> bool {
        let next = |idle: usize| (idle < self.open_rooms).then(|| idle.saturating_add(1));
        self.idle.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).is_ok()
    }

    /// Files the keys of the slot's view as it is now, whoever changed it.
    fn changed(&self, slot: &Slot) {
        let mut index = self.write();
        let view = slot.view();
        let members = view.state.members();
        let keys: BTreeSet<_> = members.map(|member| *member.public_key().as_bytes()).collect();
        let before = index.keys.insert(slot.id, keys.clone()).unwrap_or_default();
        for gone in before.difference(&keys) {
            if let Some(rooms) = index.rooms.get_mut(gone) {
                rooms.remove(&slot.id);
                if rooms.is_empty() {
                    index.rooms.remove(gone);
                }
            }
        }
        for key in keys {
            index.rooms.entry(key).or_default().insert(slot.id);
        }
    }
}
