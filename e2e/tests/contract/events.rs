//! Request events, as source applications read them from Kafka (S0-2 to S0-16, S0-52).

use std::collections::BTreeSet;

use bus::reader::StoredRecord;
use e2e::{Customer, Export, SOURCE_APPLICATION, TestApp, expect};
use serde_json::{Value, json};

use crate::support::{is_uuid, one_source, other_source, source, wanted, with};

/// A record and what its payload says.
struct Event {
    record: StoredRecord,
    body: Value,
}

impl Event {
    fn text(&self, key: &str) -> &str {
        self.body[key].as_str().unwrap()
    }

    fn request(&self) -> &Value {
        &self.body["data"]["resource_request"]
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        let headers = self.record.headers.iter();
        headers.map(|(name, value)| (name.as_str(), std::str::from_utf8(value).unwrap())).collect()
    }
}

async fn events(app: &TestApp, count: usize) -> Vec<Event> {
    let records = app.records(count).await.into_iter();
    let read = |record: StoredRecord| {
        let body = serde_json::from_slice(record.payload.as_deref().unwrap()).unwrap();
        Event { record, body }
    };
    records.map(read).collect()
}

/// The events of an export with a source of each of two applications.
async fn two_events() -> (TestApp, Export, Vec<Event>) {
    let app = TestApp::start().await;
    let filtered = with(source("exampleResource"), "", "filters", Some(json!({"since": "2026-01-01"})));
    let export = app.create(&Customer::new(), &wanted(&[filtered, other_source()])).await;
    let events = events(&app, 2).await;
    assert_eq!(events.len(), 2);
    (app, export, events)
}

#[tokio::test]
async fn s0_2_to_s0_10_an_event_has_exactly_ten_keys_with_the_values_of_the_contract() {
    let (app, export, events) = two_events().await;
    for event in &events {
        let keys: BTreeSet<&str> = event.body.as_object().unwrap().keys().map(String::as_str).collect();
        let contract = [
            "$schema",
            "id",
            "source",
            "subject",
            "specversion",
            "type",
            "time",
            "redhatorgid",
            "dataschema",
            "data",
        ];
        assert_eq!(keys, BTreeSet::from(contract));
        assert_eq!(event.text("$schema"), "https://console.redhat.com/api/schemas/events/v1/events.json");
        assert_eq!(event.text("source"), "urn:redhat:source:console:app:export-service");
        let subject = format!("urn:redhat:subject:export-service:request:{}", export.id);
        assert_eq!(event.text("subject"), subject);
        assert_eq!(event.text("specversion"), "1.0");
        assert_eq!(event.text("type"), "com.redhat.console.export-service.request");
        assert_eq!(event.text("time"), "2026-11-21T06:37:51Z");
        assert_eq!(event.text("redhatorgid"), export.customer.org_id);
    }
    app.end().await;
}

#[tokio::test]
async fn s0_3_every_event_has_an_id_of_its_own() {
    let (app, export, events) = two_events().await;
    let ids: BTreeSet<&str> = events.iter().map(|event| event.text("id")).collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.iter().all(|id| is_uuid(id) && *id != export.id));
    app.end().await;
}

#[tokio::test]
async fn s0_3_an_event_that_is_sent_again_carries_the_same_id() {
    let (app, export, first) = two_events().await;
    // What a dispatcher leaves that dies between the broker's report and the deletion of the row.
    let store = store::Store::connect(app.settings.database.clone());
    let unanswered = store.unanswered_requests(None, app.now(), 10).await.unwrap();
    let events = bus::RequestEvents::new(&app.settings.events).unwrap();
    let again = unanswered.iter().map(|event| (event.export_id, events.render(event).unwrap()));
    store.enqueue_records(again.collect(), app.now()).await.unwrap();
    let all = self::events(&app, 4).await;
    let payloads = |events: &[Event]| {
        events.iter().map(|event| event.record.payload.clone().unwrap()).collect::<BTreeSet<_>>()
    };
    assert_eq!(all.len(), 4);
    assert_eq!(payloads(&all), payloads(&first), "byte for byte, for {}", export.id);
    app.end().await;
}

#[tokio::test]
async fn s0_10_x1_the_data_is_declared_as_a_resource_request() {
    let (app, _, events) = two_events().await;
    for event in &events {
        assert_eq!(
            event.text("dataschema"),
            "https://console.redhat.com/api/schemas/apps/export-service/v1/resource-request.json"
        );
    }
    app.end().await;
}

#[tokio::test]
async fn s0_11_to_s0_16_x2_x4_the_data_is_one_resource_request() {
    let (app, export, events) = two_events().await;
    let identity = export.customer.header();
    for (event, source) in events.iter().zip(&export.sources) {
        let with_filters = source.application == SOURCE_APPLICATION;
        let resource = if with_filters { "exampleResource" } else { "otherResource" };
        let mut request = json!({"uuid": source.id, "export_request_uuid": export.id, "format": "json",
            "application": source.application, "resource": resource, "x-rh-identity": identity});
        if with_filters {
            request["filters"] = json!({"since": "2026-01-01"});
        }
        assert_eq!(event.body["data"], json!({"resource_request": request}));
    }
    app.end().await;
}

#[tokio::test]
async fn s0_13_a_csv_export_asks_for_csv() {
    let app = TestApp::start().await;
    app.create(&Customer::new(), &with(one_source(), "", "format", Some(json!("csv")))).await;
    assert_eq!(events(&app, 1).await[0].request()["format"], "csv");
    app.end().await;
}

#[tokio::test]
async fn s0_16_filters_that_are_null_are_left_out_and_empty_ones_are_not() {
    let app = TestApp::start().await;
    for filters in [json!(null), json!({})] {
        app.create(&Customer::new(), &with(one_source(), "/sources/0", "filters", Some(filters))).await;
        app.drain().await;
    }
    let events = events(&app, 2).await;
    assert_eq!(events[0].request().get("filters"), None);
    assert_eq!(events[1].request()["filters"], json!({}));
    app.end().await;
}

#[tokio::test]
async fn s0_52_a_record_is_keyed_by_its_export_and_tells_application_and_identity_in_headers() {
    let (app, export, events) = two_events().await;
    let identity = export.customer.header();
    for (event, source) in events.iter().zip(&export.sources) {
        assert_eq!(event.record.key.as_deref(), Some(export.id.as_bytes()));
        let headers = [("application", source.application.as_str()), ("x-rh-identity", identity.as_str())];
        assert_eq!(event.headers(), headers);
    }
    app.end().await;
}

#[tokio::test]
async fn s0_52_the_events_of_an_export_come_in_the_order_of_its_sources() {
    let app = TestApp::start().await;
    let sources: Vec<Value> = (0..50).map(|_| source("exampleResource")).collect();
    let export = app.create(&Customer::new(), &wanted(&sources)).await;
    let events = events(&app, 50).await;
    let sent: Vec<&str> = events.iter().map(|event| event.request()["uuid"].as_str().unwrap()).collect();
    let asked: Vec<&str> = export.sources.iter().map(|source| source.id.as_str()).collect();
    assert_eq!(sent, asked);
    app.end().await;
}

#[tokio::test]
async fn s0_24_deleting_an_export_cancels_its_unsent_events() {
    // Nobody sends: the dispatcher looks for a broker that is not there.
    let app = TestApp::with(|settings| {
        settings.kafka.brokers = "127.0.0.1:9".into();
        settings.lifecycle_events.enabled = false;
    })
    .await;
    let export = app.create(&Customer::new(), &one_source()).await;
    let unsent = "SELECT count(*) FROM outbox WHERE kind = 'request'";
    assert_eq!(app.count(unsent).await, 1);
    expect(app.delete(&export).await, 202).await;
    assert_eq!(app.count(unsent).await, 0);
    app.end().await;
}

#[tokio::test]
async fn s0_16_an_event_that_the_topic_would_not_take_is_refused_when_it_is_asked_for() {
    let app = TestApp::with(|settings| {
        settings.events.max_message_bytes = domain::ByteSize::from_kib(4);
    })
    .await;
    let filters = json!({"names": "x".repeat(5000)});
    let wanted = with(one_source(), "/sources/0", "filters", Some(filters));
    e2e::refusal(app.try_create(&Customer::new(), &wanted).await, 413).await;
    assert_eq!(app.count("SELECT count(*) FROM exports").await, 0);
    app.end().await;
}
