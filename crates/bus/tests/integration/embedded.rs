//! The broker in this process.

use std::time::Duration;

use bus::{CheckError, EmbeddedBroker, EmbeddedBrokerError, Producer, reader::TopicReader};
use domain::ByteSize;

use crate::support::{numbers, read, record, settings};

#[tokio::test(flavor = "multi_thread")]
async fn records_sent_to_the_embedded_broker_are_read_back_in_order() {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("requests", 3).unwrap();
    let settings = settings(broker.bootstrap_servers(), Duration::from_secs(10));
    let producer = Producer::new(&settings, ByteSize::from_mib(1)).unwrap();

    let keys = ["a", "b", "c", "d"];
    let records: Vec<_> =
        (0..100).flat_map(|number| keys.map(|key| record("requests", key, number))).collect();
    let results = producer.send_all(&records).await;

    assert_eq!(results.len(), 400);
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let stored = read(&settings, "requests", 400).await;
    for key in keys {
        assert_eq!(numbers(&stored, key), (0..100).collect::<Vec<_>>(), "key {key}");
    }
    assert_eq!(stored[0].headers, [("application".to_owned(), b"inventory".to_vec())]);
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_broker_is_ready_for_its_topics_only() {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("requests", 1).unwrap();
    let settings = settings(broker.bootstrap_servers(), Duration::from_secs(10));
    let producer = Producer::new(&settings, ByteSize::from_mib(1)).unwrap();

    producer.check("requests").await.unwrap();
    assert!(matches!(producer.check("others").await, Err(CheckError::Topic(..))));
    producer.close().await;
}

#[test]
fn a_topic_is_made_once() {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("requests", 1).unwrap();
    assert!(matches!(broker.create_topic("requests", 1), Err(EmbeddedBrokerError::Topic(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_at_the_end_of_its_topic_says_that_nothing_came() {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("requests", 1).unwrap();
    let settings = settings(broker.bootstrap_servers(), Duration::from_secs(10));
    let reader = TopicReader::open(&settings, "requests").await.unwrap();
    assert_eq!(reader.next(Duration::from_millis(50)).await.unwrap(), None);
}
