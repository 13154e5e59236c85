//! Every status that the description of the internal API names is really given, under every path.

use blobs::object_key;
use chrono::TimeDelta;
use domain::{KeyHash, ids::AttemptId};
use e2e::{
    Answer, Customer, Export, OTHER_APPLICATION, SOURCE_APPLICATION, Source, SourceApplication, TestApp,
    expect, raw,
};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use store::{NewAttempt, PieceRequest};
use testkit::{Fault, FaultProxy};

use crate::description::{Description, Operation};

const UNKNOWN: &str = "2b177cb4-5229-4c90-8640-e0b9bfdc2200";

const OPERATORS_KEY: &str = "the operators' key";

/// Sources of each kind, as many as there are paths and statuses that use them up.
const SOURCES: usize = 150;

fn wanted(sources: usize) -> Value {
    let source = json!({"application": SOURCE_APPLICATION, "resource": "exampleResource"});
    json!({"name": "Nightly", "format": "json", "sources": vec![source; sources]})
}

struct Stage {
    app: TestApp,
    /// Its sources wait, each for one answer.
    open: Export,
    next: std::cell::Cell<usize>,
    /// Its only source has an answer.
    answered: Export,
    /// Its only source has failed.
    failed: Export,
}

impl Stage {
    async fn start() -> Self {
        let app = TestApp::with(|settings| {
            settings.internal_api.max_upload_bytes = domain::ByteSize::from_kib(64);
            settings.internal_api.operator_keys_sha256 = vec![KeyHash::of(OPERATORS_KEY.as_bytes())];
        })
        .await;
        let customer = Customer::new();
        let open = app.create(&customer, &wanted(SOURCES)).await;
        let answered = app.create(&customer, &wanted(1)).await;
        expect(app.upload(&answered.sources[0], "[1]").await, 202).await;
        let failed = app.create(&customer, &wanted(1)).await;
        expect(app.report(&failed.sources[0], &json!({"message": "no", "error": 404})).await, 202).await;
        Self { app, open, next: 0.into(), answered, failed }
    }

    /// A source that has no answer, and that nobody else gets.
    fn open_source(&self) -> &Source {
        let place = self.next.replace(self.next.get() + 1);
        &self.open.sources[place]
    }

    async fn produce(&self, operation: &Operation, status: u16) -> Answer {
        if operation.path.contains("/uploads") {
            return self.produce_resumable(operation, status).await;
        }
        let own = SourceApplication::named(SOURCE_APPLICATION);
        let other = SourceApplication::named(OTHER_APPLICATION);
        let is_upload = operation.id.starts_with("upload");
        if operation.id.starts_with("regist") {
            return self.read_registry(operation, status).await;
        }
        let good = || request(&self.app, operation, &self.open.id, &self.open_source().id);
        let answered = || request(&self.app, operation, &self.answered.id, &self.answered.sources[0].id);
        let keyed = |request: RequestBuilder| request.header("x-rh-exports-psk", &own.key);
        match status {
            200 if operation.id.starts_with("ping") => good().send().await,
            202 => keyed(good()).send().await,
            400 if is_upload => {
                let broken = keyed(answered()).header("content-encoding", "gzip").body("not gzip");
                broken.send().await
            }
            400 => keyed(answered()).json(&json!({})).send().await,
            401 => answered().header("x-rh-exports-psk", "nobody's").send().await,
            403 => answered().header("x-rh-exports-psk", &other.key).send().await,
            404 => keyed(request(&self.app, operation, UNKNOWN, UNKNOWN)).send().await,
            410 => keyed(answered()).send().await,
            413 if is_upload => keyed(good()).body(vec![b'x'; 100 << 10]).send().await,
            413 => keyed(answered()).body(vec![b' '; 100 << 10]).send().await,
            415 if is_upload => keyed(answered()).header("content-encoding", "br").send().await,
            _ => panic!("nobody knows how to make {} answer {status}", operation.id),
        }
    }

    async fn produce_resumable(&self, operation: &Operation, status: u16) -> Answer {
        let source = self.open_source();
        let deferred = status == 413 && operation.id.starts_with("append");
        let upload = self.begin_resumable(source, deferred).await;
        let mut call =
            Call { key: Some(SOURCE_APPLICATION), ..Call::new(&self.open.id, &source.id, &upload) };
        match status {
            200 | 201 | 204 => {}
            400 => call.key = None,
            401 => call.key = Some("nobody"),
            403 => call.key = Some(OTHER_APPLICATION),
            404 => (call.export, call.source) = (UNKNOWN, UNKNOWN),
            409 => call.offset = 1,
            410 => (call.export, call.source) = (&self.failed.id, &self.failed.sources[0].id),
            412 => call.version = "0.2.2",
            413 => (call.length, call.bytes) = (100 << 10, 100 << 10),
            415 => call.kind = "text/csv",
            423 => return self.while_busy(&upload, source, call.request(&self.app, operation)).await,
            460 => call.checksum = Some("sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            _ => panic!("nobody knows how to make {} answer {status}", operation.id),
        }
        call.request(&self.app, operation).send().await
    }

    /// Begins an upload of five bytes, or of some that are told later.
    async fn begin_resumable(&self, source: &Source, deferred: bool) -> String {
        let own = SourceApplication::named(SOURCE_APPLICATION);
        let request = self.app.answer(&own, reqwest::Method::POST, &format!("{}/uploads", source.path));
        let (name, value) = if deferred { ("upload-defer-length", 1) } else { ("upload-length", 5) };
        let begun = request.header("tus-resumable", "1.0.0").header(name, value).send().await;
        let location = expect(begun, 201).await.headers()["location"].to_str().unwrap().to_owned();
        location.rsplit('/').next().unwrap().to_owned()
    }

    /// Sends `request` while a replica is adding to `upload`.
    async fn while_busy(&self, upload: &str, source: &Source, request: RequestBuilder) -> Answer {
        let (store, now, id) = (self.app.store(), self.app.now(), AttemptId::random());
        let attempt = NewAttempt {
            id,
            export_id: self.open.id.parse().unwrap(),
            resource_id: source.id.parse().unwrap(),
            object_key: object_key(self.open.id.parse().unwrap(), id).to_string(),
            lease_expires_at: now + TimeDelta::seconds(8),
        };
        let piece = PieceRequest {
            upload: upload.parse().unwrap(),
            attempt,
            offset_bytes: 0,
            length_bytes: None,
            body_bytes: None,
        };
        store.begin_piece(piece, now).await.unwrap();
        let answer = request.send().await;
        store.abandon_upload(id, now).await.unwrap();
        answer
    }
}

/// A request of the protocol for resumable uploads.
struct Call<'a> {
    key: Option<&'a str>,
    export: &'a str,
    source: &'a str,
    upload: &'a str,
    version: &'a str,
    kind: &'a str,
    offset: u64,
    length: u64,
    bytes: usize,
    checksum: Option<&'a str>,
}

impl<'a> Call<'a> {
    fn new(export: &'a str, source: &'a str, upload: &'a str) -> Self {
        Self {
            key: None,
            export,
            source,
            upload,
            version: "1.0.0",
            kind: "application/offset+octet-stream",
            offset: 0,
            length: 5,
            bytes: 3,
            checksum: None,
        }
    }

    fn request(&self, app: &TestApp, operation: &Operation) -> RequestBuilder {
        let url = operation.path_with(&[
            ("export_id", self.export),
            ("application", SOURCE_APPLICATION),
            ("resource_id", self.source),
            ("upload_id", self.upload),
        ]);
        let request = app.http().request(operation.method.clone(), format!("{}{url}", app.internal_url));
        let mut request = request.header("tus-resumable", self.version);
        if let Some(application) = self.key {
            request = request.header("x-rh-exports-psk", SourceApplication::named(application).key);
        }
        if operation.id.starts_with("begin") {
            request = request.header("upload-length", self.length);
        }
        if let Some(checksum) = self.checksum {
            request = request.header("upload-checksum", checksum);
        }
        if operation.method == reqwest::Method::PATCH {
            request = request.header("upload-offset", self.offset);
            request = request.header("content-type", self.kind).body("x".repeat(self.bytes));
        }
        request
    }
}

impl Stage {
    async fn read_registry(&self, operation: &Operation, status: u16) -> Answer {
        let get = |application| {
            let path = operation.path_with(&[("application", application)]);
            self.app.http().get(format!("{}{path}", self.app.internal_url))
        };
        let keyed = |application| get(application).header("x-rh-exports-psk", OPERATORS_KEY);
        match status {
            200 => keyed(SOURCE_APPLICATION).send().await,
            400 => get(SOURCE_APPLICATION).send().await,
            401 => get(SOURCE_APPLICATION).header("x-rh-exports-psk", "nobody's").send().await,
            404 => keyed("unheard-of").send().await,
            _ => panic!("nobody knows how to make {} answer {status}", operation.id),
        }
    }
}

fn request(app: &TestApp, operation: &Operation, export: &str, source: &str) -> RequestBuilder {
    let parameters = [
        ("export_id", export),
        ("application", SOURCE_APPLICATION),
        ("resource_id", source),
        ("upload_id", UNKNOWN),
    ];
    let url = format!("{}{}", app.internal_url, operation.path_with(&parameters));
    let request = app.http().request(operation.method.clone(), url);
    // It is a report, and as an upload it is data like any other.
    if operation.id.starts_with("ping") {
        request
    } else {
        request.json(&json!({"message": "no", "error": 404}))
    }
}

#[tokio::test]
async fn the_internal_api_gives_every_answer_that_its_description_names() {
    let (description, stage) = (Description::internal(), Stage::start().await);
    for operation in &description.operations {
        for status in operation.responses.keys().filter(|status| ![408, 503].contains(*status)) {
            let answer = stage.produce(operation, *status).await.unwrap();
            description.check(operation, *status, None, answer).await;
        }
    }
    // What was begun for them.
    stage.app.clock.advance(TimeDelta::days(1));
    stage.app.wait_for_no("resumable_uploads").await.unwrap();
    stage.app.wait_for_no("object_deletions").await.unwrap();
    stage.app.end().await;
}

#[tokio::test]
async fn every_operation_that_needs_the_database_is_503_without_it() {
    let proxy = FaultProxy::bind().await.unwrap();
    let app = TestApp::with(|settings| {
        settings.internal_api.operator_keys_sha256 = vec![KeyHash::of(OPERATORS_KEY.as_bytes())];
        settings.database_through(&proxy);
        settings.database.pool_wait = domain::Period::from_millis(200);
    })
    .await;
    proxy.set(Fault::Refuse);
    proxy.cut_all();
    let (description, own) = (Description::internal(), SourceApplication::named(SOURCE_APPLICATION));
    for operation in description.operations.iter().filter(|operation| !operation.id.starts_with("ping")) {
        let key = if operation.id.starts_with("regist") { OPERATORS_KEY } else { &own.key };
        let request = request(&app, operation, UNKNOWN, UNKNOWN).header("x-rh-exports-psk", key);
        description.check(operation, 503, None, request.send().await.unwrap()).await;
    }
    proxy.set(Fault::None);
    app.end().await;
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_408_and_leaves_the_source_open() {
    let app = TestApp::with(|settings| {
        settings.internal_api.http.body.idle_timeout = domain::Period::from_millis(100);
    })
    .await;
    let export = app.create(&Customer::new(), &wanted(1)).await;
    let own = SourceApplication::named(SOURCE_APPLICATION);
    let description = Description::internal();
    let posted = description.operations.iter().filter(|operation| operation.method == reqwest::Method::POST);
    for operation in posted.filter(|operation| operation.responses.contains_key(&408)) {
        let source = &export.sources[0].id;
        let path = operation.path_with(&[
            ("export_id", &export.id),
            ("application", SOURCE_APPLICATION),
            ("resource_id", source),
        ]);
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nx-rh-exports-psk: {}\r\ncontent-length: 100\r\n\r\n{{",
            own.key
        );
        let answer = raw::exchange(app.settings.internal_api.listen, head.as_bytes()).await.unwrap().unwrap();
        assert_eq!((answer.status, &answer.json()["code"]), (408, &json!(408)), "{path}");
    }
    assert_eq!(app.status(&export).await["status"], "pending");
    app.wait_for_no("upload_attempts").await.unwrap();
    app.end().await;
}
