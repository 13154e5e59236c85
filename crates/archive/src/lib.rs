//! Pure bytes: what is stored, what is sent, and which part of it. No I/O, no clock, no state.
//!
//! A source's data is compressed once, when it arrives, into a [gzip] object whose blocks were
//! deflated each on its own. Its deflate data is a ZIP entry as it stands, so that an archive is
//! never built: a [`zip::Layout`] only says which bytes it consists of (headers it holds itself,
//! ranges of stored objects), any part of it can be asked for, and every replica gives the same.
//!
//! - [`gzip`]: header, blocks and trailer of a stored object; digests that combine
//! - [`zip`]: the layout of a ZIP or ZIP64 archive as a list of segments of known lengths
//! - [`names`]: member names that every system can unpack
//! - [`ranges`]: the `Range` and `Content-Range` headers (RFC 9110)
//! - [`preconditions`]: `If-Match`, `If-None-Match` and `If-Range` (RFC 9110)

pub mod gzip;
pub mod names;
pub mod preconditions;
pub mod ranges;
pub mod zip;
