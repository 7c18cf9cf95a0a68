//! The memory that the operators of a session share.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

/// Consumers that read sorted runs back from scratch space. Each takes what it can get, and
/// cannot give it back, so the first partition that merges would starve those that still sort.
const MERGE: &str = "ExternalSorterMerge";

/// A pool that spilling operators share fairly, and of which no merge gets more than its share.
#[derive(Debug)]
pub(crate) struct SharedPool {
    inner: FairSpillPool,
    share: usize,
    merges: Mutex<HashMap<usize, usize>>,
}

impl SharedPool {
    /// A pool of `bytes` for queries with `partitions` partitions.
    pub(crate) fn new(bytes: usize, partitions: usize) -> Self {
        // A quarter is left to those that still sort.
        let share = bytes / 4 * 3 / partitions.max(1);
        Self { inner: FairSpillPool::new(bytes), share, merges: Mutex::default() }
    }

    /// Notes that a merge wants `additional` bytes; `false` when that is more than its share.
    fn note(&self, reservation: &MemoryReservation, additional: usize, forced: bool) -> bool {
        let consumer = reservation.consumer();
        if !consumer.name().starts_with(MERGE) {
            return true;
        }
        let mut merges = self.merges.lock().unwrap_or_else(PoisonError::into_inner);
        let held = merges.entry(consumer.id()).or_default();
        let wanted = held.saturating_add(additional);
        if wanted > self.share && !forced {
            return false;
        }
        *held = wanted;
        true
    }

    fn forget(&self, reservation: &MemoryReservation, bytes: usize) {
        let consumer = reservation.consumer();
        let mut merges = self.merges.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = merges.get_mut(&consumer.id()) {
            *held = held.saturating_sub(bytes);
        }
    }
}

impl fmt::Display for SharedPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl MemoryPool for SharedPool {
    fn name(&self) -> &str {
        "shared"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.inner.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.merges.lock().unwrap_or_else(PoisonError::into_inner).remove(&consumer.id());
        self.inner.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.note(reservation, additional, true);
        self.inner.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.forget(reservation, shrink);
        self.inner.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        if !self.note(reservation, additional, false) {
            return Err(DataFusionError::ResourcesExhausted("a merge has its share".into()));
        }
        self.inner
            .try_grow(reservation, additional)
            .inspect_err(|_| self.forget(reservation, additional))
    }

    fn reserved(&self) -> usize {
        self.inner.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.inner.memory_limit()
    }
}
