//! Kafka goes away and comes back.

use std::time::Duration;

use devservers::{Kafka, KafkaOptions};
use futures_util::future::try_join_all;
use testkit::poll_until;

use crate::{
    audit::{count, wait_for_none},
    platform::Platform,
    rig::Rig,
};

#[tokio::test]
async fn while_kafka_is_away_the_api_accepts_exports_and_afterwards_all_are_asked_for() {
    let kafka = Kafka::start(KafkaOptions::default()).await.unwrap();
    let mut platform = Platform::on(Rig::on_kafka(&kafka.brokers(), "").await).await;
    platform.asking.create(2).await.unwrap();
    platform.rig.topic.wait_for(2).await;

    kafka.stop().await.unwrap();
    platform.dispatcher.wait_unready("kafka").await;
    try_join_all((0..30).map(|_| platform.asking.create(3))).await.unwrap();
    assert_eq!(platform.public.readiness().await.unwrap().0, 200, "customers do not notice");
    platform
        .dispatcher
        .wait_metric("outbox_records", r#"kind="request",service="dispatcher",state="waiting""#, 90.0)
        .await;
    let age = "outbox_oldest_age_seconds";
    poll_until(e2e::PATIENCE, async || Ok((platform.dispatcher.metric(age, "").await? > 0.5).then_some(())))
        .await
        .unwrap();
    let database = platform.rig.database().await.unwrap();
    let parked = "SELECT count(*) FROM outbox WHERE parked_at IS NOT NULL";
    assert_eq!(count(&database, parked).await.unwrap(), 0, "an outage is no record's fault");

    // A dispatcher that cannot send stops well.
    assert_eq!(platform.dispatcher.terminate(Duration::from_secs(20)).await.code(), Some(0));
    let (restarted, dispatching) = tokio::join!(kafka.restart(), platform.dispatcher.restart());
    restarted.unwrap();
    dispatching.unwrap();
    wait_for_none(&database, "SELECT count(*) FROM outbox").await.unwrap();
    platform.deliver_all(92).await;
    assert_eq!(platform.audit().await.events, 92);

    // Killed, it loses nothing either, and a dispatcher that starts meanwhile waits for it.
    platform.dispatcher.kill();
    kafka.kill().unwrap();
    platform.asking.create(5).await.unwrap();
    let (restarted, dispatched) = tokio::join!(kafka.restart(), platform.dispatcher.restart());
    restarted.unwrap();
    dispatched.unwrap();
    wait_for_none(&database, "SELECT count(*) FROM outbox").await.unwrap();
    platform.deliver_all(97).await;

    // Frozen, it takes nothing and refuses nothing.
    kafka.pause().unwrap();
    platform.asking.create(3).await.unwrap();
    platform.dispatcher.wait_unready("kafka").await;
    kafka.resume().unwrap();
    platform.deliver_all(100).await;
    assert_eq!(platform.audit().await.events, 100);
}
