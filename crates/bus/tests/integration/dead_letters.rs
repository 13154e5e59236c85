//! Records that cannot be used are kept as they are, and can be sent again.

use std::time::Duration;

use bus::{DeadLetters, KafkaSettings, TakenRecord, read_dead_letter, topics};
use domain::ByteSize;
use testkit::TestTopic;

use crate::support::{read, settings};

/// Two topics, and the letters of the first in the second.
async fn start(max_message_bytes: u64) -> (TestTopic, TestTopic, KafkaSettings, DeadLetters) {
    let (topic, dead) = (TestTopic::new("announce").unwrap(), TestTopic::new("dead").unwrap());
    let settings = settings(&topic.brokers, Duration::from_secs(10));
    topics::ensure_topics(&settings, &[&topic.name, &dead.name], 1).await.unwrap();
    let size = ByteSize::from_bytes(max_message_bytes);
    let letters = DeadLetters::new(&settings, dead.name.clone(), size).unwrap();
    (topic, dead, settings, letters)
}

fn taken(topic: &TestTopic, payload: Option<Vec<u8>>) -> TakenRecord {
    TakenRecord {
        topic: topic.name.clone(),
        partition: 3,
        offset: 77,
        timestamp: None,
        key: Some(vec![0xff, 0x00, b'k']),
        headers: vec![
            ("service".to_owned(), Some(b"ours".to_vec())),
            ("bytes".to_owned(), Some(vec![0xff, 0x00])),
            ("service".to_owned(), Some(b"twice".to_vec())),
        ],
        payload,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_has_the_original_bytes_and_headers_and_can_be_sent_again() {
    let (topic, dead, settings, letters) = start(100_000).await;
    let record = taken(&topic, Some(vec![0xfe, 0x00, b'v']));
    letters.check(&dead.name).await.unwrap();
    letters.bury(&record, &"é".repeat(4_000)).await.unwrap();
    let stored = read(&settings, &dead.name, 1).await.remove(0);
    assert_eq!((stored.key.clone(), stored.payload.clone()), (record.key.clone(), record.payload.clone()));
    let letter = read_dead_letter(stored).unwrap();
    assert_eq!(letter.reason, "é".repeat(512));
    assert_eq!(letter.origin, (topic.name.clone(), 3, 77));
    assert!(!letter.without_value);

    letters.replay(&letter).await.unwrap();
    let again = read(&settings, &topic.name, 1).await.remove(0);
    assert_eq!((again.key, again.payload), (record.key, record.payload));
    let headers = record.headers.into_iter().map(|(name, value)| (name, value.unwrap_or_default()));
    assert_eq!(again.headers, headers.collect::<Vec<_>>());
    letters.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_without_key_and_value_is_kept_too() {
    let (topic, dead, settings, letters) = start(100_000).await;
    letters.bury(&TakenRecord { key: None, ..taken(&topic, None) }, "a tombstone").await.unwrap();
    let letter = read_dead_letter(read(&settings, &dead.name, 1).await.remove(0)).unwrap();
    assert_eq!((letter.key, letter.payload, letter.without_value), (None, None, false));
    letters.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_too_large_leaves_its_value_where_it_was() {
    let (topic, dead, settings, letters) = start(2_000).await;
    letters.bury(&taken(&topic, Some(vec![b'x'; 5_000])), "too much").await.unwrap();
    let letter = read_dead_letter(read(&settings, &dead.name, 1).await.remove(0)).unwrap();
    assert!(letter.without_value && letter.payload.is_none());
    assert_eq!((letter.reason.as_str(), letter.origin.2), ("too much", 77));
    letters.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_whose_headers_are_too_large_says_where_its_record_is() {
    let (topic, dead, settings, letters) = start(3_000).await;
    let large = vec![("large".to_owned(), Some(vec![b'x'; 5_000]))];
    let record = TakenRecord { headers: large, ..taken(&topic, Some(b"value".to_vec())) };
    letters.bury(&record, "too much").await.unwrap();
    let large_key = TakenRecord { key: Some(vec![b'x'; 5_000]), ..taken(&topic, Some(b"value".to_vec())) };
    letters.bury(&large_key, &"x".repeat(5_000)).await.unwrap();
    for stored in read(&settings, &dead.name, 2).await {
        let letter = read_dead_letter(stored).unwrap();
        assert!(letter.without_value && letter.without_headers);
        assert_eq!((letter.key, letter.headers, letter.payload), (None, Vec::new(), None));
        assert_eq!(letter.origin, (topic.name.clone(), 3, 77));
    }
    letters.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_calls_itself_a_dead_letter_is_believed_nothing() {
    let (topic, dead, settings, letters) = start(100_000).await;
    let claims = ["reason", "topic", "partition", "offset", "without-value", "without-headers"];
    let claims = claims.map(|name| (format!("dead-letter-{name}"), Some(b"9".to_vec())));
    let record = TakenRecord { headers: claims.to_vec(), ..taken(&topic, Some(b"value".to_vec())) };
    letters.bury(&record, "true").await.unwrap();
    let letter = read_dead_letter(read(&settings, &dead.name, 1).await.remove(0)).unwrap();
    assert_eq!((letter.reason.as_str(), letter.origin), ("true", (topic.name.clone(), 3, 77)));
    assert!(!letter.without_value && !letter.without_headers);
    letters.close().await;
}
