//! How source applications deliver data (S0-18, S0-48, X8).

use bytes::Bytes;
use domain::ByteSize;
use e2e::{Customer, SOURCE_APPLICATION, TestApp, expect, refusal};
use reqwest::{Body, Method};
use serde_json::{Value, json};

use crate::support::{one_export, one_export_with, posting, source, source_status, usual, wanted};

fn chunked(chunks: [&'static str; 2]) -> Body {
    Body::wrap_stream(futures_util::stream::iter(chunks.map(Ok::<_, std::io::Error>)))
}

#[tokio::test]
async fn s0_18_an_upload_is_acknowledged_with_the_words_of_the_contract() {
    let (app, export) = one_export().await;
    let delivered = expect(app.upload(&export.sources[0], "[1]").await, 202).await;
    assert_eq!(delivered.text().await.unwrap(), "payload delivered");
    app.end().await;
}

#[tokio::test]
async fn s0_18_x8_every_content_type_is_taken_sized_or_chunked() {
    let types =
        ["text/csv", "application/json;charset=UTF-8", "application/octet-stream", "application/csv", "x"];
    let app = TestApp::start().await;
    let sources: Vec<Value> = (0..2 * types.len()).map(|_| source("exampleResource")).collect();
    let export = app.create(&Customer::new(), &wanted(&sources)).await;
    for (place, source) in export.sources.iter().enumerate() {
        let path = format!("{}/upload", source.path);
        let body = if place % 2 == 0 { Body::from("[1, 2]") } else { chunked(["[1,", " 2]"]) };
        let upload = app.answer(&usual(), Method::POST, &path).header("content-type", types[place / 2]);
        expect(upload.body(body).send().await, 202).await;
    }
    let archive = app.download(&export).await;
    for source in &export.sources {
        assert_eq!(archive.text(&format!("{}.json", source.id)), "[1, 2]");
    }
    app.end().await;
}

#[tokio::test]
async fn s0_18_an_empty_upload_is_an_empty_file() {
    let (app, export) = one_export().await;
    expect(app.upload(&export.sources[0], "").await, 202).await;
    let archive = app.download(&export).await;
    assert_eq!(archive.text(&format!("{}.json", export.sources[0].id)), "");
    app.end().await;
}

#[tokio::test]
async fn s0_18_a_gzip_upload_is_inflated() {
    let (app, export) = one_export().await;
    let text = "[\"a\", \"b\"]\n".repeat(50_000);
    let upload = posting(&app, &export, "upload").header("content-encoding", "gzip");
    expect(upload.body(gzip(text.as_bytes())).send().await, 202).await;
    let archive = app.download(&export).await;
    assert_eq!(archive.text(&format!("{}.json", export.sources[0].id)), text);
    assert_eq!(archive.meta()["file_meta"][0]["size_bytes"], text.len());
    app.end().await;
}

#[tokio::test]
async fn s0_18_a_content_encoding_that_nobody_knows_is_refused() {
    let (app, export) = one_export().await;
    let upload = posting(&app, &export, "upload").header("content-encoding", "br").body("x");
    refusal(upload.send().await, 415).await;
    assert_eq!(source_status(&app, &export).await["status"], "pending");
    app.end().await;
}

#[tokio::test]
async fn s0_18_what_was_acknowledged_is_in_object_storage_and_in_the_database() {
    let (app, export) = one_export().await;
    expect(app.upload(&export.sources[0], "[1, 2, 3]").await, 202).await;
    assert_eq!(app.count("SELECT count(*) FROM resources WHERE status = 'complete'").await, 1);
    assert_eq!(app.object_keys().await.len(), 1);
    app.end().await;
}

#[tokio::test]
async fn s0_48_a_payload_over_the_limit_is_413_and_the_resource_has_failed() {
    let (app, export) =
        one_export_with(|settings| settings.internal_api.max_upload_bytes = ByteSize::from_mib(2)).await;
    let refused = refusal(app.upload(&export.sources[0], vec![b'x'; (2 << 20) + 1]).await, 413).await;
    assert_eq!(refused, "payload is too large, max size: 2MB");
    let source = source_status(&app, &export).await;
    assert_eq!((&source["status"], &source["error"]), (&json!("failed"), &json!(413)));
    assert_eq!(source["message"], "payload is too large, max size: 2MB");
    app.wait_for_no("object_deletions").await.unwrap();
    app.end().await;
}

#[tokio::test]
async fn s0_48_a_payload_of_exactly_the_limit_is_taken() {
    let (app, export) =
        one_export_with(|settings| settings.internal_api.max_upload_bytes = ByteSize::from_mib(2)).await;
    expect(app.upload(&export.sources[0], vec![b'x'; 2 << 20]).await, 202).await;
    app.end().await;
}

#[tokio::test]
async fn s0_48_an_application_may_have_a_limit_of_its_own() {
    let (app, export) = one_export_with(|settings| {
        let application = settings.application(SOURCE_APPLICATION);
        application.max_upload_bytes = Some(ByteSize::from_kib(1));
    })
    .await;
    let refused = refusal(app.upload(&export.sources[0], vec![b'x'; 1025]).await, 413).await;
    assert_eq!(refused, "payload is too large, max size: 1KB");
    app.end().await;
}

#[test]
fn s0_48_the_default_limit_is_500_mebibytes() {
    let settings = internal_api::Settings::default();
    assert_eq!(settings.internal_api.max_upload_bytes.bytes(), 500 << 20);
}

#[tokio::test]
async fn s0_48_the_limit_counts_inflated_bytes() {
    let (app, export) =
        one_export_with(|settings| settings.internal_api.max_upload_bytes = ByteSize::from_kib(64)).await;
    let bomb = gzip(&vec![0; 20 << 20]);
    assert!(bomb.len() < 64 << 10, "{}", bomb.len());
    let upload = posting(&app, &export, "upload").header("content-encoding", "gzip").body(bomb);
    refusal(upload.send().await, 413).await;
    assert_eq!(source_status(&app, &export).await["error"], 413);
    app.end().await;
}

#[tokio::test]
async fn s0_48_a_connection_that_is_cut_leaves_the_resource_open_for_a_retry() {
    let (app, export) = one_export().await;
    let breaking = Body::wrap_stream(futures_util::stream::iter([
        Ok(Bytes::from(vec![b'x'; 3 << 20])),
        Err(std::io::Error::other("cut")),
    ]));
    app.upload(&export.sources[0], breaking).await.unwrap_err();
    app.wait_for_no("upload_attempts").await.unwrap();
    assert_eq!(source_status(&app, &export).await["status"], "pending");
    expect(app.upload(&export.sources[0], "[1]").await, 202).await;
    let archive = app.download(&export).await;
    assert_eq!(archive.text(&format!("{}.json", export.sources[0].id)), "[1]");
    app.wait_for_no("object_deletions").await.unwrap();
    assert_eq!(app.object_keys().await.len(), 1, "the bytes of the first try are gone");
    app.end().await;
}

/// `bytes` as gzip made by somebody else.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;

    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
