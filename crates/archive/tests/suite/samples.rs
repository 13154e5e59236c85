//! Archives to read, and the objects that their layouts point at.

use std::{
    collections::HashMap,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    sync::Arc,
};

use archive::{
    gzip::{BLOCK_BYTES, Digest, HEADER, deflate_block, trailer},
    zip::{Entry, Layout, Segment},
};
use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::gzip::{object, rows};

/// An odd second, which MS-DOS cannot say.
pub(crate) const MODIFIED: &str = "2026-11-21T08:50:33Z";

pub(crate) fn modified() -> DateTime<Utc> {
    MODIFIED.parse().unwrap()
}

/// An archive, with what a reader must find in it.
pub(crate) struct Sample {
    pub(crate) layout: Layout,
    pub(crate) members: Vec<Member>,
    objects: Objects,
}

/// What a reader finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) size_bytes: u64,
    pub(crate) crc32: u32,
}

/// Stored objects by key. One that is not there is all zeros.
pub(crate) type Objects = HashMap<Arc<str>, Bytes>;

impl Sample {
    pub(crate) fn new(entries: Vec<Entry>, objects: Objects) -> Self {
        let member = |entry: &Entry| Member {
            name: entry.name.clone(),
            size_bytes: entry.size_bytes,
            crc32: entry.crc32,
        };
        let members = entries.iter().map(member).collect();
        Self { layout: Layout::new(entries, modified()).unwrap(), members, objects }
    }

    /// Writes the archive as a download would, but leaves holes for objects that are nowhere.
    pub(crate) fn write(&self, path: &Path) {
        let mut file = io::BufWriter::new(std::fs::File::create(path).unwrap());
        for segment in self.layout.slice(0..self.layout.total_bytes()) {
            match &segment {
                Segment::Object { key, range } if !self.objects.contains_key(key) => {
                    file.seek(SeekFrom::Current((range.end - range.start).cast_signed())).unwrap();
                }
                _ => file.write_all(&bytes_of(&segment, &self.objects)).unwrap(),
            }
        }
        file.into_inner().unwrap();
        assert_eq!(path.metadata().unwrap().len(), self.layout.total_bytes());
    }

    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader { layout: &self.layout, objects: &self.objects, position: 0 }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.members.iter().map(|member| member.name.clone()).collect()
    }

    /// CRC and size of all members' bytes, one after the other.
    pub(crate) fn digest(&self) -> Digest {
        let digest = |member: &Member| Digest { crc32: member.crc32, size_bytes: member.size_bytes };
        self.members.iter().map(digest).fold(Digest::default(), Digest::combine)
    }
}

pub(crate) fn bytes_of(segment: &Segment, objects: &Objects) -> Bytes {
    match segment {
        Segment::Inline(bytes) => bytes.clone(),
        Segment::Object { key, range } => {
            let index = |offset: u64| usize::try_from(offset).unwrap();
            objects.get(key).map_or_else(
                || vec![0; index(range.end - range.start)].into(),
                |object| object.slice(index(range.start)..index(range.end)),
            )
        }
    }
}

/// Reads an archive that is nowhere as a whole, however large.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    layout: &'a Layout,
    objects: &'a Objects,
    position: u64,
}

impl Reader<'_> {
    fn read_some(&self, buffer: &mut [u8], position: u64) -> usize {
        let end = position.saturating_add(buffer.len() as u64);
        let mut read = 0;
        for segment in self.layout.slice(position..end) {
            let bytes = bytes_of(&segment, self.objects);
            buffer[read..read + bytes.len()].copy_from_slice(&bytes);
            read += bytes.len();
        }
        read
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.read_some(buffer, self.position);
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.layout.total_bytes().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl rawzip::ReaderAt for Reader<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(self.read_some(buffer, offset))
    }
}

/// As an export is: a few objects, and texts about them.
pub(crate) fn small() -> Sample {
    let mut objects = Objects::new();
    let mut entries = Vec::new();
    for (number, size) in [5 * BLOCK_BYTES / 2, 1000, 0].into_iter().enumerate() {
        entries.push(add_object(&mut objects, &format!("{number}.json"), &rows(size)));
    }
    entries.push(add_pieces(
        &mut objects,
        "pieces.json",
        &rows(3 * BLOCK_BYTES),
        &[1000, 1000, 2 * BLOCK_BYTES],
    ));
    entries.push(add_pieces(&mut objects, "empty-pieces.json", &[], &[0]));
    entries.push(Entry::inline("empty.csv", ""));
    entries.push(Entry::inline("meta.json", r#"{"exported_by":"jane"}"#));
    entries.push(Entry::inline("README.md", "# Export Manifest\n"));
    Sample::new(entries, objects)
}

/// Every other member inline, every other an object.
pub(crate) fn many(count: usize) -> Sample {
    let mut objects = Objects::new();
    let shared = rows(100);
    let first = add_object(&mut objects, "shared", &shared);
    let entry = |number: usize| {
        let name = format!("member-{number:06}.json");
        if number.is_multiple_of(2) {
            Entry::inline(name, number.to_string())
        } else {
            Entry { name, ..first.clone() }
        }
    };
    Sample::new((0..count).map(entry).collect(), objects)
}

pub(crate) fn utf8_names() -> Sample {
    let mut objects = Objects::new();
    let names = [
        "Übersicht.json",
        "čeština.json",
        "報告書.csv",
        "отчёт.csv",
        "دفتر.csv",
        "😀.json",
        "naïve.csv",
        "name with spaces, & more (1).csv",
    ];
    let entries = names.map(|name| add_object(&mut objects, name, name.repeat(50).as_bytes()));
    Sample::new(entries.into(), objects)
}

/// So many blocks are a little more than 4 GiB.
const GIANT_BLOCKS: u64 = 4097;

/// A true ZIP64 archive: one member of more than 4 GiB, which deflates to a few MiB, and one after it.
pub(crate) fn giant() -> Sample {
    // The same rows again and again; a single byte repeated is what inflates slowest.
    let data: Vec<u8> = rows(999).into_iter().cycle().take(BLOCK_BYTES).collect();
    let (block, digest) = (deflate_block(&data), Digest::of(&data));
    let (mut object, mut all) = (HEADER.to_vec(), Digest::default());
    for _ in 0..GIANT_BLOCKS {
        object.extend(&block);
        all = all.combine(digest);
    }
    object.extend(trailer(all.crc32, all.size_bytes));
    let entries = vec![
        Entry::object("giant.json", "giant", object.len() as u64, all),
        Entry::inline("meta.json", "{}"),
    ];
    Sample::new(entries, Objects::from([("giant".into(), object.into())]))
}

/// A member that begins beyond 4 GiB. The bytes before it are missing: only it can be read.
pub(crate) fn far() -> Sample {
    let nowhere =
        Entry::object("nowhere.json", "nowhere", (4 << 30) + 1000, Digest { crc32: 1, size_bytes: 5 << 30 });
    Sample::new(vec![nowhere, Entry::inline("meta.json", "beyond 4 GiB")], Objects::new())
}

/// Stores `data` as an upload would.
fn add_object(objects: &mut Objects, name: &str, data: &[u8]) -> Entry {
    let object = object(data);
    let entry = Entry::object(name, name, object.len() as u64, Digest::of(data));
    objects.insert(name.into(), object.into());
    entry
}

/// Stores `data` as an upload in several requests would, cut at `cuts`.
fn add_pieces(objects: &mut Objects, name: &str, data: &[u8], cuts: &[usize]) -> Entry {
    let starts = [0].into_iter().chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([data.len()]);
    let mut pieces = Vec::new();
    for (number, (start, end)) in starts.zip(ends).enumerate() {
        let (key, object) = (format!("{name}/{number}"), object(&data[start..end]));
        pieces.push((key.clone(), object.len() as u64));
        objects.insert(key.into(), object.into());
    }
    Entry::pieces(name, pieces, Digest::of(data))
}
