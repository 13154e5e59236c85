//! With a broker in this process and a platform that takes everything.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use futures_util::stream;
use rdkafka::{
    ClientConfig,
    mocking::MockCluster,
    producer::{DefaultProducerContext, FutureProducer, FutureRecord},
};
use serde_json::json;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::*;
use crate::{
    Credentials, Source,
    test_server::{Received, serve_one},
};

const PARTITIONS: i32 = 2;

/// How long something may take that takes a few seconds.
const PATIENCE: Duration = Duration::from_mins(1);

struct Platform {
    kafka: MockCluster<'static, DefaultProducerContext>,
    url: String,
    /// How often something was posted, by path.
    posted: Arc<Mutex<HashMap<String, usize>>>,
    serving: JoinHandle<()>,
}

impl Platform {
    async fn start() -> Self {
        Self::answering("202 Accepted").await
    }

    /// One that answers everything with this.
    async fn answering(answer: &'static str) -> Self {
        let kafka = MockCluster::new(1).unwrap();
        kafka.create_topic("requests", PARTITIONS, 1).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let posted = Arc::<Mutex<HashMap<String, usize>>>::default();
        let counted = Arc::clone(&posted);
        let serving = tokio::spawn(async move {
            loop {
                let note = |received: &Received| {
                    let path = received.head.split(' ').nth(1).unwrap_or_default().to_owned();
                    *counted.lock().unwrap().entry(path).or_default() += 1;
                    answer.to_owned()
                };
                serve_one(&listener, note).await;
            }
        });
        Self { kafka, url, posted, serving }
    }

    fn producer(&self) -> FutureProducer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.kafka.bootstrap_servers()).create().unwrap()
    }

    /// Sends `count` requests with filters of `bytes`, to each partition in turn.
    async fn send(&self, count: u32, bytes: usize) {
        let producer = self.producer();
        for number in 0..count {
            let id = Uuid::from_u128(number.into());
            let event = json!({
                "id": id, "type": "com.redhat.console.export-service.request", "redhatorgid": "1",
                "data": {"resource_request": {
                    "uuid": id, "export_request_uuid": id, "application": "billing",
                    "format": "json", "resource": "invoices", "x-rh-identity": "e30=",
                    "filters": {"long": "x".repeat(bytes)}}}
            })
            .to_string();
            let partition = i32::try_from(number).unwrap() % PARTITIONS;
            let record = FutureRecord::<(), _>::to("requests").payload(&event).partition(partition);
            producer.send(record, PATIENCE).await.unwrap();
        }
    }

    fn settings(&self) -> Settings {
        let brokers = self.kafka.bootstrap_servers();
        let settings = Settings::new("billing", brokers, &self.url, Credentials::key("k"));
        // The mock divides a group anew when a session could have ended.
        let kafka = [("session.timeout.ms", "6000"), ("heartbeat.interval.ms", "500")];
        let kafka = kafka.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Settings { topic: "requests".to_owned(), stop_grace: Duration::from_secs(1), kafka, ..settings }
    }

    /// How many sources were answered, and how often that was done.
    fn answers(&self) -> (usize, usize) {
        let posted = self.posted.lock().unwrap_or_else(PoisonError::into_inner);
        (posted.len(), posted.values().sum())
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A source that answers once the door is open.
struct Running {
    metrics: Metrics,
    stop: CancellationToken,
    ended: JoinHandle<Result<(), Error>>,
}

impl Running {
    fn start(settings: Settings, door: &watch::Receiver<bool>) -> Self {
        let door = door.clone();
        let source = Source::new(settings, move |_| {
            let mut door = door.clone();
            async move {
                let _ = door.wait_for(|open| *open).await;
                Ok(Answer::bytes(stream::iter([Ok::<_, Refusal>(Bytes::from_static(b"[]"))])))
            }
        });
        let source = source.unwrap();
        let (metrics, stop) = (source.metrics(), CancellationToken::new());
        let ended = tokio::spawn(source.run(stop.clone().cancelled_owned()));
        Self { metrics, stop, ended }
    }

    async fn stop(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.ended).await.unwrap().unwrap().unwrap();
    }
}

async fn until(what: &str, probe: impl Fn() -> bool) {
    let begun = Instant::now();
    while !probe() {
        assert!(begun.elapsed() < PATIENCE, "never {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn more_than_may_wait_is_answered_too() {
    let platform = Platform::start().await;
    platform.send(100, 100_000).await;
    let (_open, door) = watch::channel(true);
    let source = Running::start(platform.settings(), &door);
    until("done", || platform.answers() == (100, 100)).await;
    // None of them came twice for having been paused.
    assert_eq!(source.metrics.counts().duplicates, 0);
    source.stop().await;
}

#[tokio::test]
async fn what_waits_in_a_partition_that_goes_away_is_left_to_its_next_consumer() {
    let platform = Platform::start().await;
    platform.send(100, 0).await;
    let (open, door) = watch::channel(false);
    let first = Running::start(platform.settings(), &door);
    until("full", || first.metrics.counts().running == 4).await;
    let second = Running::start(platform.settings(), &door);
    until("shared", || second.metrics.counts().running == 4).await;
    open.send(true).unwrap();
    until("done", || platform.answers().0 == 100).await;
    // All that the first one waits for comes about within its stop.
    first.stop().await;
    second.stop().await;
    let (_, answers) = platform.answers();
    assert!(answers <= 104, "{answers}");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_broker_that_is_away() {
    let platform = Platform::start().await;
    platform.send(2, 0).await;
    let (_open, door) = watch::channel(true);
    let source = Running::start(platform.settings(), &door);
    until("done", || platform.answers().0 == 2).await;
    platform.kafka.broker_down(1).unwrap();
    platform.kafka.broker_down(-1).unwrap();
    sleep(Duration::from_millis(500)).await;
    let begun = Instant::now();
    source.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_platform_that_is_away() {
    for resumable in [false, true] {
        let platform = Platform::answering("503 Service Unavailable\r\nretry-after: 60").await;
        platform.send(2, 0).await;
        let (_open, door) = watch::channel(true);
        let settings = Settings { resumable, stop_grace: PATIENCE, ..platform.settings() };
        let source = Running::start(settings, &door);
        until("refused for now", || source.metrics.counts().failed_tries == 2).await;
        let begun = Instant::now();
        source.stop().await;
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn records_that_are_no_requests_are_passed_over_once() {
    let platform = Platform::start().await;
    let producer = platform.producer();
    let deep = format!("{{\"id\":{}", "[".repeat(100_000));
    let broken = [b"".as_slice(), b"\xff\xfe", b"{}", b"[]", b"\"", b"{\"id\":\"e\"}", deep.as_bytes()];
    for payload in broken {
        producer.send(FutureRecord::<(), _>::to("requests").payload(payload), PATIENCE).await.unwrap();
    }
    producer.send(FutureRecord::<(), [u8]>::to("requests"), PATIENCE).await.unwrap();
    let (_open, door) = watch::channel(true);
    let first = Running::start(platform.settings(), &door);
    until("passed over", || first.metrics.counts().undecodable == 8).await;
    first.stop().await;

    platform.send(2, 0).await;
    let next = Running::start(platform.settings(), &door);
    until("done", || platform.answers() == (2, 2)).await;
    assert_eq!(next.metrics.counts().undecodable, 0);
    next.stop().await;
}
