//! The issuer of tokens (S0-17b): its keys change, it is away, and it must not be asked too often.

use domain::Period;
use e2e::{PATIENCE, expect, refusal};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use testkit::{Fault, FaultProxy, TestIssuer, poll_until};

use crate::{
    bearer::{begin, claims, claims_with, rs256, status, upload},
    support::usual,
};

#[tokio::test]
async fn s0_17b_keys_roll_over_without_a_restart_and_the_old_ones_are_stale() {
    let issuer = TestIssuer::start().await.unwrap();
    let (app, export) = begin(&issuer, |_| ()).await;
    let before = issuer.token_of("source-client").await.unwrap();
    expect(upload(&app, &export, 0, &before).send().await, 202).await;
    issuer.roll_over().await.unwrap();
    let after = issuer.token_of("source-client").await.unwrap();
    expect(upload(&app, &export, 1, &after).send().await, 202).await;
    let forged = issuer.sign_with_old_key(&rs256(), &claims(&issuer)).await.unwrap();
    for stale in [before, forged] {
        assert_eq!(refusal(upload(&app, &export, 2, &stale).send().await, 401).await, "invalid bearer token");
    }
    app.end().await;
}

#[tokio::test]
async fn s0_17b_a_withdrawn_key_is_forgotten_though_nobody_asks_for_another() {
    let issuer = TestIssuer::start().await.unwrap();
    let (app, export) = begin(&issuer, |settings| {
        settings.oidc.refresh_every = Period::from_millis(200);
    })
    .await;
    let token = issuer.token_of("source-client").await.unwrap();
    expect(upload(&app, &export, 0, &token).send().await, 202).await;
    issuer.roll_over().await.unwrap();
    let refused = async || Ok((status(upload(&app, &export, 0, &token)).await == 401).then_some(()));
    poll_until(PATIENCE, refused).await.unwrap();
    app.end().await;
}

#[tokio::test]
async fn s0_17b_however_many_wait_for_an_unknown_key_the_issuer_is_asked_once() {
    const CALLS: usize = 30;
    let proxy = FaultProxy::bind().await.unwrap();
    let issuer = TestIssuer::behind(&proxy).await.unwrap();
    let (app, export) = begin(&issuer, |_| ()).await;
    let (known, unknown) = (
        issuer.token_of("source-client").await.unwrap(),
        issuer.sign(&json!({"alg": "RS256", "kid": "unknown"}), &claims(&issuer)).await.unwrap(),
    );
    expect(upload(&app, &export, 0, &known).send().await, 202).await;
    let before = issuer.key_fetches().await.unwrap();
    proxy.set(Fault::Pause);
    let calls = join_all((0..CALLS).map(|_| status(upload(&app, &export, 1, &unknown))));
    let in_time = async {
        app.wait_for_metric(&format!("http_requests_in_flight{{service=\"internal-api\"}} {CALLS}")).await;
        // A key that is known needs no answer.
        expect(upload(&app, &export, 1, &known).send().await, 202).await;
        proxy.set(Fault::None);
    };
    let (statuses, ()) = tokio::join!(calls, in_time);
    assert_eq!(statuses, [401; CALLS]);
    assert_eq!(issuer.key_fetches().await.unwrap() - before, 1);
    app.end().await;
}

#[tokio::test]
async fn s0_17b_unknown_keys_do_not_make_us_ask_without_end() {
    let issuer = TestIssuer::start().await.unwrap();
    let (app, export) =
        begin(&issuer, |settings| settings.oidc.refresh_pause = Period::from_secs(3600)).await;
    let known = issuer.token_of("source-client").await.unwrap();
    let accepted = async || Ok((status(upload(&app, &export, 0, &known)).await == 202).then_some(()));
    poll_until(PATIENCE, accepted).await.unwrap();
    for place in 0..10 {
        let header = json!({"alg": "RS256", "kid": format!("unknown-{place}")});
        let token = issuer.sign(&header, &claims(&issuer)).await.unwrap();
        assert_eq!(status(upload(&app, &export, 1, &token)).await, 401);
    }
    assert_eq!(issuer.key_fetches().await.unwrap(), 1);
    let counted = "oidc_refused_tokens_total{reason=\"unknown-key\",service=\"internal-api\"} 10";
    app.wait_for_metric(counted).await;
    app.wait_for_metric("oidc_key_fetches_total{outcome=\"answered\",service=\"internal-api\"} 1").await;
    app.end().await;
}

#[tokio::test]
async fn s0_17b_while_the_issuer_is_away_known_keys_go_on_working() {
    let proxy = FaultProxy::bind().await.unwrap();
    let issuer = TestIssuer::behind(&proxy).await.unwrap();
    let (app, export) = begin(&issuer, |_| ()).await;
    let known = issuer.token_of("source-client").await.unwrap();
    expect(upload(&app, &export, 0, &known).send().await, 202).await;
    issuer.roll_over().await.unwrap();
    let new = issuer.token_of("source-client").await.unwrap();
    proxy.set(Fault::Refuse);
    proxy.cut_all();
    for place in 1..3 {
        // The issuer may have that key, for all that is known.
        let answer = expect(upload(&app, &export, 3, &new).send().await, 503).await;
        assert!(answer.headers().contains_key("retry-after"));
        expect(upload(&app, &export, place, &known).send().await, 202).await;
    }
    app.wait_for_metric("oidc_key_fetches_total{outcome=\"failed\",service=\"internal-api\"} 2").await;
    let readiness = app.context.health().readiness().await;
    assert!(readiness.checks.values().all(|check| check.reason.is_none()), "the issuer is no part of it");
    proxy.set(Fault::None);
    expect(upload(&app, &export, 3, &new).send().await, 202).await;
    app.end().await;
}

#[tokio::test]
async fn s0_17b_without_any_key_of_the_issuer_calls_are_asked_to_come_again() {
    let proxy = FaultProxy::bind().await.unwrap();
    let issuer = TestIssuer::behind(&proxy).await.unwrap();
    let token = issuer.token_of("source-client").await.unwrap();
    proxy.set(Fault::Refuse);
    let (app, export) = begin(&issuer, |settings| {
        settings.oidc.refresh_pause = Period::from_secs(1);
    })
    .await;
    let answer = expect(upload(&app, &export, 0, &token).send().await, 503).await;
    assert!(answer.headers().contains_key("retry-after"));
    let with_key = app.answer(&usual(), Method::POST, &format!("{}/upload", export.sources[0].path));
    expect(with_key.body("[]").send().await, 202).await;
    proxy.set(Fault::None);
    let accepted = async || Ok((status(upload(&app, &export, 1, &token)).await == 202).then_some(()));
    poll_until(PATIENCE, accepted).await.unwrap();
    app.end().await;
}

#[tokio::test]
async fn s0_17b_an_issuer_that_calls_itself_otherwise_is_not_believed() {
    let issuer = TestIssuer::start().await.unwrap();
    let (app, export) = begin(&issuer, |settings| {
        settings.oidc.issuer = Some(format!("{}/", issuer.url));
    })
    .await;
    let token = issuer.sign(&rs256(), &claims_with(&issuer, "iss", json!(format!("{}/", issuer.url)))).await;
    expect(upload(&app, &export, 0, &token.unwrap()).send().await, 503).await;
    app.end().await;
}
