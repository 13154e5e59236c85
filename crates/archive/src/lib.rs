//! Pure bytes: what is stored, what is sent, and which part of it. No I/O, no clock, no state.
//!
//! - [`gzip`]: header, blocks and trailer of a stored object; digests that combine
//! - [`ranges`]: the `Range` and `Content-Range` headers (RFC 9110)
//! - [`preconditions`]: `If-Match`, `If-None-Match` and `If-Range` (RFC 9110)

pub mod gzip;
pub mod preconditions;
pub mod ranges;
