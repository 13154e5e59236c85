//! The platform goes away and comes back.

use std::time::Duration;

use bytes::Bytes;
use domain::Period;
use e2e::{PATIENCE, TestApp};
use export_source::{Answer, Refusal, Request, Settings};
use futures_util::{StreamExt as _, stream};
use testkit::{Direction, Fault, FaultProxy, poll_until};
use tokio::time::sleep;

use crate::support::{Running, customer, settings, until, wait_for, wanted};

/// A file of 4 MiB, in chunks.
async fn large(_: Request) -> Result<Answer, Refusal> {
    let chunks = stream::iter(std::iter::repeat_n(Bytes::from(vec![b' '; 64 * 1024]), 64));
    Ok(Answer::bytes(chunks.map(Ok::<_, Refusal>)))
}

#[tokio::test]
async fn an_upload_that_is_cut_is_sent_again() {
    let app = TestApp::start().await;
    let address = app.internal_url.strip_prefix("http://").unwrap().parse().unwrap();
    let proxy = FaultProxy::start(address).await.unwrap();
    proxy.set(Fault::CutOnce(Direction::ToServer, 1_000_000));
    let through = Settings { internal_url: format!("http://{}", proxy.address()), ..settings(&app) };
    let source = Running::start(through, large);
    let export = app.create(&customer(), &wanted("json", 1)).await;
    wait_for(&app, &export, "complete").await;
    let counts = source.metrics.counts();
    assert_eq!((counts.uploaded, counts.failed_tries), (1, 1));
    source.stop().await;
    app.end().await;
}

#[tokio::test]
async fn answers_wait_while_the_platform_says_503() {
    let proxy = FaultProxy::bind().await.unwrap();
    let app = TestApp::with(|settings| {
        settings.database_through(&proxy);
        settings.database.pool_wait = Period::from_millis(500);
    })
    .await;
    let export = app.create(&customer(), &wanted("json", 3)).await;
    app.drain().await;
    // The platform's database is away.
    proxy.set(Fault::Refuse);
    proxy.cut_all();
    let source = Running::start(settings(&app), large);
    let metrics = source.metrics.clone();
    until("refused for now", || metrics.counts().failed_tries >= 3).await;
    proxy.set(Fault::None);
    let uploaded = poll_until(PATIENCE, async || Ok((metrics.counts().uploaded == 3).then_some(()))).await;
    assert!(uploaded.is_ok(), "{:?}", metrics.counts());
    wait_for(&app, &export, "complete").await;
    source.stop().await;
    app.end().await;
}

#[tokio::test]
async fn requests_are_found_once_the_broker_is_back() {
    let app = TestApp::start().await;
    let proxy = FaultProxy::bind().await.unwrap();
    // Nobody is there at the start; connections are closed at once.
    let brokers = proxy.address().to_string();
    let away = Running::start(Settings { brokers, ..settings(&app) }, large);
    sleep(Duration::from_millis(300)).await;
    proxy.set_upstream(app.settings.kafka.brokers.parse().unwrap());
    let export = app.create(&customer(), &wanted("csv", 1)).await;
    wait_for(&app, &export, "complete").await;
    away.stop().await;
    app.end().await;
}
