//! Headers that our own producer does not write: those of strangers are bytes.

use std::{
    ffi::{CStr, CString},
    time::Duration,
};

use bus::{Consumer, KafkaSettings, Subscription, topics};
use rdkafka::{
    ClientConfig,
    bindings::{RD_KAFKA_MSG_F_COPY, rd_kafka_producev, rd_kafka_vtype_t::*},
    producer::{BaseProducer, Producer as _},
};
use testkit::TestTopic;
use tokio::time::timeout;

use crate::support::{read, settings, text};

const PATIENCE: Duration = Duration::from_secs(30);

/// Sends one record with two headers, whose names and values are any bytes.
#[expect(unsafe_code, reason = "the library's own types take no name that is not UTF-8")]
fn send(settings: &KafkaSettings, topic: &str, payload: &str, headers: [(&CStr, &[u8]); 2]) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", &settings.brokers).create().unwrap();
    let topic = CString::new(topic).unwrap();
    let [(first, first_value), (second, second_value)] = headers;
    // SAFETY: each kind of value is followed by what librdkafka reads for it, and all of it outlives the call, in
    // which it is copied.
    let refused = unsafe {
        rd_kafka_producev(
            producer.client().native_ptr(),
            RD_KAFKA_VTYPE_TOPIC,
            topic.as_ptr(),
            RD_KAFKA_VTYPE_MSGFLAGS,
            RD_KAFKA_MSG_F_COPY,
            RD_KAFKA_VTYPE_VALUE,
            payload.as_ptr(),
            payload.len(),
            RD_KAFKA_VTYPE_HEADER,
            first.as_ptr(),
            first_value.as_ptr(),
            first_value.len(),
            RD_KAFKA_VTYPE_HEADER,
            second.as_ptr(),
            second_value.as_ptr(),
            second_value.len(),
            RD_KAFKA_VTYPE_END,
        )
    };
    assert_eq!(refused as i32, 0, "{refused:?}");
    producer.flush(PATIENCE).unwrap();
}

/// A topic with one record for each pair of headers, which holds its place among them.
async fn with(headers: &[[(&CStr, &[u8]); 2]]) -> (String, KafkaSettings) {
    let topic = TestTopic::new("headers").unwrap();
    let settings = settings(&topic.brokers, PATIENCE);
    topics::ensure_topics(&settings, &[&topic.name], 1).await.unwrap();
    for (place, headers) in headers.iter().enumerate() {
        send(&settings, &topic.name, &place.to_string(), *headers);
    }
    (topic.name, settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_wanted_when_one_of_its_headers_says_so_and_the_others_can_be_read() {
    let (topic, settings) = with(&[
        [(c"service", b"\xff\xfe"), (c"own", b"")],
        // Its headers cannot be read.
        [(c"service", b"ours"), (c"\xff\xfe", b"")],
        [(c"\xff\xfe", b""), (c"service", b"ours")],
        [(c"Service", b"ours"), (c"service", b"ours ")],
        // Both could be meant, and one of them is ours.
        [(c"service", b"another"), (c"service", b"ours")],
        [(c"service", b"ours"), (c"service", b"another")],
        [(c"service", b"ours"), (c"own", b"\xff\xfe")],
    ])
    .await;
    let subscription = Subscription {
        topic: topic.clone(),
        group: format!("{topic}-group"),
        wanted: ("service".to_owned(), "ours".to_owned()),
        most_under_way: 10,
    };
    let mut consumer = Consumer::join(&settings, subscription).unwrap();
    for place in ["4", "5", "6"] {
        let (record, ticket) = timeout(PATIENCE, consumer.next()).await.expect("a record comes").unwrap();
        assert_eq!(text(record.payload.as_deref()), place);
        assert_eq!(record.headers.len(), 2);
        ticket.done();
    }
    assert_eq!(consumer.take_passed_over(), 4, "they keep nobody waiting");
    consumer.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_read_past_a_record_whose_headers_cannot_be_read() {
    let (topic, settings) =
        with(&[[(c"\xff\xfe", b""), (c"own", b"kept")], [(c"name", b"value"), (c"own", b"kept")]]).await;
    let found = read(&settings, &topic, 2).await;
    assert_eq!((text(found[0].payload.as_deref()), found[0].headers.len()), ("0", 0));
    assert_eq!((text(found[1].payload.as_deref()), found[1].headers.len()), ("1", 2));
}
