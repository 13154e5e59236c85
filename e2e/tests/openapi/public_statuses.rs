//! Every status that the description of the public API names is really given.

use domain::{ByteSize, registry::Registry};
use e2e::{
    Answer, AppSettings, Customer, Export, OTHER_APPLICATION, PATIENCE, SOURCE_APPLICATION, TestApp,
    call_until_limited, expect, identity_header, raw,
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use testkit::{Fault, FaultProxy, poll_until};

use crate::description::{Description, Operation};

const UNKNOWN: &str = "2b177cb4-5229-4c90-8640-e0b9bfdc2200";

/// A download must begin with this.
const ETAG_OF_NOTHING: &str = "\"00000000000000000000000000000000\"";

fn wanted() -> Value {
    json!({"name": "Nightly", "format": "json", "sources": [
        {"application": SOURCE_APPLICATION, "resource": "exampleResource", "filters": {"a": 1}},
        {"application": SOURCE_APPLICATION, "resource": "anotherExampleResource"}]})
}

/// The app, and what its customer has.
struct Stage {
    app: TestApp,
    customer: Customer,
    partial: Export,
    pending: Export,
    expired: Export,
}

impl Stage {
    async fn start() -> Self {
        // So small that an identity can be too large to be sent on.
        let small = |settings: &mut AppSettings| settings.events.max_message_bytes = ByteSize::from_kib(8);
        let app = TestApp::with(small).await;
        let customer = Customer::new();
        let partial = app.create(&customer, &wanted()).await;
        expect(app.upload(&partial.sources[0], "[1]").await, 202).await;
        expect(app.report(&partial.sources[1], &json!({"message": "no", "error": 404})).await, 202).await;
        let pending = app.create(&customer, &wanted()).await;
        let mut past = wanted();
        past["expires_at"] = json!("2020-01-01T00:00:00Z");
        let expired = app.create(&customer, &past).await;
        Self { app, customer, partial, pending, expired }
    }

    /// A request of the customer, as good as can be, about the partial export.
    fn request(&self, operation: &Operation) -> RequestBuilder {
        self.about(operation, &self.partial.id)
    }

    fn about(&self, operation: &Operation, export: &str) -> RequestBuilder {
        self.about_source(operation, export, &self.partial.sources[1].id)
    }

    fn about_source(&self, operation: &Operation, export: &str, source: &str) -> RequestBuilder {
        let request = request_about(&self.app, operation, export, source);
        request.header("x-rh-identity", self.customer.header())
    }

    /// An export of the customer whose one source has failed.
    async fn failed(&self, application: &str, resource: &str) -> Export {
        let source = json!({"application": application, "resource": resource});
        let wanted = json!({"name": "Nightly", "format": "json", "sources": [source]});
        let export = self.app.create(&self.customer, &wanted).await;
        expect(self.app.report(&export.sources[0], &json!({"message": "no", "error": 404})).await, 202).await;
        export
    }

    /// Makes the retry of a source answer `status`.
    async fn retry(&self, operation: &Operation, status: u16) -> Answer {
        let retry = |export: &Export| self.about_source(operation, &export.id, &export.sources[0].id);
        match status {
            406 => {
                let withdrawn = self.failed(OTHER_APPLICATION, "otherResource").await;
                self.withdraw(OTHER_APPLICATION, "otherResource").await;
                retry(&withdrawn).send().await
            }
            409 => retry(&self.partial).send().await,
            410 => retry(&self.expired).send().await,
            413 => {
                let failed = self.failed(SOURCE_APPLICATION, "exampleResource").await;
                let mut identity = self.customer.identity();
                identity["padding"] = json!("x".repeat(4096));
                let path =
                    operation.path_with(&[("export_id", &failed.id), ("source_id", &failed.sources[0].id)]);
                let request = self.app.http().post(format!("{}{path}", self.app.public_url));
                request.header("x-rh-identity", identity_header(&identity)).send().await
            }
            _ => {
                let failed = self.failed(SOURCE_APPLICATION, "exampleResource").await;
                retry(&failed).send().await
            }
        }
    }

    /// Takes an application out of the registry, and waits until the public API knows it.
    async fn withdraw(&self, application: &str, resource: &str) {
        let mut left = self.app.settings.applications.clone();
        left.retain(|name, _| name.as_str() != application);
        let registry = Registry::new(left).unwrap();
        self.app.store().apply_registry(registry, self.app.now()).await.unwrap();
        let source = json!({"application": application, "resource": resource});
        let wanted = json!({"name": "Nightly", "format": "json", "sources": [source]});
        let known = poll_until(PATIENCE, async || {
            let answer = self.app.try_create(&self.customer, &wanted).await?;
            Ok((answer.status() == 406).then_some(()))
        });
        known.await.unwrap();
    }

    /// Makes `operation` answer `status`, in plain text where that is asked for.
    async fn produce(&self, operation: &Operation, status: u16, plain: bool) -> Answer {
        let request = self.request(operation);
        let id = operation.id.as_str();
        let download = id.starts_with("download_export");
        match (id, status) {
            (_, 400) if plain => self::request(&self.app, operation, &self.partial.id).send().await,
            ("retry_source", 202 | 406 | 409 | 410 | 413) => self.retry(operation, status).await,
            (_, 401) => request.header("x-rh-exports-psk", "nobody's").send().await,
            ("ping" | "list_applications" | "list_exports" | "export_status", 200)
            | ("create_export", 202) => request.send().await,
            ("create_export", 400) => request.json(&json!({})).send().await,
            ("create_export", 406) => {
                let mut body = wanted();
                body["sources"][0]["resource"] = json!("unknown");
                request.json(&body).send().await
            }
            ("create_export", 413) => request.body(" ".repeat(300 << 10)).send().await,
            ("list_exports", 400) => self.app.try_list(&self.customer, "?limit=-1").await,
            (_, 400) => self.about(operation, "not-a-uuid").send().await,
            (_, 404) => self.about(operation, UNKNOWN).send().await,
            ("delete_export", 202) => {
                let export = self.app.create(&self.customer, &wanted()).await;
                self.about(operation, &export.id).send().await
            }
            (_, 200) if download => request.send().await,
            (_, 206) if download => request.header("range", "bytes=0-9").send().await,
            (_, 304) if download => request.header("if-none-match", "*").send().await,
            (_, 410) if download => self.about(operation, &self.expired.id).send().await,
            (_, 412) if download => request.header("if-match", ETAG_OF_NOTHING).send().await,
            (_, 416) if download => request.header("range", "bytes=9999999-").send().await,
            _ => panic!("nobody knows how to make {id} answer {status}"),
        }
    }
}

fn request(app: &TestApp, operation: &Operation, export: &str) -> RequestBuilder {
    request_about(app, operation, export, UNKNOWN)
}

fn request_about(app: &TestApp, operation: &Operation, export: &str, source: &str) -> RequestBuilder {
    let path = operation.path_with(&[("export_id", export), ("source_id", source)]);
    let url = format!("{}{path}", app.public_url);
    let request = app.http().request(operation.method.clone(), url);
    if operation.method == Method::POST { request.json(&wanted()) } else { request }
}

#[tokio::test]
async fn the_public_api_gives_every_answer_that_its_description_names() {
    let (description, stage) = (Description::public(), Stage::start().await);
    for operation in &description.operations {
        for (status, content) in &operation.responses {
            // These three need another app: below.
            if [408, 429, 503].contains(status) {
                continue;
            }
            let mut types: Vec<Option<&str>> = content.keys().map(|name| Some(name.as_str())).collect();
            if types.is_empty() {
                types.push(None);
            }
            for content_type in types {
                let plain = content_type == Some("text/plain");
                let answer = stage.produce(operation, *status, plain).await.unwrap();
                description.check(operation, *status, content_type, answer).await;
            }
        }
    }
    assert_eq!(stage.app.status(&stage.pending).await["status"], "pending");
    stage.app.end().await;
}

#[tokio::test]
async fn every_operation_of_a_caller_over_the_limit_is_429() {
    let app = TestApp::with(|settings| {
        let limit = &mut settings.public_api.rate_limit;
        (limit.per_second, limit.burst) = (1.try_into().unwrap(), 1.try_into().unwrap());
    })
    .await;
    let description = Description::public();
    for operation in description.operations.iter().filter(|operation| operation.id != "ping") {
        let customer = Customer::new();
        let call = async || {
            request(&app, operation, UNKNOWN).header("x-rh-identity", customer.header()).send().await
        };
        assert_ne!(call().await.unwrap().status(), 429);
        description.check(operation, 429, None, call_until_limited(call).await.unwrap()).await;
    }
    app.end().await;
}

#[tokio::test]
async fn every_operation_that_needs_the_database_is_503_without_it() {
    let proxy = FaultProxy::bind().await.unwrap();
    let app = TestApp::with(|settings| {
        settings.database_through(&proxy);
        settings.database.pool_wait = domain::Period::from_millis(200);
    })
    .await;
    proxy.set(Fault::Refuse);
    proxy.cut_all();
    let (description, customer) = (Description::public(), Customer::new());
    // The applications are known since the start.
    let without = ["ping", "list_applications"];
    for operation in description.operations.iter().filter(|operation| !without.contains(&&*operation.id)) {
        let request = request(&app, operation, UNKNOWN).header("x-rh-identity", customer.header());
        description.check(operation, 503, None, request.send().await.unwrap()).await;
    }
    proxy.set(Fault::None);
    app.end().await;
}

#[tokio::test]
async fn a_create_request_that_does_not_arrive_is_408() {
    let app = TestApp::with(|settings| {
        settings.public_api.http.body.idle_timeout = domain::Period::from_millis(100);
    })
    .await;
    let head = format!(
        "POST {}/exports HTTP/1.1\r\nhost: x\r\nx-rh-identity: {}\r\ncontent-length: 100\r\n\r\n{{",
        e2e::PUBLIC,
        Customer::new().header()
    );
    let answer = raw::exchange(app.settings.public_api.listen, head.as_bytes()).await.unwrap().unwrap();
    assert_eq!((answer.status, &answer.json()["code"]), (408, &json!(408)));
    app.end().await;
}
