//! The database, object storage or Kafka is away: records wait, none is given up, and work resumes by itself.

use std::time::Duration;

use bus::topics::ensure_topics;
use devservers::{Kafka, KafkaOptions};
use e2e::AppSettings;
use testkit::{Fault, FaultProxy};

use crate::{
    endpoint::Behaviour,
    process::Program,
    support::{Announcing, SILENCE, announcement, asked_for},
};

/// How many failures it is told that waits for something of ours.
const OURS: &str = "announced_retries_total{fault=\"ours\",service=\"intake\"}";

/// Announces while what is behind `proxy` cannot be reached by intake.
async fn waited_for(announcing: Announcing, proxy: &FaultProxy) {
    let export = announcing.export(6).await;
    let url = announcing.endpoint.put("archive", Behaviour::Body(b"[1]".to_vec()));
    announcing.announce(&announcement(&export, 0, &url)).await;
    announcing.wait_source(&export, 0, "complete").await;
    proxy.set(Fault::Refuse);
    proxy.cut_all();
    for place in 1..6 {
        announcing.announce(&announcement(&export, place, &url)).await;
    }
    announcing.app.wait_for_metric(OURS).await;
    tokio::time::sleep(SILENCE).await;
    proxy.set(Fault::None);
    for place in 1..6 {
        announcing.wait_source(&export, place, "complete").await;
    }
    announcing.dead_letters(0).await;
    announcing.end().await;
}

#[tokio::test]
async fn records_wait_while_the_database_is_away() {
    let proxy = FaultProxy::bind().await.unwrap();
    let announcing = Announcing::behind(&proxy, AppSettings::database_through).await;
    Box::pin(waited_for(announcing, &proxy)).await;
}

#[tokio::test]
async fn records_wait_while_object_storage_is_away() {
    let proxy = FaultProxy::bind().await.unwrap();
    let announcing = Announcing::behind(&proxy, AppSettings::storage_through).await;
    Box::pin(waited_for(announcing, &proxy)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_kafka_is_away_what_was_taken_is_handed_in_and_nothing_is_lost_or_done_twice() {
    let options = KafkaOptions { heap_mib: 256, auto_create_topics: false, ..KafkaOptions::default() };
    let kafka = Kafka::start(options).await.unwrap();
    let announcing = Announcing::on_kafka(kafka.brokers()).await;
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(&announcing, folder.path(), "").await;
    let export = announcing.export(3).await;
    let slow = |body: &[u8]| Behaviour::Slow(Duration::from_secs(2), body.to_vec());
    let url = announcing.endpoint.put("slow", slow(b"[1]"));
    announcing.announce(&announcement(&export, 0, &url)).await;
    let broken = announcing.endpoint.put("broken", slow(b"\x1f\x8bno gzip"));
    announcing.announce(&announcement(&export, 1, &broken)).await;
    asked_for(&announcing.endpoint, &["slow", "broken"]).await;

    kafka.kill().unwrap();
    announcing.wait_source(&export, 0, "complete").await;
    program.wait_unready("kafka").await;
    // The dead letter waits.
    program.wait_metric(OURS).await;

    kafka.restart().await.unwrap();
    program.wait_ready().await;
    let letters = announcing.at_least_dead_letters(1).await;
    // One that was not acknowledged may be there twice.
    assert!(letters.iter().all(|letter| letter.origin.2 == 1), "{letters:?}");
    announcing.announce(&announcement(&export, 2, &url)).await;
    announcing.wait_source(&export, 2, "complete").await;
    program.wait_metric("announced_lag_records{service=\"intake\"} 0").await;
    assert_eq!(program.terminate(Duration::from_secs(12)).await, Some(0));
    let app = &announcing.app;
    assert_eq!(app.status(&export).await["sources"][1]["status"], "pending");
    assert_eq!(app.count("SELECT count(*) FROM outbox WHERE kind = 'request'").await, 0);
    // What a broken hand-in left is removed, and each source has one object.
    app.clock.advance(chrono::TimeDelta::days(1));
    app.wait_for_no("upload_attempts").await.unwrap();
    app.wait_for_no("object_deletions").await.unwrap();
    assert_eq!(app.object_keys().await.len(), 2);
    announcing.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_topic_of_dead_letters_is_missing_they_wait_and_good_records_go_on() {
    let announcing = Announcing::without_dead_letter_topic().await;
    announcing.run_intake().await;
    let service = announcing.settings.announce.consume_service.clone();
    announcing.send(&service, b"nothing to read".to_vec()).await;
    let export = announcing.export(1).await;
    let url = announcing.endpoint.put("good", Behaviour::Body(b"[1]".to_vec()));
    announcing.announce(&announcement(&export, 0, &url)).await;
    announcing.wait_source(&export, 0, "complete").await;
    announcing.app.wait_for_metric(OURS).await;
    let settings = &announcing.settings;
    ensure_topics(&settings.kafka, &[&settings.announce.dead_letter_topic], 1).await.unwrap();
    assert_eq!(announcing.dead_letters(1).await[0].payload.as_deref(), Some(&b"nothing to read"[..]));
    announcing.wait_outcome("dead", 1).await;
    announcing.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_how_much_lies_behind_a_record_that_is_not_done() {
    let announcing = Announcing::with(|all| all.intake.max_tries = 1_000).await;
    let export = announcing.export(2).await;
    let failing = announcing.endpoint.put("failing", Behaviour::Status(503));
    announcing.announce(&announcement(&export, 0, &failing)).await;
    let url = announcing.endpoint.put("good", Behaviour::Body(b"[1]".to_vec()));
    announcing.announce(&announcement(&export, 1, &url)).await;
    announcing.send("another", Vec::new()).await;
    announcing.app.wait_for_metric("announced_lag_records{service=\"intake\"} 3").await;
    announcing.app.wait_for_metric("announced_partitions{service=\"intake\"} 1").await;
    announcing.endpoint.put("failing", Behaviour::Body(b"[2]".to_vec()));
    announcing.app.wait_for_metric("announced_lag_records{service=\"intake\"} 0").await;
    announcing.end().await;
}
