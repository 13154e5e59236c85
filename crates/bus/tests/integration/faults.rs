//! Faults that a broker in this process is told to have.

use std::{sync::Arc, time::Duration};

use bus::{KafkaSettings, Producer, SendError};
use domain::ByteSize;
use rdkafka::{
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

use crate::support::{first_copies, numbers, read, read_all, record, send_until_stored, settings};

const TOPIC: &str = "requests";

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn start(message_timeout: Duration) -> (Cluster, KafkaSettings, Producer) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    let settings = settings(&cluster.bootstrap_servers(), message_timeout);
    let producer = Producer::new(&settings, ByteSize::from_mib(1)).unwrap();
    (cluster, settings, producer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fatal_error_is_followed_by_a_new_client_behind_the_same_handle() {
    let (cluster, settings, producer) = start(Duration::from_secs(5));
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER],
    );

    let failed = producer.send_all(&[record(TOPIC, "k", 0)]).await;
    assert!(matches!(failed[..], [Err(SendError::Unavailable(_))]), "{failed:?}");
    let sent = producer.send_all(&[record(TOPIC, "k", 1)]).await;
    assert!(matches!(sent[..], [Ok(())]), "{sent:?}");

    assert_eq!(producer.restarts(), 1);
    assert_eq!(numbers(&read(&settings, TOPIC, 1).await, "k"), [1]);
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passing_error_is_mended_without_a_word() {
    let (cluster, settings, producer) = start(Duration::from_secs(5));
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
        ],
    );

    let records: Vec<_> = (0..10).map(|number| record(TOPIC, "k", number)).collect();
    let results = producer.send_all(&records).await;

    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(producer.restarts(), 0);
    assert_eq!(numbers(&read(&settings, TOPIC, 10).await, "k"), (0..10).collect::<Vec<_>>());
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_record_that_a_broker_refuses_is_rejected_of_its_batch() {
    let (cluster, mut settings, _) = start(Duration::from_secs(10));
    // Long enough for the three to become one batch on a busy machine.
    settings.linger = domain::Period::from_millis(300);
    let producer = Producer::new(&settings, ByteSize::from_mib(1)).unwrap();
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    // The batch of three is refused; then, each sent alone, the first is refused again.
    cluster.request_errors(RDKafkaApiKey::Produce, &[refusal, refusal]);

    let records: Vec<_> = (0..3).map(|number| record(TOPIC, "k", number)).collect();
    let results = producer.send_all(&records).await;

    assert!(matches!(results[..], [Err(SendError::Rejected(_)), Ok(()), Ok(())]), "{results:?}");
    assert_eq!(numbers(&read(&settings, TOPIC, 2).await, "k"), [1, 2]);
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_larger_than_allowed_is_rejected_and_the_others_are_sent() {
    let (_cluster, settings, producer) = start(Duration::from_secs(5));
    let mut large = record(TOPIC, "k", 0);
    large.payload = vec![b'x'; 2 << 20];

    let results = producer.send_all(&[large, record(TOPIC, "k", 1)]).await;

    assert!(matches!(results[..], [Err(SendError::Rejected(_)), Ok(())]), "{results:?}");
    assert_eq!(numbers(&read(&settings, TOPIC, 1).await, "k"), [1]);
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_wait_for_no_longer_than_the_deadline_and_are_not_sent_behind_the_callers_back() {
    let (cluster, settings, producer) = start(Duration::from_secs(1));
    assert!(producer.send_all(&[record(TOPIC, "k", 0)]).await[0].is_ok());

    cluster.broker_down(-1).unwrap();
    let records: Vec<_> = (1..50).map(|number| record(TOPIC, "k", number)).collect();
    let results = producer.send_all(&records).await;
    assert!(results.iter().all(|result| matches!(result, Err(SendError::Unavailable(_)))), "{results:?}");
    assert!(producer.check(TOPIC).await.is_err());

    cluster.broker_up(-1).unwrap();
    let last = record(TOPIC, "k", 50);
    while producer.send_all(std::slice::from_ref(&last)).await[0].is_err() {}

    // None of the 49 that were given up came through.
    assert_eq!(numbers(&read_all(&settings, TOPIC).await, "k"), [0, 50]);
    assert!(producer.restarts() >= 1);
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_takes_its_records_along() {
    let (cluster, settings, producer) = start(Duration::from_secs(20));
    assert!(producer.send_all(&[record(TOPIC, "k", 0)]).await[0].is_ok());
    cluster.broker_down(-1).unwrap();

    let records = [record(TOPIC, "k", 1)];
    let gone = tokio::time::timeout(Duration::from_millis(200), producer.send_all(&records)).await;
    assert!(gone.is_err());

    cluster.broker_up(-1).unwrap();
    assert!(producer.send_all(&[record(TOPIC, "k", 2)]).await[0].is_ok());
    assert_eq!(numbers(&read_all(&settings, TOPIC).await, "k"), [0, 2]);
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_producer_refuses_records() {
    let (_cluster, _settings, producer) = start(Duration::from_secs(5));
    producer.close().await;
    let results = producer.send_all(&[record(TOPIC, "k", 0)]).await;
    assert!(matches!(results[..], [Err(SendError::Unavailable(_))]), "{results:?}");
    assert!(producer.check(TOPIC).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_does_not_exist_is_reported_before_the_deadline() {
    let (cluster, _settings, producer) = start(Duration::from_secs(4));
    cluster.topic_error("unknown", RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).unwrap();

    let results = producer.send_all(&[record("unknown", "k", 0)]).await;

    assert!(matches!(results[..], [Err(SendError::Unavailable(_))]), "{results:?}");
    assert!(producer.check("unknown").await.is_err());
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_side_by_side_each_get_their_own_reports() {
    let (cluster, settings, producer) = start(Duration::from_secs(10));
    cluster.broker_round_trip_time(-1, Duration::from_millis(5)).unwrap();
    let producer = Arc::new(producer);

    let calls: Vec<_> = (0..20)
        .map(|call| {
            let producer = Arc::clone(&producer);
            tokio::spawn(async move {
                let key = format!("key-{call}");
                let records: Vec<_> = (0..50).map(|number| record(TOPIC, &key, number)).collect();
                producer.send_all(&records).await
            })
        })
        .collect();
    for call in calls {
        let results = call.await.unwrap();
        assert_eq!(results.len(), 50);
        assert!(results.iter().all(Result::is_ok), "{results:?}");
    }

    let stored = read(&settings, TOPIC, 1000).await;
    for call in 0..20 {
        assert_eq!(numbers(&stored, &format!("key-{call}")), (0..50).collect::<Vec<_>>());
    }
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_each_key_survives_a_mix_of_faults() {
    // One record of a key at a time: this broker does not check the numbers that clients give to
    // records, on which the order of several rests.
    use RDKafkaRespErr as E;
    let (cluster, settings, producer) = start(Duration::from_secs(2));
    let faults = [
        E::RD_KAFKA_RESP_ERR_NO_ERROR,
        E::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        E::RD_KAFKA_RESP_ERR__TRANSPORT,
        E::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
        E::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        E::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        E::RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
        E::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
    ];
    let keys = ["a", "b", "c"];

    let mut failures = 0;
    for round in 0..16 {
        // Every two faults that follow each other come up once in a while.
        let next = [faults[round % 8], faults[(round / 3) % 8], faults[(round * 5) % 8]];
        cluster.request_errors(RDKafkaApiKey::Produce, &next);
        for number in round * 2..(round + 1) * 2 {
            let records = keys.map(|key| record(TOPIC, key, number)).to_vec();
            failures += send_until_stored(&producer, records).await;
        }
    }

    assert!(failures > 0, "no fault had an effect");
    assert!(producer.restarts() > 0);
    let stored = read_all(&settings, TOPIC).await;
    for key in keys {
        assert_eq!(first_copies(&numbers(&stored, key)), (0..32).collect::<Vec<_>>(), "key {key}");
    }
    producer.close().await;
}
