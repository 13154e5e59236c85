//! Intake as a process of its own.

use std::{
    os::unix::process::ExitStatusExt as _,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use e2e::PATIENCE;
use reqwest::StatusCode;
use serde_json::Value;
use testkit::{Process, poll_until};

use crate::support::Announcing;

/// The signal that `abort` ends a process with: what a failpoint does.
const SIGABRT: i32 = 6;

/// A running intake. It is killed when this is dropped.
pub(crate) struct Program {
    process: Process,
    /// Where probes and metrics are served.
    ops: String,
}

impl Program {
    /// Starts it with the settings of `announcing`; `failpoints` is the value of `FAILPOINTS`.
    pub(crate) async fn start(announcing: &Announcing, folder: &Path, failpoints: &str) -> Self {
        Self::start_with(announcing, folder, ("FAILPOINTS", failpoints)).await
    }

    /// The same with one variable of the environment.
    pub(crate) async fn start_with(announcing: &Announcing, folder: &Path, variable: (&str, &str)) -> Self {
        static STARTS: AtomicU32 = AtomicU32::new(0);
        let start = STARTS.fetch_add(1, Ordering::Relaxed);
        let [ops] = devservers::free_ports().unwrap();
        let settings = folder.join(format!("intake-{start}.toml"));
        std::fs::write(&settings, settings_file(announcing, ops)).unwrap();
        let arguments = ["--config".into(), settings.into_os_string()];
        let environment = [(variable.0.to_owned(), variable.1.to_owned())];
        let log = folder.join(format!("intake-{start}.log"));
        let binary = Path::new(env!("CARGO_BIN_EXE_e2e-intake"));
        let mut process = Process::start(binary, arguments, environment, &log).unwrap();
        let ops = format!("http://127.0.0.1:{ops}");
        process.wait_ready(&format!("{ops}/readyz"), PATIENCE).await.unwrap();
        Self { process, ops }
    }

    /// Waits until the readiness probe says that `check` fails.
    pub(crate) async fn wait_unready(&self, check: &str) {
        let waited = poll_until(PATIENCE, async || {
            let answer = reqwest::get(format!("{}/readyz", self.ops)).await?;
            let unready = answer.status() == StatusCode::SERVICE_UNAVAILABLE;
            let body: Value = answer.json().await?;
            Ok((unready && body["checks"][check]["status"] == "failed").then_some(()))
        });
        waited.await.unwrap_or_else(|error| panic!("{check} is not missed: {error:#}"));
    }

    /// Waits until it is ready again.
    pub(crate) async fn wait_ready(&mut self) {
        let ready = format!("{}/readyz", self.ops);
        self.process.wait_ready(&ready, PATIENCE).await.unwrap();
    }

    /// Waits until a line of its metrics begins with `line`.
    pub(crate) async fn wait_metric(&self, line: &str) {
        let waited = poll_until(PATIENCE, async || {
            Ok(self.metrics().await?.lines().any(|told| told.starts_with(line)).then_some(()))
        });
        waited.await.unwrap_or_else(|error| panic!("`{line}` is not told: {error:#}"));
    }

    pub(crate) async fn metrics(&self) -> anyhow::Result<String> {
        Ok(reqwest::get(format!("{}/metrics", self.ops)).await?.text().await?)
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.process.log().unwrap()
    }

    /// Waits until a failpoint has ended it.
    pub(crate) async fn expect_crash(&mut self) {
        let status = self.process.wait(PATIENCE).await.expect("the failpoint is reached");
        assert_eq!(status.signal(), Some(SIGABRT), "{status}: {}", self.process.log().unwrap());
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
    }

    /// Asks it to stop; its exit code.
    pub(crate) async fn terminate(&mut self, limit: Duration) -> Option<i32> {
        self.process.terminate(limit).await.unwrap().code()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// The settings file of a process. Secrets do not write themselves: they are taken out one by one. The members
/// of the group miss a dead one soon.
pub(crate) fn settings_file(announcing: &Announcing, ops: u16) -> String {
    let settings = &announcing.settings;
    let (database, storage, announce) =
        (settings.database.url.expose(), &settings.object_store, &settings.announce);
    let s3 = &storage.s3;
    format!(
        r#"
[lifecycle]
stop_timeout = "12s"
[database]
url = "{database}"
pool_size = 4
pool_wait = "20s"
[kafka]
brokers = "{}"
[kafka.properties]
"session.timeout.ms" = "6000"
"heartbeat.interval.ms" = "500"
[announce]
topic = "{}"
dead_letter_topic = "{}"
group = "{}"
[object_store]
kind = "s3"
prefix = "{}"
[object_store.s3]
bucket = "{}"
region = "{}"
endpoint = "{}"
access_key_id = "{}"
secret_access_key = "{}"
allow_http = true
[intake]
ops_listen = "127.0.0.1:{ops}"
max_upload_bytes = "2GiB"
upload_lease = "6s"
first_wait = "50ms"
longest_wait = "200ms"
[intake.fetch]
allow_http = true
allow_networks = ["127.0.0.0/8"]
"#,
        settings.kafka.brokers,
        announce.topic,
        announce.dead_letter_topic,
        announce.group,
        storage.prefix,
        s3.bucket,
        s3.region.as_deref().unwrap(),
        s3.endpoint.as_deref().unwrap(),
        s3.access_key_id.as_deref().unwrap(),
        s3.secret_access_key.as_ref().unwrap().expose(),
    )
}
