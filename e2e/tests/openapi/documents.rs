//! The committed descriptions are those of the code, and are served.

use std::collections::BTreeSet;

use e2e::{INTERNAL, PUBLIC, TestApp, json};
use serde_json::Value;

use crate::{description::Description, generated::assert_committed};

#[test]
fn the_descriptions_in_the_tree_are_made_from_the_code() {
    assert_committed("schemas/openapi/public-api.json", &public_api::openapi_document());
    assert_committed("schemas/openapi/internal-api.json", &internal_api::openapi_document());
}

#[tokio::test]
async fn s0_40_the_descriptions_are_served_to_anybody() {
    let app = TestApp::start().await;
    let public: Value = serde_json::from_str(&public_api::openapi_document()).unwrap();
    let internal: Value = serde_json::from_str(&internal_api::openapi_document()).unwrap();
    for (url, base, document) in [(&app.public_url, PUBLIC, public), (&app.internal_url, INTERNAL, internal)]
    {
        for base in [base, ""] {
            let served = app.http().get(format!("{url}{base}/openapi.json")).send().await;
            assert_eq!(json(served, 200).await, document);
        }
        assert_eq!(document["openapi"], "3.1.0");
    }
    app.end().await;
}

#[test]
fn every_operation_has_an_id_of_its_own_and_every_reference_leads_somewhere() {
    for description in [Description::public(), Description::internal()] {
        let ids: BTreeSet<&str> =
            description.operations.iter().map(|operation| operation.id.as_str()).collect();
        assert_eq!(ids.len(), description.operations.len());
        let mut references = BTreeSet::new();
        collect_references(&description.document, &mut references);
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(description.document.pointer(pointer).is_some(), "{reference}");
        }
    }
}

fn collect_references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|value| collect_references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| collect_references(value, found)),
        _ => {}
    }
}
