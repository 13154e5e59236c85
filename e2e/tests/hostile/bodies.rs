//! Bodies that are not what they should be.

use e2e::SOURCE_APPLICATION;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::support::{Target, refused};

fn wanted() -> Value {
    json!({"name": "N", "format": "json", "sources": [
        {"application": SOURCE_APPLICATION, "resource": "exampleResource", "filters": {"a": [1, "ü", null]}}]})
}

/// A create request whose filters are nested so deep.
fn nested(depth: usize) -> String {
    let filters = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    wanted().to_string().replace(r#"{"a":[1,"ü",null]}"#, &filters)
}

#[tokio::test]
async fn a_truncated_create_request_is_refused_wherever_it_ends() {
    let target = Target::start().await;
    let whole = wanted().to_string().into_bytes();
    for length in 0..whole.len() {
        refused(target.public(), &target.create().sized(&whole[..length]), 400).await;
    }
    target.unharmed().await;
}

#[tokio::test]
async fn an_oversized_body_is_refused_sized_and_chunked() {
    let target = Target::start().await;
    let large = format!("{}{}", wanted(), " ".repeat(1 << 20));
    refused(target.public(), &target.create().sized(&large), 413).await;
    refused(target.public(), &target.create().chunked(&large), 413).await;
    let report = format!(r#"{{"message": "{}", "error": 404}}"#, "x".repeat(64 << 10));
    refused(target.internal(), &target.report().sized(&report), 413).await;
    refused(target.internal(), &target.report().chunked(&report), 413).await;
    target.unharmed().await;
}

#[tokio::test]
async fn a_body_that_says_it_is_huge_is_refused_without_waiting_for_it() {
    let target = Target::start().await;
    for length in ["1000000000", "9223372036854775807", "18446744073709551615"] {
        let create =
            target.create().line(format!("content-length: {length}")).unframed(vec![b' '; 300 << 10]);
        refused(target.public(), &create, 413).await;
    }
    target.unharmed().await;
}

#[tokio::test]
async fn deep_nesting_is_refused() {
    let target = Target::start().await;
    for depth in [126, 127, 128, 1000, 20_000] {
        refused(target.public(), &target.create().sized(nested(depth)), 400).await;
    }
    for open in ["[", "{\"a\":", "[{\"a\":["] {
        let deep = open.repeat(20_000);
        refused(target.public(), &target.create().sized(&deep), 400).await;
        refused(target.internal(), &target.report().sized(open.repeat(6000)), 400).await;
    }
    target.unharmed().await;
}

#[tokio::test]
async fn what_is_not_json_is_refused() {
    let target = Target::start().await;
    let invalid: [&[u8]; 14] = [
        b"",
        b" ",
        b"\0",
        b"null ",
        b"nul",
        b"{'name': 1}",
        b"\xef\xbb\xbf{}",
        b"{} {}",
        b"\xff\xfe{}",
        b"{\"name\": \"\xff\"}",
        b"{\"name\": \"\xc3\"}",
        b"{\"name\": \"\\ud800\"}",
        b"{\"name\": \"a\0b\"}",
        b"{\"name\": 1e999}",
    ];
    for body in invalid {
        for body in [target.create().sized(body), target.create().chunked(body)] {
            refused(target.public(), &body, 400).await;
        }
        refused(target.internal(), &target.report().sized(body), 400).await;
    }
    target.unharmed().await;
}

#[tokio::test]
async fn a_compressed_create_request_or_report_is_not_json() {
    let target = Target::start().await;
    for body in
        [crate::uploads::gzip(wanted().to_string().as_bytes()), crate::uploads::gzip(&vec![b' '; 10 << 20])]
    {
        let create = target.create().line("content-encoding: gzip").line("content-type: application/json");
        refused(target.public(), &create.sized(&body), 400).await;
        let report = target.report().line("content-encoding: gzip");
        refused(target.internal(), &report.sized(&body), 400).await;
    }
    target.unharmed().await;
}

#[tokio::test]
async fn broken_framing_is_refused() {
    let target = Target::start().await;
    let framings: [(&str, &str); 12] = [
        ("transfer-encoding: chunked", "zz\r\n{}\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked", "-1\r\n{}\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked", "ffffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked", "2\r\n{}xx0\r\n\r\n"),
        ("transfer-encoding: chunked", "\r\n\r\n\r\n"),
        ("transfer-encoding: xchunked", "2\r\n{}\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked", "2\r\n{}\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked\r\ncontent-length: 2", "2\r\n{}\r\n0\r\n\r\n"),
        ("content-length: 2\r\ncontent-length: 3", "{} "),
        ("content-length: -2", "{}"),
        ("content-length: +2", "{}"),
        ("content-length: 99999999999999999999", "{}"),
    ];
    for (header, body) in framings {
        for (address, request) in [(target.public(), target.create()), (target.internal(), target.upload())] {
            let request = request.line("connection: close").line(header).unframed(body);
            crate::heads::refused_or_dropped(address, &request).await;
        }
    }
    target.unharmed().await;
}

#[tokio::test]
async fn an_upload_whose_connection_is_reset_leaves_nothing() {
    let target = Target::start().await;
    for _ in 0..5 {
        let mut connection = TcpStream::connect(target.internal()).await.unwrap();
        let upload = target.upload().line("content-length: 1000").unframed("[");
        connection.write_all(&upload.bytes()).await.unwrap();
        target.app.wait_for_count("SELECT count(*) FROM upload_attempts", 1).await.unwrap();
        connection.set_zero_linger().unwrap();
        drop(connection);
        target.app.wait_for_no("upload_attempts").await.unwrap();
    }
    target.unharmed().await;
}
