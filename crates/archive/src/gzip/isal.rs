//! The deflate backend: Intel ISA-L, level 1 (`docs/decisions/0003-deflate-backend.md` has the
//! measurements). To change the backend, change this file.
#![expect(
    unsafe_code,
    reason = "ISA-L is a C library, and its safe wrapper (isal-rs) cannot end a block without ending the stream"
)]

use isal_sys::igzip_lib::{
    COMP_OK, FULL_FLUSH, IGZIP_DEFLATE, ISAL_DEF_LVL1_LARGE, isal_deflate_stateless,
    isal_deflate_stateless_init, isal_zstream,
};

use super::SYNC_MARKER;

/// Level 1 is within 2 % of the ratio of levels 2 and 3 and the fastest with Huffman codes made for
/// the data.
const LEVEL: u32 = 1;

/// Room for the tokens of one Huffman block at that level, the library's default.
const LEVEL_BUFFER_BYTES: usize = ISAL_DEF_LVL1_LARGE as usize;

/// Deflate's own limit for a stored (uncompressed) block, and what its header takes.
const MAX_STORED_BLOCK_BYTES: usize = 65_535;
const STORED_HEADER_BYTES: usize = 5;

/// The most that [`deflate`] returns for `size` bytes.
pub(super) const fn max_deflated_bytes(size: usize) -> usize {
    stored_bytes(size) + SYNC_MARKER.len()
}

/// What ISA-L falls back to when compressing does not make data smaller: stored blocks.
const fn stored_bytes(size: usize) -> usize {
    size + STORED_HEADER_BYTES * size.div_ceil(MAX_STORED_BLOCK_BYTES)
}

/// Deflates `block` (at most 4 GiB less its [`stored_bytes`] overhead) on its own, ended by a
/// [`SYNC_MARKER`], as no final block.
///
/// The state (360 KiB) is allocated for each call: reusing it made no measurable difference.
pub(super) fn deflate(block: &[u8]) -> Vec<u8> {
    if block.is_empty() {
        return SYNC_MARKER.to_vec();
    }
    let limit = stored_bytes(block.len());
    let mut deflated = Vec::with_capacity(limit + SYNC_MARKER.len());
    let mut level_buffer = vec![0_u8; LEVEL_BUFFER_BYTES];

    // SAFETY: `isal_zstream` is a C structure of integers, arrays of integers and raw pointers, for
    // which all zeros is a value (and the one that ISA-L's documentation starts from).
    let mut stream = unsafe { Box::<isal_zstream>::new_zeroed().assume_init() };
    // SAFETY: the pointer is to a live structure of the type that the function initialises.
    unsafe { isal_deflate_stateless_init(&raw mut *stream) };

    stream.level = LEVEL;
    stream.level_buf = level_buffer.as_mut_ptr();
    stream.level_buf_size = length(LEVEL_BUFFER_BYTES);
    stream.gzip_flag = flag(IGZIP_DEFLATE);
    // Together: align to a byte, forget what came before, and do not mark the last block as final.
    stream.flush = flag(FULL_FLUSH);
    stream.end_of_stream = 0;
    stream.next_in = block.as_ptr().cast_mut();
    stream.avail_in = length(block.len());
    stream.next_out = deflated.as_mut_ptr();
    stream.avail_out = length(limit);

    // SAFETY: `next_in` is readable for `avail_in` bytes and only read, despite its C type;
    // `next_out` is writable for `avail_out` bytes, within the capacity of `deflated`; `level_buf`
    // likewise for `level_buf_size`. All three outlive the call, and nothing of it is kept after.
    let result = unsafe { isal_deflate_stateless(&raw mut *stream) };
    let written = stream.total_out as usize;

    // Given `stored_bytes` of room the call cannot fail; a library that does is not the one we were
    // built for, and must not go on to store bytes that nobody can read.
    assert!(
        result == COMP_OK.cast_signed() && stream.avail_in == 0 && written <= limit,
        "ISA-L deflated {} bytes with result {result}, {} left, {written} written",
        block.len(),
        stream.avail_in,
    );
    // SAFETY: the call wrote the first `written` bytes, which the assertion has bounded.
    unsafe { deflated.set_len(written) };

    // Stored blocks are byte-aligned as they are: the library adds no marker to them.
    if written == limit {
        deflated.extend_from_slice(&SYNC_MARKER);
    }
    deflated.shrink_to_fit();
    deflated
}

/// A length as ISA-L counts; one past its range is cut, and the assertion above then sees that not
/// everything was read.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// ISA-L's flags are small `u32` constants for `u16` fields.
#[expect(clippy::cast_possible_truncation, reason = "the constants are 0, 1 and 2")]
const fn flag(value: u32) -> u16 {
    value as u16
}
