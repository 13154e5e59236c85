//! Uploads over several requests, by the protocol tus 1.0.0 (S0-tus).

mod changed_csv;
mod ending;
mod going_on;
mod meanwhile;
mod refusals;

use e2e::{Archive, Export, PATIENCE, TestApp, expect};
use reqwest::{Method, RequestBuilder, Response, header::HeaderMap};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::support::usual;

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

    /// One that goes on, when the app was changed meanwhile.
    fn of(app: &'a TestApp, location: &str) -> Self {
        Self { app, location: location.to_owned() }
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
