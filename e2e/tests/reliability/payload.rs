//! What sources deliver: bytes that follow from the source's id, so that anybody can tell whether they are right.

use futures_util::{Stream, stream};
use uuid::Uuid;

/// More than fits into one request to the store, so that it is uploaded in parts.
pub(crate) const IN_PARTS: usize = 12 << 20;

/// A source of numbers that look random and follow from a seed (`SplitMix64`).
#[derive(Debug, Clone)]
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }
}

/// The numbers that belong to `id`.
pub(crate) fn numbers_of(id: &str) -> Numbers {
    let id: Uuid = id.parse().unwrap();
    let (high, low) = id.as_u64_pair();
    Numbers::from_seed(high.rotate_left(17) ^ low)
}

/// `size_bytes` bytes for the source `id` that do not compress.
pub(crate) fn payload(id: &str, size_bytes: usize) -> Vec<u8> {
    let mut numbers = numbers_of(id);
    let mut bytes = Vec::with_capacity(size_bytes + 8);
    while bytes.len() < size_bytes {
        bytes.extend_from_slice(&numbers.next().to_le_bytes());
    }
    bytes.truncate(size_bytes);
    bytes
}

/// A body that is sent as far as its other end lets it.
pub(crate) fn held_back(
    chunks: tokio::sync::mpsc::Receiver<Vec<u8>>,
) -> impl Stream<Item = Result<Vec<u8>, std::io::Error>> {
    stream::unfold(chunks, |mut chunks| async move { Some((Ok(chunks.recv().await?), chunks)) })
}
