//! Requests that the tests begin with.

use e2e::SOURCE_APPLICATION;
use serde_json::{Value, json};

pub(crate) fn wanted() -> Value {
    json!({"name": "Nightly", "format": "json",
        "sources": [{"application": SOURCE_APPLICATION, "resource": "exampleResource"}]})
}
