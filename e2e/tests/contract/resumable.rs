//! Uploads over several requests, by the protocol tus 1.0.0 (S0-tus).

use chrono::TimeDelta;
use domain::ByteSize;
use e2e::{Archive, Customer, Export, PATIENCE, SourceApplication, TestApp, expect, raw, refusal};
use reqwest::{Method, RequestBuilder, Response, header::HeaderMap};
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::support::{one_export, one_export_with, one_source, source, source_status, usual, wanted};

/// A resumable upload as a client of the protocol sees it.
struct Upload<'a> {
    app: &'a TestApp,
    /// Where it goes on, without the base of a replica.
    location: String,
}

fn asked(app: &TestApp, url: &str, method: Method, location: &str) -> RequestBuilder {
    let request = app.http().request(method, format!("{url}{location}"));
    request.header("x-rh-exports-psk", usual().key).header("tus-resumable", "1.0.0")
}

fn creation(app: &TestApp, export: &Export) -> RequestBuilder {
    let uploads = format!("/app/export/v1{}/uploads", export.sources[0].path);
    asked(app, &app.internal_url, Method::POST, &uploads)
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| value.to_str().unwrap().to_owned())
}

impl<'a> Upload<'a> {
    async fn begin(app: &'a TestApp, export: &Export, length: usize) -> Self {
        let created = creation(app, export).header("upload-length", length).send().await;
        Self::at(app, &expect(created, 201).await)
    }

    fn at(app: &'a TestApp, created: &Response) -> Self {
        Self { app, location: text(created.headers(), "location").unwrap() }
    }

    fn request(&self, method: Method) -> RequestBuilder {
        asked(self.app, &self.app.internal_url, method, &self.location)
    }

    fn patch(&self, offset: usize, body: impl Into<reqwest::Body>) -> RequestBuilder {
        let patch = self.request(Method::PATCH).header("upload-offset", offset);
        patch.header("content-type", "application/offset+octet-stream").body(body)
    }

    async fn offset(&self) -> u64 {
        let head = expect(self.request(Method::HEAD).send().await, 200).await;
        assert_eq!(text(head.headers(), "cache-control").as_deref(), Some("no-store"));
        text(head.headers(), "upload-offset").unwrap().parse().unwrap()
    }

    /// Waits until so many bytes are durable.
    async fn reaches(&self, offset: u64) {
        let reached =
            testkit::poll_until(PATIENCE, async || Ok((self.offset().await == offset).then_some(())));
        reached.await.unwrap();
    }

    /// Sends the head of a PATCH of `length` bytes, and `sent` of them, and breaks off.
    async fn break_off(&self, offset: usize, length: usize, sent: &[u8]) {
        let mut stream = TcpStream::connect(self.app.settings.internal_api.listen).await.unwrap();
        let head = format!(
            "PATCH {} HTTP/1.1\r\nhost: x\r\nx-rh-exports-psk: {}\r\ntus-resumable: 1.0.0\r\nupload-offset: {offset}\r\n\
             content-type: application/offset+octet-stream\r\ncontent-length: {length}\r\n\r\n",
            self.location,
            usual().key
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(sent).await.unwrap();
        stream.shutdown().await.unwrap();
    }
}

fn rows(bytes: usize) -> Vec<u8> {
    (0..)
        .flat_map(|row| format!("{{\"row\": {row}, \"name\": \"{}\"}}\n", row * 7919 % 1000).into_bytes())
        .take(bytes)
        .collect()
}

fn delivered(archive: &Archive, export: &Export) -> String {
    archive.text(&format!("{}.json", export.sources[0].id))
}

#[tokio::test]
async fn s0_tus_an_upload_in_several_requests_settles_its_source_with_the_last() {
    let (app, export) = one_export().await;
    let data = rows(3_000_000);
    let upload = Upload::begin(&app, &export, data.len()).await;
    for (from, to) in [(0, 1), (1, 1_500_000), (1_500_000, 2_999_999)] {
        let answer = expect(upload.patch(from, data[from..to].to_vec()).send().await, 204).await;
        assert_eq!(text(answer.headers(), "upload-offset"), Some(to.to_string()));
        assert_eq!(text(answer.headers(), "tus-resumable").as_deref(), Some("1.0.0"));
        assert_eq!(upload.offset().await, to as u64);
        assert_eq!(source_status(&app, &export).await["status"], "pending");
    }
    expect(upload.patch(2_999_999, data[2_999_999..].to_vec()).send().await, 204).await;
    assert_eq!(source_status(&app, &export).await["status"], "complete");
    assert_eq!(upload.offset().await, 3_000_000);
    assert!(delivered(&app.download(&export).await, &export).as_bytes() == data);
    // The same bytes once more, at once.
    expect(app.upload(&export.sources[0], data).await, 202).await;
    // Four pieces.
    assert_eq!(app.object_keys().await.len(), 4);
    expect(app.delete(&export).await, 202).await;
    app.clock.advance(TimeDelta::days(1));
    app.wait_for_no("exports").await.unwrap();
    app.wait_for_no("object_deletions").await.unwrap();
    assert!(app.object_keys().await.is_empty());
    app.end().await;
}

#[tokio::test]
async fn s0_tus_what_arrived_before_a_connection_broke_counts() {
    let (app, export) = one_export().await;
    let data = rows(500_000);
    let upload = Upload::begin(&app, &export, data.len()).await;
    upload.break_off(0, data.len(), &data[..123_456]).await;
    upload.reaches(123_456).await;
    expect(upload.patch(123_456, data[123_456..].to_vec()).send().await, 204).await;
    assert!(delivered(&app.download(&export).await, &export).as_bytes() == data);
    app.end().await;
}

#[tokio::test]
async fn s0_tus_what_arrived_before_a_client_fell_silent_counts() {
    let (app, export) = one_export_with(|settings| {
        settings.internal_api.http.body.idle_timeout = domain::Period::from_millis(300);
    })
    .await;
    let upload = Upload::begin(&app, &export, 10).await;
    let head = format!(
        "PATCH {} HTTP/1.1\r\nhost: x\r\nx-rh-exports-psk: {}\r\ntus-resumable: 1.0.0\r\nupload-offset: 0\r\n\
         content-type: application/offset+octet-stream\r\ncontent-length: 10\r\n\r\n[1,",
        upload.location,
        usual().key
    );
    let address = app.settings.internal_api.listen;
    let answer = raw::exchange(address, head.as_bytes()).await.unwrap().unwrap();
    assert_eq!((answer.status, &answer.json()["code"]), (408, &408.into()));
    assert_eq!(upload.offset().await, 3);
    expect(upload.patch(3, "23456]\n").send().await, 204).await;
    assert_eq!(source_status(&app, &export).await["status"], "complete");
    app.end().await;
}

#[tokio::test]
async fn s0_tus_an_upload_goes_on_at_another_replica() {
    let (app, export) = one_export().await;
    let replicas = [app.internal_url.clone(), app.second_internal_api().await];
    let data = rows(100_000);
    let upload = Upload::begin(&app, &export, data.len()).await;
    for turn in 0..10 {
        let (from, to) = (turn * 10_000, (turn + 1) * 10_000);
        let patch = asked(&app, &replicas[turn % 2], Method::PATCH, &upload.location)
            .header("upload-offset", from)
            .header("content-type", "application/offset+octet-stream");
        expect(patch.body(data[from..to].to_vec()).send().await, 204).await;
    }
    assert!(delivered(&app.download(&export).await, &export).as_bytes() == data);
    app.end().await;
}

#[tokio::test]
async fn s0_tus_a_long_request_counts_piece_by_piece() {
    let (app, export) = one_export_with(|settings| {
        settings.internal_api.resumable_upload_piece = ByteSize::from_mib(1);
    })
    .await;
    let data = rows(5 << 20);
    let upload = Upload::begin(&app, &export, data.len()).await;
    let mut stream = TcpStream::connect(app.settings.internal_api.listen).await.unwrap();
    let head = format!(
        "PATCH {} HTTP/1.1\r\nhost: x\r\nx-rh-exports-psk: {}\r\ntus-resumable: 1.0.0\r\nupload-offset: 0\r\n\
         content-type: application/offset+octet-stream\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        upload.location,
        usual().key,
        data.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&data[..(3 << 20) + 5]).await.unwrap();
    // It is still under way.
    upload.reaches(3 << 20).await;
    expect(upload.patch(3 << 20, "").send().await, 423).await;
    stream.write_all(&data[(3 << 20) + 5..]).await.unwrap();
    let answer = raw::read_answer(&mut stream).await.unwrap().unwrap();
    assert_eq!((answer.status, answer.header("upload-offset")), (204, Some("5242880")));
    assert!(delivered(&app.download(&export).await, &export).as_bytes() == data);
    app.end().await;
}

#[tokio::test]
async fn s0_tus_the_request_that_begins_an_upload_may_bring_its_first_bytes_or_all() {
    let app = TestApp::start().await;
    for (length, sent, status) in [(10, 4, "pending"), (10, 10, "complete"), (0, 0, "complete")] {
        let export = app.create(&Customer::new(), &wanted(&[source("exampleResource")])).await;
        let begun = creation(&app, &export)
            .header("upload-length", length)
            .header("content-type", "application/offset+octet-stream")
            .body(rows(sent));
        let created = expect(begun.send().await, 201).await;
        assert_eq!(text(created.headers(), "upload-offset"), Some(sent.to_string()));
        assert_eq!(source_status(&app, &export).await["status"], status);
        let upload = Upload::at(&app, &created);
        assert_eq!(upload.offset().await, sent as u64);
        if status == "pending" {
            expect(upload.request(Method::DELETE).send().await, 204).await;
        }
    }
    app.end().await;
}

#[tokio::test]
async fn s0_tus_the_length_may_come_later_and_what_a_client_says_of_it_is_given_back() {
    let (app, export) = one_export().await;
    let begun =
        creation(&app, &export).header("upload-defer-length", 1).header("upload-metadata", "name YQ==");
    let created = expect(begun.send().await, 201).await;
    let upload = Upload::at(&app, &created);
    expect(upload.patch(0, "[1,").send().await, 204).await;
    let head = expect(upload.request(Method::HEAD).send().await, 200).await;
    assert_eq!(text(head.headers(), "upload-defer-length").as_deref(), Some("1"));
    assert_eq!(text(head.headers(), "upload-metadata").as_deref(), Some("name YQ=="));
    expect(upload.patch(3, "2]").send().await, 204).await;
    assert_eq!(source_status(&app, &export).await["status"], "pending");
    // Nothing but the length.
    expect(upload.patch(5, "").header("upload-length", 5).send().await, 204).await;
    assert_eq!(delivered(&app.download(&export).await, &export), "[1,2]");
    app.end().await;
}

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

#[tokio::test]
async fn s0_tus_csv_that_is_changed_for_spreadsheets_comes_in_one_request() {
    let app = TestApp::start().await;
    let mut wanted = one_source();
    wanted["format"] = json!("csv");
    wanted["sources"][0]["csv"] = json!({"formula_guard": true});
    let export = app.create(&Customer::new(), &wanted).await;
    let refused = refusal(creation(&app, &export).header("upload-length", 5).send().await, 400).await;
    assert!(refused.starts_with("the CSV of this source is changed for spreadsheets"), "{refused}");
    expect(app.upload(&export.sources[0], "a\n=1\n").await, 202).await;
    let archive = app.download(&export).await;
    assert_eq!(archive.text(&format!("{}.csv", export.sources[0].id)), "a\n'=1\n");
    app.end().await;
}

#[tokio::test]
async fn s0_tus_its_customer_sees_how_far_it_has_come() {
    let (app, export) = one_export().await;
    let upload = Upload::begin(&app, &export, 20).await;
    for (from, to) in [(0, 5), (5, 12)] {
        expect(upload.patch(from, vec![b'x'; to - from]).send().await, 204).await;
        assert_eq!(source_status(&app, &export).await["received_bytes"], to);
    }
    expect(upload.patch(12, vec![b'x'; 8]).send().await, 204).await;
    assert_eq!(source_status(&app, &export).await.get("received_bytes"), None);
    app.end().await;
}
