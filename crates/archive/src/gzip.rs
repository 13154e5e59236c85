//! The stored form of a source's data: one gzip member (RFC 1952) whose deflate stream is made of
//! blocks of [`BLOCK_BYTES`] that were deflated each on its own.
//!
//! ```text
//! HEADER | deflate_block | deflate_block | … | 03 00 | CRC32 | size mod 2³²
//! 0      10                                     …-10    …-8           stored_bytes
//!        └────────────── deflated_range ───────────┘
//! ```
//!
//! Blocks do not look back past their own first byte and end on a byte boundary: they can be made
//! in parallel and concatenated, and the deflate stream of one object can be a ZIP entry. So can the blocks of
//! several objects, one after the other, with [`END_OF_STREAM`] behind the last.

mod inflate;
mod isal;

use std::ops::Range;

pub use self::inflate::{Inflater, InvalidGzip};

/// The first bytes of every object: deflate, no name, no time, made by the fastest method, unknown
/// system. Nothing in it depends on when or where an object was made.
pub const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff];

/// How much of the data one block holds (the last one may hold less).
pub const BLOCK_BYTES: usize = 1 << 20;

/// Length of [`trailer`].
pub const TRAILER_BYTES: usize = 10;

/// The most that [`deflate_block`] returns for one block, reached by data that cannot be
/// compressed: 5 bytes for every 65,535 and 5 for the marker at the end.
pub const MAX_DEFLATED_BLOCK_BYTES: usize = isal::max_deflated_bytes(BLOCK_BYTES);

/// What ends a deflate stream: an empty block marked as the last.
pub const END_OF_STREAM: [u8; 2] = [0x03, 0x00];

/// What ends a block: the empty stored block of a `SYNC_FLUSH`, on a byte boundary.
const SYNC_MARKER: [u8; 5] = [0x00, 0x00, 0x00, 0xff, 0xff];

/// Bytes of the gzip trailer proper: CRC32 and size.
const CHECK_BYTES: usize = TRAILER_BYTES - END_OF_STREAM.len();

/// Deflates one block on its own, as raw deflate (RFC 1951), ended as by a `SYNC_FLUSH`: the last
/// bytes are `00 00 FF FF` and no bit says that the stream ends, so that blocks concatenate.
///
/// Takes about 1 ms of processor time for [`BLOCK_BYTES`]: keep it off threads that serve others.
/// Data longer than [`BLOCK_BYTES`] is cut into blocks of that size.
///
/// The same data need not give the same bytes twice (about one block of thousands differs by a byte or two):
/// compare data by its digest, never by its deflated form.
pub fn deflate_block(data: &[u8]) -> Vec<u8> {
    if data.len() <= BLOCK_BYTES {
        return isal::deflate(data);
    }
    data.chunks(BLOCK_BYTES).flat_map(isal::deflate).collect()
}

/// The bytes after the last block: `03 00`, then CRC32 and size modulo 2³² of the whole
/// uncompressed data, little-endian.
pub fn trailer(crc32: u32, size_bytes: u64) -> [u8; TRAILER_BYTES] {
    let mut trailer = [0; TRAILER_BYTES];
    trailer[..2].copy_from_slice(&END_OF_STREAM);
    trailer[2..6].copy_from_slice(&crc32.to_le_bytes());
    trailer[6..].copy_from_slice(&size_bytes.to_le_bytes()[..4]);
    trailer
}

/// Where the complete deflate stream lies in an object of `stored_bytes`: `[10, stored_bytes − 8)`.
/// Empty if the object is too short to hold one.
pub fn deflated_range(stored_bytes: u64) -> Range<u64> {
    HEADER.len() as u64..stored_bytes.saturating_sub(CHECK_BYTES as u64)
}

/// Where the blocks lie in an object of `stored_bytes`, without what ends their stream: `[10, stored_bytes − 10)`.
/// Empty if the object holds no data, or is too short for one.
pub fn blocks_range(stored_bytes: u64) -> Range<u64> {
    let start = HEADER.len() as u64;
    start..stored_bytes.saturating_sub(TRAILER_BYTES as u64).max(start)
}

/// CRC32 and length of some bytes. Digests of neighbouring bytes combine to the digest of both, so
/// that blocks can be digested in parallel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest {
    /// CRC-32 as gzip and ZIP use it (0 for no bytes).
    pub crc32: u32,
    /// Length of the bytes.
    pub size_bytes: u64,
}

impl Digest {
    /// The digest of `data`.
    pub fn of(data: &[u8]) -> Self {
        Self { crc32: crc32fast::hash(data), size_bytes: data.len() as u64 }
    }

    /// The digest of the bytes of `self` followed by those of `next`. Takes well under a
    /// microsecond, whatever the lengths.
    #[must_use]
    pub fn combine(self, next: Self) -> Self {
        let mut crc32 = crc32fast::Hasher::new_with_initial_len(self.crc32, self.size_bytes);
        crc32.combine(&crc32fast::Hasher::new_with_initial_len(next.crc32, next.size_bytes));
        Self { crc32: crc32.finalize(), size_bytes: self.size_bytes + next.size_bytes }
    }
}
