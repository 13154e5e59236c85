//! Requests that many tests begin with.

use e2e::{AppSettings, Customer, Export, OTHER_APPLICATION, SOURCE_APPLICATION, SourceApplication, TestApp};
use reqwest::{Body, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::mpsc::Sender;

/// A source of the usual application.
pub(crate) fn source(resource: &str) -> Value {
    json!({"application": SOURCE_APPLICATION, "resource": resource})
}

/// A source of the other application.
pub(crate) fn other_source() -> Value {
    json!({"application": OTHER_APPLICATION, "resource": "otherResource"})
}

/// A request for these sources.
pub(crate) fn wanted(sources: &[Value]) -> Value {
    json!({"name": "Nightly", "format": "json", "sources": sources})
}

/// A request for one source.
pub(crate) fn one_source() -> Value {
    wanted(&[source("exampleResource")])
}

/// A request for two sources.
pub(crate) fn two_sources() -> Value {
    wanted(&[source("exampleResource"), source("anotherExampleResource")])
}

/// `body` with `key` of the object at `pointer` set, or removed where `value` is None.
pub(crate) fn with(body: Value, pointer: &str, key: &str, value: Option<Value>) -> Value {
    let mut body = body;
    let object = body.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => object.insert(key.to_owned(), value),
        None => object.remove(key),
    };
    body
}

/// Whether `text` is a UUID as they are written.
pub(crate) fn is_uuid(text: &str) -> bool {
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    groups == [8, 4, 4, 4, 12] && text.chars().all(|c| c == '-' || matches!(c, '0'..='9' | 'a'..='f'))
}

/// An app whose settings `change` has changed, with an export of one source.
pub(crate) async fn one_export_with(change: impl FnOnce(&mut AppSettings)) -> (TestApp, Export) {
    let app = TestApp::with(change).await;
    let export = app.create(&Customer::new(), &one_source()).await;
    (app, export)
}

/// An app with an export of one source.
pub(crate) async fn one_export() -> (TestApp, Export) {
    one_export_with(|_| ()).await
}

/// Who answers for it.
pub(crate) fn usual() -> SourceApplication {
    SourceApplication::named(SOURCE_APPLICATION)
}

/// A request of its application for its first source.
pub(crate) fn posting(app: &TestApp, export: &Export, verb: &str) -> RequestBuilder {
    app.answer(&usual(), Method::POST, &format!("{}/{verb}", export.sources[0].path))
}

/// A body whose pieces a test sends one by one.
pub(crate) fn piecewise() -> (Sender<Vec<u8>>, Body) {
    let (sender, receiver) = tokio::sync::mpsc::channel::<Vec<u8>>(1);
    let pieces = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((Ok::<_, std::io::Error>(piece), receiver))
    });
    (sender, Body::wrap_stream(pieces))
}

/// What customers are told of its first source.
pub(crate) async fn source_status(app: &TestApp, export: &Export) -> Value {
    app.status(export).await["sources"][0].clone()
}
