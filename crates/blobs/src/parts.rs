//! How a growing object is cut into the parts of a multipart upload.

use std::collections::VecDeque;

use bytes::Bytes;
use object_store::PutPayload;

const MIB: usize = 1 << 20;

/// Size of the first parts, and the least that stores take for a part that is not the last one.
pub(crate) const FIRST_PART_BYTES: usize = 5 * MIB;

/// Size of the parts after the first [`FIRST_PARTS`].
pub(crate) const LATE_PART_BYTES: usize = 15 * MIB;

/// How many parts have [`FIRST_PART_BYTES`].
const FIRST_PARTS: usize = 1_800;

/// Gives the size of a part by its number: [`part_bytes`], except in tests.
pub(crate) type PartBytes = fn(usize) -> usize;

/// The size of part `number`, counted from 1, in bytes; only the last part of an object is smaller.
///
/// Stores take 10,000 parts. With these sizes they hold 128.9 GiB, enough for 128 GiB that do not compress
/// and grow a little by it, and an object of up to 8.8 GiB, which is what 35 GiB of JSON become, is sent in
/// parts of 5 MiB. Larger parts are why [`LATE_PART_BYTES`] is the most that is held back before sending.
pub(crate) const fn part_bytes(number: usize) -> usize {
    if number <= FIRST_PARTS { FIRST_PART_BYTES } else { LATE_PART_BYTES }
}

/// The bytes of an object that were not sent yet.
///
/// Blocks are copied into pieces of one size, the size of all large buffers here. Blocks kept as they come
/// would leave holes of all sizes in the memory that compressing needs for the next ones, and parts in one
/// piece would have the allocator keep much more free memory than it keeps of pieces.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    full: VecDeque<Bytes>,
    filling: Vec<u8>,
}

/// Parts are made of whole pieces, so that none has to be cut.
const PIECE_BYTES: usize = MIB;

impl Unsent {
    /// Adds `bytes` at the end.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.filling.capacity() == 0 {
                self.filling.reserve_exact(PIECE_BYTES);
            }
            let (now, later) = bytes.split_at(bytes.len().min(PIECE_BYTES - self.filling.len()));
            self.filling.extend_from_slice(now);
            if self.filling.len() == PIECE_BYTES {
                self.full.push_back(std::mem::take(&mut self.filling).into());
            }
            bytes = later;
        }
    }

    /// How many bytes there are.
    pub(crate) fn bytes(&self) -> usize {
        self.full.len() * PIECE_BYTES + self.filling.len()
    }

    /// Takes the first `bytes`, whole MiB, or all when there are fewer.
    pub(crate) fn take(&mut self, bytes: usize) -> PutPayload {
        let mut part: Vec<Bytes> = self.full.drain(..self.full.len().min(bytes / PIECE_BYTES)).collect();
        if part.len() < bytes / PIECE_BYTES {
            part.push(std::mem::take(&mut self.filling).into());
        }
        part.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_PARTS: usize = 10_000;

    #[test]
    fn ten_thousand_parts_hold_128_gib_that_do_not_compress() {
        let bytes: u64 = (1..=MAX_PARTS).map(|number| part_bytes(number) as u64).sum();
        // Deflate adds 5 bytes to every 16 KiB it cannot shrink, and an empty block to every MiB.
        let raw: u64 = 128 << 30;
        assert!(bytes >= raw + raw / (16 << 10) * 5 + (raw >> 20) * 16 + 20, "{bytes}");
    }

    #[test]
    fn no_part_is_smaller_than_the_one_before_it_nor_than_stores_allow() {
        assert!(part_bytes(1) >= 5 << 20);
        assert!((1..MAX_PARTS).all(|number| part_bytes(number) <= part_bytes(number + 1)));
    }

    #[test]
    fn an_object_of_5_gib_is_sent_in_small_parts() {
        let parts = (5_usize << 30) / FIRST_PART_BYTES;
        assert_eq!(part_bytes(parts), FIRST_PART_BYTES);
    }

    #[test]
    fn parts_are_cut_to_the_byte() {
        let bytes: Vec<u8> = (0..7 * MIB + 5).map(|at| u8::try_from(at % 251).unwrap_or(0)).collect();
        let mut unsent = Unsent::default();
        bytes.chunks(300_001).for_each(|block| unsent.push(block));
        assert_eq!(unsent.bytes(), bytes.len());

        let parts = [2 * MIB, 4 * MIB, 3 * MIB, MIB].map(|size| Bytes::from(unsent.take(size)));
        assert_eq!(parts.each_ref().map(Bytes::len), [2 * MIB, 4 * MIB, MIB + 5, 0]);
        assert!(parts.concat() == bytes);
        assert_eq!(unsent.bytes(), 0);
    }

    #[test]
    fn parts_are_whole_mebibytes() {
        assert!([FIRST_PART_BYTES, LATE_PART_BYTES].iter().all(|bytes| bytes % MIB == 0));
    }
}
