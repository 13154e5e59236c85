//! Blocks of an upload are hashed in order and deflated in parallel, on threads that serve nobody else.

use std::sync::Arc;

use archive::gzip::{Digest, deflate_block};
use sha2::{Digest as _, Sha256};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, oneshot},
};
use tokio_util::task::AbortOnDropHandle;

/// The bounded pool of all uploads of one process. Its clones are one and the same pool.
#[derive(Debug, Clone)]
pub(crate) struct Compressor {
    runtime: Handle,
    threads: Arc<Semaphore>,
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
    /// A pool that uses at most `threads` threads of `runtime` at a time; 0 for one per core.
    pub(crate) fn new(runtime: Handle, threads: usize) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if threads == 0 { cores() } else { threads };
        Self { runtime, threads: Arc::new(Semaphore::new(threads)) }
    }

    /// Begins the blocks of one upload.
    pub(crate) fn begin(&self) -> Blocks {
        let (send, receive) = oneshot::channel();
        // Cannot fail: the receiver is held.
        let _ = send.send(Sha256::new());
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
        let Compressor { runtime, threads } = self.compressor.clone();
        let blocking = runtime.clone();
        AbortOnDropHandle::new(runtime.spawn(async move {
            let hash = before.await.map_err(|_| BlockLost)?;
            let thread = threads.acquire_owned().await.map_err(|_| BlockLost)?;
            let work = move || {
                let _thread = thread;
                work(block, hash, send)
            };
            blocking.spawn_blocking(work).await.map_err(|_| BlockLost)
        }))
    }

    /// The SHA-256 of all blocks.
    pub(crate) async fn sha256(self) -> Result<[u8; 32], BlockLost> {
        Ok(self.hashed.await.map_err(|_| BlockLost)?.finalize().into())
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
