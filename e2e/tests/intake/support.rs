//! An app whose application hands in archives by announcing them.

use std::time::Duration;

use bus::{
    AnnounceSettings, DeadLetter, KafkaSettings, Producer, Record, read_dead_letter, reader::TopicReader,
    topics::ensure_topics,
};
use domain::{ByteSize, Period};
use e2e::{AppSettings, Customer, Export, PATIENCE, SOURCE_APPLICATION, TestApp};
use fetch::FetchSettings;
use intake::IntakeSettings;
use serde_json::{Value, json};
use testkit::{FaultProxy, poll_until};

use crate::endpoint::Endpoint;

/// How long nothing may come for a test to take it that nothing will.
pub(crate) const SILENCE: Duration = Duration::from_millis(700);

/// The app, the endpoint of its application, and the topic between them.
pub(crate) struct Announcing {
    pub(crate) app: TestApp,
    pub(crate) endpoint: Endpoint,
    pub(crate) settings: intake::Settings,
    producer: Producer,
}

impl Announcing {
    /// Intake runs in this process.
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// The same with settings that `change` has changed.
    pub(crate) async fn with(change: impl FnOnce(&mut intake::Settings)) -> Self {
        let announcing = Self::without_intake(1, |_| ()).await;
        let mut settings = announcing.settings.clone();
        change(&mut settings);
        let announcing = Self { settings, ..announcing };
        announcing.run_intake().await;
        announcing
    }

    /// Everything but intake, with so many partitions.
    pub(crate) async fn without_intake(partitions: i32, change: impl FnOnce(&mut AppSettings)) -> Self {
        Self::made(partitions, change, |_| ()).await
    }

    /// Everything but intake; the topics of announcements are on the Kafka at `brokers`.
    pub(crate) async fn on_kafka(brokers: String) -> Self {
        Self::made(1, |_| (), |settings| settings.kafka.brokers = brokers).await
    }

    /// Everything but intake, for an application that is announced; the dispatcher of the app reaches no Kafka, while
    /// there is one at `brokers`.
    pub(crate) async fn with_dispatcher_away(brokers: String) -> Self {
        let away = |settings: &mut AppSettings| {
            settings.application(SOURCE_APPLICATION).announce = true;
            settings.kafka.brokers = "127.0.0.1:9".into();
            settings.kafka.message_timeout = Period::from_secs(1);
        };
        Self::made(1, away, |settings| settings.kafka.brokers = brokers).await
    }

    /// Everything but intake, without the topic of dead letters.
    pub(crate) async fn without_dead_letter_topic() -> Self {
        Self::made(1, |_| (), |settings| settings.announce.dead_letter_topic.push_str("-late")).await
    }

    async fn made(
        partitions: i32,
        change: impl FnOnce(&mut AppSettings),
        own: impl FnOnce(&mut intake::Settings),
    ) -> Self {
        let endpoint = Endpoint::start().await;
        let app = TestApp::with(|settings| {
            let application = settings.application(SOURCE_APPLICATION);
            application.announce_hosts.insert("127.0.0.1".to_owned());
            change(settings);
        })
        .await;
        let mut settings = settings(&app);
        let dead_letter_topic = settings.announce.dead_letter_topic.clone();
        own(&mut settings);
        let topics = [settings.announce.topic.as_str(), dead_letter_topic.as_str()];
        ensure_topics(&settings.kafka, &topics, partitions).await.unwrap();
        let producer = Producer::new(&settings.kafka, ByteSize::from_kib(900)).unwrap();
        Self { app, endpoint, settings, producer }
    }

    /// Intake runs in this process and reaches what `lead` leads by way of `proxy`; the others reach it directly.
    pub(crate) async fn behind(proxy: &FaultProxy, lead: impl FnOnce(&mut AppSettings, &FaultProxy)) -> Self {
        let announcing = Self::without_intake(1, |_| ()).await;
        let mut led = announcing.app.settings.clone();
        lead(&mut led, proxy);
        led.database.pool_wait = Period::from_secs(1);
        let settings = intake::Settings {
            database: led.database,
            object_store: led.object_store,
            ..announcing.settings.clone()
        };
        let announcing = Self { settings, ..announcing };
        announcing.run_intake().await;
        announcing
    }

    /// Runs intake in this process.
    pub(crate) async fn run_intake(&self) {
        let context = self.app.context.for_service("intake");
        intake::wire(context, self.settings.clone()).await.unwrap();
    }

    /// An export of so many sources of the application.
    pub(crate) async fn export(&self, sources: usize) -> Export {
        let source = json!({"application": SOURCE_APPLICATION, "resource": "exampleResource"});
        let wanted = json!({"name": "Nightly", "format": "json", "sources": vec![source; sources]});
        self.app.create(&Customer::new(), &wanted).await
    }

    /// Writes a record for intake.
    pub(crate) async fn announce(&self, record: &Value) {
        self.send(&self.settings.announce.consume_service, record.to_string().into_bytes()).await;
    }

    /// Writes a record for `service`.
    pub(crate) async fn send(&self, service: &str, payload: Vec<u8>) {
        let headers = [("service", service), ("own", "kept")];
        self.write(&self.settings.announce.topic, &headers, payload).await;
    }

    /// Writes a record to any topic.
    pub(crate) async fn write(&self, topic: &str, headers: &[(&str, &str)], payload: Vec<u8>) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let record = Record {
            topic: topic.to_owned(),
            key: domain::ids::EventId::random().to_string(),
            headers: headers.collect(),
            payload,
        };
        for result in self.producer.send_all(&[record]).await {
            result.unwrap();
        }
    }

    /// Waits until the source at `place` has this status; returns what is told of it.
    pub(crate) async fn wait_source(&self, export: &Export, place: usize, status: &str) -> Value {
        let waited = poll_until(PATIENCE, async || {
            let source = self.app.status(export).await["sources"][place].clone();
            Ok((source["status"] == status).then_some(source))
        });
        waited.await.unwrap_or_else(|error| panic!("source {place} does not become {status}: {error:#}"))
    }

    /// Waits until so many records became `outcome`.
    pub(crate) async fn wait_outcome(&self, outcome: &str, count: u32) {
        let line = format!("announced_records_total{{outcome=\"{outcome}\",service=\"intake\"}} {count}");
        self.app.wait_for_metric(&line).await;
    }

    /// All dead letters once there are so many, and no more.
    pub(crate) async fn dead_letters(&self, count: usize) -> Vec<DeadLetter> {
        let letters = self.at_least_dead_letters(count).await;
        assert_eq!(letters.len(), count, "{letters:?}");
        letters
    }

    /// All dead letters once there are so many.
    pub(crate) async fn at_least_dead_letters(&self, count: usize) -> Vec<DeadLetter> {
        let topic = &self.settings.announce.dead_letter_topic;
        let reader = TopicReader::open(&self.settings.kafka, topic).await.unwrap();
        let mut letters = Vec::new();
        while let Some(record) =
            reader.next(if letters.len() < count { PATIENCE } else { SILENCE }).await.unwrap()
        {
            letters.push(read_dead_letter(record).expect("a dead letter"));
        }
        letters
    }

    /// Stops everything.
    pub(crate) async fn end(self) {
        self.producer.close().await;
        self.app.end().await;
    }
}

/// The settings of an intake beside `app`.
fn settings(app: &TestApp) -> intake::Settings {
    let topic = format!("{}-announce", app.settings.events.topic);
    intake::Settings {
        database: app.settings.database.clone(),
        object_store: app.settings.object_store.clone(),
        kafka: KafkaSettings { message_timeout: Period::from_secs(10), ..app.settings.kafka.clone() },
        announce: AnnounceSettings {
            dead_letter_topic: format!("{topic}.dlq"),
            group: format!("{topic}-group"),
            topic,
            ..AnnounceSettings::default()
        },
        intake: IntakeSettings {
            ops_listen: ([127, 0, 0, 1], 0).into(),
            first_wait: Period::from_millis(50),
            longest_wait: Period::from_millis(200),
            max_tries: 4,
            fetch: FetchSettings {
                allow_http: true,
                allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
                idle_timeout: Period::from_millis(800),
                ..FetchSettings::default()
            },
            ..IntakeSettings::default()
        },
    }
}

/// Waits until each of these paths was asked for.
pub(crate) async fn asked_for(endpoint: &Endpoint, paths: &[&str]) {
    let asked =
        poll_until(PATIENCE, async || Ok(paths.iter().all(|path| endpoint.requests(path) > 0).then_some(())));
    asked.await.unwrap();
}

/// A record that announces the archive at `url` for the source at `place`, with the required fields only.
pub(crate) fn announcement(export: &Export, place: usize, url: &str) -> Value {
    let source = &export.sources[place];
    json!({
        "url": url,
        "b64_identity": export.customer.header(),
        "timestamp": "2020-01-23T16:15:59.478901889Z",
        "metadata": {"custom_metadata": {"export_service": {
            "export_id": export.id, "application": source.application, "resource_id": source.id}}},
    })
}
