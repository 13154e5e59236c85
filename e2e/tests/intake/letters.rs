//! The operators' command for dead letters.

use std::path::Path;

use e2e::PATIENCE;
use testkit::Process;

use crate::{
    endpoint::Behaviour,
    process::settings_file,
    support::{Announcing, announcement},
};

/// Runs `exports-admin dead-letters` to its end; whether it succeeded, and what it said.
async fn run(announcing: &Announcing, folder: &Path, arguments: &[&str]) -> (bool, String) {
    let (settings, log) = (folder.join("admin.toml"), folder.join("admin.log"));
    std::fs::write(&settings, settings_file(announcing, 0)).unwrap();
    let _ = std::fs::remove_file(&log);
    let arguments: Vec<_> = ["dead-letters"]
        .iter()
        .chain(arguments)
        .map(Into::into)
        .chain(["--config".into(), settings.into_os_string()])
        .collect();
    let binary = Path::new(env!("CARGO_BIN_EXE_e2e-exports-admin"));
    let mut command = Process::start(binary, arguments, [], &log).unwrap();
    let status = command.wait(PATIENCE).await.unwrap();
    (status.success(), command.log().unwrap())
}

#[tokio::test]
async fn dead_letters_are_listed_shown_and_replayed() {
    let announcing = Announcing::start().await;
    let folder = tempfile::tempdir().unwrap();
    let export = announcing.export(1).await;
    let url = announcing.endpoint.put("archive", Behaviour::Status(404));
    let record = announcement(&export, 0, &url);
    announcing.announce(&record).await;
    let service = announcing.settings.announce.consume_service.clone();
    announcing.send(&service, b"\x1b[31mnothing".to_vec()).await;
    announcing.dead_letters(2).await;

    let (listed, said) = run(&announcing, folder.path(), &["list"]).await;
    assert!(listed && said.contains("the server answers with status 404"), "{said}");
    assert!(said.contains("the record is no announcement: line 1, column 1"), "{said}");
    assert!(!said.contains("s3cret"), "a listing holds no URL: {said}");
    let line = said.lines().find(|line| line.contains("404")).unwrap();
    let place = line.split('\t').next().unwrap();

    let (shown, said) = run(&announcing, folder.path(), &["show", place]).await;
    assert!(shown && said.contains(&record.to_string()) && said.contains("header own: kept"), "{said}");
    let (shown, said) = run(&announcing, folder.path(), &["show", "0:999"]).await;
    assert!(!shown && said.contains("there is no dead letter 0:999"), "{said}");

    announcing.endpoint.put("archive", Behaviour::Body(b"[1]".to_vec()));
    let (replayed, said) = run(&announcing, folder.path(), &["replay", place]).await;
    assert!(replayed && said.contains("1 records were sent again"), "{said}");
    announcing.wait_source(&export, 0, "complete").await;
    let (replayed, said) = run(&announcing, folder.path(), &["replay", "--all"]).await;
    assert!(replayed && said.contains("2 records were sent again"), "{said}");
    // What was used is welcome once more, and what is of no use comes back.
    announcing.wait_outcome("handed_in", 2).await;
    announcing.dead_letters(3).await;
    announcing.end().await;
}

#[tokio::test]
async fn a_letter_from_another_topic_is_not_sent_there() {
    let announcing = Announcing::start().await;
    let folder = tempfile::tempdir().unwrap();
    let requests = announcing.app.settings.events.topic.clone();
    let headers = [
        ("dead-letter-reason", "because"),
        ("dead-letter-topic", requests.as_str()),
        ("dead-letter-partition", "0"),
        ("dead-letter-offset", "0"),
    ];
    announcing.write(&announcing.settings.announce.dead_letter_topic, &headers, b"{}".to_vec()).await;
    let (replayed, said) = run(&announcing, folder.path(), &["replay", "--all"]).await;
    assert!(replayed && said.contains("0 records were sent again"), "{said}");
    assert!(said.contains("1 are not from announce.topic"), "{said}");
    assert!(announcing.app.records_of(&requests, 0).await.is_empty());
    announcing.end().await;
}
