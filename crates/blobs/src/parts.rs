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

/// The bytes of an object that were not sent yet, as the blocks they came in.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    blocks: VecDeque<Bytes>,
    bytes: usize,
}

impl Unsent {
    pub(crate) fn push(&mut self, block: Bytes) {
        self.bytes += block.len();
        self.blocks.push_back(block);
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the first `bytes`, or all when there are fewer. Nothing is copied: a block on the cut is
    /// shared.
    pub(crate) fn take(&mut self, bytes: usize) -> PutPayload {
        let mut taken = Vec::with_capacity(self.blocks.len());
        let mut missing = bytes;
        while missing > 0
            && let Some(mut block) = self.blocks.pop_front()
        {
            if block.len() > missing {
                taken.push(block.split_to(missing));
                self.blocks.push_front(block);
                break;
            }
            missing -= block.len();
            taken.push(block);
        }
        let payload: PutPayload = taken.into_iter().collect();
        self.bytes -= payload.content_length();
        payload
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
        let mut unsent = Unsent::default();
        for block in [&b"abc"[..], b"defg", b"", b"hi"] {
            unsent.push(Bytes::from_static(block));
        }
        let parts: Vec<Bytes> = [3, 2, 100, 1].map(|bytes| unsent.take(bytes).into()).into();
        assert_eq!(parts, ["abc", "de", "fghi", ""].map(Bytes::from));
        assert_eq!(unsent.bytes(), 0);
    }
}
