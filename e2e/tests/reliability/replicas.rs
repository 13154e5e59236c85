//! Several of one service share the work, and what cannot be sent is set aside.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{PATIENCE, SOURCE_APPLICATION};
use futures_util::future::{join_all, try_join_all};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
};
use serde_json::json;
use testkit::{TestServers, poll_until, unique_name};

use crate::{
    audit::{count, wait_for_none},
    payload::{Numbers, numbers_of},
    platform::Platform,
    program::{Service::Dispatcher, administrate},
    rig::Rig,
};

const MAX_MESSAGE_BYTES: &str = "max.message.bytes";

#[tokio::test]
async fn dispatchers_share_the_outbox_and_keep_the_order_of_each_export() {
    let platform = Platform::on(Rig::with("[dispatcher]\nbatch = 7").await).await;
    let (second, third) = tokio::join!(platform.rig.start(Dispatcher), platform.rig.start(Dispatcher));
    let creates = (0..60).map(|_| platform.asking.create(5));
    try_join_all(creates).await.unwrap();
    platform.rig.topic.wait_for(300).await;
    let database = platform.rig.database().await.unwrap();
    wait_for_none(&database, "SELECT count(*) FROM outbox").await.unwrap();
    let mut sent = Vec::new();
    for dispatcher in [&platform.dispatcher, &second, &third] {
        sent.push(
            dispatcher.metric("outbox_records_total", r#"kind="request",outcome="sent""#).await.unwrap(),
        );
    }
    assert!((sent.iter().sum::<f64>() - 300.0).abs() < 0.5, "each was sent once: {sent:?}");
    assert!(sent.iter().filter(|sent| **sent > 0.0).count() >= 2, "the work was shared: {sent:?}");
    platform.deliver_all(300).await;
    let audit = platform.audit().await;
    assert_eq!((audit.events, audit.copies), (300, 0));
}

#[tokio::test]
async fn a_dispatcher_that_wakes_after_its_lease_ran_out_disturbs_nothing() {
    let leases = "[kafka]\nmessage_timeout = \"1s\"\n[dispatcher]\nlease = \"3s\"\n\
                  [lifecycle_events]\nenabled = false";
    let late = (Dispatcher, "dispatcher::leased=1*sleep(5000)");
    let platform = Platform::on_failing(Rig::with(leases).await, Some(late)).await;
    platform.asking.create(4).await.unwrap();
    let database = platform.rig.database().await.unwrap();
    let leased = "SELECT count(*) FROM outbox WHERE kind = 'request' AND lease_token IS NOT NULL";
    poll_until(PATIENCE, async || Ok((count(&database, leased).await? == 4).then_some(()))).await.unwrap();
    let _second = platform.rig.start(Dispatcher).await;
    // The same events once from each of the two.
    platform.deliver_all(8).await;
    let audit = platform.audit().await;
    assert_eq!((audit.events, audit.copies), (4, 4));
}

#[tokio::test]
async fn a_record_that_the_brokers_refuse_is_parked_and_can_be_sent_again() {
    let topic = topic_that_takes("3000").await.unwrap();
    let platform = Platform::on(Rig::on_topic(&topic, "[dispatcher]\nmax_attempts = 3").await).await;
    platform.dispatcher.wait_metric("kafka_topic_max_message_bytes", "", 3000.0).await;
    // Smaller than what the create call allows, and larger than what the topic takes.
    let mut numbers = Numbers::from_seed(7);
    let filler: Vec<u64> = (0..400).map(|_| numbers.next()).collect();
    let poison = json!({"name": "poison", "format": "json",
        "sources": [{"application": SOURCE_APPLICATION, "resource": "exampleResource", "filters": {"n": filler}}]});
    let poison = platform.asking.create_as(poison).await.unwrap();
    let others = join_all((0..10).map(|_| platform.asking.create(2))).await;
    platform.rig.topic.wait_for(20).await;
    assert_eq!(others.iter().filter(|other| other.is_ok()).count(), 10, "the others go on");

    platform.dispatcher.wait_metric("outbox_records_total", r#"kind="request",outcome="parked""#, 1.0).await;
    platform
        .dispatcher
        .wait_metric("outbox_records", r#"kind="request",service="dispatcher",state="parked""#, 1.0)
        .await;
    let retried = platform
        .dispatcher
        .metric("outbox_records_total", r#"kind="request",outcome="retried""#)
        .await
        .unwrap();
    assert!((retried - 2.0).abs() < 0.5, "it was tried three times: {retried}");
    let launch = platform.rig.launch_with(&[]);
    let (status, listed) = administrate(&launch, &["outbox", "parked"]).await.unwrap();
    assert!(status.success() && listed.contains(&poison.id), "{listed}");
    assert!(listed.to_lowercase().contains("too large"), "it says why: {listed}");

    allow_large_batches(&topic).await.unwrap();
    // The broker goes by it some time after it has said yes: until then the record is parked again.
    let database = platform.rig.database().await.unwrap();
    let requeue = poll_until(PATIENCE, async || {
        let (status, answer) = administrate(&launch, &["outbox", "requeue", "--all"]).await?;
        ensure!(status.success() && answer.starts_with("1 records"), "{answer}");
        let settled = "SELECT count(*) FROM outbox WHERE parked_at IS NULL";
        wait_for_none(&database, settled).await?;
        Ok((count(&database, "SELECT count(*) FROM outbox").await? == 0).then_some(()))
    });
    requeue.await.unwrap();
    platform.deliver_all(21).await;
    assert_eq!(platform.asking.status(&poison.id).await.unwrap()["status"], "complete");
    let audit = platform.audit().await;
    assert_eq!((audit.events, audit.copies), (21, 0));
}

#[tokio::test]
async fn reapers_share_what_is_due() {
    let rig = Rig::with("[expiry_reaper]\nbatch = 5\nsweep_every = \"1h\"").await;
    let platform = Platform::on(rig).await;
    let second = platform.rig.start(crate::program::Service::ExpiryReaper).await;
    let exports = try_join_all((0..40).map(|_| platform.asking.create(2))).await.unwrap();
    platform.deliver_all(80).await;
    let answers = join_all(exports.iter().map(|export| platform.asking.delete(&export.id))).await;
    assert!(answers.iter().all(|answer| *answer.as_ref().unwrap() == 202));
    assert_eq!(platform.audit().await.objects, 0);
    let (mut exports, mut objects) = (Vec::new(), Vec::new());
    for reaper in [&platform.reaper, &second] {
        exports.push(reaper.metric("reaper_exports_total", r#"done="deleted""#).await.unwrap());
        objects.push(reaper.metric("reaper_objects_total", "").await.unwrap());
    }
    assert!((exports.iter().sum::<f64>() - 40.0).abs() < 0.5, "each was dealt with once: {exports:?}");
    assert!((objects.iter().sum::<f64>() - 80.0).abs() < 0.5, "each was deleted once: {objects:?}");
}

#[tokio::test]
async fn internal_apis_settle_one_export_together() {
    let platform = Platform::start().await;
    let second = platform.rig.start(crate::program::Service::InternalApi).await;
    let other = platform.rig.answering(&second);
    let export = platform.asking.create(40).await.unwrap();
    let uploads = export.sources.iter().enumerate().map(|(i, source)| {
        let answering = if i % 2 == 0 { &platform.answering } else { &other };
        let size_bytes = numbers_of(source).below(5_000);
        answering.upload(&export.id, source, crate::payload::payload(source, size_bytes))
    });
    let answers = join_all(uploads).await;
    assert!(answers.iter().all(|answer| *answer.as_ref().unwrap() == 202), "{answers:?}");
    let database = platform.rig.database().await.unwrap();
    let frozen = "SELECT count(*) FROM manifests WHERE document::json->>'revision' = '1'";
    assert_eq!(count(&database, frozen).await.unwrap(), 1);
    assert_eq!(platform.audit().await.archives, 1);
}

#[tokio::test]
async fn the_operators_command_always_ends_well() {
    let rig = Rig::new().await;
    let launch = rig.launch_with(&[]);
    // It has its answer while the pool still opens a second connection: the process must not end badly
    // underneath it.
    for _ in 0..40 {
        let (status, said) = administrate(&launch, &["outbox", "parked"]).await.unwrap();
        assert!(status.success(), "{status}: {said}");
    }
}

/// Makes a topic whose largest batch has `bytes`.
async fn topic_that_takes(bytes: &str) -> Result<String> {
    let name = unique_name("small");
    let (admin, options) = kafka_admin()?;
    let topic = NewTopic::new(&name, 3, TopicReplication::Fixed(1)).set(MAX_MESSAGE_BYTES, bytes);
    for outcome in admin.create_topics([&topic], &options).await? {
        outcome.map_err(|(_, code)| anyhow::anyhow!("the topic was not made: {code}"))?;
    }
    Ok(name)
}

async fn allow_large_batches(topic: &str) -> Result<()> {
    let (admin, options) = kafka_admin()?;
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(MAX_MESSAGE_BYTES, "1000000");
    for outcome in admin.alter_configs([&change], &options).await? {
        outcome.map_err(|(_, code)| anyhow::anyhow!("the topic was not changed: {code}"))?;
    }
    Ok(())
}

fn kafka_admin() -> Result<(AdminClient<DefaultClientContext>, AdminOptions)> {
    let brokers = TestServers::find()?.kafka_brokers;
    let admin = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    Ok((admin, AdminOptions::new().request_timeout(Some(Duration::from_secs(10)))))
}
