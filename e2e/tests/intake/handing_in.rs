//! What is announced as the contract says settles its source.

use std::io::Write as _;

use e2e::{Customer, SOURCE_APPLICATION};
use serde_json::json;

use crate::{
    endpoint::Behaviour,
    support::{Announcing, SILENCE, announcement},
};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn s2_3_to_s2_5_an_announced_archive_settles_its_source() {
    let announcing = Announcing::start().await;
    let export = announcing.export(1).await;
    let url = announcing.endpoint.put("archive", Behaviour::Body(b"[1, 2]".to_vec()));
    announcing.announce(&announcement(&export, 0, &url)).await;
    announcing.wait_source(&export, 0, "complete").await;
    let archive = announcing.app.download(&export).await;
    assert_eq!(archive.text(&format!("{}.json", export.sources[0].id)), "[1, 2]");
    announcing.wait_outcome("handed_in", 1).await;
    announcing.dead_letters(0).await;
    announcing.end().await;
}

#[tokio::test]
async fn s2_6_to_s2_15_both_profiles_and_unknown_versions_are_taken() {
    let announcing = Announcing::start().await;
    let export = announcing.export(3).await;
    let url = announcing.endpoint.put("archive", Behaviour::Body(b"[1]".to_vec()));
    let mut seed = announcement(&export, 0, &url);
    for (name, value) in [
        ("account", json!(123_456)),
        ("principal", json!(9)),
        ("size", json!(3)),
        ("category", json!("test")),
        ("request_id", json!("b44bfb83b8b0e4a7aad8b64b43879846")),
        ("version", json!(1)),
    ] {
        seed[name] = value;
    }
    seed["metadata"]["reporter"] = json!("");
    seed["metadata"]["stale_timestamp"] = json!("0001-01-01T00:00:00Z");
    seed["metadata"]["custom_metadata"]["ccx_metadata"] = json!({"gathering_time": "2022-03-02T00:01:02Z"});
    let mut ingress = announcement(&export, 1, &url);
    ingress["account"] = json!("123456");
    ingress["principal"] = json!("9");
    ingress["service"] = json!("anything");
    let mut future = announcement(&export, 2, &url);
    future["version"] = json!(7);
    future["more"] = json!({"of": "it"});
    for record in [seed, ingress, future] {
        announcing.announce(&record).await;
    }
    for place in 0..3 {
        announcing.wait_source(&export, place, "complete").await;
    }
    announcing.end().await;
}

#[tokio::test]
async fn s2_3_an_archive_is_unpacked_however_it_is_packed_or_sent() {
    let announcing = Announcing::start().await;
    let text = "[\"a\", \"b\"]\n".repeat(20_000);
    let plain = text.as_bytes().to_vec();
    let ways = [
        Behaviour::Body(plain.clone()),
        Behaviour::Chunked(plain.clone()),
        Behaviour::Body(gzip(&plain)),
        Behaviour::Chunked(gzip(&plain)),
        Behaviour::With("Content-Encoding: gzip", gzip(&plain)),
        Behaviour::Body(Vec::new()),
    ];
    let export = announcing.export(ways.len()).await;
    for (place, way) in ways.iter().enumerate() {
        let url = announcing.endpoint.put(&format!("way-{place}"), way.clone());
        announcing.announce(&announcement(&export, place, &url)).await;
    }
    for place in 0..ways.len() {
        announcing.wait_source(&export, place, "complete").await;
    }
    let archive = announcing.app.download(&export).await;
    for (place, source) in export.sources.iter().enumerate() {
        let expected = if place + 1 == ways.len() { "" } else { text.as_str() };
        assert_eq!(archive.text(&format!("{}.json", source.id)), expected, "way {place}");
    }
    announcing.end().await;
}

#[tokio::test]
async fn csv_of_an_archive_is_changed_for_spreadsheets_where_that_is_asked_for() {
    let announcing = Announcing::start().await;
    let source = json!({"application": SOURCE_APPLICATION, "resource": "exampleResource",
        "csv": {"formula_guard": true}});
    let wanted = json!({"name": "Nightly", "format": "csv", "sources": [source]});
    let export = announcing.app.create(&Customer::new(), &wanted).await;
    let url = announcing.endpoint.put("formula", Behaviour::Body(b"sum\n=1+1\n".to_vec()));
    for times in 1..=2 {
        // The second time it is compared with what was announced, not with what became of it.
        announcing.announce(&announcement(&export, 0, &url)).await;
        announcing.wait_outcome("handed_in", times).await;
    }
    let archive = announcing.app.download(&export).await;
    assert_eq!(archive.text(&format!("{}.csv", export.sources[0].id)), "sum\n'=1+1\n");
    announcing.dead_letters(0).await;
    announcing.end().await;
}

#[tokio::test]
async fn s2_12_records_for_others_pass_by_and_are_counted() {
    let announcing = Announcing::start().await;
    let export = announcing.export(2).await;
    let url = announcing.endpoint.put("others", Behaviour::Body(b"[1]".to_vec()));
    let record = announcement(&export, 0, &url).to_string().into_bytes();
    for service in ["exports", "another", "Exports-Intake", ""] {
        announcing.send(service, record.clone()).await;
    }
    announcing.send("another", b"no JSON at all".to_vec()).await;
    let url = announcing.endpoint.put("ours", Behaviour::Body(b"[1]".to_vec()));
    announcing.announce(&announcement(&export, 1, &url)).await;
    announcing.wait_source(&export, 1, "complete").await;
    announcing.wait_outcome("passed_over", 5).await;
    assert_eq!(announcing.endpoint.requests("others"), 0);
    announcing.dead_letters(0).await;
    announcing.end().await;
}

#[tokio::test]
async fn the_same_archive_once_more_is_welcome_and_another_is_not() {
    let announcing = Announcing::start().await;
    let export = announcing.export(1).await;
    let url = announcing.endpoint.put("first", Behaviour::Body(b"[1]".to_vec()));
    let record = announcement(&export, 0, &url);
    announcing.announce(&record).await;
    announcing.wait_source(&export, 0, "complete").await;
    announcing.announce(&record).await;
    announcing.wait_outcome("handed_in", 2).await;
    // The URL has ended by now, and the source is complete.
    announcing.endpoint.put("first", Behaviour::Status(403));
    announcing.announce(&record).await;
    announcing.wait_outcome("known", 1).await;
    let url = announcing.endpoint.put("other", Behaviour::Body(b"[2]".to_vec()));
    announcing.announce(&announcement(&export, 0, &url)).await;
    let letter = announcing.dead_letters(1).await.remove(0);
    assert_eq!(letter.reason, "this resource has already been processed");
    tokio::time::sleep(SILENCE).await;
    assert_eq!(announcing.app.object_keys().await.len(), 1);
    announcing.end().await;
}
