//! A real Kafka.

use std::time::Duration;

use bus::{
    CheckError, KafkaSettings, Producer, SendError,
    reader::{ReadError, TopicReader},
    topics,
};
use domain::ByteSize;
use testkit::TestTopic;

use crate::support::{first_copies, numbers, read, record, settings, text};

const TIMEOUT: Duration = Duration::from_secs(10);

/// A topic of its own with so many partitions, and a producer.
async fn start(prefix: &str, partitions: i32) -> (String, KafkaSettings, Producer) {
    let topic = TestTopic::new(prefix).unwrap();
    let settings = settings(&topic.brokers, TIMEOUT);
    topics::ensure_topics(&settings, &[&topic.name], partitions).await.unwrap();
    let producer = Producer::new(&settings, ByteSize::from_bytes(1_000_000)).unwrap();
    (topic.name, settings, producer)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_is_reported_and_stored_in_the_order_of_its_key() {
    let (topic, settings, producer) = start("order", 5).await;

    let calls: Vec<_> = (0..8)
        .map(|call| {
            let (producer, topic) = (producer.clone(), topic.clone());
            tokio::spawn(async move {
                for round in 0..5 {
                    let records: Vec<_> = (round * 20..(round + 1) * 20)
                        .flat_map(|number| [0, 1].map(|key| (format!("{call}-{key}"), number)))
                        .map(|(key, number)| record(&topic, &key, number))
                        .collect();
                    let results = producer.send_all(&records).await;
                    assert_eq!(results.len(), 40);
                    assert!(results.iter().all(Result::is_ok), "{results:?}");
                }
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }

    let stored = read(&settings, &topic, 8 * 2 * 100).await;
    for call in 0..8 {
        for key in 0..2 {
            assert_eq!(numbers(&stored, &format!("{call}-{key}")), (0..100).collect::<Vec<_>>());
        }
    }
    assert_eq!(producer.restarts(), 0);
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_headers_and_payload_arrive_as_they_were_s0_52() {
    let (topic, settings, producer) = start("whole", 1).await;
    let mut sent = record(&topic, "018cc251-f400-7000-8000-000000000002", 7);
    sent.headers.push(("x-rh-identity".to_owned(), "aWRlbnRpdHk=".to_owned()));
    producer.send_all(std::slice::from_ref(&sent)).await[0].as_ref().unwrap();

    let stored = read(&settings, &topic, 1).await.remove(0);
    assert_eq!(text(stored.key.as_deref()), sent.key);
    assert_eq!(
        stored.headers,
        [
            ("application".to_owned(), b"inventory".to_vec()),
            ("x-rh-identity".to_owned(), b"aWRlbnRpdHk=".to_vec())
        ]
    );
    assert_eq!(stored.payload.unwrap(), sent.payload);
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_takes_less_than_we_allow_rejects_only_what_is_too_large() {
    let (topic, settings, _) = start("small", 1).await;
    // The brokers' default is 1,048,588 bytes; incompressible, so that the batch is as large as its records.
    let producer = Producer::new(&settings, ByteSize::from_mib(4)).unwrap();
    let mut records: Vec<_> = (0..5).map(|number| record(&topic, "k", number)).collect();
    records[1].payload = noise(2 << 20);

    let mut rejected = Vec::new();
    while !records.is_empty() {
        let results = producer.send_all(&records).await;
        let mut results = results.into_iter();
        records.retain(|record| match results.next().unwrap() {
            Ok(()) => false,
            Err(error) if error.is_temporary() => true,
            Err(error) => {
                assert!(matches!(error, SendError::Rejected(_)), "{error:?}");
                rejected.push(record.payload.len());
                false
            }
        });
    }
    assert_eq!(rejected, [2 << 20]);
    let stored = read(&settings, &topic, 4).await;
    assert_eq!(first_copies(&numbers(&stored, "k")), [0, 2, 3, 4]);
    producer.close().await;
}

fn temporary(result: &Result<(), SendError>) -> bool {
    matches!(result, Err(error) if error.is_temporary())
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(len)
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_made_once_and_says_what_it_takes() {
    let (topic, settings, producer) = start("made", 3).await;
    topics::ensure_topics(&settings, &[&topic], 7).await.unwrap();

    assert_eq!(topics::max_message_bytes(&settings, &topic).await.unwrap(), Some(1_048_588));
    producer.check(&topic).await.unwrap();
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_does_not_exist_is_neither_made_nor_ready_nor_read() {
    let topic = TestTopic::new("missing").unwrap();
    let settings = settings(&topic.brokers, Duration::from_secs(2));
    let producer = Producer::new(&settings, ByteSize::from_mib(1)).unwrap();

    assert!(matches!(producer.check(&topic.name).await, Err(CheckError::Topic(..))));
    let results = producer.send_all(&[record(&topic.name, "k", 0)]).await;
    assert!(temporary(&results[0]), "{results:?}");
    assert!(matches!(TopicReader::open(&settings, &topic.name).await, Err(ReadError::Topic(..))));
    assert_eq!(topics::max_message_bytes(&settings, &topic.name).await.unwrap(), None);
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_at_the_address_is_said_soon() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = settings(&port.to_string(), Duration::from_millis(500));
    let producer = Producer::new(&settings, ByteSize::from_mib(1)).unwrap();

    assert!(matches!(producer.check("t").await, Err(CheckError::NoBroker(_))));
    assert!(temporary(&producer.send_all(&[record("t", "k", 0)]).await[0]));
    assert!(topics::ensure_topics(&settings, &["t"], 1).await.is_err());
    producer.close().await;
}
