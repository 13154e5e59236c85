//! Reading: every byte of the segments, in their order, or an error.

use archive::zip::Segment;
use blobs::StorageError;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    on_every_store,
    place::{Place, new_key},
    sample::{MIB, gunzip, gzipped, json, noise},
};

on_every_store!(
    segments_of_objects_and_inline_bytes_come_in_their_order,
    any_range_of_an_object_can_be_read,
    many_small_objects_come_in_their_order,
    an_object_that_does_not_exist_is_an_error_before_the_first_byte,
    an_object_that_is_shorter_than_its_segment_is_never_a_clean_end,
    an_object_that_is_missing_further_on_is_an_error_at_its_place,
    no_segments_are_no_bytes,
);

async fn segments_of_objects_and_inline_bytes_come_in_their_order(place: Place) {
    let (one, two) = (noise(5 * MIB, 8), noise(3 * MIB + 1, 9));
    let (first, second) = (place.put(&one).await, place.put(&two).await);
    let inline = |text: &'static str| Segment::Inline(Bytes::from_static(text.as_bytes()));
    let segments = vec![
        inline("before"),
        first.segment(10..first.stored_bytes() - 8),
        inline(""),
        inline("between"),
        second.segment(0..second.stored_bytes()),
        second.segment(7..7),
        inline("after"),
    ];
    let (one, two) = (gzipped(&one), gzipped(&two));
    let expected = [&b"before"[..], &one[10..one.len() - 8], b"between", &two, b"after"].concat();
    assert!(place.read(segments).await.unwrap() == expected);
}

async fn any_range_of_an_object_can_be_read(place: Place) {
    let data = noise(4 * MIB, 10);
    let (object, expected) = (place.put(&data).await, gzipped(&data));
    let end = object.stored_bytes();
    for range in
        [0..1, 0..end, 1..end, end - 1..end, 262_143..262_145, 262_144..1_310_721, 999_999..3_000_000]
    {
        let read = place.read(vec![object.segment(range.clone())]).await.unwrap();
        let span = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        assert!(read == expected[span], "{range:?}");
    }
}

async fn many_small_objects_come_in_their_order(place: Place) {
    let texts: Vec<Bytes> = (0..100).map(|seed| json(100 + seed * 37)).collect();
    let objects: Vec<_> = stream::iter(&texts).map(|text| place.put(text)).buffered(8).collect().await;
    let segments = objects
        .iter()
        .flat_map(|object| [Segment::Inline("/".into()), object.segment(0..object.stored_bytes())])
        .collect();
    // Deflating a short text twice need not give the same bytes: what was stored is read one by one.
    let mut expected = Vec::new();
    for (object, text) in objects.iter().zip(&texts) {
        let stored = place.read(vec![object.segment(0..object.stored_bytes())]).await.unwrap();
        assert!(gunzip(&stored) == text[..]);
        expected.extend([b"/".to_vec(), stored].concat());
    }
    assert!(place.read(segments).await.unwrap() == expected);
}

async fn an_object_that_does_not_exist_is_an_error_before_the_first_byte(place: Place) {
    let missing = Segment::Object { key: (&new_key()).into(), range: 0..10 };
    let segments = vec![Segment::Inline("header".into()), missing];
    let error = place.blobs.open(segments).await.unwrap_err();
    assert!(matches!(error, StorageError::NotFound { .. }), "{error:?}");
}

async fn an_object_that_is_shorter_than_its_segment_is_never_a_clean_end(place: Place) {
    let object = place.put(&noise(3 * MIB, 11)).await;
    let end = object.stored_bytes();
    for range in [end - 1..end + 1, 0..end + 1, end..end + 1, 0..end + (4 << 20)] {
        assert!(place.read(vec![object.segment(range.clone())]).await.is_err(), "{range:?}");
    }
}

async fn an_object_that_is_missing_further_on_is_an_error_at_its_place(place: Place) {
    let object = place.put(&noise(5 * MIB, 12)).await;
    let missing = Segment::Object { key: (&new_key()).into(), range: 0..10 };
    let segments = vec![object.segment(0..object.stored_bytes()), missing, Segment::Inline("end".into())];
    let mut stream = place.blobs.open(segments).await.unwrap();
    let mut bytes = 0;
    let error = loop {
        match stream.try_next().await {
            Ok(Some(chunk)) => bytes += chunk.len() as u64,
            Ok(None) => panic!("a clean end"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StorageError::NotFound { .. }), "{error:?}");
    assert_eq!(bytes, object.stored_bytes());
    assert!(stream.next().await.is_none(), "the error is the last item");
}

async fn no_segments_are_no_bytes(place: Place) {
    assert_eq!(place.read(Vec::new()).await.unwrap(), b"");
    assert_eq!(place.read(vec![Segment::Inline("text".into())]).await.unwrap(), b"text");
}
