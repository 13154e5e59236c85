//! Records that are made to harm.

use std::{io::Write as _, time::Duration};

use domain::{ByteSize, Period};
use e2e::{AppSettings, Customer, OTHER_APPLICATION, SOURCE_APPLICATION, expect};
use serde_json::json;

use crate::{
    endpoint::Behaviour,
    process::Program,
    support::{Announcing, announcement, asked_for},
};

fn gzip_of_zeros(size_bytes: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0; size_bytes]).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn neither_identity_nor_signed_url_shows_in_logs_metrics_or_reasons() {
    let announcing = Announcing::without_intake(1, |settings| {
        settings.application(SOURCE_APPLICATION).announce_hosts.insert("nowhere.invalid".to_owned());
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let debugging = ("EXPORTS__TELEMETRY__FILTER", "debug");
    let program = Program::start_with(&announcing, folder.path(), debugging).await;
    let export = announcing.export(1).await;
    let put = |path: &str, behaviour| announcing.endpoint.put(path, behaviour);
    let fine = put("fine", Behaviour::Body(b"[1]".to_vec()));
    let urls = [
        put("404", Behaviour::Status(404)),
        put("503", Behaviour::Status(503)),
        put("cut", Behaviour::Cut(b"[".to_vec())),
        put("gzip", Behaviour::Body(b"\x1f\x8bno gzip".to_vec())),
        put("302", Behaviour::Redirect(fine.clone())),
        fine.replace("127.0.0.1", "nowhere.invalid"),
        fine.replace("127.0.0.1", "unlisted.example"),
        fine.replace("http://", "http://s3cret:s3cret@"),
        fine.replace("http://", "s3cret://"),
        fine.replace("127.0.0.1", "127.0.0.1:s3cret"),
    ];
    for url in &urls {
        announcing.announce(&announcement(&export, 0, url)).await;
    }
    let mut malformed = announcement(&export, 0, &fine);
    malformed["timestamp"] = json!(&fine);
    announcing.announce(&malformed).await;
    malformed["size"] = json!(&fine);
    announcing.announce(&malformed).await;
    let letters = announcing.dead_letters(urls.len() + 2).await;
    announcing.announce(&announcement(&export, 0, &fine)).await;
    announcing.wait_source(&export, 0, "complete").await;
    let reasons: Vec<_> = letters.iter().map(|letter| &letter.reason).collect();
    let told = format!("{}\n{}\n{reasons:?}", program.log(), program.metrics().await.unwrap());
    assert!(told.contains("the archive is tried again") && told.contains("a record is a dead letter"));
    for secret in ["s3cret", "X-Amz", &export.customer.header(), &export.customer.username] {
        let line = told.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret}: {line:?}");
    }
    announcing.end().await;
}

#[tokio::test]
async fn an_application_whose_servers_are_silent_does_not_hold_up_the_others() {
    let list = |settings: &mut AppSettings| {
        settings.application(OTHER_APPLICATION).announce_hosts.insert("127.0.0.1".to_owned());
    };
    let mut announcing = Announcing::without_intake(1, list).await;
    announcing.settings.intake.parallel = 2;
    announcing.settings.intake.parallel_of_application = 1;
    announcing.settings.intake.fetch.idle_timeout = Period::from_secs(4);
    announcing.run_intake().await;
    let ours = json!({"application": SOURCE_APPLICATION, "resource": "exampleResource"});
    let theirs = json!({"application": OTHER_APPLICATION, "resource": "otherResource"});
    let wanted = json!({"name": "N", "format": "json", "sources": [ours, ours, ours, theirs]});
    let export = announcing.app.create(&Customer::new(), &wanted).await;
    let silent = announcing.endpoint.put("silent", Behaviour::Silent);
    let url = announcing.endpoint.put("good", Behaviour::Body(b"[1]".to_vec()));
    let place = |application: &str| {
        let places = 0..export.sources.len();
        places.filter(|place| export.sources[*place].application == application).collect::<Vec<_>>()
    };
    for place in place(SOURCE_APPLICATION) {
        announcing.announce(&announcement(&export, place, &silent)).await;
    }
    asked_for(&announcing.endpoint, &["silent"]).await;
    let other = place(OTHER_APPLICATION)[0];
    announcing.announce(&announcement(&export, other, &url)).await;
    announcing.wait_source(&export, other, "complete").await;
    assert_eq!(announcing.endpoint.requests("silent"), 1, "the others wait for their turn");
    announcing.endpoint.put("silent", Behaviour::Body(b"[2]".to_vec()));
    for place in place(SOURCE_APPLICATION) {
        announcing.wait_source(&export, place, "complete").await;
    }
    announcing.end().await;
}

#[tokio::test]
async fn an_archive_of_an_export_that_is_deleted_meanwhile_leaves_nothing() {
    let announcing = Announcing::start().await;
    let export = announcing.export(1).await;
    let slow = Behaviour::Slow(Duration::from_millis(700), b"[1]".to_vec());
    let url = announcing.endpoint.put("slow", slow);
    announcing.announce(&announcement(&export, 0, &url)).await;
    asked_for(&announcing.endpoint, &["slow"]).await;
    expect(announcing.app.delete(&export).await, 202).await;
    let reason = &announcing.dead_letters(1).await[0].reason;
    assert!(reason.contains("not found") || reason.contains("gone"), "{reason}");
    announcing.app.clock.advance(chrono::TimeDelta::days(1));
    announcing.app.wait_for_no("upload_attempts").await.unwrap();
    announcing.app.wait_for_no("object_deletions").await.unwrap();
    assert!(announcing.app.object_keys().await.is_empty());
    announcing.end().await;
}

#[tokio::test]
async fn a_gzip_bomb_fails_its_source_at_the_limit_and_a_cut_gzip_is_none() {
    let announcing = Announcing::without_intake(1, |settings| {
        settings.application(SOURCE_APPLICATION).max_upload_bytes = Some(ByteSize::from_mib(1));
    })
    .await;
    announcing.run_intake().await;
    let export = announcing.export(3).await;
    let bomb = gzip_of_zeros(64 << 20);
    assert!(bomb.len() < 100_000);
    let url = announcing.endpoint.put("bomb", Behaviour::Body(bomb));
    announcing.announce(&announcement(&export, 0, &url)).await;
    let source = announcing.wait_source(&export, 0, "failed").await;
    assert_eq!(source["error"], 413, "{source}");
    // The same bytes once more, as a second member would have them.
    let mut twice = gzip_of_zeros(700 << 10);
    twice.extend(gzip_of_zeros(700 << 10));
    let url = announcing.endpoint.put("twice", Behaviour::Body(twice));
    announcing.announce(&announcement(&export, 1, &url)).await;
    announcing.wait_source(&export, 1, "failed").await;
    let mut cut = gzip_of_zeros(10_000);
    cut.truncate(cut.len() - 4);
    let url = announcing.endpoint.put("cut", Behaviour::Body(cut));
    announcing.announce(&announcement(&export, 2, &url)).await;
    let reasons: Vec<_> = announcing.dead_letters(3).await.into_iter().map(|letter| letter.reason).collect();
    let too_large = "payload is too large, max size: 1MB";
    assert_eq!(reasons, [too_large, too_large, "the payload is not valid gzip"]);
    announcing.wait_source(&export, 2, "pending").await;
    announcing.end().await;
}
