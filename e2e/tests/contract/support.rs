//! Requests that many tests begin with.

use e2e::{OTHER_APPLICATION, SOURCE_APPLICATION};
use serde_json::{Value, json};

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
