//! What is in an archive: its digests, and as many files as there may be.

use e2e::{Archive, Customer, TestApp, expect, sha256_hex};
use futures_util::{StreamExt as _, stream};
use serde_json::json;

use crate::support::{large_export, noise, wanted};

/// What `meta.json` says of each file is so.
fn assert_digests(archive: &Archive) {
    let meta = archive.meta();
    for file in meta["file_meta"].as_array().unwrap() {
        let name = file["filename"].as_str().unwrap();
        let (_, content) = archive.members.iter().find(|(member, _)| member == name).unwrap();
        assert_eq!(file["size_bytes"], content.len(), "{name}");
        assert_eq!(file["sha256"], sha256_hex(content), "{name}");
    }
}

#[tokio::test]
async fn s0_33_the_digests_in_meta_json_are_those_of_the_files() {
    let app = TestApp::start().await;
    let export = app.create(&Customer::new(), &wanted(4)).await;
    let contents = [Vec::new(), b"[]".to_vec(), "ü".repeat(1 << 20).into_bytes(), noise(3 << 20)];
    for (source, content) in export.sources.iter().zip(&contents) {
        expect(app.upload(source, content.clone()).await, 202).await;
    }
    let archive = app.download(&export).await;
    for ((_, content), uploaded) in archive.members[2..].iter().zip(&contents) {
        assert!(content == uploaded);
    }
    assert_digests(&archive);
    app.end().await;
}

#[tokio::test]
async fn an_archive_of_a_thousand_files_is_downloaded() {
    let app = TestApp::with(|settings| settings.database.pool_size = 8).await;
    let export = app.create(&Customer::new(), &wanted(1000)).await;
    let uploads = export.sources.iter().enumerate().map(|(place, source)| {
        let app = &app;
        async move { expect(app.upload(source, format!("[{place}]").repeat(place)).await, 202).await }
    });
    stream::iter(uploads).buffer_unordered(16).for_each(|_| async {}).await;
    let archive = app.download(&export).await;
    assert_eq!(archive.members.len(), 1002);
    for (place, source) in export.sources.iter().enumerate() {
        let (name, content) = &archive.members[place + 2];
        assert_eq!(
            (name, content.len()),
            (&format!("{}.json", source.id), format!("[{place}]").len() * place)
        );
    }
    assert_digests(&archive);
    assert_eq!(app.status(&export).await["status"], "complete");
    app.end().await;
}

#[tokio::test]
async fn a_large_file_arrives_as_it_was_sent() {
    let app = TestApp::start().await;
    let (export, sent) = large_export(&app, 20 << 20).await;
    let archive = app.download(&export).await;
    assert!(archive.members[2].1 == sent);
    assert_digests(&archive);
    app.end().await;
}

#[tokio::test]
async fn a_partial_archive_holds_what_was_delivered() {
    let app = TestApp::start().await;
    let export = app.create(&Customer::new(), &wanted(3)).await;
    expect(app.report(&export.sources[0], &json!({"message": "a", "error": 1})).await, 202).await;
    expect(app.upload(&export.sources[1], "[1]").await, 202).await;
    expect(app.report(&export.sources[2], &json!({"message": "b", "error": 2})).await, 202).await;
    let archive = app.download(&export).await;
    assert_eq!(archive.names(), ["meta.json", "README.md", &format!("{}.json", export.sources[1].id)]);
    let meta = archive.meta();
    let failed: Vec<_> = meta["failed_files"].as_array().unwrap().iter().map(|file| &file["error"]).collect();
    assert_eq!(failed, [&json!({"code": 1, "message": "a"}), &json!({"code": 2, "message": "b"})]);
    app.end().await;
}
