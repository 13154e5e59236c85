//! Sources that nobody answers are asked again, and answers come twice, late, or from somebody else
//! (S0-deadline).

use chrono::TimeDelta;
use domain::Period;
use e2e::{Customer, OTHER_APPLICATION, SOURCE_APPLICATION, SourceApplication, TestApp, expect, refusal};
use reqwest::Method;
use serde_json::json;

use crate::support::{
    one_source, other_source, piecewise, posting, source, source_status, two_sources, wanted,
};

/// An app whose usual application has seven hours for an answer and three tries.
async fn patient_app() -> TestApp {
    TestApp::with(|settings| {
        for resource in settings.application(SOURCE_APPLICATION).resources.values_mut() {
            resource.answer_within = Some(Period::from_secs(7 * 3600));
            resource.max_tries = Some(3);
        }
    })
    .await
}

#[tokio::test]
async fn s0_deadline_an_unanswered_source_is_asked_again_with_a_new_event_and_then_fails() {
    let app = patient_app().await;
    let export = app.create(&Customer::new(), &two_sources()).await;
    expect(app.upload(&export.sources[0], "[1]").await, 202).await;
    let mut events = app.events(2).await;
    events.remove(0);
    for (asked, hours) in [(3, 1), (4, 2)] {
        app.clock.advance(TimeDelta::hours(hours));
        events.extend(app.events(asked).await.pop());
    }
    for event in &events {
        assert_eq!(event["data"], events[0]["data"], "the same question");
    }
    assert!(events[0]["id"] != events[1]["id"] && events[1]["id"] != events[2]["id"]);
    let asked_at: Vec<_> = events.iter().map(|event| event["time"].as_str().unwrap()).collect();
    assert_eq!(asked_at, ["2026-11-21T06:37:51Z", "2026-11-21T07:37:51Z", "2026-11-21T09:37:51Z"]);
    let status = app.status(&export).await;
    assert_eq!(status["sources"][1]["asked_at"], "2026-11-21T09:37:51.726270Z");
    assert_eq!(status["sources"][0]["asked_at"], status["created_at"]);

    app.clock.advance(TimeDelta::hours(4));
    app.wait_for_count("SELECT count(*) FROM exports WHERE status = 'partial'", 1).await.unwrap();
    let failed = app.status(&export).await["sources"][1].clone();
    assert_eq!(failed["error"], 504);
    assert_eq!(failed["message"], "the application did not answer in time, although it was asked 3 times");
    assert_eq!(app.events(4).await.len(), 4);
    app.wait_for_metric(r#"sources_unanswered_total{outcome="asked_again",service="dispatcher"} 2"#).await;
    app.wait_for_metric(r#"sources_unanswered_total{outcome="given_up",service="dispatcher"} 1"#).await;
    app.end().await;
}

#[tokio::test]
async fn s0_deadline_a_running_upload_counts_as_an_answer() {
    let app = TestApp::with(|settings| {
        settings.public_api.answer_within = Period::from_secs(7 * 3600);
        // The clock stands still for the lease as well, and is moved past the deadline.
        settings.internal_api.upload_lease = Period::from_secs(100 * 3600);
    })
    .await;
    let export = app.create(&Customer::new(), &one_source()).await;
    app.drain().await;
    let (chunks, body) = piecewise();
    let uploading = tokio::spawn(posting(&app, &export, "upload").body(body).send());
    chunks.send(b"[1,".to_vec()).await.unwrap();
    app.wait_for_count("SELECT count(*) FROM upload_attempts", 1).await.unwrap();
    for hours in [1, 2, 4] {
        app.clock.advance(TimeDelta::hours(hours));
        app.wait_for_steps("deadlines", 2).await;
    }
    assert_eq!(source_status(&app, &export).await["status"], "pending");
    assert_eq!(app.events(1).await.len(), 1, "it is asked once");
    chunks.send(b" 2]".to_vec()).await.unwrap();
    drop(chunks);
    expect(uploading.await.unwrap(), 202).await;
    assert_eq!(app.status(&export).await["status"], "complete");
    app.end().await;
}

#[tokio::test]
async fn s0_deadline_an_application_that_answers_everything_twice_late_or_for_others_settles_each_source_once()
 {
    let app = patient_app().await;
    let sources = wanted(&[source("exampleResource"), source("anotherExampleResource"), other_source()]);
    let export = app.create(&Customer::new(), &sources).await;
    let [late, twice, others] = &export.sources[..] else { panic!("three sources") };
    app.drain().await;
    app.clock.advance(TimeDelta::hours(1));
    let events = app.events(5).await;
    let asked: Vec<_> = events.iter().map(|event| &event["data"]["resource_request"]["uuid"]).collect();
    assert_eq!(asked[3..], [&json!(late.id), &json!(twice.id)], "the other application has a day");

    // For the first event and for the second: a consumer that does not know that they are one question.
    for expected in [202, 202] {
        expect(app.upload(late, "[1]").await, expected).await;
    }
    expect(app.upload(twice, "[1]").await, 202).await;
    refusal(app.upload(twice, "[1, 2]").await, 410).await;
    refusal(app.report(twice, &json!({"message": "no", "error": 500})).await, 410).await;
    let eager = SourceApplication::named(SOURCE_APPLICATION);
    for application in [OTHER_APPLICATION, SOURCE_APPLICATION] {
        let path = format!("/{}/{application}/{}/upload", export.id, others.id);
        refusal(app.answer(&eager, Method::POST, &path).body("[9]").send().await, 403).await;
    }
    assert_eq!(app.status(&export).await["sources"][2]["status"], "pending");
    expect(app.upload(others, "[3]").await, 202).await;
    assert_eq!(app.status(&export).await["status"], "complete");
    let archive = app.download(&export).await;
    assert_eq!(archive.text(&format!("{}.json", twice.id)), "[1]");
    app.clock.advance(TimeDelta::hours(30));
    app.wait_for_steps("deadlines", 2).await;
    assert_eq!(app.events(5).await.len(), 5, "nobody asks for what was answered");
    app.end().await;
}
