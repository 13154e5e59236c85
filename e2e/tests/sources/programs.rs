//! The programs in `examples/`, as processes.

use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::{PATIENCE, SOURCE_APPLICATION, SourceApplication, TestApp};
use serde_json::json;
use tempfile::TempDir;
use testkit::{Process, binary, memory::peak_bytes, poll_until};

use crate::support::{customer, wait_for, wanted};

/// The demo, which answers for the usual application. What it is asked for is not among its resources.
struct Demo {
    folder: TempDir,
    arguments: Vec<String>,
}

impl Demo {
    fn new(app: &TestApp, further: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let key = folder.path().join("key");
        std::fs::write(&key, &SourceApplication::named(SOURCE_APPLICATION).key)?;
        let arguments = [
            ["--brokers", &app.settings.kafka.brokers],
            ["--topic", &app.settings.events.topic],
            ["--group", "demo"],
            ["--application", SOURCE_APPLICATION],
            ["--internal-url", &app.internal_url],
            ["--key-file", &key.to_string_lossy()],
        ];
        let arguments = arguments.as_flattened().iter().chain(further).map(ToString::to_string).collect();
        Ok(Self { folder, arguments })
    }

    /// Starts it; its log is called `log`.
    fn start(&self, log: &str) -> Result<Process> {
        self.start_with(log, [])
    }

    /// The same, with further variables of its environment.
    fn start_with<const N: usize>(&self, log: &str, environment: [(&str, &str); N]) -> Result<Process> {
        let program = binary("inventory-source")?;
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Process::start(&program, &self.arguments, environment, &self.folder.path().join(log))
    }
}

async fn wait_for_log(process: &Process, text: &str) -> Result<()> {
    let waited = poll_until(PATIENCE, async || Ok(process.log()?.contains(text).then_some(())));
    waited.await.with_context(|| process.log().unwrap_or_default())
}

#[tokio::test]
async fn a_program_killed_between_answer_and_commit_answers_once_more() {
    let app = TestApp::start().await;
    // It commits only when it ends well.
    // And the group does not wait long for one that is gone.
    let demo =
        Demo::new(&app, &["--kafka", "auto.commit.interval.ms=3600000,session.timeout.ms=6000"]).unwrap();
    let mut killed = demo.start("killed").unwrap();
    let export = app.create(&customer(), &wanted("json", 1)).await;
    let status = wait_for(&app, &export, "failed").await;
    assert_eq!(status["sources"][0]["error"], json!(404));
    wait_for_log(&killed, "answered").await.unwrap();
    killed.kill().unwrap();

    let mut again = demo.start("again").unwrap();
    wait_for_log(&again, &export.id).await.unwrap();
    wait_for_log(&again, "answered").await.unwrap();
    assert!(again.terminate(Duration::from_secs(20)).await.unwrap().success(), "{}", again.log().unwrap());

    // Now it is committed, and only what is new is answered.
    let mut last = demo.start("last").unwrap();
    let next = app.create(&customer(), &wanted("json", 1)).await;
    wait_for(&app, &next, "failed").await;
    assert!(!last.log().unwrap().contains(&export.id), "{}", last.log().unwrap());
    last.terminate(Duration::from_secs(20)).await.unwrap();
    app.end().await;
}

#[tokio::test]
async fn a_program_needs_no_certificates_where_nothing_is_encrypted() {
    let app = TestApp::start().await;
    let demo = Demo::new(&app, &[]).unwrap();
    // As in an image that has none.
    let nowhere = demo.folder.path().to_string_lossy().into_owned();
    let environment = ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(|name| (name, nowhere.as_str()));
    let mut process = demo.start_with("bare", environment).unwrap();
    let export = app.create(&customer(), &wanted("json", 1)).await;
    wait_for(&app, &export, "failed").await;
    assert!(process.terminate(Duration::from_secs(20)).await.unwrap().success());
    app.end().await;
}

#[tokio::test]
async fn s0_tus_the_memory_of_a_program_does_not_grow_with_what_it_uploads_in_pieces() {
    let app = TestApp::start().await;
    let demo = Demo::new(&app, &[]).unwrap();
    let resources = demo.folder.path().join("resources.toml");
    // 100 MiB and a little more.
    let query =
        "SELECT repeat('x', 1024) AS text FROM generate_series(1, 100 * 1024) WHERE :from IS NOT NULL";
    let text = format!("[resources.exampleResource]\nquery = \"{query}\"\nfilters = {{ from = \"int\" }}\n");
    std::fs::write(&resources, text).unwrap();
    let environment = [
        ("RESUMABLE".to_owned(), "true".to_owned()),
        ("RESOURCES".to_owned(), resources.to_string_lossy().into_owned()),
        ("DATABASE_URL".to_owned(), app.database.url()),
    ];
    let program = binary("sql-source").unwrap();
    let log = demo.folder.path().join("sql");
    let mut process = Process::start(&program, &demo.arguments, environment, &log).unwrap();
    let export = app.create(&customer(), &wanted("json", 1)).await;
    wait_for(&app, &export, "complete").await;
    let peak = peak_bytes(process.pid()).unwrap();
    assert!(peak < 64 << 20, "{peak}");
    app.wait_for_metric("resumable_uploads_total{service=\"internal-api\",what=\"finished\"} 1").await;
    assert!(process.terminate(Duration::from_secs(20)).await.unwrap().success());
    app.end().await;
}
