//! What is no request of the protocol, or not welcome (S0-tus).

use domain::ByteSize;
use e2e::{Customer, SourceApplication, TestApp, expect, refusal};
use reqwest::Method;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{Upload, creation, delivered, rows, text};
use crate::support::{one_export, source, source_status, usual, wanted};

#[tokio::test]
async fn s0_tus_a_body_with_another_checksum_does_not_count() {
    let (app, export) = one_export().await;
    let upload = Upload::begin(&app, &export, 22).await;
    let patch = |offset, checksum| upload.patch(offset, "hello world").header("upload-checksum", checksum);
    assert_eq!(patch(0, "sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA=").send().await.unwrap().status(), 460);
    assert_eq!(upload.offset().await, 0);
    expect(patch(0, "md5 AAAA").send().await, 400).await;
    expect(patch(0, "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=").send().await, 204).await;
    let sha256 = "sha256 uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=";
    expect(patch(11, sha256).send().await, 204).await;
    assert_eq!(delivered(&app.download(&export).await, &export), "hello worldhello world");
    app.end().await;
}

#[tokio::test]
async fn s0_tus_half_a_body_with_a_checksum_does_not_count() {
    let (app, export) = one_export().await;
    let upload = Upload::begin(&app, &export, 100).await;
    let mut stream = TcpStream::connect(app.settings.internal_api.listen).await.unwrap();
    let head = format!(
        "PATCH {} HTTP/1.1\r\nhost: x\r\nx-rh-exports-psk: {}\r\ntus-resumable: 1.0.0\r\nupload-offset: 0\r\n\
         upload-checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=\r\ncontent-type: application/offset+octet-stream\r\n\
         content-length: 100\r\n\r\nhello world",
        upload.location,
        usual().key
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    // The upload itself, and no piece.
    app.wait_for_count("SELECT count(*) FROM upload_attempts", 1).await.unwrap();
    assert_eq!(upload.offset().await, 0);
    expect(upload.request(Method::DELETE).send().await, 204).await;
    app.end().await;
}

#[tokio::test]
async fn s0_tus_s0_48_what_is_too_large_fails_its_source() {
    let app = TestApp::with(|settings| settings.internal_api.max_upload_bytes = ByteSize::from_kib(1)).await;
    for deferred in [false, true] {
        let export = app.create(&Customer::new(), &wanted(&[source("exampleResource")])).await;
        let refused = if deferred {
            let begun = creation(&app, &export).header("upload-defer-length", 1).send().await;
            let upload = Upload::at(&app, &expect(begun, 201).await);
            expect(upload.patch(0, rows(1000)).send().await, 204).await;
            upload.patch(1000, rows(25)).send().await
        } else {
            creation(&app, &export).header("upload-length", 1025).send().await
        };
        assert!(refusal(refused, 413).await.contains("payload is too large, max size: 1KB"));
        let source = source_status(&app, &export).await;
        assert_eq!((&source["status"], &source["error"]), (&"failed".into(), &413.into()));
    }
    app.wait_for_no("resumable_uploads").await.unwrap();
    app.wait_for_no("object_deletions").await.unwrap();
    assert!(app.object_keys().await.is_empty());
    app.end().await;
}

#[tokio::test]
async fn s0_tus_requests_that_are_not_of_the_protocol_are_refused() {
    let (app, export) = one_export().await;
    let upload = Upload::begin(&app, &export, 10).await;
    expect(upload.patch(1, "x").send().await, 409).await;
    expect(upload.patch(0, "12345678901").send().await, 400).await;
    expect(upload.patch(0, "x").header("upload-length", 9).send().await, 400).await;
    expect(upload.patch(0, "x").header("content-encoding", "gzip").send().await, 415).await;
    let patch = || upload.request(Method::PATCH).header("upload-offset", 0).body("x");
    expect(patch().header("content-type", "text/csv").send().await, 415).await;
    expect(creation(&app, &export).send().await, 400).await;
    expect(creation(&app, &export).header("upload-length", "many").send().await, 400).await;
    let own: SourceApplication = usual();
    let unversioned = app.answer(&own, Method::POST, &format!("{}/uploads", export.sources[0].path));
    let answer = expect(unversioned.header("upload-length", 1).send().await, 412).await;
    assert_eq!(text(answer.headers(), "tus-version").as_deref(), Some("1.0.0"));
    assert_eq!(upload.offset().await, 0);
    expect(upload.request(Method::DELETE).send().await, 204).await;
    app.end().await;
}

#[tokio::test]
async fn s0_tus_a_client_is_told_what_is_spoken_and_may_do_with_post_alone() {
    let (app, export) = one_export().await;
    let path = format!("{}/uploads", export.sources[0].path);
    let options = expect(app.answer(&usual(), Method::OPTIONS, &path).send().await, 204).await;
    let told = |name| text(options.headers(), name).unwrap();
    assert_eq!(told("tus-version"), "1.0.0");
    assert_eq!(told("tus-max-size"), (500 << 20).to_string());
    assert_eq!(told("tus-checksum-algorithm"), "sha1,sha256");
    assert_eq!(
        told("tus-extension"),
        "creation,creation-with-upload,creation-defer-length,checksum,termination,expiration"
    );
    let upload = Upload::begin(&app, &export, 3).await;
    let post = upload.request(Method::POST).header("x-http-method-override", "PATCH");
    let post = post.header("upload-offset", 0).header("content-type", "application/offset+octet-stream");
    expect(post.body("[1]").send().await, 204).await;
    assert_eq!(delivered(&app.download(&export).await, &export), "[1]");
    app.end().await;
}
