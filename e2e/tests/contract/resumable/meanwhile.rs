//! What changes while a resumable upload goes on: the registry, its source, its export, and others who add to it
//! (S0-tus).

use std::time::Duration;

use chrono::TimeDelta;
use domain::{ApplicationName, ByteSize, Period};
use e2e::{Customer, PATIENCE, SOURCE_APPLICATION, TestApp, expect, refusal};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use testkit::poll_until;
use tokio::time::{sleep, timeout};

use super::{Upload, asked, delivered, rows, text};
use crate::support::{one_export, one_export_with, one_source, piecewise, source_status, usual};

const LEFT_OF_UPLOADS: &str =
    "SELECT (SELECT count(*) FROM resumable_uploads) + (SELECT count(*) FROM upload_attempts)";

#[tokio::test]
async fn s0_tus_s0_48_a_limit_that_was_lowered_meanwhile_counts() {
    let (mut app, export) = one_export().await;
    let upload = Upload::begin(&app, &export, 2000).await.location;
    expect(Upload::of(&app, &upload).patch(0, rows(1000)).send().await, 204).await;
    app.settings.application(SOURCE_APPLICATION).max_upload_bytes = Some(ByteSize::from_kib(1));
    app.apply_registry().await;
    let path = format!("{}/uploads", export.sources[0].path);
    let lowered = poll_until(PATIENCE, async || {
        let options = app.answer(&usual(), Method::OPTIONS, &path).send().await?;
        Ok((text(options.headers(), "tus-max-size").as_deref() == Some("1024")).then_some(()))
    });
    lowered.await.unwrap();
    let refused = Upload::of(&app, &upload).patch(1000, rows(1)).send().await;
    assert!(refusal(refused, 413).await.contains("payload is too large, max size: 1KB"));
    let source = source_status(&app, &export).await;
    assert_eq!((&source["status"], &source["error"]), (&"failed".into(), &413.into()));
    app.wait_for_no("object_deletions").await.unwrap();
    assert!(app.object_keys().await.is_empty());
    app.end().await;
}

#[tokio::test]
async fn s0_tus_s0_17_who_may_call_is_looked_at_when_a_request_begins() {
    let (mut app, export) = one_export().await;
    let name = ApplicationName::parse(SOURCE_APPLICATION).unwrap();
    let keys = app.store().registry().await.unwrap().keys;
    let old = keys.into_iter().find(|key| key.application == name).unwrap();
    let location = Upload::begin(&app, &export, 6).await.location;
    let upload = Upload::of(&app, &location);
    let (chunks, body) = piecewise();
    let under_way = tokio::spawn(upload.patch(0, body).send());
    chunks.send(b"[1".to_vec()).await.unwrap();
    app.wait_for_count("SELECT count(*) FROM upload_attempts", 2).await.unwrap();
    assert!(app.store().withdraw_key(old.id).await.unwrap());
    let refused = poll_until(PATIENCE, async || {
        Ok((upload.request(Method::HEAD).send().await?.status() == 403).then_some(()))
    });
    refused.await.unwrap();
    chunks.send(b",2".to_vec()).await.unwrap();
    drop(chunks);
    expect(under_way.await.unwrap(), 204).await;
    expect(upload.patch(4, "3]").send().await, 403).await;
    assert_eq!(source_status(&app, &export).await["status"], "pending");

    // Without a key at all it may do nothing. The application goes, and comes back with its key.
    let application = app.settings.applications.remove(&name).unwrap();
    app.apply_registry().await;
    let status = async |app: &TestApp, expected: u16| {
        let reached = poll_until(PATIENCE, async || {
            let head = Upload::of(app, &location).request(Method::HEAD).send().await?;
            Ok((head.status() == expected).then_some(()))
        });
        reached.await.unwrap();
    };
    status(&app, 403).await;
    app.settings.applications.insert(name, application);
    app.apply_registry().await;
    status(&app, 200).await;
    let upload = Upload::of(&app, &location);
    expect(upload.patch(4, "3]").send().await, 204).await;
    assert_eq!(delivered(&app.download(&export).await, &export), "[1,23]");
    app.end().await;
}

#[tokio::test]
async fn s0_tus_s0_deadline_a_pause_that_is_too_long_is_no_answer_and_the_upload_may_still_be_one() {
    for returns in [true, false] {
        let app = TestApp::with(|settings| {
            for resource in settings.application(SOURCE_APPLICATION).resources.values_mut() {
                resource.answer_within = Some(Period::from_secs(3 * 60 * 60));
                resource.max_tries = Some(2);
            }
        })
        .await;
        let export = app.create(&Customer::new(), &one_source()).await;
        app.drain().await;
        let upload = Upload::begin(&app, &export, 10).await;
        app.clock.advance(TimeDelta::minutes(59));
        expect(upload.patch(0, "12345").send().await, 204).await;
        app.clock.advance(TimeDelta::minutes(9));
        app.wait_for_steps("deadlines", 2).await;
        assert_eq!(app.events(1).await.len(), 1, "it goes on: nobody is asked");
        app.clock.advance(TimeDelta::minutes(1));
        assert_eq!(app.events(2).await.len(), 2, "a day is left to it, and its source is asked again");
        assert_eq!(source_status(&app, &export).await.get("received_bytes"), None);
        if returns {
            expect(upload.patch(5, "67890").send().await, 204).await;
            assert_eq!(delivered(&app.download(&export).await, &export), "1234567890");
        } else {
            app.clock.advance(TimeDelta::hours(2));
            app.wait_for_count("SELECT count(*) FROM exports WHERE status = 'failed'", 1).await.unwrap();
            assert_eq!(source_status(&app, &export).await["error"], 504);
            expect(upload.patch(5, "67890").send().await, 410).await;
            app.wait_for_count(LEFT_OF_UPLOADS, 0).await.unwrap();
            app.wait_for_no("object_deletions").await.unwrap();
            assert!(app.object_keys().await.is_empty());
        }
        app.end().await;
    }
}

#[tokio::test]
async fn s0_tus_of_requests_at_one_offset_on_two_replicas_one_counts() {
    let (app, export) = one_export().await;
    let replicas = [app.internal_url.clone(), app.second_internal_api().await];
    let data = rows(20_000);
    let upload = Upload::begin(&app, &export, data.len()).await;
    for from in (0..data.len()).step_by(1000) {
        let patch = |replica: &String| {
            let patch = asked(&app, replica, Method::PATCH, &upload.location).header("upload-offset", from);
            let patch = patch.header("content-type", "application/offset+octet-stream");
            patch.body(data[from..from + 1000].to_vec()).send()
        };
        let answers = join_all(replicas.iter().cycle().take(4).map(patch)).await;
        let mut told: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().status().as_u16()).collect();
        told.sort_unstable();
        // At the end, the others may be told as well that all is there.
        let is_last = from + 1000 == data.len();
        let counted = told.iter().filter(|status| **status == 204).count();
        assert!(counted == 1 || is_last && counted > 1, "{told:?}");
        assert!(told.iter().all(|status| [204, 409, 423].contains(status)), "{told:?}");
    }
    assert!(delivered(&app.download(&export).await, &export).as_bytes() == data);
    app.end().await;
}

#[tokio::test]
async fn s0_tus_s0_24_a_request_under_way_ends_soon_after_its_export_is_deleted_and_leaves_no_bytes() {
    let (app, export) = one_export().await;
    app.drain().await;
    let upload = Upload::begin(&app, &export, 30 << 20).await;
    expect(upload.patch(0, "first").send().await, 204).await;
    let (chunks, body) = piecewise();
    let under_way = tokio::spawn(upload.patch(5, body).send());
    chunks.send(vec![b'x'; 20 << 20]).await.unwrap();
    app.wait_for_count("SELECT count(*) FROM upload_attempts", 2).await.unwrap();
    expect(app.delete(&export).await, 202).await;
    let sending = tokio::spawn(async move {
        while chunks.send(b"more".to_vec()).await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    });
    refusal(timeout(Duration::from_secs(15), under_way).await.unwrap().unwrap(), 404).await;
    sending.abort();
    app.wait_for_count(LEFT_OF_UPLOADS, 0).await.unwrap();
    app.wait_for_no("object_deletions").await.unwrap();
    assert!(app.object_keys().await.is_empty());
    app.end().await;
}

#[tokio::test]
async fn s0_tus_what_is_being_added_to_an_upload_that_is_terminated_does_not_count() {
    let (app, export) = one_export().await;
    let upload = Upload::begin(&app, &export, 100).await;
    expect(upload.patch(0, "12345").send().await, 204).await;
    let (chunks, body) = piecewise();
    let under_way = tokio::spawn(upload.patch(5, body).send());
    chunks.send(b"67".to_vec()).await.unwrap();
    app.wait_for_count("SELECT count(*) FROM upload_attempts", 2).await.unwrap();
    expect(upload.request(Method::DELETE).send().await, 204).await;
    drop(chunks);
    expect(under_way.await.unwrap(), 404).await;
    app.wait_for_count(LEFT_OF_UPLOADS, 0).await.unwrap();
    app.wait_for_no("object_deletions").await.unwrap();
    assert!(app.object_keys().await.is_empty());
    expect(app.upload(&export.sources[0], "[1]").await, 202).await;
    app.end().await;
}

#[tokio::test]
async fn s0_tus_s0_47c_what_is_being_added_when_its_source_fails_is_refused_as_an_upload_would_be() {
    let (app, export) = one_export().await;
    let upload = Upload::begin(&app, &export, 100).await;
    let (chunks, body) = piecewise();
    let under_way = tokio::spawn(upload.patch(0, body).send());
    chunks.send(b"67".to_vec()).await.unwrap();
    app.wait_for_count("SELECT count(*) FROM upload_attempts", 2).await.unwrap();
    expect(app.report(&export.sources[0], &json!({"message": "no", "error": 500})).await, 202).await;
    app.wait_for_no("resumable_uploads").await.unwrap();
    drop(chunks);
    let refused = refusal(under_way.await.unwrap(), 410).await;
    assert!(refused.contains("this resource has already been processed"), "{refused}");
    app.wait_for_count(LEFT_OF_UPLOADS, 0).await.unwrap();
    app.wait_for_no("object_deletions").await.unwrap();
    assert!(app.object_keys().await.is_empty());
    app.end().await;
}

#[tokio::test]
async fn s0_tus_a_slow_request_outlives_the_expiry_of_its_upload() {
    let (app, export) = one_export_with(|settings| {
        settings.internal_api.resumable_upload_expiry = Period::from_secs(60 * 60);
        // The clock stands still for the lease as well.
        settings.internal_api.upload_lease = Period::from_secs(100 * 60 * 60);
    })
    .await;
    let upload = Upload::begin(&app, &export, 5).await;
    app.clock.advance(TimeDelta::hours(1) - TimeDelta::seconds(2));
    let (chunks, body) = piecewise();
    let under_way = tokio::spawn(upload.patch(0, body).send());
    chunks.send(b"[1".to_vec()).await.unwrap();
    app.wait_for_count("SELECT count(*) FROM upload_attempts", 2).await.unwrap();
    app.clock.advance(TimeDelta::seconds(2));
    app.wait_for_steps("uploads", 2).await;
    chunks.send(b",2]".to_vec()).await.unwrap();
    drop(chunks);
    expect(under_way.await.unwrap(), 204).await;
    assert_eq!(delivered(&app.download(&export).await, &export), "[1,2]");
    app.end().await;
}
