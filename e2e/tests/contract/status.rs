//! How far an export has come (S0-41, S0-status).

use chrono::TimeDelta;
use e2e::{Customer, TestApp, expect, refusal};
use reqwest::Method;
use serde_json::json;

use crate::support::{one_source, source, two_sources, wanted};

#[tokio::test]
async fn s0_41_an_export_is_pending_then_running_and_ends_as_complete() {
    let app = TestApp::start().await;
    let export = app.create(&Customer::new(), &two_sources()).await;
    assert_eq!(export.body["status"], "pending");
    expect(app.upload(&export.sources[1], "[]").await, 202).await;
    let running = app.status(&export).await;
    assert_eq!((&running["status"], running.get("completed_at")), (&json!("running"), None));
    assert_eq!(
        (&running["sources"][0]["status"], &running["sources"][1]["status"]),
        (&json!("pending"), &json!("complete"))
    );
    app.clock.advance(TimeDelta::minutes(1));
    expect(app.upload(&export.sources[0], "[]").await, 202).await;
    let complete = app.status(&export).await;
    assert_eq!(
        (&complete["status"], &complete["completed_at"]),
        (&json!("complete"), &json!("2026-11-21T06:38:51.726270Z"))
    );
    app.end().await;
}

#[tokio::test]
async fn s0_41_an_export_of_which_some_sources_failed_is_partial_and_of_which_all_did_is_failed() {
    let app = TestApp::start().await;
    let export = app.create(&Customer::new(), &two_sources()).await;
    let failed = app.create(&Customer::new(), &one_source()).await;
    let error = json!({"message": "no such resource", "error": 404});
    expect(app.report(&export.sources[0], &error).await, 202).await;
    assert_eq!(app.status(&export).await["status"], "running");
    expect(app.upload(&export.sources[1], "[]").await, 202).await;
    let partial = app.status(&export).await;
    assert_eq!(partial["status"], "partial");
    let source = &partial["sources"][0];
    assert_eq!((&source["message"], &source["error"]), (&json!("no such resource"), &json!(404)));
    assert!(partial["sources"][1].get("error").is_none() && partial["sources"][1].get("message").is_none());
    expect(app.report(&failed.sources[0], &error).await, 202).await;
    assert_eq!(app.status(&failed).await["status"], "failed");
    app.end().await;
}

#[tokio::test]
async fn s0_41_sources_keep_the_order_of_the_request_in_every_answer() {
    let app = TestApp::start().await;
    let names = ["exampleResource", "anotherExampleResource"];
    let sources: Vec<_> = (0..9).map(|place| source(names[place % 2])).collect();
    let export = app.create(&Customer::new(), &wanted(&sources)).await;
    for source in export.sources.iter().rev() {
        expect(app.upload(source, "[]").await, 202).await;
    }
    let told = app.status(&export).await;
    let ids: Vec<_> = told["sources"].as_array().unwrap().iter().map(|source| &source["id"]).collect();
    let created: Vec<_> = export.sources.iter().map(|source| &source.id).collect();
    assert_eq!(ids, created);
    app.end().await;
}

#[tokio::test]
async fn s0_status_what_is_no_uuid_is_400_and_what_is_unknown_is_404() {
    let app = TestApp::start().await;
    let unknown = "2b177cb4-5229-4c90-8640-e0b9bfdc2200";
    let ask = async |id: &str| {
        app.ask(&Customer::new(), Method::GET, &format!("/exports/{id}/status")).send().await
    };
    assert_eq!(refusal(ask("not-a-uuid").await, 400).await, "'not-a-uuid' is not a valid export UUID");
    assert_eq!(refusal(ask(unknown).await, 404).await, format!("record '{unknown}' not found"));
    app.end().await;
}

#[tokio::test]
async fn s0_status_is_not_cached() {
    let app = TestApp::start().await;
    let export = app.create(&Customer::new(), &one_source()).await;
    let path = format!("{}/status", export.path());
    let answer = expect(app.ask(&export.customer, Method::GET, &path).send().await, 200).await;
    assert_eq!(answer.headers()["cache-control"], "no-store");
    app.end().await;
}
