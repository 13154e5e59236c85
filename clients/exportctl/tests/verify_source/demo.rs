//! The demo application, as a program of its own.

use std::{collections::BTreeMap, time::Duration};

use testkit::{Process, binary};

use crate::support::{APPLICATION, Run};

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_application_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key");
    std::fs::write(&key_file, "a-key-of-its-own\n").unwrap();
    let key_file = key_file.to_str().unwrap();
    let run = Run::new("packages").await;
    let environment = BTreeMap::from([
        ("BROKERS", run.topic.brokers.as_str()),
        ("TOPIC", &run.topic.name),
        ("GROUP", &run.topic.name),
        ("APPLICATION", APPLICATION),
        ("INTERNAL_URL", &run.url()),
        ("KEY_FILE", key_file),
    ])
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect::<Vec<_>>();
    let program = binary("inventory-source").unwrap();
    let log = folder.path().join("log");
    let mut demo = Process::start(&program, [""; 0], environment, &log).unwrap();
    let group = run.topic.name.clone();
    let report = run
        .with(&["--key-file", key_file, "--group", &group, "--filters", r#"{"section": "libs"}"#])
        .report()
        .await;
    assert!(report.passed(), "{report}\n{}", demo.log().unwrap());
    demo.terminate(Duration::from_secs(20)).await.unwrap();
}
