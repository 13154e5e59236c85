//! Pure bytes: what is stored, what is sent, and which part of it. No I/O, no clock, no state.
//!
//! - [`gzip`]: header, blocks and trailer of a stored object; digests that combine

pub mod gzip;
