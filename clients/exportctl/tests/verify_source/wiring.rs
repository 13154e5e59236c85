//! The most common first failure: nothing comes. And the program itself: its exit codes and its formats.

use std::time::Duration;

use tokio::{join, time::sleep};

use crate::{
    bad_source,
    fault::Fault,
    support::{APPLICATION, Run},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_never_answers_is_told_how_to_wire_it() {
    let run = Run::new("things").await;
    let (topic, url) = (run.topic.name.clone(), run.url());
    let report = run.with(&["--start-within", "1", "--answer-within", "1", "--group", &topic]).report().await;
    let text = report.to_string();
    assert!(!report.passed());
    for part in [&topic, &url, APPLICATION, "the group has no member", "nothing called the internal API"] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_group_member_does_is_seen() {
    let run = Run::new("things").await;
    let group = run.topic.name.clone();
    let _source = bad_source::start(&run, Fault::Deaf).await;
    let text = run
        .with(&["--start-within", "1", "--answer-within", "1", "--group", &group])
        .report()
        .await
        .to_string();
    assert!(text.contains("the group has 1 member(s)"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_gets_its_partitions_late_is_waited_for() {
    let run = Run::new("things").await.with(&["--only", "answers,in-time", "--answer-within", "2"]);
    let late = async {
        sleep(Duration::from_secs(4)).await;
        bad_source::start(&run, Fault::None).await
    };
    let (report, _source) = join!(run.report(), late);
    assert!(report.passed(), "{report}");
}
