//! Heads of requests that are too large, twice, or not HTTP.

use std::net::SocketAddr;

use e2e::{PUBLIC, raw};

use crate::support::{Request, Target, refused, shaped};

/// Sends what is not a request: the server refuses it before any of our code sees it, or drops the
/// connection.
pub(crate) async fn refused_or_dropped(address: SocketAddr, request: &Request) {
    let shown = String::from_utf8_lossy(&request.bytes()[..]).chars().take(300).collect::<String>();
    match raw::exchange(address, &request.bytes()).await.unwrap() {
        Some(answer) if answer.body.is_empty() => {
            assert!((400..500).contains(&answer.status), "{} to {shown}", answer.status);
        }
        Some(answer) => {
            assert!((400..500).contains(&answer.status), "{} to {shown}", answer.status);
            shaped(&answer, answer.status);
        }
        None => {}
    }
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused() {
    let target = Target::start().await;
    let padded =
        |bytes: usize| target.ask("GET", "/exports").line(format!("x-padding: {}", "x".repeat(bytes)));
    refused(target.public(), &padded(33 << 10), 431).await;
    refused(target.public(), &padded(100 << 10), 431).await;
    let long_path = target.ask("GET", &format!("/exports?name={}", "x".repeat(33 << 10)));
    refused(target.public(), &long_path, 431).await;
    let upload = target.upload().line(format!("x-padding: {}", "x".repeat(33 << 10))).sized("[]");
    refused(target.internal(), &upload, 431).await;
    target.unharmed().await;
}

#[tokio::test]
async fn a_header_bomb_is_refused() {
    let target = Target::start().await;
    let mut many = target.ask("GET", "/exports");
    for number in 0..5000 {
        many = many.line(format!("x-{number}: {number}"));
    }
    let endless = target.ask("GET", "/exports").line(format!("x: {}", "x".repeat(10 << 20)));
    for bomb in [many, endless] {
        refused_or_dropped(target.public(), &bomb).await;
    }
    target.unharmed().await;
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    let target = Target::start().await;
    let not_http: [&[u8]; 10] = [
        b"\r\n\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost x\r\n\r\n",
        b"GET / HTTP/1.1\r\n: x\r\n\r\n",
        b"GET / HTTP/1.1\r\na b: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: a\0b\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    for address in [target.public(), target.internal()] {
        for bytes in not_http {
            if let Some(answer) = raw::exchange(address, bytes).await.unwrap() {
                assert!((400..500).contains(&answer.status), "{} to {bytes:?}", answer.status);
            }
        }
    }
    target.unharmed().await;
}

#[tokio::test]
async fn headers_that_must_be_there_once_are_refused_when_sent_twice() {
    let target = Target::start().await;
    let identity = format!("x-rh-identity: {}", target.export.customer.header());
    refused(target.public(), &target.create().line(identity).sized("{}"), 400).await;
    let key = "x-rh-exports-psk: key-of-exampleApplication";
    refused(target.internal(), &target.upload().line(key).sized("[]"), 400).await;
    let encodings = target.upload().line("content-encoding: gzip").line("content-encoding: identity");
    refused(target.internal(), &encodings.sized("[]"), 415).await;
    target.unharmed().await;
}

#[tokio::test]
async fn identities_and_keys_that_are_no_text_or_too_long_are_refused() {
    let target = Target::start().await;
    let get = || Request::new(&format!("GET {PUBLIC}/exports"));
    let long = |byte| vec![byte; 20_000];
    for identity in [b"\xff\xfe".to_vec(), b"=====".to_vec(), long(b'A'), long(b'=')] {
        refused(target.public(), &get().line([b"x-rh-identity: ", identity.as_slice()].concat()), 400).await;
    }
    for key in [b"\xff\xfe".to_vec(), long(b'A')] {
        let path = format!("POST {}{}/upload", e2e::INTERNAL, target.export.sources[0].path);
        let upload = Request::new(&path).line([b"x-rh-exports-psk: ", key.as_slice()].concat()).sized("[]");
        refused(target.internal(), &upload, 401).await;
    }
    target.unharmed().await;
}

#[tokio::test]
async fn deeply_nested_and_hostile_identities_are_refused() {
    let target = Target::start().await;
    let encode = |json: &str| {
        use base64::Engine as _;
        base64::prelude::BASE64_STANDARD.encode(json)
    };
    for json in [
        "[".repeat(5000),
        "{\"identity\":".repeat(500),
        r#"{"identity": {"org_id": "a\u0000b", "type": "User", "user": {"username": "u"}}}"#.into(),
        r#"{"identity": {"org_id": "o", "type": "User", "user": {"username": "a\nb"}}}"#.into(),
        format!(
            r#"{{"identity": {{"org_id": "{}", "type": "User", "user": {{"username": "u"}}}}}}"#,
            "o".repeat(300)
        ),
        r#"{"identity": [1, 2]}"#.into(),
        "7".into(),
    ] {
        let request =
            Request::new(&format!("GET {PUBLIC}/exports")).line(format!("x-rh-identity: {}", encode(&json)));
        let told = refused(target.public(), &request, 400).await;
        assert!(told.starts_with("Bad Request: "), "{told}");
    }
    target.unharmed().await;
}
