//! An app with something to lose, and requests written by hand.

use std::net::SocketAddr;

use e2e::{
    Customer, Export, INTERNAL, PUBLIC, SOURCE_APPLICATION, SourceApplication, TestApp,
    raw::{self, RawAnswer},
};
use serde_json::json;

/// An app with one export that waits for its source, and what its tables hold.
pub(crate) struct Target {
    pub(crate) app: TestApp,
    pub(crate) export: Export,
    before: String,
}

/// A request as bytes: its first line and headers as text, and its body.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Request {
    /// A request whose first line is `line`, with a Host header.
    pub(crate) fn new(line: &str) -> Self {
        Self { head: format!("{line} HTTP/1.1\r\nhost: x\r\n").into_bytes(), body: Vec::new() }
    }

    /// Adds the header line `line`, whatever it holds.
    pub(crate) fn line(mut self, line: impl AsRef<[u8]>) -> Self {
        self.head.extend_from_slice(line.as_ref());
        self.head.extend_from_slice(b"\r\n");
        self
    }

    /// Adds `body` with its length.
    pub(crate) fn sized(self, body: impl AsRef<[u8]>) -> Self {
        let length = format!("content-length: {}", body.as_ref().len());
        self.line(length).unframed(body)
    }

    /// Adds `body` as chunks of at most 1,000 bytes.
    pub(crate) fn chunked(self, body: impl AsRef<[u8]>) -> Self {
        let mut framed = Vec::new();
        for chunk in body.as_ref().chunks(1000) {
            framed.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            framed.extend_from_slice(chunk);
            framed.extend_from_slice(b"\r\n");
        }
        framed.extend_from_slice(b"0\r\n\r\n");
        self.line("transfer-encoding: chunked").unframed(framed)
    }

    /// Adds bytes after the head as they are.
    pub(crate) fn unframed(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body.extend_from_slice(body.as_ref());
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.head.as_slice(), b"\r\n", &self.body].concat()
    }
}

impl Target {
    pub(crate) async fn start() -> Self {
        let app = TestApp::start().await;
        let wanted = json!({"name": "Nightly", "format": "json",
            "sources": [{"application": SOURCE_APPLICATION, "resource": "exampleResource"}]});
        let export = app.create(&Customer::new(), &wanted).await;
        app.drain().await;
        let before = fingerprint(&app).await;
        Self { app, export, before }
    }

    pub(crate) fn public(&self) -> SocketAddr {
        self.app.settings.public_api.listen
    }

    pub(crate) fn internal(&self) -> SocketAddr {
        self.app.settings.internal_api.listen
    }

    /// A request of the export's owner; `line` is a method and a path below the base.
    pub(crate) fn ask(&self, method: &str, path: &str) -> Request {
        let identity = format!("x-rh-identity: {}", self.export.customer.header());
        Request::new(&format!("{method} {PUBLIC}{path}")).line(identity)
    }

    pub(crate) fn create(&self) -> Request {
        self.ask("POST", "/exports")
    }

    pub(crate) fn upload(&self) -> Request {
        answer("POST", &format!("{}/upload", self.export.sources[0].path))
    }

    pub(crate) fn report(&self) -> Request {
        answer("POST", &format!("{}/error", self.export.sources[0].path))
    }

    /// Nothing has changed, nothing is under way, and both servers still serve.
    pub(crate) async fn unharmed(self) {
        let app = &self.app;
        app.wait_for_no("upload_attempts").await.unwrap();
        app.wait_for_no("object_deletions").await.unwrap();
        assert_eq!(fingerprint(app).await, self.before);
        assert_eq!(app.object_keys().await, [""; 0]);
        raw::ping(self.public(), &format!("{PUBLIC}/ping")).await.unwrap();
        raw::ping(self.internal(), &format!("{INTERNAL}/ping")).await.unwrap();
        self.app.end().await;
    }
}

/// A request of the usual application; `path` is below the base.
pub(crate) fn answer(method: &str, path: &str) -> Request {
    let key = SourceApplication::named(SOURCE_APPLICATION).key;
    Request::new(&format!("{method} {INTERNAL}{path}")).line(format!("x-rh-exports-psk: {key}"))
}

/// A text that changes with every row of the tables that matter.
async fn fingerprint(app: &TestApp) -> String {
    let client = app.database.connect().await.unwrap();
    let mut rows = Vec::new();
    for table in ["exports", "resources", "manifests", "outbox"] {
        let sql = format!("SELECT coalesce(string_agg(t::text, '\n' ORDER BY t::text), '') FROM {table} t");
        rows.push(client.query_one(&sql, &[]).await.unwrap().get::<_, String>(0));
    }
    rows.join("\n")
}

/// Sends `request`, which must be refused with `status` in the shape of the contract; returns the message.
pub(crate) async fn refused(address: SocketAddr, request: &Request, status: u16) -> String {
    let answer = answered(address, request).await;
    shaped(&answer, status)
}

/// The answer to `request`.
pub(crate) async fn answered(address: SocketAddr, request: &Request) -> RawAnswer {
    let answer = raw::exchange(address, &request.bytes()).await.unwrap();
    answer.unwrap_or_else(|| panic!("no answer to {}", String::from_utf8_lossy(&request.head)))
}

/// The message of a refusal, whose status and shape are checked.
pub(crate) fn shaped(answer: &RawAnswer, status: u16) -> String {
    let body = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, status, "{body}");
    if body.starts_with("Bad Request: ") {
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        return body.into_owned();
    }
    assert_eq!(answer.header("content-type"), Some("application/json"), "{body}");
    let json = answer.json();
    assert_eq!(json["code"], status, "{body}");
    let message = json["message"].as_str().unwrap().to_owned();
    assert!(!message.is_empty() && message.len() < 500, "{message}");
    assert!(answer.header("x-request-id").is_some());
    message
}
