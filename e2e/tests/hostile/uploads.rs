//! Uploads that are not what they say, and clients that go away.

use std::io::Write as _;

use e2e::{Customer, SOURCE_APPLICATION, TestApp, expect, raw};
use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::support::{Target, refused};

/// `bytes` as gzip made by somebody else.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn gzip_that_is_broken_is_refused_and_leaves_the_source_open() {
    let target = Target::start().await;
    let good = gzip("[1, 2, 3]\n".repeat(1000).as_bytes());
    let mut wrong_checksum = good.clone();
    let checksum = wrong_checksum.len() - 8;
    wrong_checksum[checksum] ^= 1;
    let mut wrong_length = good.clone();
    *wrong_length.last_mut().unwrap() ^= 1;
    let mut garbage_behind = good.clone();
    garbage_behind.extend_from_slice(b"garbage");
    let mut broken = vec![
        Vec::new(),
        b"[1, 2, 3]".to_vec(),
        wrong_checksum,
        wrong_length,
        garbage_behind,
        [0x1f, 0x8b].to_vec(),
    ];
    broken.extend([1, 9, 10, 11, good.len() / 2, good.len() - 1].map(|length| good[..length].to_vec()));
    for body in broken {
        for request in [target.upload().sized(&body), target.upload().chunked(&body)] {
            refused(target.internal(), &request.line("content-encoding: gzip"), 400).await;
        }
    }
    target.unharmed().await;
}

#[tokio::test]
async fn several_gzip_members_are_one_file() {
    let app = TestApp::start().await;
    let wanted = json!({"name": "N", "format": "json",
        "sources": [{"application": SOURCE_APPLICATION, "resource": "exampleResource"}]});
    let export = app.create(&Customer::new(), &wanted).await;
    let path = format!("{}/upload", export.sources[0].path);
    let application = e2e::SourceApplication::named(SOURCE_APPLICATION);
    let upload = app.answer(&application, reqwest::Method::POST, &path).header("content-encoding", "gzip");
    expect(upload.body([gzip(b"[1,"), gzip(b""), gzip(b" 2]")].concat()).send().await, 202).await;
    assert_eq!(app.download(&export).await.text(&format!("{}.json", export.sources[0].id)), "[1, 2]");
    app.end().await;
}

#[tokio::test]
async fn a_client_that_goes_away_mid_upload_leaves_nothing() {
    let target = Target::start().await;
    let chunk = format!("{:x}\r\n{}\r\n", 100_000, "x".repeat(100_000));
    let requests = [
        target.upload().line("content-length: 1000000").unframed(vec![b'x'; 999_999]),
        target.upload().line("content-length: 1000000"),
        target.upload().line("transfer-encoding: chunked").unframed(chunk.repeat(100)),
        target.upload().line("transfer-encoding: chunked").unframed(&chunk[..5000]),
        target.upload().line("transfer-encoding: chunked").unframed("5\r\n[1, 2"),
    ];
    for request in requests {
        let mut stream = TcpStream::connect(target.internal()).await.unwrap();
        stream.write_all(&request.bytes()).await.unwrap();
        // A half-closed connection is the end of what the client will ever say.
        stream.shutdown().await.unwrap();
        let answer = raw::read_answer(&mut stream).await.unwrap();
        assert!(answer.is_none_or(|answer| answer.status == 400));
    }
    target.unharmed().await;
}

#[tokio::test]
async fn a_second_request_hidden_in_a_refused_upload_is_not_run() {
    let target = Target::start().await;
    let hidden = target.report().sized(r#"{"message": "smuggled", "error": 1}"#).bytes();
    // The key is wrong, so the body is refused unread; what is in it must not be taken for a request.
    let path = format!("POST {}{}/upload", e2e::INTERNAL, target.export.sources[0].path);
    let outer = crate::support::Request::new(&path).line("x-rh-exports-psk: wrong").sized(&hidden);
    refused(target.internal(), &outer, 401).await;
    target.unharmed().await;
}
