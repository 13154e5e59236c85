//! Sizes at and around what the fields of a ZIP can say. The archives are only computed: their
//! objects are nowhere, and read as zeros.

use archive::zip::{Content, Entry};
use proptest::prelude::*;

use crate::{
    records::{End, Header, directory},
    samples::{Objects, Sample},
};

const MAX_U32: u64 = 0xffff_ffff;
const MAX_U16: u64 = 0xffff;

fn stored_object(name: &str, stored_bytes: u64, size_bytes: u64) -> Entry {
    let content = Content::Object { key: "nowhere".into(), deflated: 10..10 + stored_bytes };
    Entry { name: name.to_owned(), crc32: 0xdead_beef, size_bytes, content }
}

fn sample(entries: Vec<Entry>) -> Sample {
    Sample::new(entries, Objects::new())
}

/// What the fields must hold for these values: all ones if they do not fit.
fn field(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Checks every field of an archive against its entries, and reads it with two other readers.
fn check(entries: &[Entry]) {
    let sample = sample(entries.to_vec());
    let (end, headers) = directory(sample.reader());
    assert_eq!(headers.len(), entries.len());
    let mut offset = 0;
    let mut offsets = Vec::new();
    for (entry, header) in entries.iter().zip(&headers) {
        let stored = match &entry.content {
            Content::Inline(bytes) => bytes.len() as u64,
            Content::Object { deflated, .. } => deflated.end - deflated.start,
            Content::Pieces(pieces) => {
                pieces.iter().map(|piece| piece.blocks.end - piece.blocks.start).sum::<u64>() + 2
            }
        };
        let local = Header::local(sample.reader(), offset);
        check_local(entry, stored, &local);
        check_directory(entry, stored, offset, header);
        offsets.push((offset, stored));
        let extras: usize = local.extras.iter().map(|(_, bytes)| 4 + bytes.len()).sum();
        offset += 30 + (entry.name.len() + extras) as u64 + stored;
    }
    check_end(entries.len() as u64, offset, &end, sample.layout.total_bytes());
    check_other_readers(&sample, &offsets);
}

fn check_local(entry: &Entry, stored: u64, local: &Header) {
    check_common(entry, local);
    if entry.size_bytes >= MAX_U32 || stored >= MAX_U32 {
        assert_eq!((local.size, local.stored), (u32::MAX, u32::MAX));
        assert_eq!(local.zip64(), Some(vec![entry.size_bytes, stored]), "both sizes, in this order");
        assert_eq!(local.version_needed, 45);
    } else {
        assert_eq!((u64::from(local.size), u64::from(local.stored)), (entry.size_bytes, stored));
        assert_eq!(local.zip64(), None);
        assert!(local.version_needed <= 20);
    }
}

fn check_directory(entry: &Entry, stored: u64, offset: u64, header: &Header) {
    check_common(entry, header);
    let values = [entry.size_bytes, stored, offset];
    assert_eq!([header.size, header.stored, header.offset.unwrap()], values.map(field));
    let large: Vec<u64> = values.into_iter().filter(|&value| value >= MAX_U32).collect();
    assert_eq!(header.version_needed == 45, !large.is_empty());
    assert_eq!(header.zip64().unwrap_or_default(), large, "exactly the values that do not fit");
}

fn check_common(entry: &Entry, header: &Header) {
    assert_eq!(header.flags, 1 << 11, "UTF-8, and no data descriptor");
    assert_eq!(header.method, if matches!(entry.content, Content::Inline(_)) { 0 } else { 8 });
    assert_eq!((header.crc32, &header.name), (entry.crc32, &entry.name));
}

fn check_end(entries: u64, directory_offset: u64, end: &End, total_bytes: u64) {
    let zip64 = end.zip64.is_some();
    let directory_size = total_bytes - directory_offset - 22 - if zip64 { 76 } else { 0 };
    assert_eq!(end.entries, u16::try_from(entries).unwrap_or(u16::MAX));
    assert_eq!((end.directory_size, end.directory_offset), (field(directory_size), field(directory_offset)));
    assert_eq!(zip64, entries >= MAX_U16 || directory_offset >= MAX_U32);
    if zip64 {
        assert_eq!(end.zip64, Some((entries, directory_size, directory_offset)));
    }
}

/// The crates `zip` and `rawzip` find the same values.
fn check_other_readers(sample: &Sample, offsets: &[(u64, u64)]) {
    let mut zip = ::zip::ZipArchive::new(sample.reader()).unwrap();
    assert_eq!(zip.len(), sample.members.len());
    let mut buffer = vec![0; 1 << 16];
    let raw = rawzip::ZipArchive::with_max_search_space(1 << 10)
        .locate_in_reader(sample.reader(), &mut buffer, sample.layout.total_bytes())
        .unwrap();
    assert_eq!(raw.entries_hint(), sample.members.len() as u64);
    let mut raw_entries = raw.entries(&mut buffer);
    for (index, (member, &(offset, stored))) in sample.members.iter().zip(offsets).enumerate() {
        let expected = (member.size_bytes, stored, member.crc32, offset);
        let by_zip = zip.by_index_raw(index).unwrap();
        assert_eq!(
            (by_zip.size(), by_zip.compressed_size(), by_zip.crc32(), by_zip.header_start()),
            expected
        );
        let by_raw = raw_entries.next_entry().unwrap().unwrap();
        let found = (by_raw.uncompressed_size_hint(), by_raw.compressed_size_hint());
        assert_eq!((found.0, found.1, by_raw.local_header_offset()), (expected.0, expected.1, offset));
    }
    assert!(raw_entries.next_entry().unwrap().is_none());
}

const AROUND: [u64; 4] = [MAX_U32 - 1, MAX_U32, MAX_U32 + 1, MAX_U32 + 2];

#[test]
fn sizes_around_4_gib_need_zip64_from_all_ones_on() {
    for size in AROUND {
        check(&[stored_object("large when unpacked", 5, size), Entry::inline("meta.json", "{}")]);
    }
}

#[test]
fn stored_sizes_around_4_gib_need_zip64_from_all_ones_on() {
    for stored in AROUND {
        check(&[stored_object("large as stored", stored, 5), Entry::inline("meta.json", "{}")]);
        check(&[stored_object("large in both", stored, stored), Entry::inline("meta.json", "{}")]);
    }
}

#[test]
fn offsets_around_4_gib_need_zip64_from_all_ones_on() {
    // Of the header before it: 30 bytes, the name, and the extended timestamp.
    let header = 30 + 1 + 9;
    for offset in AROUND {
        check(&[stored_object("1", offset - header, 5), Entry::inline("2", "at this offset")]);
        // Here the directory lies at this offset.
        check(&[stored_object("1", offset - header, 5)]);
    }
}

#[test]
fn an_archive_of_many_terabytes_is_only_arithmetic() {
    let entries: Vec<Entry> =
        (0..100).map(|number| stored_object(&number.to_string(), 1 << 40, 1 << 42)).collect();
    check(&entries);
}

#[test]
fn entries_around_65_535_need_zip64_from_all_ones_on() {
    for count in [MAX_U16 - 1, MAX_U16, MAX_U16 + 1] {
        let entries: Vec<Entry> = (0..count).map(|number| Entry::inline(number.to_string(), "")).collect();
        check(&entries);
    }
}

/// Small, around the limit, or anything.
fn any_size() -> impl Strategy<Value = u64> {
    prop_oneof![1..100_u64, MAX_U32 - 100..MAX_U32 + 100, 1..1_u64 << 50]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_field_is_right_whatever_the_sizes(sizes in prop::collection::vec((any_size(), any_size()), 1..6)) {
        let entry = |(number, (stored, size)): (usize, (u64, u64))| stored_object(&number.to_string(), stored, size);
        let entries: Vec<Entry> = sizes.into_iter().enumerate().map(entry).collect();
        check(&entries);
    }
}
