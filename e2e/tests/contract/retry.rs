//! A customer has a failed source asked once more (S0-retry).

use chrono::TimeDelta;
use e2e::{Customer, Export, OTHER_APPLICATION, TestApp, expect, json, refusal};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{one_source, other_source, source, source_status, two_sources, wanted, with};

/// An app with an export of three sources, of which the second has failed.
async fn one_of_three_failed() -> (TestApp, Export) {
    let app = TestApp::start().await;
    let sources = [source("exampleResource"), source("anotherExampleResource"), source("exampleResource")];
    let export = app.create(&Customer::new(), &wanted(&sources)).await;
    expect(app.upload(&export.sources[0], "[0]").await, 202).await;
    expect(app.report(&export.sources[1], &json!({"message": "no", "error": 500})).await, 202).await;
    expect(app.upload(&export.sources[2], "[2]").await, 202).await;
    (app, export)
}

async fn etag(app: &TestApp, export: &Export) -> String {
    let archive = expect(app.try_download(export).await, 200).await;
    archive.headers()["etag"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn s0_retry_a_failed_source_is_pending_again_and_its_export_runs() {
    let (app, export) = one_of_three_failed().await;
    let retried = json(app.retry(&export, &export.sources[1]).await, 202).await;
    assert_eq!(retried, app.status(&export).await, "the answer is the status body");
    assert_eq!((&retried["status"], retried.get("completed_at")), (&json!("running"), None));
    let states: Vec<&Value> = retried["sources"].as_array().unwrap().iter().map(|it| &it["status"]).collect();
    assert_eq!(states, ["complete", "pending", "complete"]);
    assert_eq!((retried["sources"][1].get("error"), retried["sources"][1].get("message")), (None, None));
    let refused = refusal(app.try_download(&export).await, 400).await;
    assert_eq!(refused, format!("'{}' is not ready for download", export.id));
    expect(app.upload(&export.sources[1], "[1]").await, 202).await;
    assert_eq!(app.status(&export).await["status"], "complete");
    app.end().await;
}

#[tokio::test]
async fn s0_retry_the_application_is_asked_with_a_new_event() {
    let (app, export) = one_of_three_failed().await;
    app.drain().await;
    expect(app.retry(&export, &export.sources[1]).await, 202).await;
    let events = app.events(4).await;
    let (first, again) = (&events[1], &events[3]);
    assert_eq!(first["data"], again["data"], "the same question");
    assert_ne!(first["id"], again["id"], "a consumer that deduplicates must not pass over it");
    app.end().await;
}

#[tokio::test]
async fn s0_retry_the_archive_is_a_new_one_and_the_other_files_stay_where_they_are() {
    let (app, export) = one_of_three_failed().await;
    let (before, objects) = (etag(&app, &export).await, app.object_keys().await);
    expect(app.retry(&export, &export.sources[1]).await, 202).await;
    expect(app.upload(&export.sources[1], "[1]").await, 202).await;
    assert_ne!(etag(&app, &export).await, before);
    let archive = app.download(&export).await;
    for (place, source) in export.sources.iter().enumerate() {
        assert_eq!(archive.text(&format!("{}.json", source.id)), format!("[{place}]"));
    }
    assert_eq!(archive.meta().get("failed_files"), None);
    let now = app.object_keys().await;
    assert!(now.len() == 3 && objects.iter().all(|key| now.contains(key)), "{objects:?} {now:?}");
    app.end().await;
}

#[tokio::test]
async fn s0_retry_a_download_that_has_begun_ends_well() {
    let (app, export) = one_of_three_failed().await;
    let begun = expect(app.try_download(&export).await, 200).await;
    expect(app.retry(&export, &export.sources[1]).await, 202).await;
    expect(app.report(&export.sources[1], &json!({"message": "no", "error": 500})).await, 202).await;
    let length = begun.content_length().unwrap();
    assert_eq!(begun.bytes().await.unwrap().len() as u64, length);
    app.end().await;
}

#[tokio::test]
async fn s0_retry_is_409_unless_the_source_has_failed() {
    let (app, export) = one_of_three_failed().await;
    let refused = refusal(app.retry(&export, &export.sources[0]).await, 409).await;
    assert_eq!(refused, format!("source '{}' has not failed", export.sources[0].id));
    expect(app.retry(&export, &export.sources[1]).await, 202).await;
    refusal(app.retry(&export, &export.sources[1]).await, 409).await;
    app.end().await;
}

#[tokio::test]
async fn s0_retry_is_404_for_what_is_not_there_and_400_for_what_is_no_uuid() {
    let (app, export) = one_of_three_failed().await;
    let retry = async |export_id: &str, source: &str| {
        let path = format!("/exports/{export_id}/sources/{source}/retry");
        app.ask(&export.customer, Method::POST, &path).send().await
    };
    let (unknown, failed) = ("2b177cb4-5229-4c90-8640-e0b9bfdc2200", export.sources[1].id.as_str());
    for answer in [retry(unknown, failed).await, retry(&export.id, unknown).await] {
        assert_eq!(refusal(answer, 404).await, format!("record '{unknown}' not found"));
    }
    assert_eq!(refusal(retry("x", failed).await, 400).await, "'x' is not a valid export UUID");
    assert_eq!(refusal(retry(&export.id, "y").await, 400).await, "'y' is not a valid source UUID");
    expect(app.delete(&export).await, 202).await;
    refusal(retry(&export.id, failed).await, 404).await;
    app.end().await;
}

#[tokio::test]
async fn s0_retry_is_410_once_the_export_or_the_source_has_expired() {
    let app = TestApp::start().await;
    let short = with(source("exampleResource"), "", "expires", Some(json!("2026-11-22T00:00:00Z")));
    let sources = wanted(&[short, source("anotherExampleResource")]);
    let export = app.create(&Customer::new(), &sources).await;
    for source in &export.sources {
        expect(app.report(source, &json!({"message": "no", "error": 500})).await, 202).await;
    }
    app.drain().await;
    app.clock.advance(TimeDelta::days(1));
    refusal(app.retry(&export, &export.sources[0]).await, 410).await;
    expect(app.retry(&export, &export.sources[1]).await, 202).await;
    expect(app.report(&export.sources[1], &json!({"message": "no", "error": 500})).await, 202).await;
    app.drain().await;
    app.clock.advance(TimeDelta::days(6));
    refusal(app.retry(&export, &export.sources[1]).await, 410).await;
    app.end().await;
}

#[tokio::test]
async fn s0_retry_of_the_only_source_is_asked_with_the_identity_of_this_call() {
    let app = TestApp::start().await;
    let export = app.create(&Customer::new(), &one_source()).await;
    expect(app.report(&export.sources[0], &json!({"message": "not allowed", "error": 403})).await, 202).await;
    app.drain().await;
    // An administrator has given the customer what was missing.
    let mut identity = export.customer.identity();
    identity["entitlements"] = json!({"inventory": true});
    let newer = e2e::identity_header(&identity);
    let path = format!("{}/sources/{}/retry", export.path(), export.sources[0].id);
    let retry = app.ask_unidentified(Method::POST, &path).header("x-rh-identity", &newer).send().await;
    assert_eq!(json(retry, 202).await["status"], "running");
    let events = app.events(2).await;
    assert_eq!(events[1]["data"]["resource_request"]["x-rh-identity"], newer);
    expect(app.upload(&export.sources[0], "[1]").await, 202).await;
    app.end().await;
}

#[tokio::test]
async fn s0_retry_of_twenty_failed_sources_at_once_works() {
    let app = TestApp::start().await;
    let sources: Vec<Value> = (0..20).map(|_| source("exampleResource")).collect();
    let export = app.create(&Customer::new(), &wanted(&sources)).await;
    for source in &export.sources {
        expect(app.report(source, &json!({"message": "no", "error": 500})).await, 202).await;
    }
    assert_eq!(app.status(&export).await["status"], "failed");
    app.drain().await;
    let retried = join_all(export.sources.iter().map(|source| app.retry(&export, source))).await;
    for answer in retried {
        expect(answer, 202).await;
    }
    assert_eq!(app.events(40).await.len(), 40);
    let delivered = join_all(export.sources.iter().map(|source| app.upload(source, "[1]"))).await;
    for answer in delivered {
        expect(answer, 202).await;
    }
    assert_eq!(app.download(&export).await.names().len(), 22);
    app.end().await;
}

#[tokio::test]
async fn s0_retry_begins_a_new_time_to_answer() {
    let app = TestApp::start().await;
    let export = app.create(&Customer::new(), &two_sources()).await;
    expect(app.upload(&export.sources[1], "[1]").await, 202).await;
    app.drain().await;
    app.clock.advance(TimeDelta::hours(24));
    app.wait_for_count("SELECT count(*) FROM exports WHERE status = 'partial'", 1).await.unwrap();
    expect(app.retry(&export, &export.sources[0]).await, 202).await;
    app.drain().await;
    app.clock.advance(TimeDelta::hours(23));
    expect(app.upload(&export.sources[0], "[1]").await, 202).await;
    assert_eq!(app.status(&export).await["status"], "complete");
    app.end().await;
}

#[tokio::test]
async fn s0_retry_of_an_application_that_is_no_longer_offered_is_406() {
    let app = TestApp::start().await;
    let export = app.create(&Customer::new(), &wanted(&[other_source()])).await;
    expect(app.report(&export.sources[0], &json!({"message": "no", "error": 500})).await, 202).await;
    let mut left = app.settings.applications.clone();
    left.retain(|name, _| name.as_str() != OTHER_APPLICATION);
    let registry = domain::registry::Registry::new(left).unwrap();
    app.store().apply_registry(registry, app.now()).await.unwrap();
    let known = testkit::poll_until(e2e::PATIENCE, async || {
        let created = app.try_create(&export.customer, &wanted(&[other_source()])).await?;
        Ok((created.status() == 406).then_some(()))
    });
    known.await.unwrap();
    let refused = refusal(app.retry(&export, &export.sources[0]).await, 406).await;
    assert_eq!(refused, "Payload does not match Configured Exports");
    assert_eq!(source_status(&app, &export).await["status"], "failed");
    app.end().await;
}
