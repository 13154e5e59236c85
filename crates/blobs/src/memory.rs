//! One pool of permits, in bytes, that bounds the memory of all running uploads together.
//!
//! An upload is admitted with [`BASE_BYTES`], which suffice to run it from its first byte to its last, one
//! block and one part at a time. What makes it faster (more blocks being compressed, parts being sent while
//! the next one fills) it takes from the same pool only when that is free at once, and gives back soon. Parts
//! beyond the first thousands are larger; what they need more comes from a reserve that only they use.
//!
//! Why nobody waits for ever: an upload holds permits while it waits in one case only, holding its base and
//! waiting for the reserve. Whoever holds the reserve waits for nothing but its own client and the store.
//! Both semaphores are first come, first served, and a free permit goes to a waiter before it goes to an
//! upload that merely wants to be faster. So an admitted upload never waits for another upload's client.

use std::{sync::Arc, time::Duration};

use archive::gzip::BLOCK_BYTES;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::{
    StorageError,
    parts::{FIRST_PART_BYTES, LATE_PART_BYTES},
};

/// What an upload must hold to run: a part that fills, the block that overflows it, and one more block both
/// raw and compressed.
pub(crate) const BASE_BYTES: usize = FIRST_PART_BYTES + BLOCK_BYTES + EXTRA_BLOCK_BYTES;

/// What one more block in the works takes, raw and compressed.
pub(crate) const EXTRA_BLOCK_BYTES: usize = 2 * BLOCK_BYTES;

/// What a late part takes beyond an early one.
const RESERVE_BYTES: usize = LATE_PART_BYTES - FIRST_PART_BYTES;

/// The smallest pool in which every upload can end.
pub(crate) const MIN_POOL_BYTES: usize = BASE_BYTES + RESERVE_BYTES + FIRST_PART_BYTES + BLOCK_BYTES;

/// A share of the memory; given back when dropped.
pub(crate) type Permit = OwnedSemaphorePermit;

/// The pool. Its clones are one and the same pool.
#[derive(Debug, Clone)]
pub(crate) struct UploadMemory {
    shared: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
}

impl UploadMemory {
    /// A pool of `total_bytes`, at least [`MIN_POOL_BYTES`]; an eighth of it is the reserve for late parts.
    pub(crate) fn new(total_bytes: usize) -> Self {
        let total = total_bytes.max(MIN_POOL_BYTES);
        let reserved = (total / 8 / RESERVE_BYTES).max(1) * RESERVE_BYTES;
        Self {
            shared: Arc::new(Semaphore::new((total - reserved).min(Semaphore::MAX_PERMITS))),
            reserve: Arc::new(Semaphore::new(reserved)),
        }
    }

    /// Waits for the base of an upload, at most for `patience`.
    pub(crate) async fn admit(&self, patience: Duration) -> Result<Permit, StorageError> {
        let base = Arc::clone(&self.shared).acquire_many_owned(permits(BASE_BYTES));
        // The pool is never closed: no permit means that none was free in time.
        tokio::time::timeout(patience, base).await.ok().and_then(Result::ok).ok_or(StorageError::Busy)
    }

    /// What an upload may use to be faster, if it is free now and nobody waits for it.
    pub(crate) fn try_extra(&self, bytes: usize) -> Option<Permit> {
        Arc::clone(&self.shared).try_acquire_many_owned(permits(bytes)).ok()
    }

    /// Waits for what a late part needs beyond the base.
    pub(crate) async fn late_part(self) -> Result<Permit, AcquireError> {
        self.reserve.acquire_many_owned(permits(RESERVE_BYTES)).await
    }

    /// The bytes that nobody holds.
    #[cfg(test)]
    pub(crate) fn free_bytes(&self) -> usize {
        self.shared.available_permits() + self.reserve.available_permits()
    }
}

/// One permit is one byte; all sums asked for are a few MiB.
fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn the_shares_add_up_to_the_pool() {
        for total in [0, MIN_POOL_BYTES, 100 << 20, 256 << 20] {
            assert_eq!(UploadMemory::new(total).free_bytes(), total.max(MIN_POOL_BYTES));
        }
    }

    #[tokio::test]
    async fn who_waits_to_be_admitted_comes_before_who_wants_to_be_faster() {
        let pool = UploadMemory::new(MIN_POOL_BYTES);
        let running = pool.admit(LONG).await.unwrap();
        assert!(pool.try_extra(EXTRA_BLOCK_BYTES).is_some());

        let waiting = pool.admit(LONG);
        tokio::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        assert!(pool.try_extra(EXTRA_BLOCK_BYTES).is_none());

        drop(running);
        assert!(waiting.await.is_ok());
    }

    #[tokio::test]
    async fn who_is_not_admitted_in_time_is_told_so() {
        let pool = UploadMemory::new(MIN_POOL_BYTES);
        let _running = pool.admit(LONG).await.unwrap();
        assert!(matches!(pool.admit(Duration::ZERO).await, Err(StorageError::Busy)));
    }
}
