//! What expiry does (S0-expired, S0-source-expired, X11).

use chrono::TimeDelta;
use e2e::{Customer, TestApp, expect, refusal};
use serde_json::json;

use crate::support::{source, two_sources, wanted, with};

#[tokio::test]
async fn s0_expired_an_export_is_still_listed_and_its_status_told_but_not_its_archive() {
    let app = TestApp::start().await;
    let export = app.complete(&Customer::new(), &two_sources(), |_| "[1]".into()).await;
    let before = app.status(&export).await;
    app.drain().await;
    app.clock.advance(TimeDelta::days(7) - TimeDelta::microseconds(1));
    expect(app.try_download(&export).await, 200).await;
    app.clock.advance(TimeDelta::microseconds(1));
    let expired = refusal(app.try_download(&export).await, 410).await;
    assert_eq!(expired, format!("'{}' has expired", export.id));
    assert_eq!(app.status(&export).await, before);
    assert_eq!(app.list(&export.customer, "").await["meta"]["count"], 1);
    app.end().await;
}

#[tokio::test]
async fn s0_expired_x11_the_bytes_are_deleted_after_the_grace_and_the_row_after_its_retention() {
    let app = TestApp::start().await;
    let export = app.complete(&Customer::new(), &two_sources(), |_| "[1]".into()).await;
    app.drain().await;
    assert_eq!(app.object_keys().await.len(), 2);
    app.clock.advance(TimeDelta::days(7) + TimeDelta::minutes(15));
    app.wait_for_count("SELECT count(*) FROM exports WHERE released_at IS NULL", 0).await.unwrap();
    app.wait_for_no("object_deletions").await.unwrap();
    assert_eq!(app.object_keys().await, [""; 0]);
    assert_eq!(app.status(&export).await["status"], "complete");
    app.clock.advance(TimeDelta::days(30));
    app.wait_for_no("exports").await.unwrap();
    assert_eq!(app.list(&export.customer, "").await["meta"]["count"], 0);
    app.end().await;
}

#[tokio::test]
async fn s0_expired_an_export_that_never_ended_keeps_the_status_it_had() {
    let app = TestApp::with(|settings| {
        settings.public_api.answer_within = domain::Period::from_secs(365 * 24 * 3600);
    })
    .await;
    let export = app.create(&Customer::new(), &two_sources()).await;
    expect(app.upload(&export.sources[0], "[1]").await, 202).await;
    app.drain().await;
    app.clock.advance(TimeDelta::days(8));
    refusal(app.try_download(&export).await, 410).await;
    assert_eq!(app.status(&export).await["status"], "running");
    app.wait_for_count("SELECT count(*) FROM exports WHERE released_at IS NULL", 0).await.unwrap();
    assert_eq!(app.status(&export).await["status"], "running");
    app.end().await;
}

#[tokio::test]
async fn s0_source_expired_its_file_leaves_the_archive_under_a_new_etag_and_is_listed_as_expired() {
    let app = TestApp::start().await;
    let short = with(source("exampleResource"), "", "expires", Some(json!("2026-11-22T00:00:00Z")));
    let export = app
        .complete(&Customer::new(), &wanted(&[short, source("anotherExampleResource")]), |_| "[1]".into())
        .await;
    let before = expect(app.try_download(&export).await, 200).await;
    let etag = before.headers()["etag"].clone();
    let (expired, kept) =
        (format!("{}.json", export.sources[0].id), format!("{}.json", export.sources[1].id));
    app.clock.advance(TimeDelta::days(1));

    let after = expect(app.try_download(&export).await, 200).await;
    assert_ne!(after.headers()["etag"], etag);
    let archive = app.download(&export).await;
    assert_eq!(archive.names(), ["meta.json", "README.md", &kept]);
    let failed = &archive.meta()["failed_files"];
    assert_eq!((&failed[0]["filename"], failed.as_array().unwrap().len()), (&json!(expired), 1));
    let error = &failed[0]["error"];
    assert!(error["message"].as_str().unwrap().contains("expired"), "{error}");

    let status = app.status(&export).await;
    assert_eq!(
        (&status["status"], &status["sources"][0]["status"]),
        (&json!("complete"), &json!("complete"))
    );
    // The bytes of that source are deleted, and no others.
    app.wait_for_count("SELECT count(*) FROM resources WHERE object_released_at IS NOT NULL", 1)
        .await
        .unwrap();
    app.wait_for_no("object_deletions").await.unwrap();
    assert_eq!(app.object_keys().await.len(), 1);
    let again = app.download(&export).await;
    assert_eq!(again.bytes, archive.bytes);
    app.end().await;
}

#[tokio::test]
async fn s0_source_expired_when_all_have_the_archive_says_so() {
    let app = TestApp::start().await;
    let short = with(source("exampleResource"), "", "expires", Some(json!("2026-11-22T00:00:00Z")));
    let export = app.complete(&Customer::new(), &wanted(&[short]), |_| "[1]".into()).await;
    app.clock.advance(TimeDelta::days(1));
    let archive = app.download(&export).await;
    assert_eq!(archive.names(), ["meta.json", "README.md"]);
    assert_eq!(archive.meta()["file_meta"], json!([]));
    app.end().await;
}
