//! A server that keeps one upload as the protocol has it, and fails as it is told.

use std::{collections::VecDeque, sync::Mutex};

use tokio::{net::TcpListener, task::JoinHandle, time::Instant};

use super::*;
use crate::{
    Credentials, Metrics, Refusal, Settings,
    test_server::{Received, SOURCE, dechunk, request, serve_one, settings},
};

const PIECE: usize = 1000;

#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    length: Option<usize>,
    ended: bool,
    begun: usize,
    /// What the next creations are answered with; 201 when there are none.
    creations: VecDeque<&'static str>,
    /// What the next pieces are answered with, and how many hundredths of each count nevertheless.
    failures: VecDeque<(&'static str, usize)>,
    location: Option<&'static str>,
    /// What was uploaded in one request.
    plain: Vec<u8>,
    patches: Vec<usize>,
}

impl Kept {
    fn answer(&mut self, received: &Received) -> String {
        let (method, rest) = received.head.split_once(' ').unwrap();
        let path = rest.split(' ').next().unwrap();
        if path == format!("{SOURCE}/upload") {
            self.plain = dechunk(&received.body);
            return "202 Accepted".to_owned();
        }
        assert_eq!(received.header("tus-resumable"), Some("1.0.0"));
        assert_eq!(received.header("x-rh-exports-psk"), Some("k"));
        if method == "post" {
            return self.begin(received, path);
        }
        assert_eq!(path, format!("{SOURCE}/uploads/1"));
        match method {
            _ if self.ended => "404 Not Found".to_owned(),
            "head" => {
                let length = self.length.map(|length| format!("\r\nupload-length: {length}"));
                format!("200 OK\r\nupload-offset: {}{}", self.bytes.len(), length.unwrap_or_default())
            }
            "delete" => {
                self.ended = true;
                "204 No Content".to_owned()
            }
            _ => self.append(received),
        }
    }

    fn begin(&mut self, received: &Received, path: &str) -> String {
        assert_eq!(path, format!("{SOURCE}/uploads"));
        assert_eq!(received.header("upload-defer-length"), Some("1"));
        // "application/json"; the head is in lower case.
        let metadata = "filetype YXBwbGljYXRpb24vanNvbg==".to_ascii_lowercase();
        assert_eq!(received.header("upload-metadata"), Some(metadata.as_str()));
        if let Some(answer) = self.creations.pop_front() {
            return answer.to_owned();
        }
        (self.bytes, self.length, self.ended, self.begun) = (Vec::new(), None, false, self.begun + 1);
        let location = self.location.map_or_else(|| format!("{path}/1"), str::to_owned);
        format!("201 Created\r\nlocation: {location}")
    }

    fn append(&mut self, received: &Received) -> String {
        assert_eq!(received.header("content-type"), Some("application/offset+octet-stream"));
        if received.header("upload-offset").unwrap() != self.bytes.len().to_string() {
            return "409 Conflict".to_owned();
        }
        // One that was settled takes nothing, not even no bytes.
        assert_eq!(self.length, None);
        let (failure, keeps) = self.failures.pop_front().unwrap_or(("", 100));
        let kept = received.body.len() * keeps / 100;
        self.bytes.extend_from_slice(&received.body[..kept]);
        if kept == received.body.len()
            && let Some(length) = received.header("upload-length")
        {
            self.length = Some(length.parse().unwrap());
        }
        match failure {
            "" => {
                self.patches.push(received.body.len());
                format!("204 No Content\r\nupload-offset: {}", self.bytes.len())
            }
            // The connection is closed.
            "cut" => String::new(),
            failure => failure.to_owned(),
        }
    }
}

struct Server {
    kept: Arc<Mutex<Kept>>,
    serving: JoinHandle<()>,
    platform: Platform,
    waits: Waits,
    metrics: Metrics,
}

impl Server {
    async fn start(kept: Kept) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let kept = Arc::new(Mutex::new(kept));
        let keeping = Arc::clone(&kept);
        let serving = tokio::spawn(async move {
            loop {
                serve_one(&listener, |received| keeping.lock().unwrap().answer(received)).await;
            }
        });
        let (settings, metrics) = (settings(&url, Credentials::key("k")), Metrics::default());
        let mut platform = Platform::new(&settings, metrics.clone()).unwrap();
        platform.piece_bytes = PIECE;
        let waits = Waits::new(&settings, metrics.clone());
        Self { kept, serving, platform, waits, metrics }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    async fn upload(&self, data: &[u8]) -> Result<Outcome, NotUploaded> {
        let chunks: Vec<_> = data.chunks(300).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        self.upload_stream(stream::iter(chunks).boxed()).await
    }

    async fn upload_stream(&self, data: ByteStream) -> Result<Outcome, NotUploaded> {
        self.platform.upload_in_pieces(&request(), data, &self.waits).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn some_bytes(count: usize) -> Vec<u8> {
    (0..count).map(|number| u8::try_from(number * 7 % 251).unwrap()).collect()
}

#[tokio::test]
async fn s0_tus_data_of_unknown_length_goes_up_in_pieces() {
    for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE] {
        let server = Server::start(Kept::default()).await;
        assert_eq!(server.upload(&some_bytes(size)).await.unwrap(), Outcome::Uploaded);
        let kept = server.kept();
        assert_eq!((&kept.bytes, kept.length), (&some_bytes(size), Some(size)));
        assert!(kept.patches.iter().all(|bytes| *bytes <= PIECE), "{:?}", kept.patches);
        assert!(!kept.ended);
    }
}

#[tokio::test]
async fn s0_tus_a_piece_goes_on_from_where_the_platform_has_it() {
    let answers =
        ["503 Service Unavailable", "423 Locked", "460 Checksum Mismatch", "401 Unauthorized", "cut"];
    for answer in answers {
        for keeps in [0, 50, 100] {
            let failures = [("", 100), (answer, keeps), (answer, keeps), ("", 100), (answer, keeps)];
            let server = Server::start(Kept { failures: failures.into(), ..Kept::default() }).await;
            let outcome = server.upload(&some_bytes(3500)).await;
            assert_eq!(outcome.unwrap(), Outcome::Uploaded, "{answer} {keeps}");
            let kept = server.kept();
            assert_eq!((&kept.bytes, kept.length, kept.begun), (&some_bytes(3500), Some(3500), 1));
            assert!(server.metrics.counts().failed_tries >= 2, "{answer} {keeps}");
        }
    }
}

#[tokio::test]
async fn waits_grow_only_while_nothing_moves() {
    for (keeps, grow) in [(10, false), (0, true)] {
        let failures = vec![("503 Service Unavailable", keeps); 6].into();
        let mut server = Server::start(Kept { failures, ..Kept::default() }).await;
        let first_wait = Duration::from_millis(25);
        let settings = Settings { first_wait, ..settings("http://nowhere", Credentials::key("k")) };
        server.waits = Waits::new(&settings, server.metrics.clone());
        let begun = Instant::now();
        assert_eq!(server.upload(&some_bytes(PIECE)).await.unwrap(), Outcome::Uploaded);
        // Doubled five times they are 63 first waits, of which jitter leaves half at least; otherwise 6.
        assert_eq!(begun.elapsed() >= first_wait * 63 / 2, grow);
    }
}

#[tokio::test]
async fn the_wait_that_is_asked_for_is_kept_within_an_upload() {
    let failures = [("503 Service Unavailable\r\nretry-after: 1", 0)].into();
    let server = Server::start(Kept { failures, ..Kept::default() }).await;
    let begun = Instant::now();
    assert_eq!(server.upload(&some_bytes(1)).await.unwrap(), Outcome::Uploaded);
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn an_upload_that_the_platform_lost_begins_anew() {
    let failures = [("", 100), ("404 Not Found", 0)].into();
    let server = Server::start(Kept { failures, ..Kept::default() }).await;
    assert!(matches!(server.upload(&some_bytes(3500)).await, Err(NotUploaded::ForNow(_))));
    assert_eq!(server.upload(&some_bytes(3500)).await.unwrap(), Outcome::Uploaded);
    assert_eq!(server.kept().begun, 2);
}

#[tokio::test]
async fn what_the_last_piece_is_answered_with_is_the_answer() {
    for (answer, expected) in [
        ("404 Not Found", Outcome::Gone),
        ("410 Gone", Outcome::SettledBefore),
        ("413 Payload Too Large", Outcome::Refused),
    ] {
        let server =
            Server::start(Kept { failures: [("", 100), (answer, 0)].into(), ..Kept::default() }).await;
        assert_eq!(server.upload(&some_bytes(PIECE + 1)).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_creation_that_is_refused_is_the_answer_and_one_that_fails_is_tried_again() {
    for (answer, expected) in
        [("410 Gone", Outcome::SettledBefore), ("413 Payload Too Large", Outcome::Refused)]
    {
        let creations = ["503 Service Unavailable", answer].into();
        let server = Server::start(Kept { creations, ..Kept::default() }).await;
        assert_eq!(server.upload(&some_bytes(1)).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn where_pieces_are_not_taken_the_data_goes_up_in_one_request() {
    for answer in ["400 Bad Request", "404 Not Found", "405 Method Not Allowed", "201 Without A Location"] {
        let server = Server::start(Kept { creations: [answer].into(), ..Kept::default() }).await;
        assert_eq!(server.upload(&some_bytes(3500)).await.unwrap(), Outcome::Uploaded);
        assert_eq!(server.kept().plain, some_bytes(3500));
    }
}

#[tokio::test]
async fn the_key_goes_nowhere_else_than_to_the_platform() {
    const ELSEWHERE: &str = "http://elsewhere.invalid/app/export/v1/11111111-1111-4111-8111-111111111111/\
                             urn:app:billing/22222222-2222-4222-8222-222222222222/uploads/1";
    let server = Server::start(Kept { location: Some(ELSEWHERE), ..Kept::default() }).await;
    assert_eq!(server.upload(b"x").await.unwrap(), Outcome::Uploaded);
}

#[tokio::test]
async fn an_upload_whose_data_fails_is_ended() {
    let server = Server::start(Kept::default()).await;
    let data = stream::iter([Ok(some_bytes(2 * PIECE).into()), Err(Refusal::new(507, "full"))]);
    let failed = server.upload_stream(data.boxed()).await;
    assert!(matches!(failed, Err(NotUploaded::Refused(refusal)) if refusal.code == 507));
    assert!(server.kept().ended);

    // Nothing was begun for what fails at once.
    let server = Server::start(Kept::default()).await;
    assert!(server.upload_stream(stream::iter([Err(Refusal::new(507, "full"))]).boxed()).await.is_err());
    assert_eq!(server.kept().begun, 0);
}

#[tokio::test]
async fn an_upload_that_is_given_up_halfway_is_ended_afterwards() {
    let server = Server::start(Kept::default()).await;
    let data = stream::iter([Ok(some_bytes(PIECE + 1).into())]).chain(stream::pending());
    let uploading = timeout(Duration::from_millis(500), server.upload_stream(data.boxed()));
    assert!(uploading.await.is_err());
    assert!(server.kept().begun == 1 && !server.kept().ended);
    server.platform.end_unfinished().await;
    assert!(server.kept().ended);
}
