//! Lifecycle events, as whoever listens reads them from Kafka.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use e2e::{AppSettings, Customer, Export, TestApp, expect};
use serde_json::{Value, json};
use testkit::{TestServers, unique_name};

use crate::support::{is_uuid, one_source, two_sources};

const SCHEMA: &str = include_str!("../../../schemas/events/export-lifecycle.json");

/// What comes before the name of the change in each type.
const TYPES: &str = "com.redhat.console.export-service.";

/// All events once the outbox is empty, `count` of them: what each export's tell, in their order.
async fn told(app: &TestApp, count: usize) -> BTreeMap<String, Vec<Value>> {
    let validator =
        jsonschema::options().should_validate_formats(true).build(&serde_json::from_str(SCHEMA).unwrap());
    let validator = validator.unwrap();
    let records = app.records_of(&app.settings.lifecycle_events.topic, count).await;
    assert_eq!(records.len(), count);
    let mut told: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for record in records {
        let event: Value = serde_json::from_slice(record.payload.as_deref().unwrap()).unwrap();
        validator.validate(&event).unwrap();
        let kind = ("type".to_owned(), event["type"].as_str().unwrap().as_bytes().to_vec());
        assert_eq!(record.headers, [kind]);
        let key = String::from_utf8(record.key.unwrap()).unwrap();
        assert_eq!(event["subject"], format!("urn:redhat:subject:export-service:export:{key}"));
        told.entry(key).or_default().push(event);
    }
    told
}

/// The names of the changes that `events` tell of.
fn names(events: &[Value]) -> Vec<&str> {
    let types = events.iter().map(|event| event["type"].as_str().unwrap());
    types.map(|one| one.strip_prefix(TYPES).unwrap()).collect()
}

async fn fail(app: &TestApp, export: &Export, place: usize) {
    let report = json!({"message": "no such system", "error": 404});
    expect(app.report(&export.sources[place], &report).await, 202).await;
}

#[tokio::test]
async fn a_consumer_sees_what_becomes_of_each_export_in_its_order() {
    let app = TestApp::start().await;
    let customer = Customer::new();
    let complete = app.complete(&customer, &two_sources(), |_| "[1]".into()).await;
    let partial = app.create(&customer, &two_sources()).await;
    fail(&app, &partial, 0).await;
    expect(app.upload(&partial.sources[1], "[1]").await, 202).await;
    let failed = app.create(&customer, &one_source()).await;
    fail(&app, &failed, 0).await;
    let deleted = app.create(&customer, &two_sources()).await;
    expect(app.upload(&deleted.sources[0], "[1]").await, 202).await;
    expect(app.delete(&deleted).await, 202).await;
    let late = app.upload(&deleted.sources[1], "[1]").await;
    expect(late, 404).await;

    let told = told(&app, 4 + 4 + 3 + 3).await;
    let of = |export: &Export| names(&told[&export.id]);
    assert_eq!(
        of(&complete),
        ["export.accepted", "source.completed", "source.completed", "export.completed"]
    );
    assert_eq!(of(&partial), ["export.accepted", "source.failed", "source.completed", "export.partial"]);
    assert_eq!(of(&failed), ["export.accepted", "source.failed", "export.failed"]);
    assert_eq!(of(&deleted), ["export.accepted", "source.completed", "export.deleted"]);
    app.end().await;
}

#[tokio::test]
async fn an_event_says_which_export_and_source_and_how_much_and_no_more() {
    let app = TestApp::start().await;
    let customer = Customer::new();
    let export = app.create(&customer, &two_sources()).await;
    expect(app.upload(&export.sources[0], "[1, 2, 3]").await, 202).await;
    fail(&app, &export, 1).await;
    let told = told(&app, 4).await;
    let events = &told[&export.id];
    for event in events {
        assert!(is_uuid(event["id"].as_str().unwrap()));
        assert_eq!(event["redhatorgid"], customer.org_id);
        assert_eq!(event["time"], "2026-11-21T06:37:51Z");
        let text = event.to_string();
        for hidden in [customer.username.as_str(), "Nightly", "no such system", "identity"] {
            assert!(!text.contains(hidden), "{text}");
        }
    }
    let (created, expires) = ("2026-11-21T06:37:51Z", "2026-11-28T06:37:51Z");
    let facts = |status: &str, complete: u32, failed: u32| {
        json!({"export": {"uuid": export.id, "format": "json", "status": status, "created_at": created,
            "expires_at": expires, "sources": {"total": 2, "complete": complete, "failed": failed}}})
    };
    assert_eq!(events[0]["data"], facts("pending", 0, 0));
    assert_eq!(events[3]["data"], facts("partial", 1, 1));
    let mut completed = events[1]["data"]["source"].clone();
    let stored = completed["stored_bytes"].take().as_u64().unwrap();
    assert!(stored > 18, "a gzip object: {stored}");
    assert_eq!(
        completed,
        json!({"uuid": export.sources[0].id, "export_uuid": export.id, "application": "exampleApplication",
            "resource": "exampleResource", "status": "complete", "size_bytes": 9, "stored_bytes": null})
    );
    assert_eq!(
        events[2]["data"]["source"],
        json!({"uuid": export.sources[1].id, "export_uuid": export.id, "application": "exampleApplication",
            "resource": "anotherExampleResource", "status": "failed", "error_code": 404})
    );
    app.end().await;
}

#[tokio::test]
async fn sources_that_nobody_answers_and_an_expiry_are_told() {
    let app = TestApp::start().await;
    let export = app.create(&Customer::new(), &one_source()).await;
    app.drain().await;
    app.clock.advance(TimeDelta::days(1));
    app.wait_for_count("SELECT count(*) FROM exports WHERE status = 'failed'", 1).await.unwrap();
    app.clock.advance(TimeDelta::days(6) + TimeDelta::minutes(15));
    app.wait_for_count("SELECT count(*) FROM exports WHERE released_at IS NULL", 0).await.unwrap();
    let told = told(&app, 4).await;
    let events = &told[&export.id];
    assert_eq!(names(events), ["export.accepted", "source.failed", "export.failed", "export.expired"]);
    assert_eq!(events[1]["data"]["source"]["error_code"], 504);
    let expired = &events[3]["data"]["export"];
    assert_eq!(
        (&expired["status"], &expired["expires_at"]),
        (&json!("failed"), &json!("2026-11-28T06:37:51Z"))
    );
    app.end().await;
}

#[tokio::test]
async fn several_dispatchers_keep_the_order_of_each_export() {
    let app = TestApp::with(|settings| settings.dispatcher.batch = 3).await;
    for name in ["second-dispatcher", "third-dispatcher"] {
        app.another_dispatcher(name, |_| ()).await;
    }
    let customer = Customer::new();
    let wanted = two_sources();
    let lives = (0..20).map(|_| app.complete(&customer, &wanted, |_| "[1]".into()));
    let exports = futures_util::future::join_all(lives).await;
    for export in &exports {
        expect(app.delete(export).await, 202).await;
    }
    let told = told(&app, 100).await;
    for export in &exports {
        let wanted =
            ["export.accepted", "source.completed", "source.completed", "export.completed", "export.deleted"];
        assert_eq!(names(&told[&export.id]), wanted);
    }
    app.end().await;
}

#[tokio::test]
async fn while_kafka_is_away_nothing_is_lost_and_a_missing_topic_holds_up_no_request() {
    // Nobody sends: the first dispatcher looks for a broker that is not there.
    let mut app = TestApp::with(|settings| {
        settings.kafka.brokers = "127.0.0.1:9".into();
        settings.kafka.message_timeout = domain::Period::from_secs(1);
    })
    .await;
    let customer = Customer::new();
    let complete = app.complete(&customer, &two_sources(), |_| "[1]".into()).await;
    let deleted = app.create(&customer, &one_source()).await;
    expect(app.delete(&deleted).await, 202).await;
    let untold = "SELECT count(*) FROM outbox WHERE kind = 'lifecycle'";
    assert_eq!(app.count(untold).await, 6);

    app.settings.kafka.brokers = TestServers::find().unwrap().kafka_brokers;
    let without =
        |settings: &mut AppSettings| settings.lifecycle_events.topic = unique_name("nobody-made-it");
    app.another_dispatcher("without-its-topic", without).await;
    app.wait_for_count("SELECT count(*) FROM outbox WHERE kind = 'request'", 0).await.unwrap();
    assert_eq!(app.count(untold).await, 6);

    app.another_dispatcher("whole", |_| ()).await;
    let told = told(&app, 6).await;
    assert_eq!(
        names(&told[&complete.id]),
        ["export.accepted", "source.completed", "source.completed", "export.completed"]
    );
    assert_eq!(names(&told[&deleted.id]), ["export.accepted", "export.deleted"]);
    app.end().await;
}

#[tokio::test]
async fn switched_off_nothing_is_told_and_nothing_waits() {
    let app = TestApp::with(|settings| settings.lifecycle_events.enabled = false).await;
    app.complete(&Customer::new(), &two_sources(), |_| "[1]".into()).await;
    assert_eq!(app.records(2).await.len(), 2);
    assert!(told(&app, 0).await.is_empty());
    app.end().await;
}
