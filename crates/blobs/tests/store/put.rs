//! Storing: what is put in can be taken out, and nothing else is left.

use std::time::Duration;

use blobs::{NoJournal, PutError};
use domain::ByteSize;
use futures_util::future::join_all;
use proptest::prelude::*;

use crate::{
    on_every_store,
    place::{Journal, Place, new_key},
    sample::{MIB, NO_LIMIT, body, gunzip, gzipped, json, noise, sha256},
};

on_every_store!(
    a_stored_object_is_a_gzip_file_with_the_digests_of_its_data,
    an_object_of_the_size_of_a_part_or_about_it_is_stored_whole,
    an_object_of_many_parts_is_stored_whole,
    a_body_at_the_limit_is_stored_and_one_byte_more_is_refused,
    uploads_that_together_want_more_memory_than_there_is_take_turns,
    a_body_that_stalls_does_not_hold_up_another,
);

async fn a_stored_object_is_a_gzip_file_with_the_digests_of_its_data(place: Place) {
    for bytes in [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB, 3 * MIB + 7] {
        let (data, key, journal) = (json(bytes), new_key(), Journal::default());
        let put = place.blobs.put_gzip(&key, body(&data, 65_536), NO_LIMIT, &journal);
        let stored = put.await.unwrap();

        assert_eq!((stored.size_bytes, stored.sha256), (bytes as u64, sha256(&data)), "{bytes}");
        let object = place.read_whole(&stored).await;
        assert!(gunzip(&object) == data, "{bytes}");
        assert_eq!(stored.crc32.to_le_bytes(), object[object.len() - 8..object.len() - 4], "{bytes}");
        assert_eq!(journal.upload_ids(), [""; 0], "{bytes}: a small object is one request");
    }
}

async fn an_object_of_the_size_of_a_part_or_about_it_is_stored_whole(place: Place) {
    // Noise is stored as it is, so that a byte more of it is a byte more in the object.
    let overhead = gzipped(&noise(5 * MIB, 1)).len() - 5 * MIB;
    for part_end in [5 * MIB, 10 * MIB] {
        for beyond in [-11, -10, -1, 0, 1] {
            let bytes = (part_end - overhead).checked_add_signed(beyond).unwrap();
            let (data, key) = (noise(bytes, 1), new_key());
            let put = place.blobs.put_gzip(&key, body(&data, 300_000), NO_LIMIT, &NoJournal);
            let stored = put.await.unwrap();
            assert!(place.read_whole(&stored).await == gzipped(&data), "{part_end} {beyond}");
        }
    }
}

async fn an_object_of_many_parts_is_stored_whole(place: Place) {
    let (data, key, journal) = (noise(33 * MIB + 5, 2), new_key(), Journal::default());
    let stored = place.blobs.put_gzip(&key, body(&data, 65_536), NO_LIMIT, &journal).await.unwrap();

    assert_eq!((stored.size_bytes, stored.sha256), (data.len() as u64, sha256(&data)));
    assert!(place.read_whole(&stored).await == gzipped(&data));
    assert_eq!(journal.upload_ids().len(), usize::from(place.has_upload_ids()));
    assert_eq!(place.stored().await, [(key.to_string(), stored.stored_bytes)]);
}

async fn a_body_at_the_limit_is_stored_and_one_byte_more_is_refused(place: Place) {
    let data = json(2 * MIB);
    let (fits, exceeds) = (new_key(), new_key());
    let limit_bytes = data.len() as u64;
    let put = place.blobs.put_gzip(&fits, body(&data, 65_536), limit_bytes, &NoJournal);
    assert_eq!(put.await.unwrap().size_bytes, limit_bytes);

    let put = place.blobs.put_gzip(&exceeds, body(&data, 65_536), limit_bytes - 1, &NoJournal);
    let error = put.await.unwrap_err();
    assert!(matches!(error, PutError::TooLarge { limit_bytes: limit } if limit == limit_bytes - 1));
    assert_eq!(place.blobs.size_of(&exceeds).await.unwrap(), None);
}

async fn uploads_that_together_want_more_memory_than_there_is_take_turns(place: Place) {
    let place = place.with_changed(|settings| settings.upload_memory = ByteSize::from_mib(24));
    let uploads = (0..6).map(|seed| {
        let (data, place) = (noise(12 * MIB, seed), &place);
        async move {
            let key = new_key();
            let put = place.blobs.put_gzip(&key, body(&data, 65_536), NO_LIMIT, &NoJournal);
            assert_eq!(put.await.unwrap().sha256, sha256(&data));
        }
    });
    tokio::time::timeout(Duration::from_mins(2), join_all(uploads)).await.expect("a deadlock");
}

async fn a_body_that_stalls_does_not_hold_up_another(place: Place) {
    use futures_util::{StreamExt, stream};
    let place = place.with_changed(|settings| settings.upload_memory = ByteSize::from_mib(27));
    let (stalls, flows) = (new_key(), new_key());
    let data = noise(12 * MIB, 3);
    let journal = Journal::default();
    let endless = body(&data, 65_536).chain(stream::pending());
    let stalled = place.blobs.put_gzip(&stalls, endless, NO_LIMIT, &journal);
    let flowing = async {
        let put = place.blobs.put_gzip(&flows, body(&data, 65_536), NO_LIMIT, &journal);
        tokio::time::timeout(Duration::from_mins(1), put).await.expect("held up").unwrap()
    };
    tokio::select! {
        biased;
        _ = stalled => panic!("the body never ends"),
        stored = flowing => assert_eq!(stored.sha256, sha256(&data)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_chunking_of_the_body_is_stored_as_the_same_data(
        bytes in 0..5 * MIB,
        chunk in prop_oneof![1_000..10_000_usize, 10_000..3 * MIB],
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let (place, data, key) = (Place::local(), json(bytes), new_key());
            let put = place.blobs.put_gzip(&key, body(&data, chunk), NO_LIMIT, &NoJournal);
            let stored = put.await.unwrap();
            assert_eq!((stored.size_bytes, stored.sha256), (bytes as u64, sha256(&data)));
            assert!(gunzip(&place.read_whole(&stored).await) == data);
        });
    }
}
