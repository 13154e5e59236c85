//! Layouts: any part of an archive is the same part of the same bytes.

use archive::zip::{Content, Entry, LAYOUT_VERSION, Layout, LayoutError, Segment};
use bytes::Bytes;
use proptest::{prelude::*, sample::Index};

use crate::samples::{Objects, Sample, bytes_of, modified, small};

fn render(layout: &Layout, objects: &Objects, range: std::ops::Range<u64>) -> Vec<u8> {
    let segments = layout.slice(range);
    assert!(segments.iter().all(|segment| segment.len_bytes() > 0), "an empty segment");
    segments
        .iter()
        .flat_map(|segment| {
            let bytes = bytes_of(segment, objects);
            assert_eq!(bytes.len() as u64, segment.len_bytes());
            bytes
        })
        .collect()
}

/// Entries whose objects hold any bytes: for a layout they need not be deflate data.
fn entries() -> impl Strategy<Value = (Vec<Entry>, Objects)> {
    let object = (prop::collection::vec(any::<u8>(), 1..50), any::<Index>());
    let inline = prop::collection::vec(any::<u8>(), 0..50);
    let content = prop_oneof![object.prop_map(Ok), inline.prop_map(Err)];
    let contents = prop::collection::vec((content, "x{0,20}"), 1..8);
    contents.prop_map(|contents| {
        let mut objects = Objects::new();
        let mut entries = Vec::new();
        for (number, (content, suffix)) in contents.into_iter().enumerate() {
            let name = format!("{number}{suffix}");
            entries.push(match content {
                Err(inline) => Entry::inline(name, inline),
                Ok((object, start)) => {
                    let deflated = start.index(object.len()) as u64..object.len() as u64;
                    objects.insert(name.as_str().into(), object.into());
                    let content = Content::Object { key: name.as_str().into(), deflated };
                    Entry { name, crc32: 1, size_bytes: 2, content }
                }
            });
        }
        (entries, objects)
    })
}

proptest! {
    #[test]
    fn any_split_into_ranges_gives_the_same_bytes(
        (entries, objects) in entries(),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        let layout = Layout::new(entries, modified()).unwrap();
        let total = layout.total_bytes();
        let whole = render(&layout, &objects, 0..total);
        prop_assert_eq!(whole.len() as u64, total);

        let mut cuts: Vec<u64> = cuts.iter().map(|cut| cut.index(whole.len() + 1) as u64).collect();
        cuts.extend([0, total]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).flat_map(|cut| render(&layout, &objects, cut[0]..cut[1]));
        prop_assert!(parts.eq(whole.iter().copied()));
    }

    #[test]
    fn any_range_gives_that_part_of_the_bytes((entries, objects) in entries(), from: Index, to: Index) {
        let layout = Layout::new(entries, modified()).unwrap();
        let whole = render(&layout, &objects, 0..layout.total_bytes());
        let (from, to) = (from.index(whole.len() + 1), to.index(whole.len() + 1));
        let expected = whole.get(from..to).unwrap_or_default();
        prop_assert_eq!(&render(&layout, &objects, from as u64..to as u64), expected);
    }

    #[test]
    fn each_byte_alone_is_that_byte((entries, objects) in entries()) {
        let layout = Layout::new(entries, modified()).unwrap();
        let whole = render(&layout, &objects, 0..layout.total_bytes());
        for (offset, byte) in (0..).zip(whole) {
            prop_assert_eq!(render(&layout, &objects, offset..offset + 1), [byte]);
        }
    }

    #[test]
    fn the_same_entries_give_the_same_archive((entries, objects) in entries()) {
        let render = || {
            let layout = Layout::new(entries.clone(), modified()).unwrap();
            render(&layout, &objects, 0..layout.total_bytes())
        };
        prop_assert_eq!(render(), render());
    }
}

#[test]
fn what_lies_past_the_end_is_left_off() {
    let Sample { layout, .. } = small();
    let total = layout.total_bytes();
    assert_eq!(layout.slice(0..u64::MAX), layout.slice(0..total));
    assert_eq!(layout.slice(total - 1..total + 5), layout.slice(total - 1..total));
    assert_eq!(layout.slice(total..total + 5), []);
    assert_eq!(layout.slice(u64::MAX..u64::MAX), []);
    assert_eq!(layout.slice(5..5), []);
    #[expect(clippy::reversed_empty_ranges, reason = "that it is empty is what is tested")]
    let reversed = layout.slice(7..5);
    assert_eq!(reversed, []);
}

#[test]
fn headers_and_contents_are_shared_with_the_segments_not_copied() {
    let content = Bytes::from_static(b"{}");
    let layout = Layout::new(vec![Entry::inline("meta.json", content.clone())], modified()).unwrap();
    let segments = |range| -> Vec<Bytes> {
        let inline = |segment| match segment {
            Segment::Inline(bytes) => bytes,
            Segment::Object { .. } => panic!("nothing is stored"),
        };
        layout.slice(range).into_iter().map(inline).collect()
    };
    let (once, again) = (segments(0..layout.total_bytes()), segments(1..layout.total_bytes()));
    assert_eq!(once[1].as_ptr(), content.as_ptr());
    assert_eq!(once[0][1..].as_ptr(), again[0].as_ptr());
    assert_eq!(once[2].as_ptr(), again[2].as_ptr());
}

#[test]
fn a_slice_holds_only_the_segments_it_needs() {
    let entries = (0..70_000).map(|number| Entry::inline(format!("{number}.json"), "{}")).collect();
    let layout = Layout::new(entries, modified()).unwrap();
    let middle = layout.total_bytes() / 3;
    assert!(layout.slice(middle..middle + 10).len() <= 3);
    assert_eq!(layout.slice(0..layout.total_bytes()).len(), 2 * 70_000 + 1);
}

/// The bytes of an archive are part of its entity tag only by `LAYOUT_VERSION`: whoever changes them
/// must change it too, or a resumed download mixes two archives.
#[test]
fn the_bytes_of_this_layout_version_are_frozen() {
    let entries = vec![
        Entry::inline("meta.json", "{}"),
        Entry {
            name: "1.json".to_owned(),
            crc32: 0x1234_5678,
            size_bytes: 9,
            content: object_content(10..30),
        },
        Entry {
            name: "ü.csv".to_owned(),
            crc32: 1,
            size_bytes: 5 << 30,
            content: object_content(10..5 << 30),
        },
    ];
    let layout = Layout::new(entries, modified()).unwrap();
    let inline = layout.slice(0..layout.total_bytes()).into_iter().filter_map(|segment| match segment {
        Segment::Inline(bytes) => Some(bytes),
        Segment::Object { .. } => None,
    });
    let headers: Vec<u8> = inline.flatten().collect();
    assert_eq!((LAYOUT_VERSION, headers.len(), crc32fast::hash(&headers)), (1, 464, 3_511_517_701));
}

fn object_content(deflated: std::ops::Range<u64>) -> Content {
    Content::Object { key: "key".into(), deflated }
}

fn error(entries: Vec<Entry>) -> LayoutError {
    Layout::new(entries, modified()).unwrap_err()
}

#[test]
fn an_archive_without_entries_is_refused() {
    assert_eq!(error(vec![]), LayoutError::NoEntries);
}

#[test]
fn a_name_that_is_not_safe_is_refused() {
    for name in ["", "../meta.json", "/etc/passwd", "a\\b", "NUL", &"x".repeat(201)] {
        assert_eq!(error(vec![Entry::inline(name, "")]), LayoutError::UnsafeName { name: name.to_owned() });
    }
}

#[test]
fn names_that_a_file_system_takes_for_the_same_are_refused() {
    for (one, other) in
        [("meta.json", "Meta.JSON"), ("ÄRGER", "ärger"), ("stra\u{df}e", "STRASSE"), ("\u{fb01}le", "file")]
    {
        let entries = vec![Entry::inline(one, ""), Entry::inline(other, "")];
        assert_eq!(error(entries), LayoutError::DuplicateName { name: other.to_owned() });
    }
}

#[test]
fn an_object_too_short_for_a_deflate_stream_is_refused() {
    let entry = Entry::object("a", "key", 17, archive::gzip::Digest::default());
    assert_eq!(error(vec![entry]), LayoutError::NoDeflatedBytes { name: "a".to_owned() });
}

#[test]
fn inline_bytes_with_the_digest_of_others_are_refused() {
    let entry = Entry { crc32: 5, ..Entry::inline("a", "bytes") };
    assert_eq!(error(vec![entry]), LayoutError::WrongDigest { name: "a".to_owned() });
    let entry = Entry { size_bytes: 6, ..Entry::inline("a", "bytes") };
    assert_eq!(error(vec![entry]), LayoutError::WrongDigest { name: "a".to_owned() });
}

#[test]
fn an_archive_longer_than_its_length_can_say_is_refused() {
    let entry = |name: &str| Entry {
        name: name.to_owned(),
        crc32: 0,
        size_bytes: 1,
        content: object_content(0..u64::MAX / 2),
    };
    assert_eq!(error(vec![entry("a"), entry("b")]), LayoutError::TooLarge);
}
