//! Blocks of an upload are hashed in order and deflated in parallel, on threads that serve nobody else.

use std::{io, sync::Arc};

use archive::gzip::{Digest, deflate_block};
use sha2::{Digest as _, Sha256};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
    task::JoinHandle,
};
use tokio_util::task::AbortOnDropHandle;

use crate::hash::HashState;

/// The threads that compress for all uploads of one process. Its clones are one and the same pool.
#[derive(Debug, Clone)]
pub(crate) struct Compressor {
    /// Where the work is handed on.
    runtime: Handle,
    threads: Arc<Threads>,
}

/// A runtime that only its threads for blocking work are used of. They are few and stay the same: each
/// thread has memory of its own that the allocator keeps for it, a few MiB after compressing, and any of the
/// many that the service's own runtime may have would come to have some.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Threads {
    fn spawn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<JoinHandle<T>> {
        self.0.as_ref().map(|threads| threads.spawn_blocking(work))
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(threads) = self.0.take() {
            // Waiting for them would block whoever drops the last clone.
            threads.shutdown_background();
        }
    }
}

/// One block, deflated.
pub(crate) struct Deflated {
    /// The raw deflate stream of the block.
    pub(crate) bytes: Vec<u8>,
    /// CRC32 and size of the raw block.
    pub(crate) digest: Digest,
    /// The memory that the raw block was in, empty, to be filled again.
    pub(crate) buffer: Vec<u8>,
}

/// A block in the works. Dropping it cancels what has not begun.
pub(crate) type Deflating = AbortOnDropHandle<Result<Deflated, BlockLost>>;

/// A block was not compressed: the runtime stops, or the work panicked.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a block was lost while it was compressed")]
pub(crate) struct BlockLost;

impl Compressor {
    /// A pool of `threads` threads, 0 for one per core, for uploads whose tasks are on `runtime`.
    pub(crate) fn new(runtime: Handle, threads: usize) -> io::Result<Self> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if threads == 0 { cores() } else { threads };
        let threads =
            Builder::new_current_thread().max_blocking_threads(threads).thread_name("compress").build()?;
        Ok(Self { runtime, threads: Arc::new(Threads(Some(threads))) })
    }

    /// Begins the blocks of one upload, behind the bytes that are hashed already.
    pub(crate) fn begin(&self, before: HashState) -> Blocks {
        let (send, receive) = oneshot::channel();
        // Cannot fail: the receiver is held.
        let _ = send.send(before.0);
        Blocks { compressor: self.clone(), hashed: receive }
    }
}

/// The blocks of one upload, pushed in order.
#[derive(Debug)]
pub(crate) struct Blocks {
    compressor: Compressor,
    /// Gives the SHA-256 of all blocks pushed so far, once the last of them is hashed.
    hashed: oneshot::Receiver<Sha256>,
}

impl Blocks {
    /// Hashes and deflates the next block. The hash goes from block to block, so that a block is hashed
    /// after the one before it, while that one is still being deflated.
    pub(crate) fn push(&mut self, block: Vec<u8>) -> Deflating {
        let (send, receive) = oneshot::channel();
        let before = std::mem::replace(&mut self.hashed, receive);
        let threads = Arc::clone(&self.compressor.threads);
        AbortOnDropHandle::new(self.compressor.runtime.spawn(async move {
            let hash = before.await.map_err(|_| BlockLost)?;
            let deflated = threads.spawn(move || work(block, hash, send)).ok_or(BlockLost)?;
            deflated.await.map_err(|_| BlockLost)
        }))
    }

    /// The SHA-256 of all blocks.
    pub(crate) async fn hash(self) -> Result<HashState, BlockLost> {
        self.hashed.await.map(HashState).map_err(|_| BlockLost)
    }
}

fn work(mut block: Vec<u8>, mut hash: Sha256, hashed: oneshot::Sender<Sha256>) -> Deflated {
    hash.update(&block);
    // Nobody listens when the upload was given up.
    let _ = hashed.send(hash);
    let digest = Digest::of(&block);
    let bytes = deflate_block(&block);
    block.clear();
    Deflated { bytes, digest, buffer: block }
}
