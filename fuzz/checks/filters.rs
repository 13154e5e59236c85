//! What must hold for the filters of any create request, however odd.

use std::sync::LazyLock;

use bus::{EventError, EventSettings, RequestEvents};
use domain::{CreateError, CreateLimits, ExportDraft, registry::Registry};
use serde_json::{Value, json};

static EVENTS: LazyLock<RequestEvents> =
    LazyLock::new(|| RequestEvents::new(&EventSettings::default()).expect("the schema is one"));

/// `data` is the JSON that a customer sends as `filters`.
pub(crate) fn check(data: &[u8]) {
    let Ok(filters) = serde_json::from_slice::<Value>(data) else { return };
    match draft(&filters) {
        Ok(draft) => check_events(&draft, &filters),
        Err(error) => {
            assert_eq!(error, CreateError::InvalidFilters);
            assert!(!filters.is_object() && !filters.is_null(), "{filters}");
        }
    }
}

fn draft(filters: &Value) -> Result<ExportDraft, CreateError> {
    let registry = json!({"inventory": {"resources": {"packages": {}}}});
    let registry: Registry = serde_json::from_value(registry).expect("a registry");
    let source = json!({"application": "inventory", "resource": "packages", "filters": filters});
    let body = json!({"name": "Fuzz", "format": "json", "sources": [source]});
    let now = "2026-11-21T06:37:51Z".parse().expect("a time");
    ExportDraft::parse(&body, &registry, &CreateLimits::default(), now)
}

/// What is sent is what was asked, readable, no larger than allowed, and the same each time.
fn check_events(draft: &ExportDraft, filters: &Value) {
    for event in draft.request_events("1", "e30=") {
        let record = match EVENTS.render(&event) {
            Ok(record) => record,
            Err(EventError::Json(_) | EventError::TooLarge { .. }) => return,
            Err(error @ EventError::Schema(_)) => panic!("{error:?}: {filters}"),
        };
        assert!(record.size_bytes() as u64 <= EventSettings::default().max_message_bytes.bytes());
        assert_eq!(EVENTS.render(&event).expect("it was rendered before"), record);
        let text = std::str::from_utf8(&record.payload).expect("JSON is UTF-8");
        let read: Value = serde_json::from_str(text).expect("it was read before");
        let told = &read["data"]["resource_request"]["filters"];
        assert_eq!(told.is_object(), filters.is_object(), "{text}");
        // As text: reading a number and writing it again may change its last digit.
        assert!(filters.is_null() || text.contains(&filters.to_string()), "{text}");
    }
}
