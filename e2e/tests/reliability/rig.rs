//! What the programs of a test run on: a database, topic and key prefix of their own, and settings under which
//! what is due is seen soon.

use std::{fs, path::Path, thread};

use anyhow::{Context as _, Result};
use blobs::Blobs;
use e2e::migrated_database;
use tempfile::TempDir;
use testkit::{TestBucket, TestDatabase, TestServers, unique_name};

use crate::{
    audit::{Evidence, QUIET_WITHIN},
    callers::{Answering, Asking},
    ledger::Ledger,
    program::{Launch, Program, Service},
    topic::Topic,
};

/// Where programs find what they need. A test may put a fault proxy in between, or a server of its own.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) database_url: String,
    pub(crate) brokers: String,
    /// `http://127.0.0.1:PORT`
    pub(crate) s3_endpoint: String,
}

/// Where the events of a test go.
#[derive(Clone, Copy)]
enum On<'a> {
    /// A new topic on the shared Kafka.
    Shared,
    /// A topic on the shared Kafka that is there.
    Topic(&'a str),
    /// A new topic on another Kafka.
    Brokers(&'a str),
}

/// The ground of one test.
pub(crate) struct Rig {
    /// The database past all proxies.
    pub(crate) database_url: String,
    pub(crate) topic: Topic,
    /// The test's own view of the object storage, past all proxies.
    pub(crate) blobs: Blobs,
    pub(crate) ledger: Ledger,
    pub(crate) http: reqwest::Client,
    launch: Launch,
    _folder: TempDir,
    _database: Option<TestDatabase>,
}

impl Rig {
    /// A ground of its own on the shared servers.
    pub(crate) async fn new() -> Self {
        Self::with("").await
    }

    /// The same, with `further` settings (TOML).
    pub(crate) async fn with(further: &str) -> Self {
        Self::in_places(further, async |_| Ok(())).await
    }

    /// The same, where `place` puts something between the programs and their servers.
    pub(crate) async fn in_places(further: &str, place: impl AsyncFnOnce(&mut Places) -> Result<()>) -> Self {
        let database = migrated_database().await.unwrap();
        let url = database.url();
        Self::build(further, &url, Some(database), On::Shared, place).await.unwrap()
    }

    /// On a topic that the test made on the shared Kafka.
    pub(crate) async fn on_topic(topic: &str, further: &str) -> Self {
        let database = migrated_database().await.unwrap();
        let url = database.url();
        Self::build(further, &url, Some(database), On::Topic(topic), async |_| Ok(())).await.unwrap()
    }

    /// On another database, which has been migrated.
    pub(crate) async fn on_database(url: &str, further: &str) -> Self {
        Self::build(further, url, None, On::Shared, async |_| Ok(())).await.unwrap()
    }

    /// On another Kafka.
    pub(crate) async fn on_kafka(brokers: &str, further: &str) -> Self {
        let database = migrated_database().await.unwrap();
        let url = database.url();
        Self::build(further, &url, Some(database), On::Brokers(brokers), async |_| Ok(())).await.unwrap()
    }

    async fn build(
        further: &str,
        database_url: &str,
        database: Option<TestDatabase>,
        on: On<'_>,
        place: impl AsyncFnOnce(&mut Places) -> Result<()>,
    ) -> Result<Self> {
        let (servers, bucket) = (TestServers::find()?, TestBucket::new("reliability")?);
        let brokers = if let On::Brokers(brokers) = on { brokers } else { &servers.kafka_brokers };
        let name = if let On::Topic(name) = on { name.to_owned() } else { unique_name("requests") };
        let topic = Topic::create(brokers, &name).await?;
        let mut places = Places {
            database_url: database_url.to_owned(),
            brokers: brokers.to_owned(),
            s3_endpoint: bucket.connection.endpoint.clone(),
        };
        place(&mut places).await?;
        let folder = tempfile::tempdir()?;
        let files = [
            ("services.toml", settings(&places, &topic.name, &bucket)),
            ("further.toml", further.to_owned()),
        ];
        let settings = files
            .iter()
            .map(|(name, text)| {
                let path = folder.path().join(name);
                fs::write(&path, text).map(|()| path)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            database_url: database_url.to_owned(),
            topic,
            blobs: Blobs::connect(&e2e::object_store(&bucket))?,
            ledger: Ledger::default(),
            http: reqwest::Client::builder().no_proxy().timeout(e2e::PATIENCE).build()?,
            launch: Launch { settings, folder: folder.path().to_owned(), environment: Vec::new() },
            _folder: folder,
            _database: database,
        })
    }

    /// The same ground, where all programs have these environment variables.
    pub(crate) fn with_environment(mut self, environment: &[(&str, &str)]) -> Self {
        self.launch = self.launch_with(environment);
        self
    }

    /// Starts a service and waits until it is ready.
    pub(crate) async fn start(&self, service: Service) -> Program {
        Program::start_ready(service, self.launch.clone()).await.unwrap()
    }

    /// Starts a service that needs not get ready.
    pub(crate) async fn start_unready(&self, service: Service) -> Program {
        Program::start(service, self.launch.clone()).await.unwrap()
    }

    /// Starts a service that dies at a failpoint: `actions` is the value of `FAILPOINTS`.
    pub(crate) async fn start_failing(&self, service: Service, actions: &str) -> Program {
        Program::start_ready(service, self.launch_with(&[("FAILPOINTS", actions)])).await.unwrap()
    }

    /// Starts a service with settings of its own, as environment variables.
    pub(crate) async fn start_with(&self, service: Service, environment: &[(&str, &str)]) -> Program {
        Program::start_ready(service, self.launch_with(environment)).await.unwrap()
    }

    /// How programs are started here, with further environment variables.
    pub(crate) fn launch_with(&self, environment: &[(&str, &str)]) -> Launch {
        let mut launch = self.launch.clone();
        launch
            .environment
            .extend(environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        launch
    }

    /// A customer of this public API.
    pub(crate) fn asking(&self, public: &Program) -> Asking {
        Asking::new(&self.http, &public.url(), &self.ledger)
    }

    /// The source application, at this internal API.
    pub(crate) fn answering(&self, internal: &Program) -> Answering {
        Answering::new(&self.http, &internal.url(), &self.ledger)
    }

    /// What an audit looks at.
    pub(crate) fn evidence(&self) -> Evidence<'_> {
        let Self { database_url, topic, blobs, ledger, .. } = self;
        Evidence { database_url, events: topic.all(), blobs, ledger, quiet_within: QUIET_WITHIN }
    }

    /// A connection of the test itself to the database.
    pub(crate) async fn database(&self) -> Result<tokio_postgres::Client> {
        connect(&self.database_url).await
    }
}

impl Drop for Rig {
    /// A test that fails shows what its programs warned of.
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        for entry in fs::read_dir(&self.launch.folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                show_warnings(&path);
            }
        }
    }
}

fn show_warnings(log: &Path) {
    let text = fs::read_to_string(log).unwrap_or_default();
    let warnings: Vec<_> = text.lines().filter(|line| !line.contains("\"level\":\"INFO\"")).collect();
    eprintln!("--- {}", log.file_name().unwrap_or_default().to_string_lossy());
    for line in warnings.iter().take(40) {
        eprintln!("{line}");
    }
}

/// Opens a connection of the test itself.
pub(crate) async fn connect(url: &str) -> Result<tokio_postgres::Client> {
    let (client, connection) =
        tokio_postgres::connect(url, tokio_postgres::NoTls).await.context("connecting to the database")?;
    tokio::spawn(connection);
    Ok(client)
}

/// The settings of all programs. A record may take two seconds, because the machine may be busy.
fn settings(places: &Places, topic: &str, bucket: &TestBucket) -> String {
    let Places { database_url, brokers, s3_endpoint } = places;
    let TestBucket { connection, prefix } = bucket;
    let (name, region) = (&connection.bucket, &connection.region);
    let (key_id, secret) = (&connection.access_key_id, &connection.secret_access_key);
    format!(
        r#"
[telemetry]
filter = "info,access=off"
[lifecycle]
worker_threads = 2
stop_timeout = "20s"
[database]
url = "{database_url}"
pool_size = 8
pool_wait = "2s"
[kafka]
brokers = "{brokers}"
message_timeout = "2s"
[events]
topic = "{topic}"
[lifecycle_events]
topic = "{topic}-lifecycle"
[object_store]
kind = "s3"
prefix = "{prefix}"
[object_store.s3]
bucket = "{name}"
region = "{region}"
endpoint = "{s3_endpoint}"
access_key_id = "{key_id}"
secret_access_key = "{secret}"
allow_http = true
[public_api]
listen = "127.0.0.1:0"
ops_listen = "127.0.0.1:0"
rate_limit.enabled = false
http.workers = 1
[internal_api]
listen = "127.0.0.1:0"
ops_listen = "127.0.0.1:0"
upload_lease = "4s"
http.workers = 1
[dispatcher]
ops_listen = "127.0.0.1:0"
lease = "6s"
poll = "500ms"
deadline_poll = "300ms"
retry_after = "200ms"
[expiry_reaper]
ops_listen = "127.0.0.1:0"
poll = "300ms"
grace = "1s"
retention = "1h"
sweep_every = "1s"
orphan_min_age = "1s"
lease = "3s"
"#
    )
}
