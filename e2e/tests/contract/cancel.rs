//! Deleting an export that runs (S0-24): applications learn of it before they send their data, or while they do.

use std::time::Duration;

use e2e::{Customer, Export, INTERNAL, PATIENCE, TestApp, expect, refusal};
use reqwest::Body;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::support::{one_export, one_source, piecewise, posting, two_sources, usual};

/// A connection on which the head of an upload was sent, whose client waits to be told to go on.
struct Waiting(TcpStream);

impl Waiting {
    async fn upload(app: &TestApp, path: &str, key: &str) -> Self {
        Self::request(app, "POST", path, &format!("x-rh-exports-psk: {key}\r\n")).await
    }

    /// A request of the usual application for a resumable upload.
    async fn resumable(app: &TestApp, method: &str, path: &str) -> Self {
        let headers = format!(
            "x-rh-exports-psk: {}\r\ntus-resumable: 1.0.0\r\nupload-length: 3\r\nupload-offset: 0\r\n\
             content-type: application/offset+octet-stream\r\n",
            usual().key
        );
        Self::request(app, method, path, &headers).await
    }

    async fn request(app: &TestApp, method: &str, path: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(app.settings.internal_api.listen).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: 3\r\nexpect: 100-continue\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        Self(stream)
    }

    /// The next head that the server sends.
    async fn told(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(timeout(PATIENCE, self.0.read_u8()).await.unwrap().unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    async fn send(&mut self, body: &str) {
        self.0.write_all(body.as_bytes()).await.unwrap();
    }
}

/// All the paths of an upload for the first source of `export`.
fn paths(export: &Export) -> Vec<String> {
    let source = &export.sources[0].path;
    let bases = [INTERNAL, "/internal/export/v1"];
    bases
        .iter()
        .flat_map(|base| [format!("{base}{source}/upload"), format!("{base}/upload{source}")])
        .collect()
}

#[tokio::test]
async fn s0_24_who_waits_to_be_asked_for_data_of_a_deleted_export_is_told_404_and_sends_nothing() {
    let (app, export) = one_export().await;
    app.drain().await;
    expect(app.delete(&export).await, 202).await;
    for path in paths(&export) {
        let mut waiting = Waiting::upload(&app, &path, &usual().key).await;
        let told = waiting.told().await;
        assert!(told.starts_with("HTTP/1.1 404 Not Found\r\n"), "{path}: {told}");
        assert!(told.contains("x-request-id: "), "it is observed like any other: {told}");
    }
    app.end().await;
}

#[tokio::test]
async fn s0_tus_s0_24_who_waits_with_data_of_a_resumable_upload_is_told_whether_it_is_wanted() {
    let app = TestApp::start().await;
    let export = app.create(&Customer::new(), &two_sources()).await;
    let uploads = |source: usize| format!("{INTERNAL}{}/uploads", export.sources[source].path);
    let mut begun = Vec::new();
    for source in 0..2 {
        let mut waiting = Waiting::resumable(&app, "POST", &uploads(source)).await;
        assert_eq!(waiting.told().await, "HTTP/1.1 100 Continue\r\n\r\n");
        waiting.send("[1]").await;
        let told = waiting.told().await;
        assert!(told.starts_with("HTTP/1.1 201 Created\r\n"), "{told}");
        let location = told.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
        begun.push(location.to_owned());
    }
    // The last byte once more: it is there.
    let mut waiting = Waiting::resumable(&app, "PATCH", &begun[0]).await;
    assert_eq!(waiting.told().await, "HTTP/1.1 100 Continue\r\n\r\n");
    waiting.send("[1]").await;
    assert!(waiting.told().await.starts_with("HTTP/1.1 409 "));

    let unknown = format!("{}/{}", uploads(0), export.id);
    expect(app.delete(&export).await, 202).await;
    for (method, path) in [("POST", &uploads(0)), ("PATCH", &begun[0]), ("PATCH", &unknown)] {
        let told = Waiting::resumable(&app, method, path).await.told().await;
        assert!(told.starts_with("HTTP/1.1 404 Not Found\r\n"), "{method} {path}: {told}");
        assert!(told.contains("tus-resumable: 1.0.0"), "{told}");
    }
    app.end().await;
}

#[tokio::test]
async fn s0_18_who_waits_to_be_asked_for_data_that_is_wanted_is_told_to_go_on() {
    let (app, export) = one_export().await;
    // The first delivers, and the others deliver the same again.
    for path in paths(&export) {
        let mut waiting = Waiting::upload(&app, &path, &usual().key).await;
        assert_eq!(waiting.told().await, "HTTP/1.1 100 Continue\r\n\r\n");
        waiting.send("[1]").await;
        let told = waiting.told().await;
        assert!(told.starts_with("HTTP/1.1 202 Accepted\r\n"), "{told}");
    }
    assert_eq!(app.status(&export).await["status"], "complete");
    app.end().await;
}

#[tokio::test]
async fn s0_17_s0_47c_who_may_not_deliver_or_comes_too_late_is_told_so_before_the_data() {
    let app = TestApp::start().await;
    let export = app.create(&Customer::new(), &two_sources()).await;
    expect(app.report(&export.sources[0], &json!({"message": "no", "error": 500})).await, 202).await;
    let failed = format!("{INTERNAL}{}/upload", export.sources[0].path);
    let pending = format!("{INTERNAL}{}/upload", export.sources[1].path);
    for (path, key, status) in [(&failed, usual().key, "410"), (&pending, "wrong".to_owned(), "401")] {
        let told = Waiting::upload(&app, path, &key).await.told().await;
        assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{told}");
    }
    app.end().await;
}

#[tokio::test]
async fn s0_19_other_requests_of_who_waits_go_their_usual_way() {
    let (app, export) = one_export().await;
    let path = format!("{INTERNAL}{}/error", export.sources[0].path);
    let mut waiting = Waiting::upload(&app, &path, &usual().key).await;
    assert_eq!(waiting.told().await, "HTTP/1.1 100 Continue\r\n\r\n");
    waiting.send("[1]").await;
    assert!(waiting.told().await.starts_with("HTTP/1.1 400 "));
    app.end().await;
}

#[tokio::test]
async fn s0_24_an_upload_under_way_ends_soon_after_its_export_is_deleted_and_leaves_no_bytes() {
    let app = TestApp::start().await;
    let export = app.create(&Customer::new(), &one_source()).await;
    app.drain().await;
    let (chunks, body) = piecewise();
    let uploading = tokio::spawn(posting(&app, &export, "upload").body(body).send());
    chunks.send(vec![b'x'; 20 << 20]).await.unwrap();
    app.wait_for_count("SELECT count(*) FROM upload_attempts", 1).await.unwrap();
    expect(app.delete(&export).await, 202).await;
    // The lease is a minute: it is not its end that is waited for here.
    let sending = tokio::spawn(async move {
        while chunks.send(b"more".to_vec()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let told = timeout(Duration::from_secs(15), uploading).await.unwrap().unwrap();
    refusal(told, 404).await;
    sending.abort();
    app.wait_for_no("upload_attempts").await.unwrap();
    app.wait_for_no("object_deletions").await.unwrap();
    assert_eq!(app.object_keys().await, [""; 0]);
    app.end().await;
}

#[tokio::test]
async fn s0_24_an_upload_that_ends_after_its_export_was_deleted_is_404_and_leaves_no_bytes() {
    let (app, export) = one_export().await;
    app.drain().await;
    let (chunks, body) = piecewise();
    let uploading = tokio::spawn(posting(&app, &export, "upload").body(body).send());
    chunks.send(b"[1".to_vec()).await.unwrap();
    app.wait_for_count("SELECT count(*) FROM upload_attempts", 1).await.unwrap();
    expect(app.delete(&export).await, 202).await;
    drop(chunks);
    refusal(uploading.await.unwrap(), 404).await;
    app.wait_for_no("object_deletions").await.unwrap();
    assert_eq!(app.object_keys().await, [""; 0]);
    refusal(app.upload(&export.sources[0], Body::from("[1]")).await, 404).await;
    app.end().await;
}
