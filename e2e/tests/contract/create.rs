//! Create requests (S0-25 to S0-30, S0-42, X9).

use chrono::{DateTime, TimeDelta, Utc};
use domain::ByteSize;
use e2e::{Customer, TestApp, refusal};
use serde_json::{Value, json};

use crate::support::{is_uuid, one_source, source, two_sources, wanted, with};

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn s0_25_a_create_request_is_accepted_with_the_status_of_the_export() {
    let app = TestApp::start().await;
    let export = app.create(&Customer::new(), &two_sources()).await;
    assert!(is_uuid(&export.id));
    assert_eq!((&export.body["name"], &export.body["format"]), (&json!("Nightly"), &json!("json")));
    assert_eq!(app.status(&export).await, export.body);
    app.end().await;
}

#[tokio::test]
async fn s0_26_a_name_has_1_to_255_characters_after_trimming_and_no_control_characters() {
    let app = TestApp::start().await;
    let customer = Customer::new();
    for (name, stored) in [
        (" trimmed ".to_owned(), "trimmed".to_owned()),
        ("x".repeat(255), "x".repeat(255)),
        ("ü".repeat(255), "ü".repeat(255)),
        ("<b>'; DROP TABLE exports --".into(), "<b>'; DROP TABLE exports --".into()),
    ] {
        let export = app.create(&customer, &with(one_source(), "", "name", Some(json!(name)))).await;
        assert_eq!(app.status(&export).await["name"], stored);
    }
    for name in [
        json!(""),
        json!("  "),
        json!("x".repeat(256)),
        json!("a\u{0}b"),
        json!("a\nb"),
        json!(7),
        json!(null),
    ] {
        refusal(app.try_create(&customer, &with(one_source(), "", "name", Some(name))).await, 400).await;
    }
    refusal(app.try_create(&customer, &with(one_source(), "", "name", None)).await, 400).await;
    app.end().await;
}

#[tokio::test]
async fn s0_27_an_export_expires_after_seven_days_unless_it_says_otherwise() {
    let app = TestApp::start().await;
    let customer = Customer::new();
    let export = app.create(&customer, &one_source()).await;
    assert_eq!(time(&export.body["expires_at"]), app.now() + TimeDelta::days(7));
    let asked = with(one_source(), "", "expires_at", Some(json!("2027-01-01T02:00:00+02:00")));
    let export = app.create(&customer, &asked).await;
    assert_eq!(export.body["expires_at"], "2027-01-01T00:00:00Z");
    app.end().await;
}

#[tokio::test]
async fn s0_27_a_past_expiry_is_accepted_unless_the_installation_is_strict() {
    let past = with(one_source(), "", "expires_at", Some(json!("2020-01-01T00:00:00Z")));
    let app = TestApp::start().await;
    let export = app.create(&Customer::new(), &past).await;
    refusal(app.try_download(&export).await, 410).await;
    app.end().await;
    let strict = TestApp::with(|settings| settings.public_api.refuse_past_expiry = true).await;
    refusal(strict.try_create(&Customer::new(), &past).await, 400).await;
    strict.end().await;
}

#[tokio::test]
async fn s0_28_x9_a_source_expires_at_the_earlier_of_its_own_time_and_its_exports() {
    let app = TestApp::start().await;
    let expires = |time: &str| with(source("exampleResource"), "", "expires", Some(json!(time)));
    let body = wanted(&[
        source("exampleResource"),
        expires("2027-06-01T00:00:00Z"),
        expires("2026-12-01T00:00:00Z"),
    ]);
    let body = with(body, "", "expires_at", Some(json!("2027-01-01T00:00:00Z")));
    app.create(&Customer::new(), &body).await;
    let client = app.database.connect().await.unwrap();
    let rows = client
        .query(
            "SELECT to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') FROM resources ORDER BY position",
            &[],
        )
        .await
        .unwrap();
    let stored: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(stored, ["2027-01-01", "2027-01-01", "2026-12-01"]);
    app.end().await;
}

#[tokio::test]
async fn s0_29_an_id_and_a_status_of_the_clients_making_are_ignored() {
    let app = TestApp::start().await;
    let id = "2b177cb4-5229-4c90-8640-e0b9bfdc2200";
    let mut body = with(one_source(), "", "id", Some(json!(id)));
    for (pointer, key, value) in
        [("", "status", "complete"), ("/sources/0", "id", id), ("/sources/0", "status", "failed")]
    {
        body = with(body, pointer, key, Some(json!(value)));
    }
    let export = app.create(&Customer::new(), &with(body, "", "unknown", Some(json!([{}])))).await;
    assert_ne!(export.id, id);
    assert_ne!(export.sources[0].id, id);
    assert_eq!(
        (&export.body["status"], &export.body["sources"][0]["status"]),
        (&json!("pending"), &json!("pending"))
    );
    app.end().await;
}

#[tokio::test]
async fn s0_30_an_export_may_have_a_thousand_sources_and_not_one_more() {
    let app = TestApp::start().await;
    let sources = |count| wanted(&vec![source("exampleResource"); count]);
    assert_eq!(app.create(&Customer::new(), &sources(1000)).await.sources.len(), 1000);
    refusal(app.try_create(&Customer::new(), &sources(1001)).await, 413).await;
    assert_eq!(app.records(1000).await.len(), 1000);
    app.end().await;
}

#[tokio::test]
async fn s0_30_a_body_may_have_256_kib_and_not_one_byte_more() {
    let app = TestApp::start().await;
    let sized = |bytes: usize| {
        let empty = with(one_source(), "", "padding", Some(json!(""))).to_string().len();
        with(one_source(), "", "padding", Some(json!("x".repeat(bytes - empty))))
    };
    assert_eq!(sized(256 << 10).to_string().len(), 256 << 10);
    app.create(&Customer::new(), &sized(256 << 10)).await;
    refusal(app.try_create(&Customer::new(), &sized((256 << 10) + 1)).await, 413).await;
    app.end().await;
}

#[tokio::test]
async fn s0_30_the_limits_can_be_set() {
    let app = TestApp::with(|settings| {
        settings.public_api.max_sources = 1;
        settings.public_api.max_body_size = ByteSize::from_kib(1);
    })
    .await;
    refusal(app.try_create(&Customer::new(), &two_sources()).await, 413).await;
    let large = with(one_source(), "", "padding", Some(json!("x".repeat(1024))));
    refusal(app.try_create(&Customer::new(), &large).await, 413).await;
    app.end().await;
}

#[tokio::test]
async fn s0_42_each_defect_of_a_request_has_its_own_answer() {
    let replaced = |pointer: &str, key: &str, value: Value| with(one_source(), pointer, key, Some(value));
    let rows = [
        (with(one_source(), "", "sources", None), 400, "no sources provided"),
        (replaced("", "sources", json!([])), 400, "no sources provided"),
        (replaced("", "sources", json!(null)), 400, "no sources provided"),
        (with(one_source(), "", "format", None), 400, "invalid or missing payload format"),
        (replaced("", "format", json!("pdf")), 400, "invalid or missing payload format"),
        (replaced("", "format", json!("JSON")), 400, "invalid or missing payload format"),
        (replaced("", "format", json!(1)), 400, "invalid or missing payload format"),
        (replaced("/sources/0", "filters", json!([1])), 400, "invalid json format of filters"),
        (replaced("/sources/0", "filters", json!("a")), 400, "invalid json format of filters"),
        (replaced("/sources/0", "filters", json!(0)), 400, "invalid json format of filters"),
        (
            replaced("/sources/0", "application", json!("unknown")),
            406,
            "Payload does not match Configured Exports",
        ),
        (
            replaced("/sources/0", "resource", json!("unknown")),
            406,
            "Payload does not match Configured Exports",
        ),
        (
            replaced("/sources/0", "resource", json!("otherResource")),
            406,
            "Payload does not match Configured Exports",
        ),
    ];
    let app = TestApp::start().await;
    for (body, status, message) in rows {
        assert_eq!(refusal(app.try_create(&Customer::new(), &body).await, status).await, message, "{body}");
    }
    for body in [
        json!([]),
        json!("x"),
        json!(null),
        replaced("", "sources", json!([1])),
        replaced("", "sources", json!({})),
    ] {
        refusal(app.try_create(&Customer::new(), &body).await, 400).await;
    }
    for filters in [json!(null), json!({}), json!({"a": {"b": [1, null, "ü"]}})] {
        app.create(&Customer::new(), &replaced("/sources/0", "filters", filters)).await;
    }
    assert_eq!(app.count("SELECT count(*) FROM exports").await, 3);
    app.end().await;
}

#[tokio::test]
async fn s0_42_one_source_that_is_not_offered_refuses_all_of_them() {
    let app = TestApp::start().await;
    let mixed = wanted(&[source("exampleResource"), source("unknown")]);
    refusal(app.try_create(&Customer::new(), &mixed).await, 406).await;
    assert_eq!(app.count("SELECT (SELECT count(*) FROM exports) + (SELECT count(*) FROM outbox)").await, 0);
    app.end().await;
}
