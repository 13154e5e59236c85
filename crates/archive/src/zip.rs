//! ZIP and ZIP64 archives (APPNOTE 6.3) as layouts: which bytes an archive consists of, without
//! building it.
//!
//! The rules, so that every reader takes the archive, streaming ones too:
//! - sizes and CRC are known before a header is written: no data descriptor (bit 3 is never set);
//! - names are UTF-8 and say so (bit 11 is always set), safe and unique (see [`crate::names`]);
//! - ZIP64 fields appear exactly when a value needs them, first among the extra fields; a local
//!   header that needs them holds both sizes;
//! - the time is given by the caller; nothing depends on the clock.

mod layout;
mod record;
mod timestamp;

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

pub use self::layout::{Layout, LayoutError, Segment};
use crate::gzip::{self, Digest};

/// Changes whenever the same entries would give other bytes. Belongs in the entity tag of an
/// archive: a download that is resumed must get the rest of the same bytes.
pub const LAYOUT_VERSION: u32 = 1;

/// The version of an archive with a member in several objects ([`Entry::pieces`]), which the rules of
/// [`LAYOUT_VERSION`] do not know. All other archives keep that version, and so their tags.
pub const PIECES_LAYOUT_VERSION: u32 = 2;

/// One member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// File name inside the archive: safe and unique (see [`crate::names`]).
    pub name: String,
    /// CRC-32 of the uncompressed bytes.
    pub crc32: u32,
    /// Length of the uncompressed bytes.
    pub size_bytes: u64,
    /// Where the bytes come from.
    pub content: Content,
}

/// Where the bytes of a member come from, as they stand in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The bytes themselves, not compressed.
    Inline(Bytes),
    /// A raw deflate stream in object storage.
    Object {
        /// Key of the stored object.
        key: Arc<str>,
        /// Where in the object the deflate stream lies ([`gzip::deflated_range`]).
        deflated: Range<u64>,
    },
    /// The blocks of several objects, which make one deflate stream.
    Pieces(Vec<Piece>),
}

/// One of the objects that hold a member's data together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Key of the stored object.
    pub key: Arc<str>,
    /// Where in the object its blocks lie ([`gzip::blocks_range`]).
    pub blocks: Range<u64>,
}

impl Entry {
    /// A member that holds `bytes`.
    pub fn inline(name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let Digest { crc32, size_bytes } = Digest::of(&bytes);
        Self { name: name.into(), crc32, size_bytes, content: Content::Inline(bytes) }
    }

    /// A member that holds the data of the gzip object `key`: `stored_bytes` long as it is stored,
    /// with `digest` over the uncompressed data.
    pub fn object(
        name: impl Into<String>,
        key: impl Into<Arc<str>>,
        stored_bytes: u64,
        digest: Digest,
    ) -> Self {
        let content = Content::Object { key: key.into(), deflated: gzip::deflated_range(stored_bytes) };
        Self { name: name.into(), crc32: digest.crc32, size_bytes: digest.size_bytes, content }
    }

    /// A member that holds the data of several gzip objects, one after the other, each given by its key and
    /// its length as it is stored, with `digest` over all of the uncompressed data.
    pub fn pieces<K: Into<Arc<str>>>(
        name: impl Into<String>,
        objects: impl IntoIterator<Item = (K, u64)>,
        digest: Digest,
    ) -> Self {
        let pieces = objects
            .into_iter()
            .map(|(key, stored_bytes)| Piece { key: key.into(), blocks: gzip::blocks_range(stored_bytes) });
        let content = Content::Pieces(pieces.collect());
        Self { name: name.into(), crc32: digest.crc32, size_bytes: digest.size_bytes, content }
    }
}

impl Content {
    /// Length of the bytes as they stand in the archive.
    fn stored_bytes(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Object { deflated, .. } => deflated.end.saturating_sub(deflated.start),
            Self::Pieces(pieces) => {
                let blocks = pieces.iter().map(|piece| piece.blocks.end.saturating_sub(piece.blocks.start));
                blocks.fold(gzip::END_OF_STREAM.len() as u64, u64::saturating_add)
            }
        }
    }
}
