//! Announcements of delivered data, as data pipelines read them from Kafka (contract page 2, "Producing").

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bus::{AnnounceProfile, reader::StoredRecord};
use chrono::{DateTime, TimeDelta, Utc};
use devservers::{AzureBlobs, DataDir};
use domain::{Clock as _, Period, Secret, SystemClock};
use e2e::{AppSettings, Customer, SOURCE_APPLICATION, TestApp, expect};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::io::Read as _;
use testkit::TestServers;

use crate::support::{one_source, other_source, source, two_sources, wanted, with};

const WAITING: &str = "SELECT count(*) FROM outbox WHERE kind = 'announcement'";

/// The usual application is announced, and no other.
fn announced(settings: &mut AppSettings) {
    settings.application(SOURCE_APPLICATION).announce = true;
}

/// Nobody sends: the dispatcher looks for a broker that is not there.
fn without_kafka(settings: &mut AppSettings) {
    announced(settings);
    settings.kafka.brokers = "127.0.0.1:9".into();
    settings.kafka.message_timeout = Period::from_secs(1);
}

/// Leads the app to Kafka and starts a dispatcher that sends what waits.
async fn with_kafka_again(app: &mut TestApp) {
    app.settings.kafka.brokers = TestServers::find().unwrap().kafka_brokers;
    app.another_dispatcher("late-dispatcher", |_| ()).await;
}

/// What was announced once the outbox is empty: `count` records.
async fn announcements(app: &TestApp, count: usize) -> Vec<(StoredRecord, Value)> {
    let records = app.records_of(&app.settings.announce.topic, count).await;
    assert_eq!(records.len(), count);
    let read = |record: StoredRecord| {
        let body = serde_json::from_slice(record.payload.as_deref().unwrap()).unwrap();
        (record, body)
    };
    records.into_iter().map(read).collect()
}

async fn fetch(app: &TestApp, url: &str) -> (u16, Vec<u8>) {
    let answer = app.http().get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
}

fn validity(body: &Value) -> u64 {
    let (_, rest) = body["url"].as_str().unwrap().split_once("X-Amz-Expires=").unwrap();
    rest.split('&').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn s2_3_to_s2_15_a_completed_resource_is_announced_by_a_url_that_answers_its_object() {
    let app = TestApp::with(announced).await;
    let content = "[1, 2, 3]".repeat(10_000);
    let wanted = wanted(&[source("exampleResource"), other_source()]);
    let export = app.create(&Customer::new(), &wanted).await;
    expect(app.upload(&export.sources[0], content.clone()).await, 202).await;
    expect(app.upload(&export.sources[1], "[]").await, 202).await;
    let records = announcements(&app, 1).await;
    let (record, body) = &records[0];
    assert_eq!(record.headers, [("service".to_owned(), b"exports".to_vec())]);
    assert_eq!(record.key.as_deref(), Some(export.id.as_bytes()));

    let (status, object) = fetch(&app, body["url"].as_str().unwrap()).await;
    assert_eq!((status, object.len() as u64), (200, body["size"].as_u64().unwrap()));
    let mut inflated = String::new();
    GzDecoder::new(&object[..]).read_to_string(&mut inflated).unwrap();
    assert_eq!(inflated, content);
    assert_eq!(validity(body), 24 * 3600);

    assert_eq!((&body["version"], &body["timestamp"]), (&json!(1), &json!("2026-11-21T06:37:51.726270Z")));
    assert_eq!((&body["account"], &body["principal"]), (&json!(10_001), &json!(3_340_851)));
    assert_eq!((&body["category"], &body["service"]), (&json!("exampleResource"), &json!("exports")));
    let request_id = body["request_id"].as_str().unwrap();
    assert!(request_id.len() == 32 && request_id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let custom = &body["metadata"]["custom_metadata"]["export_service"];
    assert_eq!(
        (&custom["export_id"], &custom["resource_id"]),
        (&json!(export.id), &json!(export.sources[0].id))
    );
    assert_eq!((&custom["application"], &custom["format"]), (&json!(SOURCE_APPLICATION), &json!("json")));
    app.end().await;
}

#[tokio::test]
async fn s2_4_the_identity_is_the_customers_with_all_that_the_schema_requires() {
    let app = TestApp::with(announced).await;
    let export = app.complete(&Customer::new(), &one_source(), |_| "[1]".into()).await;
    let records = announcements(&app, 1).await;
    let written = BASE64_STANDARD.decode(records[0].1["b64_identity"].as_str().unwrap()).unwrap();
    let written: Value = serde_json::from_slice(&written).unwrap();
    let mut identity = export.customer.identity();
    identity["auth_type"] = json!("basic-auth");
    assert_eq!(written, json!({"identity": identity, "entitlements": {}}));
    // Nothing of it stays behind.
    let kept = "SELECT count(*) FROM exports WHERE requester_identity IS NOT NULL";
    assert_eq!((app.count(kept).await, app.count(WAITING).await), (0, 0));
    app.end().await;
}

#[tokio::test]
async fn s2_6_to_s2_8_the_profile_of_the_field_has_texts() {
    let app = TestApp::with(|settings| {
        announced(settings);
        settings.announce.profile = AnnounceProfile::Ingress;
        settings.announce.produce_service = "pipeline".to_owned();
    })
    .await;
    app.complete(&Customer::new(), &one_source(), |_| "[1]".into()).await;
    let records = announcements(&app, 1).await;
    let (record, body) = &records[0];
    assert_eq!(record.headers, [("service".to_owned(), b"pipeline".to_vec())]);
    assert_eq!((&body["account"], &body["principal"]), (&json!("10001"), &json!("3340851")));
    assert!(body["size"].is_u64());
    app.end().await;
}

#[tokio::test]
async fn s2_3_a_url_is_valid_no_longer_than_its_resource() {
    let app = TestApp::with(announced).await;
    let short = with(source("exampleResource"), "", "expires", Some(json!("2026-11-21T07:37:52Z")));
    app.complete(&Customer::new(), &wanted(&[short, source("anotherExampleResource")]), |_| "[1]".into())
        .await;
    let records = announcements(&app, 2).await;
    // An hour and the part of a second to the next whole one.
    assert_eq!(records.iter().map(|(_, body)| validity(body)).collect::<Vec<_>>(), [3600, 86_400]);
    app.end().await;
}

#[tokio::test]
async fn what_has_failed_or_expired_or_was_deleted_is_not_announced() {
    let mut app = TestApp::with(without_kafka).await;
    let customer = Customer::new();
    let failed = app.create(&customer, &one_source()).await;
    expect(app.report(&failed.sources[0], &json!({"message": "no", "error": 404})).await, 202).await;
    let deleted = app.complete(&customer, &two_sources(), |_| "[1]".into()).await;
    let short = with(source("exampleResource"), "", "expires", Some(json!("2026-11-21T07:37:52Z")));
    app.complete(&customer, &wanted(&[short, source("anotherExampleResource")]), |_| "[1]".into()).await;
    assert_eq!(app.count(WAITING).await, 4);
    expect(app.delete(&deleted).await, 202).await;
    assert_eq!(app.count(WAITING).await, 2);
    app.clock.advance(TimeDelta::hours(1) + TimeDelta::milliseconds(500));
    with_kafka_again(&mut app).await;
    let records = announcements(&app, 1).await;
    assert_eq!(records[0].1["category"], "anotherExampleResource");
    // By whichever of the two dispatchers came to it first.
    let dropped = "outbox_records_total{kind=\"announcement\",outcome=\"dropped\"";
    app.wait_for_metric(dropped).await;
    app.end().await;
}

#[tokio::test]
async fn an_application_that_is_switched_off_is_announced_no_more() {
    let mut app = TestApp::with(without_kafka).await;
    app.complete(&Customer::new(), &one_source(), |_| "[1]".into()).await;
    assert_eq!(app.count(WAITING).await, 1);
    app.settings.application(SOURCE_APPLICATION).announce = false;
    app.apply_registry().await;
    with_kafka_again(&mut app).await;
    app.drain().await;
    assert!(announcements(&app, 0).await.is_empty());
    app.end().await;
}

#[tokio::test]
async fn an_application_that_was_switched_on_a_moment_ago_is_announced() {
    let mut app = TestApp::with(|_| ()).await;
    announced(&mut app.settings);
    app.apply_registry().await;
    // Sooner than the dispatcher looks at the registry again.
    app.complete(&Customer::new(), &one_source(), |_| "[1]".into()).await;
    announcements(&app, 1).await;
    app.end().await;
}

#[tokio::test]
async fn local_files_are_not_announced_and_that_is_said_at_start() {
    let app = TestApp::with(announced).await;
    let local = |settings: &mut AppSettings| settings.object_store.kind = blobs::Kind::Local;
    let refusal = app.try_another_dispatcher("local-dispatcher", local).await.unwrap_err().to_string();
    let sentence = "application `exampleApplication` is to be announced, but object_store.kind is `local`";
    assert!(refusal.starts_with(sentence), "{refusal}");
    app.end().await;
}

#[tokio::test]
async fn an_application_that_is_switched_on_over_local_files_waits_and_its_export_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut app = TestApp::with(|settings| {
        settings.object_store.kind = blobs::Kind::Local;
        settings.object_store.local.directory = folder.path().to_owned();
    })
    .await;
    announced(&mut app.settings);
    app.apply_registry().await;
    let export = app.complete(&Customer::new(), &one_source(), |_| "[1]".into()).await;
    app.wait_for_count("SELECT count(*) FROM outbox WHERE kind <> 'announcement'", 0).await.unwrap();
    app.wait_for_metric("outbox_records{kind=\"announcement\",service=\"dispatcher\",state=\"waiting\"} 1")
        .await;
    expect(app.try_download(&export).await, 200).await;
    expect(app.delete(&export).await, 202).await;
    app.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_3_on_azure_the_url_is_a_shared_access_signature_for_that_blob_alone() {
    let azure = AzureBlobs::start(DataDir::default()).await.unwrap();
    let place = azure.connection();
    let app = TestApp::with(|settings| {
        announced(settings);
        settings.object_store.kind = blobs::Kind::Azure;
        settings.object_store.azure = blobs::AzureSettings {
            account: place.account,
            container: place.container,
            access_key: Some(Secret::from(place.access_key)),
            endpoint: Some(place.endpoint),
            allow_http: true,
            ..blobs::AzureSettings::default()
        };
    })
    .await;
    // More than one block.
    let numbers = (0..1_500_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string());
    let content = numbers.collect::<Vec<_>>().join(",");
    let export = app.create(&Customer::new(), &two_sources()).await;
    expect(app.upload(&export.sources[0], content.clone()).await, 202).await;
    expect(app.upload(&export.sources[1], "[]").await, 202).await;
    let archive = app.download(&export).await;
    assert_eq!(archive.text(&format!("{}.json", export.sources[1].id)), "[]");
    let mut records = announcements(&app, 2).await;
    records.sort_by_key(|(_, body)| std::cmp::Reverse(body["size"].as_u64()));
    let [large, small] = [0, 1].map(|place| records[place].1["url"].as_str().unwrap());

    let (status, object) = fetch(&app, large).await;
    assert_eq!((status, Some(object.len() as u64)), (200, records[0].1["size"].as_u64()));
    let mut inflated = String::new();
    GzDecoder::new(&object[..]).read_to_string(&mut inflated).unwrap();
    assert!(inflated == content);
    let ((blob, signature), (other, _)) = (large.split_once('?').unwrap(), small.split_once('?').unwrap());
    let until = signature.split('&').find_map(|pair| pair.strip_prefix("se=")).unwrap();
    let until: DateTime<Utc> = until.replace("%3A", ":").parse().unwrap();
    let left = until - SystemClock.now();
    assert!(left > TimeDelta::hours(23) && left <= TimeDelta::hours(24), "{left}");
    for stolen in [blob.to_owned(), format!("{other}?{signature}"), large.replace("sig=", "sig=A")] {
        let (status, _) = fetch(&app, &stolen).await;
        assert!(matches!(status, 403 | 404 | 409), "{status}");
    }
    app.end().await;
}
