//! One memory budget for a run: the guest's own memory and the batches held for it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use glovebox_contract::grants::Grants;
use glovebox_contract::library::MAX_LIBRARIES;
use glovebox_contract::limits::Limits;
use glovebox_contract::manifest::Manifest;
use glovebox_contract::reason::ReasonCode;
use wasmtime::ResourceLimiter;

use crate::admission::{MAX_MEMORIES, MAX_TABLE_ELEMENTS};
use crate::services::{ErrorCode, HostError};

/// Most instances of core modules and components, for each part.
const MAX_INSTANCES: u64 = 128;
/// Most tables, for each part.
const MAX_TABLES: u64 = 64;

/// The part of a run's memory that is the guest's and its batches'; the rest is the query
/// engine's.
pub(crate) fn guest_bytes(limits: &Limits) -> u64 {
    limits.memory_bytes / 2
}

/// Bytes that may still be used, shared by the guest's memory, the memory of the libraries whose
/// functions SQL calls, and the host's batches.
#[derive(Clone)]
pub struct Budget(Arc<Account>);

struct Account {
    limit: u64,
    /// Components that an instance consists of at most.
    parts: u64,
    used: AtomicU64,
    /// Whether something was refused: a trap after that is most likely the guest giving up.
    refused: AtomicBool,
}

/// Bytes in use; given back when dropped.
pub(crate) struct Charge {
    account: Arc<Account>,
    bytes: u64,
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Budget({} bytes)", self.0.limit)
    }
}

impl Budget {
    /// The memory of one run: of its guest, and of the libraries that it uses.
    pub fn of_run(grants: &Grants) -> Self {
        let libraries = u64::try_from(grants.libraries().len()).unwrap_or(u64::MAX);
        Self::new(guest_bytes(grants.limits()), libraries.saturating_add(1))
    }

    /// The memory of a library that is looked at when it is added.
    pub fn of_library(limits: &Limits, manifest: &Manifest) -> Self {
        // Libraries of libraries are part of it.
        let parts = if manifest.libraries.is_empty() { 1 } else { MAX_LIBRARIES as u64 };
        Self::new(guest_bytes(limits), parts)
    }

    pub(crate) fn new(limit: u64, parts: u64) -> Self {
        let (used, refused) = (AtomicU64::new(0), AtomicBool::new(false));
        Self(Arc::new(Account { limit, parts, used, refused }))
    }

    fn times(&self, of_a_part: u64) -> usize {
        usize::try_from(of_a_part.saturating_mul(self.0.parts)).unwrap_or(usize::MAX)
    }

    /// Takes `bytes` for a batch.
    pub(crate) fn charge(&self, bytes: u64) -> Result<Arc<Charge>, HostError> {
        if !self.take(bytes) {
            return Err(HostError::new(
                ErrorCode::LimitExceeded,
                ReasonCode::MemoryLimit,
                format!("{bytes} more bytes are over the memory limit of {}", self.0.limit),
            ));
        }
        Ok(Arc::new(Charge { account: Arc::clone(&self.0), bytes }))
    }

    pub(crate) fn was_refused(&self) -> bool {
        self.0.refused.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: u64) -> bool {
        let taken = self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|used| *used <= self.0.limit)
        });
        if taken.is_err() {
            self.0.refused.store(true, Ordering::Relaxed);
        }
        taken.is_ok()
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What wasmtime asks before the guest gets more. A refusal makes `memory.grow` return -1, so a
/// guest that can do with less goes on.
impl ResourceLimiter for Budget {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.take(desired.saturating_sub(current) as u64))
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired as u64 <= MAX_TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        self.times(MAX_INSTANCES)
    }

    fn tables(&self) -> usize {
        self.times(MAX_TABLES)
    }

    fn memories(&self) -> usize {
        self.times(MAX_MEMORIES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_memory_and_batches_share_one_limit() {
        let mut budget = Budget::new(100, 1);
        assert!(budget.memory_growing(0, 60, None).unwrap());
        let held = budget.charge(40).unwrap();
        assert!(!budget.was_refused());
        assert!(!budget.memory_growing(60, 61, None).unwrap());
        assert!(budget.was_refused());
        drop(held);
        assert!(budget.memory_growing(60, 61, None).unwrap());
        assert_eq!(budget.charge(u64::MAX).err().unwrap().reason(), ReasonCode::MemoryLimit);
    }
}
