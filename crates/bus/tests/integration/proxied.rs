//! A real Kafka behind a connection that fails.

use std::time::Duration;

use bus::{KafkaSettings, Producer, SendError, topics};
use devservers::{Kafka, KafkaOptions};
use domain::ByteSize;
use testkit::{Direction, Fault, FaultProxy, poll_until};

use crate::support::{first_copies, numbers, read_all, record, send_until_stored, settings};

const TOPIC: &str = "requests";

/// A broker of the test's own, the proxy that clients reach it through, and a way past the proxy.
async fn start(message_timeout: Duration) -> (Kafka, FaultProxy, KafkaSettings, Producer) {
    let proxy = FaultProxy::bind().await.unwrap();
    let options = KafkaOptions {
        heap_mib: 256,
        auto_create_topics: false,
        proxy: Some(proxy.address()),
        ..KafkaOptions::default()
    };
    let kafka = Kafka::start(options).await.unwrap();
    proxy.set_upstream(kafka.proxied_port());
    let past_the_proxy = settings(&kafka.brokers(), Duration::from_secs(10));
    topics::ensure_topics(&past_the_proxy, &[TOPIC], 2).await.unwrap();
    let producer = Producer::new(
        &settings(&proxy.address().to_string(), message_timeout),
        ByteSize::from_bytes(1_000_000),
    )
    .unwrap();
    (kafka, proxy, past_the_proxy, producer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_recovers_by_itself_and_keeps_the_order_of_each_key() {
    let (kafka, proxy, past_the_proxy, producer) = start(Duration::from_secs(2)).await;
    let keys = ["a", "b", "c", "d", "e"];

    let mut failures = 0;
    for round in 0..24_u64 {
        // Each time the connection breaks at another place of a request or of an answer.
        match round % 4 {
            0 => proxy.set(Fault::CutOnce(Direction::ToServer, 1 + round * 60)),
            1 => proxy.set(Fault::CutOnce(Direction::ToClient, 1 + round * 5)),
            2 => proxy.cut_all(),
            _ => proxy.set(Fault::None),
        }
        let numbers = usize::try_from(round).unwrap() * 10;
        let records =
            (numbers..numbers + 10).flat_map(|number| keys.map(|key| record(TOPIC, key, number))).collect();
        failures += send_until_stored(&producer, records).await;
    }

    let stored = read_all(&past_the_proxy, TOPIC).await;
    for key in keys {
        let expected: Vec<_> = (0..240).collect();
        assert_eq!(first_copies(&numbers(&stored, key)), expected, "key {key}, {failures} failures");
    }
    producer.close().await;
    drop(kafka);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_broker_is_unavailable_until_it_speaks_again() {
    let (kafka, proxy, past_the_proxy, producer) = start(Duration::from_secs(1)).await;
    send_until_stored(&producer, vec![record(TOPIC, "k", 0)]).await;
    producer.check(TOPIC).await.unwrap();

    proxy.set(Fault::Pause);
    let records: Vec<_> = (1..20).map(|number| record(TOPIC, "k", number)).collect();
    let results = producer.send_all(&records).await;
    assert!(results.iter().all(|result| matches!(result, Err(SendError::Unavailable(_)))), "{results:?}");
    assert!(producer.check(TOPIC).await.is_err());

    proxy.set(Fault::None);
    send_until_stored(&producer, records).await;
    // The last answer is good for a second.
    poll_until(Duration::from_secs(10), async || Ok(producer.check(TOPIC).await.ok())).await.unwrap();
    assert!(producer.restarts() >= 1);
    let stored = read_all(&past_the_proxy, TOPIC).await;
    assert_eq!(first_copies(&numbers(&stored, "k")), (0..20).collect::<Vec<_>>());
    producer.close().await;
    drop(kafka);
}
