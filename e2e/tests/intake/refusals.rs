//! What cannot be used is a dead letter, and does not stop what follows.

use domain::{ByteSize, Clock as _, Period, SystemClock};
use e2e::{Customer, SOURCE_APPLICATION, identity_header};
use serde_json::{Value, json};

use crate::{
    endpoint::Behaviour,
    support::{Announcing, announcement},
};

/// Announces each record; each is a dead letter with its reason, and a good one after them settles its source.
async fn refused(announcing: Announcing, records: Vec<(Value, &str)>) {
    let export = announcing.export(1).await;
    for (record, _) in &records {
        announcing.announce(record).await;
    }
    let url = announcing.endpoint.put("good", Behaviour::Body(b"[1]".to_vec()));
    announcing.announce(&announcement(&export, 0, &url)).await;
    announcing.wait_source(&export, 0, "complete").await;
    let letters = announcing.dead_letters(records.len()).await;
    for (record, reason) in &records {
        let bytes = record.to_string().into_bytes();
        let letter = letters.iter().find(|letter| letter.payload.as_ref() == Some(&bytes)).unwrap();
        assert_eq!(letter.reason, *reason, "{record}");
        assert!(letter.key.is_some());
        assert_eq!(letter.headers[1], ("own".to_owned(), b"kept".to_vec()));
        assert_eq!(letter.origin.0, announcing.settings.announce.topic);
    }
    announcing.end().await;
}

fn with(record: Value, pointer: &str, value: Value) -> Value {
    let mut record = record;
    *record.pointer_mut(pointer).unwrap() = value;
    record
}

#[tokio::test]
async fn s2_4_a_stranger_hands_in_nothing() {
    let announcing = Announcing::start().await;
    let export = announcing.export(1).await;
    let url = announcing.endpoint.put("archive", Behaviour::Body(b"[1]".to_vec()));
    let record = announcement(&export, 0, &url);
    let stranger = Customer { org_id: "999".to_owned(), ..Customer::new() };
    let nowhere = "0b69f1f5-4e37-4a41-9ff5-5f0c2f5d7fd9";
    let answered = "/metadata/custom_metadata/export_service";
    let unlisted = url.replace("127.0.0.1", "localhost");
    let cases = vec![
        (
            with(record.clone(), "/b64_identity", json!(stranger.header())),
            "the record's organization does not own the export",
        ),
        (
            with(record.clone(), "/b64_identity", json!("encoded-identity-info")),
            "b64_identity: unable to b64 decode x-rh-identity header",
        ),
        (
            with(record.clone(), "/b64_identity", json!(identity_header(&json!({})))),
            "b64_identity: x-rh-identity header has an invalid or missing org_id",
        ),
        (with(record.clone(), &format!("{answered}/export_id"), json!(nowhere)), "the export is gone"),
        (
            with(record.clone(), &format!("{answered}/resource_id"), json!(nowhere)),
            "the export has no such source",
        ),
        (
            with(record.clone(), &format!("{answered}/application"), json!("urn:redhat:application:other")),
            "the source belongs to another application",
        ),
        (
            with(record.clone(), "/url", json!(unlisted)),
            "the host `localhost` is not listed for the application",
        ),
        (with(record.clone(), "/url", json!("file:///etc/passwd")), "the URL's scheme is not allowed"),
        (with(record.clone(), "/url", json!("first-part")), "the URL cannot be parsed"),
    ];
    let endpoint = announcing.endpoint.clone();
    Box::pin(refused(announcing, cases)).await;
    assert_eq!(endpoint.requests("archive"), 0, "nothing was fetched for a stranger");
}

#[tokio::test]
async fn s2_3_what_the_server_refuses_is_asked_for_once() {
    let announcing = Announcing::start().await;
    let export = announcing.export(7).await;
    let elsewhere = announcing.endpoint.put("elsewhere", Behaviour::Body(b"[1]".to_vec()));
    let put = |path: &str, behaviour| announcing.endpoint.put(path, behaviour);
    let cases = vec![
        (announcement(&export, 0, &put("401", Behaviour::Status(401))), "the server answers with status 401"),
        (announcement(&export, 1, &put("403", Behaviour::Status(403))), "the server answers with status 403"),
        (announcement(&export, 2, &put("404", Behaviour::Status(404))), "the server answers with status 404"),
        (announcement(&export, 3, &put("410", Behaviour::Status(410))), "the server answers with status 410"),
        (
            announcement(&export, 4, &put("302", Behaviour::Redirect(elsewhere))),
            "the server answers with status 302",
        ),
        (
            announcement(
                &export,
                5,
                &put("gzip", Behaviour::With("Content-Encoding: gzip", b"[1]".to_vec())),
            ),
            "the payload is not valid gzip",
        ),
        (
            announcement(&export, 6, &put("br", Behaviour::With("Content-Encoding: br", b"[1]".to_vec()))),
            "the body has a Content-Encoding other than gzip",
        ),
    ];
    let endpoint = announcing.endpoint.clone();
    Box::pin(refused(announcing, cases)).await;
    for path in ["401", "403", "404", "410", "302", "gzip", "br"] {
        assert_eq!(endpoint.requests(path), 1, "{path}");
    }
    assert_eq!(endpoint.requests("elsewhere"), 0, "redirects are not followed");
}

#[tokio::test]
async fn s2_3_an_address_that_is_not_public_is_not_connected_to() {
    let announcing = Announcing::with(|all| all.intake.fetch.allow_networks.clear()).await;
    let export = announcing.export(1).await;
    let url = announcing.endpoint.put("archive", Behaviour::Body(b"[1]".to_vec()));
    announcing.announce(&announcement(&export, 0, &url)).await;
    let letter = announcing.dead_letters(1).await.remove(0);
    assert_eq!(letter.reason, "the host has an address that is not public");
    assert_eq!(announcing.endpoint.requests("archive"), 0);
    announcing.end().await;
}

#[tokio::test]
async fn bytes_of_every_kind_are_dead_letters_and_stop_nothing() {
    let announcing = Announcing::start().await;
    let service = announcing.settings.announce.consume_service.clone();
    let poison: [&[u8]; 8] =
        [b"", b"null", b"[]", b"{", b"\xff\xfe", b"{\"url\": 7}", b"\"text\"", &[b'['; 5_000]];
    for bytes in poison {
        announcing.send(&service, bytes.to_vec()).await;
    }
    let export = announcing.export(1).await;
    let url = announcing.endpoint.put("good", Behaviour::Body(b"[1]".to_vec()));
    announcing.announce(&announcement(&export, 0, &url)).await;
    announcing.wait_source(&export, 0, "complete").await;
    let mut kept: Vec<_> = announcing
        .dead_letters(poison.len())
        .await
        .into_iter()
        .map(|letter| letter.payload.unwrap())
        .collect();
    let mut sent: Vec<_> = poison.iter().map(|bytes| bytes.to_vec()).collect();
    kept.sort();
    sent.sort();
    assert_eq!(kept, sent);
    announcing.end().await;
}

#[tokio::test]
async fn an_archive_above_the_limit_fails_its_source_as_an_upload_does() {
    let announcing = Announcing::without_intake(1, |settings| {
        settings.application(SOURCE_APPLICATION).max_upload_bytes = Some(ByteSize::from_kib(1));
    })
    .await;
    announcing.run_intake().await;
    let export = announcing.export(1).await;
    let url = announcing.endpoint.put("large", Behaviour::Body(vec![b' '; 1025]));
    announcing.announce(&announcement(&export, 0, &url)).await;
    let source = announcing.wait_source(&export, 0, "failed").await;
    assert_eq!(source["error"], 413, "{source}");
    assert_eq!(announcing.dead_letters(1).await[0].reason, "payload is too large, max size: 1KB");
    announcing.end().await;
}

#[tokio::test]
async fn records_older_than_the_greatest_age_are_not_fetched() {
    let announcing = Announcing::with(|all| all.announce.max_age = Some(Period::from_secs(3600))).await;
    let export = announcing.export(1).await;
    let url = announcing.endpoint.put("archive", Behaviour::Body(b"[1]".to_vec()));
    announcing.announce(&announcement(&export, 0, &url)).await;
    announcing.wait_source(&export, 0, "complete").await;
    // The record is as old as it is to Kafka; our clock shows a day later.
    let ahead = SystemClock.now() - announcing.app.now();
    announcing.app.clock.advance(ahead + chrono::TimeDelta::hours(2));
    announcing.announce(&announcement(&export, 0, &url)).await;
    assert_eq!(announcing.dead_letters(1).await[0].reason, "the record is older than announce.max_age");
    assert_eq!(announcing.endpoint.requests("archive"), 1);
    announcing.end().await;
}
