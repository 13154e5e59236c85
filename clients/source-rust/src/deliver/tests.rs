//! What is sent, seen from the other side of the connection.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{StreamExt as _, future::BoxFuture, stream};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::Mutex,
    time::{sleep, timeout},
};

use super::*;
use crate::{
    BoxError, ClientCredentials, Credentials, Format, TokenProvider,
    test_server::{Received, SOURCE, dechunk, request, serve, settings},
};

/// Delivers what `answer` says to a server that answers with `answers`; returns what it received, and the outcome.
async fn deliver<F, Fut>(
    credentials: Credentials,
    answers: &[&'static str],
    answer: F,
) -> (Vec<Received>, Outcome)
where
    F: Fn(Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Answer, Refusal>> + Send,
{
    deliver_with(|settings| Settings { credentials, ..settings }, answers, answer).await
}

/// The same, with settings that `change` has changed.
async fn deliver_with<F, Fut>(
    change: impl FnOnce(Settings) -> Settings,
    answers: &[&'static str],
    answer: F,
) -> (Vec<Received>, Outcome)
where
    F: Fn(Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Answer, Refusal>> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let settings = change(settings(&url, Credentials::key("k")));
    let server = tokio::spawn(serve(listener, answers.to_vec()));
    let metrics = Metrics::default();
    let platform = Platform::new(&settings, metrics.clone()).unwrap();
    let deliveries = Deliveries::new(&settings, platform, metrics, answer);
    let request = request();
    let delivered = timeout(Duration::from_secs(20), deliveries.deliver(&request, None));
    let outcome = delivered.await.expect("the answer gets through").unwrap();
    (server.await.unwrap(), outcome)
}

async fn two_rows(_: Request) -> Result<Answer, Refusal> {
    Ok(Answer::rows(stream::iter([json!({"n": 1}), json!({"n": 2})]).map(Ok::<_, Refusal>)))
}

const UPLOAD: &str = "post /app/export/v1/11111111-1111-4111-8111-111111111111/urn:app:billing/\
                      22222222-2222-4222-8222-222222222222/upload ";

#[tokio::test]
async fn rows_are_streamed_in_chunks_with_the_key() {
    let (received, outcome) = deliver(Credentials::key(" the-key\n"), &["202 Accepted"], two_rows).await;
    let Received { head, body, .. } = &received[0];
    assert!(head.starts_with(UPLOAD), "{head}");
    for line in ["transfer-encoding: chunked", "x-rh-exports-psk: the-key", "content-type: application/json"]
    {
        assert!(head.contains(line), "{head}");
    }
    let rows: Value = serde_json::from_slice(&dechunk(body)).unwrap();
    assert_eq!((rows, outcome), (json!([{"n": 1}, {"n": 2}]), Outcome::Uploaded));
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again_from_the_beginning() {
    let answers = [
        "503 Service Unavailable",
        "",
        "408 Request Timeout",
        "401 Unauthorized",
        "429 Too Many Requests",
        "302 Found\r\nlocation: /login",
        "202 Accepted",
    ];
    let (received, outcome) = deliver(Credentials::key("k"), &answers, two_rows).await;
    assert_eq!((received.len(), outcome), (answers.len(), Outcome::Uploaded));
    for Received { body, .. } in &received {
        assert!(serde_json::from_slice::<Vec<Value>>(&dechunk(body)).is_ok_and(|rows| rows.len() == 2));
    }
}

#[tokio::test]
async fn the_wait_that_is_asked_for_is_kept() {
    let answers = ["503 Service Unavailable\r\nretry-after: 1", "202 Accepted"];
    let (received, _) = deliver(Credentials::key("k"), &answers, two_rows).await;
    assert!(received[1].at - received[0].at >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_refusal_of_the_platform_is_final() {
    for (answer, expected) in [
        ("410 Gone", Outcome::SettledBefore),
        ("404 Not Found", Outcome::Gone),
        ("413 Payload Too Large", Outcome::Refused),
        ("400 Bad Request", Outcome::Refused),
    ] {
        let (received, outcome) = deliver(Credentials::key("k"), &[answer], two_rows).await;
        assert_eq!((received.len(), outcome), (1, expected), "{answer}");
    }
}

#[tokio::test]
async fn what_the_function_refuses_is_reported_until_it_is_taken() {
    let refuse = async |_: Request| Err(Refusal::unknown_resource(&["invoices"]));
    let answers = ["503 Service Unavailable", "202 Accepted"];
    let (received, outcome) = deliver(Credentials::key("k"), &answers, refuse).await;
    assert_eq!((received.len(), outcome), (2, Outcome::Reported));
    for Received { head, body, .. } in received {
        assert!(head.starts_with(&UPLOAD.replace("/upload", "/error")), "{head}");
        let expected = json!({"error": 404, "message": "there is no such resource; there are: invoices"});
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
    }
}

#[tokio::test]
async fn data_that_fails_halfway_is_a_refusal_and_no_file() {
    for panics in [false, true] {
        let halfway = move |_: Request| async move {
            let chunks = stream::iter(0..2).map(move |number| {
                assert!(number == 0 || !panics, "a bug in the application");
                if number == 0 { Ok(Bytes::from_static(b"[1,")) } else { Err(Refusal::new(507, "full")) }
            });
            Ok(Answer::bytes(chunks))
        };
        let (received, outcome) = deliver(Credentials::key("k"), &["", "202 Accepted"], halfway).await;
        assert!(!received[0].body.ends_with(b"0\r\n\r\n"), "the body looks whole");
        let report: Value = serde_json::from_slice(&received[1].body).unwrap();
        assert_eq!((&report["error"], outcome), (&json!(if panics { 500 } else { 507 }), Outcome::Reported));
    }
}

#[tokio::test]
async fn a_function_that_panics_is_a_refusal() {
    type Never = std::future::Ready<Result<Answer, Refusal>>;
    let panics = async |_: Request| -> Result<Answer, Refusal> { panic!("a bug in the application") };
    let panics_at_once = |_: Request| -> Never { panic!("a bug in the application") };
    let (received, _) = deliver(Credentials::key("k"), &["202 Accepted"], panics).await;
    let (at_once, _) = deliver(Credentials::key("k"), &["202 Accepted"], panics_at_once).await;
    for Received { body, .. } in [&received[0], &at_once[0]] {
        assert_eq!(serde_json::from_slice::<Value>(body).unwrap()["error"], 500);
    }
}

#[tokio::test]
async fn data_that_fails_at_once_is_not_uploaded() {
    let fails =
        async |_: Request| Ok(Answer::bytes(stream::iter([Err::<Bytes, _>(Refusal::new(507, "full"))])));
    let (received, outcome) = deliver(Credentials::key("k"), &["202 Accepted"], fails).await;
    assert!(received[0].head.starts_with(&format!("post {SOURCE}/error ")), "{}", received[0].head);
    assert_eq!(outcome, Outcome::Reported);
}

#[tokio::test]
async fn a_report_is_one_that_the_platform_takes() {
    for message in ["x", "\u{1f980}"] {
        let refuse = move |_: Request| async move {
            let mut refusal = Refusal::new(404, message.repeat(1_000_000));
            refusal.code = 0;
            Err(refusal)
        };
        let (received, _) = deliver(Credentials::key("k"), &["202 Accepted"], refuse).await;
        // What it takes is 64 KiB; of a message it keeps 1,024 bytes.
        assert!(received[0].body.len() < 64 * 1024, "{}", received[0].body.len());
        let report: Value = serde_json::from_slice(&received[0].body).unwrap();
        assert_eq!(report["error"], 500);
        assert!(report["message"].as_str().unwrap().len() > 1024);
    }
}

#[tokio::test]
async fn times_may_be_endless() {
    let endless = |settings| Settings { patience: Duration::MAX, stall_limit: Duration::MAX, ..settings };
    let asked = Arc::new(Mutex::new(0));
    let comes_back = move |request| {
        let asked = Arc::clone(&asked);
        async move {
            *asked.lock().await += 1;
            if *asked.lock().await < 2 { Err(Refusal::later("away")) } else { two_rows(request).await }
        }
    };
    let (_, outcome) = deliver_with(endless, &["202 Accepted"], comes_back).await;
    assert_eq!(outcome, Outcome::Uploaded);
}

#[tokio::test]
async fn what_is_away_for_a_while_is_asked_for_again_and_refused_in_the_end() {
    let asked = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&asked);
    let comes_back = move |request| {
        let asked = Arc::clone(&counted);
        async move {
            *asked.lock().await += 1;
            if *asked.lock().await < 3 { Err(Refusal::later("away")) } else { two_rows(request).await }
        }
    };
    let (_, outcome) = deliver(Credentials::key("k"), &["202 Accepted"], comes_back).await;
    assert_eq!((*asked.lock().await, outcome), (3, Outcome::Uploaded));

    let stays_away = async |_: Request| Err(Refusal::later("away"));
    let (received, _) = deliver(Credentials::key("k"), &["202 Accepted"], stays_away).await;
    let expected = json!({"error": 503, "message": "away"});
    assert_eq!(serde_json::from_slice::<Value>(&received[0].body).unwrap(), expected);
}

#[tokio::test]
async fn an_upload_that_the_network_does_not_take_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let settings =
        Settings { stall_limit: Duration::from_millis(200), ..settings(&url, Credentials::key("k")) };
    let platform = Platform::new(&settings, Metrics::default()).unwrap();
    let endless = stream::repeat(Bytes::from(vec![b' '; 64 * 1024])).map(Ok::<_, Refusal>);
    let (request, data) = (request(), Answer::bytes(endless).into_bytes(Format::Json));
    // Accepted by the kernel and read by nobody.
    let upload = platform.upload(&request, data).await;
    assert!(matches!(upload, Err(NotUploaded::ForNow(reason)) if reason.why.contains("stands still")));
}

#[tokio::test]
async fn a_key_that_is_replaced_in_its_file_counts_at_once() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "old").unwrap();
    let path = file.path().to_owned();
    let replacing = move |request| {
        let path = path.clone();
        async move {
            std::fs::write(&path, "new").unwrap();
            two_rows(request).await
        }
    };
    let credentials = Credentials::key_file(file.path());
    let (received, _) = deliver(credentials, &["202 Accepted"], replacing).await;
    assert!(received[0].head.contains("x-rh-exports-psk: new"), "{}", received[0].head);
}

#[tokio::test]
async fn a_key_file_that_is_empty_for_a_moment_is_waited_for() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_owned();
    let replaced = tokio::spawn(async move {
        sleep(Duration::from_millis(50)).await;
        std::fs::write(path, "new").unwrap();
    });
    let (received, _) = deliver(Credentials::key_file(file.path()), &["202 Accepted"], two_rows).await;
    assert_eq!(received[0].header("x-rh-exports-psk"), Some("new"));
    replaced.await.unwrap();
}

struct Panicking(AtomicBool);

impl TokenProvider for Panicking {
    fn token(&self) -> BoxFuture<'_, Result<String, BoxError>> {
        assert!(self.0.swap(true, Ordering::SeqCst), "a bug in the application");
        Box::pin(async { Ok("t".to_owned()) })
    }

    fn refused(&self) -> BoxFuture<'_, ()> {
        panic!("a bug in the application");
    }
}

#[tokio::test]
async fn a_token_provider_that_panics_is_asked_again() {
    let credentials = Credentials::bearer(Panicking(AtomicBool::new(false)));
    let (received, outcome) = deliver(credentials, &["401 Unauthorized", "202 Accepted"], two_rows).await;
    assert_eq!((received.len(), outcome), (2, Outcome::Uploaded));
}

#[tokio::test]
async fn a_token_may_tell_its_end_as_text() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let granted = "200 OK\r\ncontent-type: application/json|{\"access_token\":\"t\",\"expires_in\":\"300\"}";
    let issuer = tokio::spawn(serve(listener, vec![granted]));
    let client = ClientCredentials::new(url, "billing", "a secret");
    let answers = ["503 Service Unavailable", "202 Accepted"];
    let (received, _) = deliver(Credentials::bearer(client), &answers, two_rows).await;
    assert!(received.iter().all(|received| received.header("authorization") == Some("bearer t")));
    issuer.await.unwrap();
}

#[tokio::test]
async fn a_token_without_an_end_is_one_like_any_other() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let granted = "200 OK\r\ncontent-type: application/json|\
                   {\"access_token\":\"t\",\"expires_in\":18446744073709551615}";
    let issuer = tokio::spawn(serve(listener, vec![granted]));
    let client = ClientCredentials::new(url, "billing", "a secret");
    let (received, _) = deliver(Credentials::bearer(client), &["202 Accepted"], two_rows).await;
    assert_eq!(received[0].header("authorization"), Some("bearer t"));
    issuer.await.unwrap();
}

#[tokio::test]
async fn an_answer_whose_text_does_not_come_is_an_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let platform = Platform::new(&settings(&url, Credentials::key("k")), Metrics::default()).unwrap();
    let holding = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        connection.read_u8().await.unwrap();
        connection.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 9\r\n\r\n").await.unwrap();
        std::future::pending::<()>().await;
        drop(connection);
    });
    let data = Answer::bytes(stream::empty::<Result<Bytes, Refusal>>()).into_bytes(Format::Json);
    let request = request();
    let uploaded = timeout(Duration::from_secs(20), platform.upload(&request, data)).await;
    assert_eq!(uploaded.unwrap().unwrap(), Outcome::Refused);
    holding.abort();
}

#[tokio::test]
async fn a_chunk_of_any_size_may_go_slowly() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stall_limit = Duration::from_secs(2);
    let settings = Settings { stall_limit, ..settings(&url, Credentials::key("k")) };
    let platform = Platform::new(&settings, Metrics::default()).unwrap();
    let reading = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let (mut buffer, mut tail) = (vec![0; 256 * 1024], Vec::new());
        while !tail.ends_with(b"\r\n0\r\n\r\n") {
            sleep(Duration::from_millis(12)).await;
            let count = connection.read(&mut buffer).await.unwrap();
            tail.extend_from_slice(&buffer[..count]);
            tail.drain(..tail.len().saturating_sub(7));
        }
        connection.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    });
    let chunk = Bytes::from(vec![b' '; 64 * 1024 * 1024]);
    let data = Answer::bytes(stream::iter([Ok::<_, Refusal>(chunk)])).into_bytes(Format::Json);
    assert_eq!(platform.upload(&request(), data).await.unwrap(), Outcome::Uploaded);
    reading.await.unwrap();
}

#[tokio::test]
async fn a_token_is_fetched_once_and_again_when_it_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let issuer = tokio::spawn(serve(
        listener,
        vec![
            "200 OK\r\ncontent-type: application/json|{\"access_token\":\"t1\",\"expires_in\":300}",
            "200 OK\r\ncontent-type: application/json|{\"access_token\":\"t2\",\"expires_in\":300}",
        ],
    ));
    let client = ClientCredentials::new(url, "billing", "a secret").with("audience", "exports");
    let answers = ["503 Service Unavailable", "401 Unauthorized", "202 Accepted"];
    let (received, _) = deliver(Credentials::bearer(client), &answers, two_rows).await;
    let tokens = ["bearer t1", "bearer t1", "bearer t2"];
    for (Received { head, .. }, token) in received.iter().zip(tokens) {
        assert!(head.contains(&format!("authorization: {token}")), "{head}");
    }
    let asked = issuer.await.unwrap();
    let form = String::from_utf8_lossy(&asked[0].body).into_owned();
    assert_eq!(form, "grant_type=client_credentials&audience=exports");
}
