//! A topic that others use too, and a run that is too short.

use exportctl::verify_source::report::Verdict;
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    mocking::MockCluster,
    producer::{FutureProducer, FutureRecord},
};
use testkit::TestTopic;

use crate::{
    bad_source,
    fault::Fault,
    support::{APPLICATION, Run},
};

const EXAMPLE: &str = include_str!("../../../../schemas/events/resource-request.example.json");

/// A request of somebody else to the same application.
async fn ask_from_elsewhere(run: &Run) {
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", &run.topic.brokers).create().unwrap();
    let header = Header { key: "application", value: Some(APPLICATION) };
    let payload = EXAMPLE.replace("inventory", APPLICATION).replace("packages", "things");
    let record = FutureRecord::<(), _>::to(&run.topic.name)
        .payload(&payload)
        .headers(OwnedHeaders::new().insert(header));
    producer.send(record, std::time::Duration::from_secs(10)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_others_are_not_judged() {
    let run = Run::new("things").await;
    ask_from_elsewhere(&run).await;
    // It answers them as well, with a path that only they have.
    let _source = bad_source::start(&run, Fault::None).await;
    let report = run.with(&["--only", "path,once,in-time,error-report"]).report().await;
    assert!(report.passed(), "{report}");
    assert_eq!(report.count(Verdict::Pass), 4, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_broker_is_enough() {
    let cluster = MockCluster::new(1).unwrap();
    let topic = TestTopic { brokers: cluster.bootstrap_servers(), name: "requests".to_owned() };
    cluster.create_topic(&topic.name, 3, 1).unwrap();
    let run = Run::on(topic, "things");
    let _source = bad_source::start(&run, Fault::None).await;
    let report = run.with(&["--only", "answers,two-at-once,commit", "--group", "requests"]).report().await;
    assert_eq!(report.count(Verdict::Pass), 3, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_when_its_time_is_over() {
    let run = Run::new("things").await;
    let _source = bad_source::start(&run, Fault::None).await;
    let report = run.with(&["--timeout", "2"]).report().await;
    assert!(!report.passed());
    assert!(report.to_string().contains("its 2 s (--timeout) were over"), "{report}");
}
