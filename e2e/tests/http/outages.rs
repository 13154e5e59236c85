//! Postgres or object storage away: calls fail fast with 503 and a time to come back, readiness says so where
//! it matters, and all works again by itself.

use std::time::{Duration, Instant};

use anyhow::ensure;
use chrono::TimeDelta;
use domain::Period;
use e2e::{Customer, PATIENCE, TestApp, expect, refusal};
use reqwest::Response;
use serde_json::json;
use service::health::Verdict;
use testkit::{Fault, FaultProxy, poll_until};

use crate::support::wanted;

/// A call must not take longer than this to fail, on a busy machine; it is a matter of half a second.
const FAST: Duration = Duration::from_secs(8);

async fn unavailable(answer: Result<Response, reqwest::Error>) {
    let answer = answer.unwrap();
    let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait}");
    refusal(Ok(answer), 503).await;
}

async fn app_behind_database(proxy: &FaultProxy) -> TestApp {
    TestApp::with(|settings| {
        settings.database_through(proxy);
        settings.database.pool_wait = Period::from_millis(500);
    })
    .await
}

#[tokio::test]
async fn without_postgres_calls_fail_fast_and_work_again_when_it_is_back() {
    let proxy = FaultProxy::bind().await.unwrap();
    let app = app_behind_database(&proxy).await;
    let export = app.create(&Customer::new(), &wanted()).await;
    app.drain().await;
    proxy.set(Fault::Refuse);
    proxy.cut_all();

    let begun = Instant::now();
    unavailable(app.try_create(&export.customer, &wanted()).await).await;
    unavailable(app.try_list(&export.customer, "").await).await;
    unavailable(app.try_download(&export).await).await;
    unavailable(app.delete(&export).await).await;
    unavailable(app.upload(&export.sources[0], "[1]").await).await;
    unavailable(app.report(&export.sources[0], &json!({"message": "no", "error": 404})).await).await;
    assert!(begun.elapsed() < FAST, "{:?}", begun.elapsed());
    let readiness = app.context.health().readiness().await;
    assert_eq!(readiness.checks["postgres"].status, Verdict::Failed);

    proxy.set(Fault::None);
    let back = poll_until(PATIENCE, async || {
        let answer = app.try_create(&export.customer, &wanted()).await?;
        ensure!(answer.status() == 202 || answer.status() == 503, "{}", answer.status());
        Ok((answer.status() == 202).then_some(()))
    });
    back.await.unwrap();
    // Each service looks for the database by itself.
    let back = poll_until(PATIENCE, async || {
        let answer = app.upload(&export.sources[0], "[1]").await?;
        ensure!(answer.status() == 202 || answer.status() == 503, "{}", answer.status());
        Ok((answer.status() == 202).then_some(()))
    });
    back.await.unwrap();
    assert_eq!(app.status(&export).await["status"], "complete");
    // Every event that was accepted is sent, and none twice.
    assert_eq!(app.records(2).await.len(), 2);
    app.end().await;
}

#[tokio::test]
async fn a_postgres_that_does_not_answer_does_not_hold_calls_for_ever() {
    let proxy = FaultProxy::bind().await.unwrap();
    let app = TestApp::with(|settings| {
        settings.database_through(&proxy);
        settings.database.pool_wait = Period::from_millis(500);
        settings.database.pool_size = 1;
    })
    .await;
    let export = app.create(&Customer::new(), &wanted()).await;
    app.drain().await;
    proxy.set(Fault::Pause);
    // One call has the only connection and waits; the others are answered at once.
    let held = tokio::spawn(app.ask(&export.customer, reqwest::Method::GET, "/exports").send());
    app.wait_for_metric(r#"http_requests_in_flight{service="public-api"} 1"#).await;
    let begun = Instant::now();
    unavailable(app.try_list(&export.customer, "").await).await;
    assert!(begun.elapsed() < FAST, "{:?}", begun.elapsed());
    proxy.set(Fault::None);
    expect(held.await.unwrap(), 200).await;
    expect(app.try_list(&export.customer, "").await, 200).await;
    app.end().await;
}

#[tokio::test]
async fn without_storage_uploads_are_503_and_leave_the_source_open_for_a_retry() {
    let proxy = FaultProxy::bind().await.unwrap();
    let app = TestApp::with(|settings| {
        settings.storage_through(&proxy);
        settings.object_store.max_retries = 1;
    })
    .await;
    let export = app.create(&Customer::new(), &wanted()).await;
    proxy.set(Fault::Refuse);
    proxy.cut_all();
    let begun = Instant::now();
    unavailable(app.upload(&export.sources[0], vec![b'x'; 1 << 20]).await).await;
    assert!(begun.elapsed() < FAST, "{:?}", begun.elapsed());
    assert_eq!(app.status(&export).await["status"], "pending");
    // What needs no storage works.
    app.create(&export.customer, &wanted()).await;
    assert_eq!(app.context.health().readiness().await.checks["object-storage"].status, Verdict::Failed);

    proxy.set(Fault::None);
    expect(app.upload(&export.sources[0], "[1]").await, 202).await;
    assert_eq!(app.download(&export).await.text(&format!("{}.json", export.sources[0].id)), "[1]");
    // What could not be deleted then is tried again when the lease on it ends.
    app.clock.advance(TimeDelta::minutes(3));
    app.wait_for_no("object_deletions").await.unwrap();
    assert_eq!(app.object_keys().await.len(), 1);
    app.end().await;
}

#[tokio::test]
async fn storage_that_goes_away_mid_upload_leaves_the_source_open_and_no_bytes_behind() {
    let proxy = FaultProxy::bind().await.unwrap();
    let app = TestApp::with(|settings| {
        settings.storage_through(&proxy);
        settings.object_store.max_retries = 0;
    })
    .await;
    let export = app.create(&Customer::new(), &wanted()).await;
    // Every connection breaks after 3 MiB, so that no part of this upload gets through.
    proxy.set(Fault::CutEach(testkit::Direction::ToServer, 3 << 20));
    let noise: Vec<u8> = (0..30_u32 << 20).map(|n| (n.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
    unavailable(app.upload(&export.sources[0], noise).await).await;
    proxy.set(Fault::None);
    assert_eq!(app.status(&export).await["status"], "pending");
    app.clock.advance(TimeDelta::minutes(3));
    app.wait_for_no("object_deletions").await.unwrap();
    assert_eq!(app.object_keys().await, [""; 0]);
    expect(app.upload(&export.sources[0], "[1]").await, 202).await;
    app.end().await;
}
