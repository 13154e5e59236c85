//! What the tests share.

use std::time::Duration;

use bus::{
    KafkaSettings, Producer, Record,
    reader::{StoredRecord, TopicReader},
};
use domain::Period;

/// How long a topic must stay silent to be taken as read to its end.
const SILENCE: Duration = Duration::from_millis(500);

/// Settings for the broker at `brokers`, with a deadline short enough for a test.
pub(crate) fn settings(brokers: &str, message_timeout: Duration) -> KafkaSettings {
    KafkaSettings {
        brokers: brokers.to_owned(),
        message_timeout: Period::from(message_timeout),
        ..KafkaSettings::default()
    }
}

/// The record number `number` of `key`.
pub(crate) fn record(topic: &str, key: &str, number: usize) -> Record {
    Record {
        topic: topic.to_owned(),
        key: key.to_owned(),
        headers: vec![("application".to_owned(), "inventory".to_owned())],
        payload: number.to_string().into_bytes(),
    }
}

/// Reads records until `count` have come; fails after half a minute.
pub(crate) async fn read(settings: &KafkaSettings, topic: &str, count: usize) -> Vec<StoredRecord> {
    let reader = TopicReader::open(settings, topic).await.unwrap();
    let mut records = Vec::new();
    while records.len() < count {
        let record = reader.next(Duration::from_secs(30)).await.unwrap();
        records.push(record.unwrap_or_else(|| panic!("only {} of {count} records came", records.len())));
    }
    records
}

/// Reads records until none comes any more.
pub(crate) async fn read_all(settings: &KafkaSettings, topic: &str) -> Vec<StoredRecord> {
    let reader = TopicReader::open(settings, topic).await.unwrap();
    let mut records: Vec<_> = reader.next(Duration::from_secs(30)).await.unwrap().into_iter().collect();
    while let Some(record) = reader.next(SILENCE).await.unwrap() {
        records.push(record);
    }
    records
}

/// Sends records as an outbox does: those that failed are sent again, in their order, until none is left.
/// Returns how many attempts failed.
pub(crate) async fn send_until_stored(producer: &Producer, mut records: Vec<Record>) -> usize {
    let mut failures = 0;
    while !records.is_empty() {
        let results = producer.send_all(&records).await;
        let mut results = results.iter();
        records.retain(|_| results.next().unwrap().is_err());
        failures += records.len();
    }
    failures
}

/// `numbers` without those that came before.
pub(crate) fn first_copies(numbers: &[usize]) -> Vec<usize> {
    let mut seen = Vec::new();
    for number in numbers {
        if !seen.contains(number) {
            seen.push(*number);
        }
    }
    seen
}

/// The numbers of the records of `key`, in the order in which they are stored.
pub(crate) fn numbers(records: &[StoredRecord], key: &str) -> Vec<usize> {
    records
        .iter()
        .filter(|record| record.key.as_deref() == Some(key.as_bytes()))
        .map(|record| text(record.payload.as_deref()).parse().unwrap())
        .collect()
}

pub(crate) fn text(bytes: Option<&[u8]>) -> &str {
    std::str::from_utf8(bytes.unwrap()).unwrap()
}
