//! A share of a topic on a real Kafka.

use std::{collections::BTreeSet, time::Duration};

use bus::{Consumer, KafkaSettings, Producer, Record, Subscription, TakenRecord, Ticket, topics};
use domain::ByteSize;
use testkit::TestTopic;
use tokio::time::{Instant, timeout, timeout_at};

use crate::support::settings;

const PATIENCE: Duration = Duration::from_secs(30);

/// How long nothing may come for a test to take it that nothing will.
const SILENCE: Duration = Duration::from_millis(700);

fn subscription(topic: &str, most_under_way: usize) -> Subscription {
    Subscription {
        topic: topic.to_owned(),
        group: format!("{topic}-group"),
        wanted: ("service".to_owned(), "ours".to_owned()),
        most_under_way,
    }
}

/// A topic of its own, and `count` records of one key in it: ours are those whose number `ours` takes.
async fn filled(partitions: i32, count: usize, ours: impl Fn(usize) -> bool) -> (String, KafkaSettings) {
    let topic = TestTopic::new("consuming").unwrap();
    let settings = settings(&topic.brokers, PATIENCE);
    topics::ensure_topics(&settings, &[&topic.name], partitions).await.unwrap();
    send(&settings, &topic.name, 0..count, ours).await;
    (topic.name, settings)
}

async fn send(
    settings: &KafkaSettings,
    topic: &str,
    numbers: impl Iterator<Item = usize>,
    ours: impl Fn(usize) -> bool,
) {
    let producer = Producer::new(settings, ByteSize::from_kib(64)).unwrap();
    let record = |number: usize| Record {
        topic: topic.to_owned(),
        key: format!("key-{}", number % 16),
        headers: vec![("service".to_owned(), if ours(number) { "ours" } else { "another" }.to_owned())],
        payload: number.to_string().into_bytes(),
    };
    let records: Vec<_> = numbers.map(record).collect();
    assert!(producer.send_all(&records).await.iter().all(Result::is_ok));
    producer.close().await;
}

fn number(record: &TakenRecord) -> usize {
    String::from_utf8(record.payload.clone().unwrap()).unwrap().parse().unwrap()
}

async fn next(consumer: &mut Consumer) -> (usize, Ticket) {
    let (record, ticket) = timeout(PATIENCE, consumer.next()).await.expect("a record comes").unwrap();
    (number(&record), ticket)
}

/// Everything that comes until nothing does for a while.
async fn rest(consumer: &mut Consumer) -> Vec<(usize, Ticket)> {
    let mut found = Vec::new();
    // The first one waits for the group.
    let mut until = Instant::now() + Duration::from_secs(15);
    while let Ok(taken) = timeout_at(until, consumer.next()).await {
        let (record, ticket) = taken.unwrap();
        found.push((number(&record), ticket));
        until = Instant::now() + SILENCE;
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wanted_records_come_and_the_others_are_counted() {
    let (topic, settings) = filled(1, 100, |number| number % 10 == 0).await;
    let mut consumer = Consumer::join(&settings, subscription(&topic, 50)).unwrap();
    let mut found = Vec::new();
    for _ in 0..10 {
        let (number, ticket) = next(&mut consumer).await;
        found.push(number);
        ticket.done();
    }
    assert_eq!(found, (0..100).step_by(10).collect::<Vec<_>>());
    assert!(timeout(SILENCE, consumer.next()).await.is_err(), "nothing else is ours");
    assert_eq!((consumer.take_passed_over(), consumer.take_passed_over()), (90, 0));
    consumer.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_done_without_a_gap_comes_again_to_the_next_member() {
    let (topic, settings) = filled(1, 6, |_| true).await;
    let mut first = Consumer::join(&settings, subscription(&topic, 50)).unwrap();
    let mut tickets = Vec::new();
    for _ in 0..6 {
        tickets.push(next(&mut first).await);
    }
    // All but the third.
    for (number, ticket) in tickets {
        if number != 2 {
            ticket.done();
        }
    }
    first.leave().await;
    let mut second = Consumer::join(&settings, subscription(&topic, 50)).unwrap();
    let again: Vec<_> = rest(&mut second).await;
    assert_eq!(again.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [2, 3, 4, 5]);
    for (_, ticket) in again {
        ticket.done();
    }
    second.leave().await;
    let mut third = Consumer::join(&settings, subscription(&topic, 50)).unwrap();
    send(&settings, &topic, 6..7, |_| true).await;
    assert_eq!(next(&mut third).await.0, 6, "everything before is done");
    third.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_gives_out_no_more_than_it_may_and_goes_on_when_some_are_done() {
    let (topic, settings) = filled(1, 40, |_| true).await;
    let mut consumer = Consumer::join(&settings, subscription(&topic, 5)).unwrap();
    let mut held = std::collections::VecDeque::new();
    let mut found = Vec::new();
    for _ in 0..5 {
        held.push_back(next(&mut consumer).await);
    }
    assert!(timeout(SILENCE, consumer.next()).await.is_err(), "it is full");
    while let Some((number, ticket)) = held.pop_front() {
        found.push(number);
        ticket.done();
        if found.len() + held.len() < 40 {
            held.push_back(next(&mut consumer).await);
        }
        assert!(held.len() <= 5);
    }
    assert_eq!(found, (0..40).collect::<Vec<_>>());
    consumer.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_share_and_what_is_taken_from_one_is_said_to_be() {
    let (topic, settings) = filled(4, 64, |_| true).await;
    let mut first = Consumer::join(&settings, subscription(&topic, 100)).unwrap();
    let held = rest(&mut first).await;
    assert_eq!(held.len(), 64);
    let (joined, mut second) = tokio::join!(
        // It has to be asked all the time, or the group waits for it.
        async { timeout(Duration::from_secs(20), first.next()).await.is_err() },
        async {
            let mut second = Consumer::join(&settings, subscription(&topic, 100)).unwrap();
            let taken = rest(&mut second).await;
            (second, taken)
        }
    );
    assert!(joined, "nothing new came to the first");
    let theirs: BTreeSet<usize> = second.1.iter().map(|(number, _)| *number).collect();
    assert!(!theirs.is_empty() && theirs.len() < 64, "{} of 64", theirs.len());
    for (number, ticket) in held {
        let revoked = timeout(Duration::ZERO, ticket.revoked()).await.is_ok();
        assert_eq!(revoked, theirs.contains(&number), "{number}");
        ticket.done();
    }
    // What the first says of partitions that it has lost counts for nothing.
    second.1.clear();
    second.0.leave().await;
    let again: BTreeSet<usize> = rest(&mut first).await.iter().map(|(number, _)| *number).collect();
    assert_eq!(again, theirs);
    first.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_made_after_joining_is_read_from_its_beginning() {
    let topic = TestTopic::new("late").unwrap();
    let settings = settings(&topic.brokers, PATIENCE);
    let mut consumer = Consumer::join(&settings, subscription(&topic.name, 5)).unwrap();
    assert!(timeout(SILENCE, consumer.next()).await.is_err(), "there is nothing to read");
    assert_eq!(consumer.partitions(), 0);
    topics::ensure_topics(&settings, &[&topic.name], 1).await.unwrap();
    send(&settings, &topic.name, 0..1, |_| true).await;
    // The client asks for its topics every 30 seconds.
    let (record, ticket) = timeout(PATIENCE * 3, consumer.next()).await.expect("a record comes").unwrap();
    assert_eq!((number(&record), consumer.partitions()), (0, 1));
    ticket.done();
    consumer.leave().await;
}
