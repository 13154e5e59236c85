//! Uploads that do not settle their source leave nothing (S0-tus).

use chrono::TimeDelta;
use e2e::{expect, refusal};
use reqwest::Method;

use super::{Upload, text};
use crate::support::{one_export, one_export_with};

#[tokio::test]
async fn s0_tus_a_terminated_upload_leaves_nothing_and_its_source_open() {
    let (app, export) = one_export().await;
    let upload = Upload::begin(&app, &export, 10).await;
    expect(upload.patch(0, "12345").send().await, 204).await;
    expect(upload.request(Method::DELETE).send().await, 204).await;
    for method in [Method::HEAD, Method::DELETE] {
        expect(upload.request(method).send().await, 404).await;
    }
    expect(upload.patch(5, "67890").send().await, 404).await;
    app.wait_for_no("object_deletions").await.unwrap();
    assert!(app.object_keys().await.is_empty());
    expect(app.upload(&export.sources[0], "[1]").await, 202).await;
    app.end().await;
}

#[tokio::test]
async fn s0_tus_an_upload_that_is_not_continued_expires_and_leaves_nothing() {
    let (app, export) = one_export_with(|settings| {
        settings.internal_api.resumable_upload_expiry = domain::Period::from_secs(3600);
    })
    .await;
    let upload = Upload::begin(&app, &export, 10).await;
    let answer = expect(upload.patch(0, "12345").send().await, 204).await;
    assert_eq!(text(answer.headers(), "upload-expires").as_deref(), Some("Sat, 21 Nov 2026 07:37:51 GMT"));
    app.clock.advance(TimeDelta::hours(1));
    app.wait_for_no("resumable_uploads").await.unwrap();
    expect(upload.request(Method::HEAD).send().await, 404).await;
    app.wait_for_no("object_deletions").await.unwrap();
    assert!(app.object_keys().await.is_empty());
    app.end().await;
}

#[tokio::test]
async fn s0_tus_s0_24_an_upload_for_a_deleted_export_is_refused_and_leaves_nothing() {
    let (app, export) = one_export().await;
    let upload = Upload::begin(&app, &export, 10).await;
    expect(upload.patch(0, "12345").send().await, 204).await;
    expect(app.delete(&export).await, 202).await;
    expect(upload.patch(5, "67890").send().await, 404).await;
    expect(upload.request(Method::HEAD).send().await, 404).await;
    app.wait_for_no("resumable_uploads").await.unwrap();
    app.wait_for_no("object_deletions").await.unwrap();
    assert!(app.object_keys().await.is_empty());
    app.end().await;
}

#[tokio::test]
async fn s0_tus_s0_47c_what_another_upload_settled_is_answered_as_an_upload_would_be() {
    let (app, export) = one_export().await;
    let same = Upload::begin(&app, &export, 3).await;
    let other = Upload::begin(&app, &export, 3).await;
    expect(app.upload(&export.sources[0], "[1]").await, 202).await;
    expect(same.patch(0, "[1]").send().await, 204).await;
    assert_eq!(same.offset().await, 3);
    let refused = refusal(other.patch(0, "[2]").send().await, 410).await;
    assert!(refused.contains("this resource has already been processed"), "{refused}");
    expect(other.request(Method::HEAD).send().await, 404).await;
    app.wait_for_no("object_deletions").await.unwrap();
    assert_eq!(app.object_keys().await.len(), 1);
    app.end().await;
}
