//! All services in one process, which dies and is started again on the same folder.

use std::{fs, path::Path, process::ExitStatus, time::Duration};

use anyhow::{Context as _, Result};
use blobs::Blobs;
use e2e::{PATIENCE, SOURCE_APPLICATION, SourceApplication, sha256_hex};
use serde_json::Value;
use tempfile::TempDir;
use testkit::{FaultProxy, Process, poll_until};

use crate::{
    audit::{Audit, Evidence, QUIET_WITHIN, count},
    callers::{Answering, Asking},
    chaos::{LINGERING, setting},
    ledger::Ledger,
    load::Load,
    payload::{Numbers, payload},
    program::{Launch, logged_address, spawn},
    rig::connect,
    topic::{Events, Topic},
};

/// How often the process is killed.
const KILLS: usize = 4;

const EXPORTS_PER_KILL: usize = 25;

/// The file that says whose objects they are.
const MARK: &str = "installation.txt";

/// The topic, as by default.
const TOPIC: &str = "platform.export.requests";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standalone_that_is_killed_under_load_loses_nothing_that_was_acknowledged() {
    let seed = setting("CHAOS_SEED", 20_261_121_u64);
    let mut standalone = Standalone::start().await;
    standalone.launch.environment.push(("FAILPOINTS".to_owned(), LINGERING.to_owned()));
    let mut numbers = Numbers::from_seed(seed);
    let mut load = standalone.load(seed);
    for _ in 0..KILLS {
        load.allow(EXPORTS_PER_KILL);
        standalone.wait_for_answers(20 + numbers.below(80)).await;
        standalone.process().kill().unwrap();
        standalone.restart("").await.unwrap();
    }
    load.end_customers().await;
    let audit = standalone.audit().await;
    let books = standalone.ledger.books();
    assert!(books.accepted.len() >= KILLS * EXPORTS_PER_KILL / 2, "{} exports", books.accepted.len());
    println!("{KILLS} kills of standalone: {} exports accepted; {audit:?}", books.accepted.len());
    assert_eq!(standalone.terminate().await.code(), Some(0));
}

#[tokio::test]
async fn a_standalone_that_dies_at_its_very_first_start_can_be_started_again() {
    for failpoint in ["store::migrating", "store::migrated"] {
        let mut standalone = Standalone::prepare().await.unwrap();
        assert!(standalone.restart(&format!("{failpoint}=return")).await.is_err());
        standalone.restart("").await.unwrap();
        standalone.asking().create(1).await.unwrap();
        standalone.wait_for_events(1).await;
    }
}

#[tokio::test]
async fn requests_that_nobody_answered_are_asked_again_after_a_restart_as_the_same_events() {
    let mut standalone = Standalone::start().await;
    let export = standalone.asking().create(2).await.unwrap();
    let first = standalone.wait_for_events(2).await;
    standalone.process().kill().unwrap();
    // The first new start dies on its way.
    assert!(standalone.restart("standalone::asked-again=return").await.is_err());
    standalone.restart("").await.unwrap();
    let asked_again = standalone.wait_for_events(4).await;
    assert!(asked_again[2..].iter().all(|event| first.contains(event)), "{asked_again:?}");
    for source in &export.sources {
        let bytes = payload(source, 2_000);
        assert_eq!(standalone.answering().upload(&export.id, source, bytes).await.unwrap(), 202);
    }
    assert_eq!(standalone.audit().await.archives, 1);

    // What was answered is not asked for again.
    assert_eq!(standalone.terminate().await.code(), Some(0));
    let asked = standalone.events.after(0).len();
    standalone.restart("").await.unwrap();
    let database = connect(&standalone.database_url).await.unwrap();
    assert_eq!(count(&database, "SELECT count(*) FROM outbox").await.unwrap(), 0);
    standalone.asking().create(1).await.unwrap();
    standalone.wait_for_events(asked + 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standalone_that_is_asked_to_stop_under_load_ends_well_and_takes_its_database_with_it() {
    let mut standalone = Standalone::start().await;
    let mut load = standalone.load(1);
    load.allow(60);
    standalone.wait_for_answers(60).await;
    let postgres = standalone.postgres_pid().unwrap();
    assert_eq!(standalone.terminate().await.code(), Some(0));
    assert!(!Path::new(&format!("/proc/{postgres}")).exists(), "PostgreSQL runs on");
    let books = standalone.ledger.books();
    assert_eq!((books.unavailable, &books.broken), (0, &Vec::new()));
    standalone.restart("").await.unwrap();
    load.end_customers().await;
    standalone.audit().await;
}

/// A standalone service on a folder of its own.
struct Standalone {
    /// None before the first start.
    process: Option<Process>,
    launch: Launch,
    public: FaultProxy,
    internal: FaultProxy,
    database_url: String,
    http: reqwest::Client,
    ledger: Ledger,
    events: Events,
    /// Of the broker of this process; what it brings goes into `events`.
    topic: Option<Topic>,
    folder: TempDir,
}

impl Standalone {
    async fn start() -> Self {
        let mut standalone = Self::prepare().await.unwrap();
        standalone.restart("").await.unwrap();
        standalone
    }

    /// A folder and doors; nothing runs yet.
    async fn prepare() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("standalone.toml");
        fs::write(&file, settings())?;
        let launch =
            Launch { settings: vec![file], folder: folder.path().to_owned(), environment: Vec::new() };
        Ok(Self {
            process: None,
            launch,
            public: FaultProxy::bind().await?,
            internal: FaultProxy::bind().await?,
            database_url: String::new(),
            http: reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?,
            ledger: Ledger::default(),
            events: Events::default(),
            topic: None,
            folder,
        })
    }

    /// Starts it, again on the same folder, with these failpoints.
    async fn restart(&mut self, failpoints: &str) -> Result<()> {
        // The reader of a broker that is gone, and what that process has told.
        drop(self.topic.take());
        let _ = fs::remove_file(self.details());
        self.process = Some(run(&self.launch, failpoints)?);
        self.connect().await
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it was started")
    }

    fn details(&self) -> std::path::PathBuf {
        self.launch.folder.join("details.json")
    }

    /// Waits until it is ready, and learns where its servers are this time.
    async fn connect(&mut self) -> Result<()> {
        let process = self.process.as_mut().context("it was started")?;
        for (service, door) in [("public-api", &self.public), ("internal-api", &self.internal)] {
            let listening = [("message", "listening"), ("service", service)];
            door.set_upstream(logged_address(process, &listening, "address").await?);
        }
        let starts = [("message", "standalone starts")];
        let ops = logged_address(process, &starts, "ops").await?;
        self.process().wait_ready(&format!("http://{ops}/readyz"), PATIENCE).await?;
        let path = self.details();
        let details =
            poll_until(PATIENCE, async || Ok(Some(serde_json::from_slice::<Value>(&fs::read(&path)?)?)));
        let details = details.await?;
        details["postgres_url"].as_str().unwrap_or_default().clone_into(&mut self.database_url);
        let brokers = details["kafka_brokers"].as_str().unwrap_or_default();
        self.topic = Some(Topic::read(brokers, TOPIC, self.events.clone()).await?);
        Ok(())
    }

    fn asking(&self) -> Asking {
        Asking::new(&self.http, &format!("http://{}", self.public.address()), &self.ledger)
    }

    fn answering(&self) -> Answering {
        Answering::new(&self.http, &format!("http://{}", self.internal.address()), &self.ledger)
    }

    fn load(&self, seed: u64) -> Load {
        Load::start(&self.asking(), &self.answering(), &self.ledger, &self.events, seed)
    }

    async fn terminate(&mut self) -> ExitStatus {
        self.process().terminate(Duration::from_secs(25)).await.expect("it ends in time")
    }

    async fn wait_for_answers(&self, further: usize) {
        let until = self.ledger.books().answers + further;
        let waited = poll_until(PATIENCE, async || Ok((self.ledger.books().answers >= until).then_some(())));
        waited.await.unwrap();
    }

    async fn wait_for_events(&self, count: usize) -> Vec<crate::topic::Event> {
        let waited = poll_until(PATIENCE, async || {
            let events = self.events.after(0);
            Ok((events.len() >= count).then_some(events))
        });
        waited.await.unwrap()
    }

    /// The process of its database.
    fn postgres_pid(&self) -> Result<u32> {
        let file = self.launch.folder.join("data/postgres/cluster/postmaster.pid");
        Ok(fs::read_to_string(file)?.lines().next().unwrap_or_default().trim().parse()?)
    }

    async fn audit(&self) -> Audit {
        let directory = self.folder.path().join("data/objects");
        let blobs = Blobs::connect(&blobs::Settings {
            kind: blobs::Kind::Local,
            local: blobs::LocalSettings { directory: directory.clone() },
            ..blobs::Settings::default()
        });
        let (blobs, Self { database_url, events, ledger, .. }) = (blobs.unwrap(), self);
        let audit = Audit::of(
            Evidence { database_url, events, blobs: &blobs, ledger, quiet_within: QUIET_WITHIN },
            &self.asking(),
        )
        .await;
        // Files of uploads that never ended are no objects, and are not listed as such.
        let left = || files(&directory).map(|files| files - usize::from(directory.join(MARK).exists()));
        let swept = poll_until(PATIENCE, async || Ok((left()? == audit.objects).then_some(())));
        swept.await.expect("no file of an unfinished upload is left");
        audit
    }
}

/// How many files there are below `folder`.
fn files(folder: &Path) -> Result<usize> {
    fs::read_dir(folder)?.try_fold(0, |count, entry| {
        let entry = entry?;
        Ok(count + if entry.file_type()?.is_dir() { files(&entry.path())? } else { 1 })
    })
}

fn run(launch: &Launch, failpoints: &str) -> Result<Process> {
    let mut launch = launch.clone();
    if !failpoints.is_empty() {
        launch.environment.push(("FAILPOINTS".to_owned(), failpoints.to_owned()));
    }
    let path = |name: &str| launch.folder.join(name).display().to_string();
    let arguments = ["--data".into(), path("data"), "--details-file".into(), path("details.json")];
    spawn("standalone", Path::new(env!("CARGO_BIN_EXE_e2e-standalone")), &arguments, &launch)
}

fn settings() -> String {
    let key = SourceApplication::named(SOURCE_APPLICATION).key;
    let key = sha256_hex(key.as_bytes());
    format!(
        r#"
[telemetry]
filter = "info,access=off"
[lifecycle]
stop_timeout = "20s"
[kafka]
message_timeout = "2s"
[applications.{SOURCE_APPLICATION}]
keys_sha256 = ["{key}"]
[applications.{SOURCE_APPLICATION}.resources.exampleResource]
[standalone]
ops_listen = "127.0.0.1:0"
[public_api]
listen = "127.0.0.1:0"
rate_limit.enabled = false
[internal_api]
listen = "127.0.0.1:0"
upload_lease = "4s"
[dispatcher]
lease = "6s"
poll = "500ms"
[expiry_reaper]
poll = "300ms"
grace = "1s"
sweep_every = "1s"
orphan_min_age = "1s"
lease = "3s"
"#
    )
}
