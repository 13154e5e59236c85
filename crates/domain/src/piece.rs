//! Data that arrives over several requests lies in several objects, its pieces.

use serde::{Deserialize, Serialize};

/// How many pieces of a kind come together before they are made one.
const FOLD: usize = 8;

/// Pieces of less than this many bytes are of the first kind, and so on; larger ones stay as they are.
const KINDS: [u64; 3] = [256 << 10, 2 << 20, 16 << 20];

/// An object that holds some of a source's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPiece {
    /// The key of the gzip object.
    pub object_key: String,
    /// Length of the gzip object.
    pub stored_bytes: u64,
}

/// How many pieces at the end the next piece should take in, so that requests of any size make few pieces.
/// `sizes` are the lengths of their data in bytes, in order; the last 24 of them are enough.
///
/// Eight of a kind become one of the next kind, or nearly. So what requests of 64 KiB bring is read back three
/// times, a request has little more than 128 MiB to read back, and 1 GiB of data lies in at most 64 pieces and
/// a few small ones.
pub fn pieces_to_fold(sizes: &[u64]) -> usize {
    let kind = |size: &u64| KINDS.iter().position(|below| size < below).unwrap_or(KINDS.len());
    let Some(last) = sizes.last().map(kind).filter(|kind| *kind < KINDS.len()) else { return 0 };
    let same = sizes.iter().rev().take_while(|size| kind(size) <= last).count();
    if same >= FOLD { same } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces after `count` requests of `size` bytes, and how many bytes were read back for them.
    fn after(count: usize, size: u64) -> (Vec<u64>, u64) {
        let (mut sizes, mut read_back) = (Vec::<u64>::new(), 0);
        for _ in 0..count {
            let recent = &sizes[sizes.len().saturating_sub(24)..];
            let kept = sizes.len() - pieces_to_fold(recent);
            let folded: u64 = sizes.drain(kept..).sum();
            assert!(folded <= 130 << 20, "{folded}");
            read_back += folded;
            sizes.push(folded + size);
        }
        (sizes, read_back)
    }

    #[test]
    fn small_requests_make_few_pieces_and_little_is_read_back() {
        for (count, size) in [(16_384, 64 << 10), (100_000, 1), (4_096, 256 << 10), (512, 3 << 20)] {
            let total = count as u64 * size;
            let (sizes, read_back) = after(count, size);
            assert_eq!(sizes.iter().sum::<u64>(), total);
            assert!(sizes.len() as u64 <= (total >> 24) + 24, "{size}: {} pieces", sizes.len());
            assert!(read_back <= 3 * total || total < 1 << 20, "{size}: {read_back} bytes");
        }
    }

    #[test]
    fn large_pieces_stay_as_they_are() {
        assert_eq!(after(100, 16 << 20).0.len(), 100);
    }
}
