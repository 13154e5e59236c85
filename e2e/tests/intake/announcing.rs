//! The other direction: what the dispatcher announces, and what it says of it.

use std::{path::Path, time::Duration};

use bus::reader::TopicReader;
use e2e::PATIENCE;
use testkit::{Process, TestServers};

use crate::{process::settings_file, support::Announcing};

/// Starts a dispatcher that logs everything.
fn dispatcher(announcing: &Announcing, folder: &Path) -> Process {
    let settings = folder.join("dispatcher.toml");
    std::fs::write(&settings, settings_file(announcing, 0)).unwrap();
    let arguments = ["--config".into(), settings.into_os_string()];
    let environment = [
        ("EXPORTS__DISPATCHER__OPS_LISTEN", "127.0.0.1:0"),
        ("EXPORTS__DISPATCHER__POLL", "200ms"),
        ("EXPORTS__TELEMETRY__FILTER", "debug"),
        // The topic of the app has another name.
        ("EXPORTS__LIFECYCLE_EVENTS__ENABLED", "false"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let binary = Path::new(env!("CARGO_BIN_EXE_e2e-dispatcher"));
    Process::start(binary, arguments, environment, &folder.join("dispatcher.log")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_identity_nor_signed_url_shows_in_the_log_of_the_dispatcher() {
    let brokers = TestServers::find().unwrap().kafka_brokers;
    let announcing = Announcing::with_dispatcher_away(brokers.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let mut process = dispatcher(&announcing, folder.path());
    let export = announcing.export(2).await;
    for source in &export.sources {
        e2e::expect(announcing.app.upload(source, "[1]").await, 202).await;
    }
    let topic = &announcing.settings.announce.topic;
    let reader = TopicReader::open(&announcing.settings.kafka, topic).await.unwrap();
    for _ in 0..2 {
        let record = reader.next(PATIENCE).await.unwrap().expect("an announcement");
        let body: serde_json::Value = serde_json::from_slice(&record.payload.unwrap()).unwrap();
        assert!(body["url"].as_str().unwrap().contains("X-Amz-Signature="));
    }
    process.terminate(Duration::from_secs(30)).await.unwrap();
    let log = process.log().unwrap();
    assert!(log.contains("DEBUG"), "it says a lot: {log}");
    for secret in ["X-Amz", "Signature=", &export.customer.header(), &export.customer.username] {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret}: {line:?}");
    }
    // What else waits is sent to where the app looks for it.
    announcing.app.another_dispatcher("late-dispatcher", |settings| settings.kafka.brokers = brokers).await;
    announcing.end().await;
}
