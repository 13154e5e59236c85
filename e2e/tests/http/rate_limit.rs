//! How often a customer may call.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicI64, Ordering},
};

use e2e::{Customer, SOURCE_APPLICATION, SourceApplication, TestApp, call_until_limited, expect, refusal};
use reqwest::{Method, Response};

use crate::support::wanted;

async fn app_with_limit(per_second: u32, burst: u32) -> TestApp {
    TestApp::with(|settings| {
        let limit = &mut settings.public_api.rate_limit;
        limit.per_second = NonZeroU32::new(per_second).unwrap();
        limit.burst = NonZeroU32::new(burst).unwrap();
    })
    .await
}

async fn list(app: &TestApp, customer: &Customer) -> Response {
    app.try_list(customer, "").await.unwrap()
}

/// The refusal of a caller that goes on until it is over the limit.
async fn limited(app: &TestApp, customer: &Customer) -> Response {
    call_until_limited(async || app.try_list(customer, "").await).await.unwrap()
}

#[tokio::test]
async fn a_caller_over_the_limit_is_told_when_to_come_back_and_others_do_not_notice() {
    let app = app_with_limit(1, 3).await;
    let (eager, calm) = (Customer::new(), Customer::new());
    let first = list(&app, &eager).await;
    assert_eq!(first.status(), 200);
    assert_eq!(first.headers()["ratelimit-policy"], "\"default\";q=3;w=3");
    assert_eq!(first.headers()["ratelimit"], "\"default\";r=2;t=1");
    let refused = limited(&app, &eager).await;
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.headers()["ratelimit-policy"], "\"default\";q=3;w=3");
    assert_eq!(refused.headers()["ratelimit"], "\"default\";r=0;t=3");
    assert_eq!(refusal(Ok(refused), 429).await, "too many requests");
    assert_eq!(list(&app, &calm).await.status(), 200);
    app.end().await;
}

#[tokio::test]
async fn users_of_one_organization_have_a_limit_each() {
    let app = app_with_limit(1, 1).await;
    let one = Customer::new();
    let others = [
        Customer { username: "other".into(), ..one.clone() },
        Customer { account: "other".into(), ..one.clone() },
        Customer { org_id: "other".into(), ..one.clone() },
    ];
    assert_eq!(list(&app, &one).await.status(), 200);
    limited(&app, &one).await;
    for other in others {
        assert_eq!(list(&app, &other).await.status(), 200);
    }
    app.end().await;
}

#[tokio::test]
async fn a_refused_create_request_creates_nothing() {
    let app = app_with_limit(1, 1).await;
    let customer = Customer::new();
    let accepted = AtomicI64::new(0);
    let refused = call_until_limited(async || {
        let answer = app.try_create(&customer, &wanted()).await;
        let is_accepted = answer.as_ref().is_ok_and(|response| response.status() == 202);
        accepted.fetch_add(is_accepted.into(), Ordering::Relaxed);
        answer
    });
    refusal(refused.await, 429).await;
    assert_eq!(app.count("SELECT count(*) FROM exports").await, accepted.into_inner());
    app.end().await;
}

#[tokio::test]
async fn by_default_browsers_that_poll_every_500_ms_in_many_tabs_are_not_limited() {
    let app = TestApp::start().await;
    let customer = Customer::new();
    assert_eq!(list(&app, &customer).await.headers()["ratelimit-policy"], "\"default\";q=400;w=2");
    let export = app.create(&customer, &wanted()).await;
    for _ in 0..150 {
        app.status(&export).await;
    }
    app.end().await;
}

#[tokio::test]
async fn pings_and_source_applications_are_not_limited() {
    let app = app_with_limit(1, 1).await;
    let application = SourceApplication::named(SOURCE_APPLICATION);
    for _ in 0..5 {
        expect(app.ask_unidentified(Method::GET, "/ping").send().await, 200).await;
        expect(app.answer(&application, Method::GET, "/ping").send().await, 200).await;
    }
    app.end().await;
}
