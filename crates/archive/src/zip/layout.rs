//! An archive as a list of segments, any range of which can be asked for.

use std::{collections::HashSet, ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use thiserror::Error;

use super::{
    Content, Entry,
    record::{Directory, Member, Method},
    timestamp::Timestamp,
};
use crate::{
    gzip::{Digest, END_OF_STREAM},
    names,
};

/// Some bytes of an archive. Those that [`Layout::slice`] gives are never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// The bytes themselves (shared, not copied, by clones).
    Inline(Bytes),
    /// Bytes of a stored object.
    Object {
        /// Key of the object.
        key: Arc<str>,
        /// Where in the object the bytes lie.
        range: Range<u64>,
    },
}

impl Segment {
    /// Number of bytes.
    pub fn len_bytes(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Object { range, .. } => range.end - range.start,
        }
    }

    /// The part of this segment that `range`, counted from its first byte, covers.
    fn part(&self, range: Range<u64>) -> Self {
        match self {
            Self::Inline(bytes) => Self::Inline(bytes.slice(index(range.start)..index(range.end))),
            Self::Object { key, range: whole } => Self::Object {
                key: Arc::clone(key),
                range: whole.start + range.start..whole.start + range.end,
            },
        }
    }
}

/// Why some entries do not make an archive.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// An archive without members: some readers take it for damaged.
    #[error("an archive needs at least one entry")]
    NoEntries,
    /// [`crate::names::is_safe`] says no.
    #[error("the name {name:?} cannot be unpacked safely everywhere")]
    UnsafeName {
        /// The name.
        name: String,
    },
    /// Another entry has this name, or one that some file system takes for the same.
    #[error("the name {name:?} clashes with another entry's")]
    DuplicateName {
        /// The later one.
        name: String,
    },
    /// The range of an object holds no byte; a deflate stream has at least two.
    #[error("entry {name:?} has no deflated bytes")]
    NoDeflatedBytes {
        /// Name of the entry.
        name: String,
    },
    /// CRC or size are not those of the inline bytes.
    #[error("CRC or size of entry {name:?} are not those of its bytes")]
    WrongDigest {
        /// Name of the entry.
        name: String,
    },
    /// Longer than 2⁶⁴ bytes.
    #[error("the archive is too large")]
    TooLarge,
}

/// Which bytes an archive consists of. The same entries and time give the same bytes, always and
/// everywhere, as long as [`super::LAYOUT_VERSION`] is the same.
///
/// Holds the headers (about 300 bytes for each entry, more for long names), not the contents of
/// objects.
#[derive(Debug, Clone)]
pub struct Layout {
    pieces: Vec<Piece>,
    total_bytes: u64,
}

/// A segment of the whole archive and where it begins.
#[derive(Debug, Clone)]
struct Piece {
    offset: u64,
    segment: Segment,
}

impl Layout {
    /// Lays out an archive of `entries`, in this order, each last modified at `modified`.
    ///
    /// # Errors
    /// See [`LayoutError`]: each is a mistake of the caller, not of what a customer sent.
    pub fn new(entries: Vec<Entry>, modified: DateTime<Utc>) -> Result<Self, LayoutError> {
        check(&entries)?;
        let modified = Timestamp::new(modified);

        // All headers are written into one buffer, which the segments then share.
        let mut headers = BytesMut::new();
        let mut header_ends = Vec::with_capacity(entries.len());
        let mut members = Vec::with_capacity(entries.len());
        let mut content_bytes = 0_u64;
        for entry in &entries {
            let offset = at(content_bytes, &headers)?;
            let member = member(entry, offset, modified);
            member.put_local_header(&mut headers);
            header_ends.push(headers.len());
            members.push(member);
            content_bytes = content_bytes.checked_add(member.stored_bytes).ok_or(LayoutError::TooLarge)?;
        }

        let offset = at(content_bytes, &headers)?;
        let before = headers.len();
        for member in &members {
            member.put_directory_entry(&mut headers);
        }
        let size_bytes = (headers.len() - before) as u64;
        Directory { entries: entries.len() as u64, offset, size_bytes }.put_end(&mut headers);
        let total_bytes = at(content_bytes, &headers)?;

        let pieces = pieces(entries, &headers.freeze(), header_ends);
        Ok(Self { pieces, total_bytes })
    }

    /// Length of the archive.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// The segments that `range` of the archive consists of, in order, none of them empty; what lies
    /// past the end of the archive is left off. `slice(0..total_bytes)` is the whole archive.
    ///
    /// Takes O(log entries + segments returned); bytes are shared, not copied.
    pub fn slice(&self, range: Range<u64>) -> Vec<Segment> {
        let end = range.end.min(self.total_bytes);
        if range.start >= end {
            return Vec::new();
        }
        // The first piece begins at 0, so that there is always one at or before the start.
        let first = self.pieces.partition_point(|piece| piece.offset <= range.start) - 1;
        self.pieces[first..]
            .iter()
            .take_while(|piece| piece.offset < end)
            .map(|piece| {
                let from = range.start.saturating_sub(piece.offset);
                let to = (end - piece.offset).min(piece.segment.len_bytes());
                piece.segment.part(from..to)
            })
            .collect()
    }
}

/// Checks what would make an archive that some reader refuses or unpacks to the wrong place.
fn check(entries: &[Entry]) -> Result<(), LayoutError> {
    if entries.is_empty() {
        return Err(LayoutError::NoEntries);
    }
    let mut seen = HashSet::with_capacity(entries.len());
    for entry in entries {
        let name = || entry.name.clone();
        if !names::is_safe(&entry.name) {
            return Err(LayoutError::UnsafeName { name: name() });
        }
        if !seen.insert(names::fold(&entry.name)) {
            return Err(LayoutError::DuplicateName { name: name() });
        }
        match &entry.content {
            Content::Object { deflated, .. } if deflated.is_empty() => {
                return Err(LayoutError::NoDeflatedBytes { name: name() });
            }
            Content::Inline(bytes)
                if Digest::of(bytes) != (Digest { crc32: entry.crc32, size_bytes: entry.size_bytes }) =>
            {
                return Err(LayoutError::WrongDigest { name: name() });
            }
            Content::Object { .. } | Content::Pieces(_) | Content::Inline(_) => {}
        }
    }
    Ok(())
}

/// Where the archive stands after `content_bytes` of contents and the headers written so far.
fn at(content_bytes: u64, headers: &BytesMut) -> Result<u64, LayoutError> {
    content_bytes.checked_add(headers.len() as u64).ok_or(LayoutError::TooLarge)
}

fn member(entry: &Entry, offset: u64, modified: Timestamp) -> Member<'_> {
    let method = match entry.content {
        Content::Inline(_) => Method::Stored,
        Content::Object { .. } | Content::Pieces(_) => Method::Deflated,
    };
    Member {
        name: &entry.name,
        method,
        crc32: entry.crc32,
        size_bytes: entry.size_bytes,
        stored_bytes: entry.content.stored_bytes(),
        offset,
        modified,
    }
}

/// Puts each entry's content behind its header, and what is left of `headers` at the end.
fn pieces(entries: Vec<Entry>, headers: &Bytes, header_ends: Vec<usize>) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(2 * entries.len() + 1);
    let mut offset = 0;
    let mut push = |segment: Segment| {
        let length = segment.len_bytes();
        if length > 0 {
            pieces.push(Piece { offset, segment });
            offset += length;
        }
    };
    let mut header_start = 0;
    for (entry, header_end) in entries.into_iter().zip(header_ends) {
        push(Segment::Inline(headers.slice(header_start..header_end)));
        header_start = header_end;
        match entry.content {
            Content::Inline(bytes) => push(Segment::Inline(bytes)),
            Content::Object { key, deflated } => push(Segment::Object { key, range: deflated }),
            Content::Pieces(objects) => {
                for super::Piece { key, blocks } in objects {
                    push(Segment::Object { key, range: blocks });
                }
                push(Segment::Inline(Bytes::from_static(&END_OF_STREAM)));
            }
        }
    }
    push(Segment::Inline(headers.slice(header_start..)));
    pieces
}

/// An offset inside bytes that are in memory, which has as many bits as memory has.
#[expect(clippy::cast_possible_truncation, reason = "at most the length of a buffer in memory")]
fn index(offset: u64) -> usize {
    offset as usize
}
