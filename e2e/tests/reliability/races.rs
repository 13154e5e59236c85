//! Answers that race: with each other, with a deletion, with the reaper.

use std::time::Duration;

use e2e::sha256_hex;
use futures_util::future::join_all;
use reqwest::{Body, Response, StatusCode};
use testkit::{Direction, Fault, poll_until};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    audit::{count, objects, wait_for_none},
    payload::{IN_PARTS, held_back, payload},
    platform::Platform,
    program::Service::InternalApi,
    rig::Rig,
};

const SOON: Duration = Duration::from_secs(30);

/// What all uploads here begin with.
const BEGINNING: &[u8] = b"begun: ";

#[tokio::test]
async fn of_a_hundred_concurrent_last_uploads_one_completes_the_export() {
    let platform = Platform::start().await;
    let export = platform.asking.create(100).await.unwrap();
    let uploads = export.sources.iter().map(|source| {
        let bytes = payload(source, 2_000);
        platform.answering.upload(&export.id, source, bytes)
    });
    let answers = join_all(uploads).await;
    assert!(answers.iter().all(|answer| *answer.as_ref().unwrap() == 202), "{answers:?}");
    let log = platform.internal.process().log().unwrap();
    let completions = log.lines().filter(|line| line.contains(r#""export.status":"complete""#)).count();
    assert_eq!(completions, 1, "of all answers one was the last");
    let database = platform.rig.database().await.unwrap();
    let revision = "SELECT (document::json->>'revision')::bigint FROM manifests";
    assert_eq!(count(&database, revision).await.unwrap(), 1);
    let audit = platform.audit().await;
    assert_eq!((audit.archives, audit.objects, audit.events), (1, 100, 100));
}

#[tokio::test]
async fn of_two_racing_uploads_with_the_same_bytes_both_are_welcome_and_one_is_kept() {
    let platform = Platform::start().await;
    let export = platform.asking.create(1).await.unwrap();
    let statuses = race(&platform, &export.id, &export.sources[0], &[b"one", b"one"]).await;
    assert_eq!(statuses, [202, 202]);
    note_delivered(&platform, &export.sources[0], b"one");
    assert_eq!(platform.audit().await.objects, 1);
}

#[tokio::test]
async fn of_racing_uploads_with_different_bytes_one_is_kept_and_the_others_are_told() {
    let platform = Platform::start().await;
    let export = platform.asking.create(1).await.unwrap();
    let bodies: [&[u8]; 5] = [b"one", b"two", b"three", b"four", b"five"];
    let mut statuses = race(&platform, &export.id, &export.sources[0], &bodies).await;
    let winner = statuses.iter().position(|status| *status == 202).expect("one wins");
    note_delivered(&platform, &export.sources[0], bodies[winner]);
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 410, 410, 410, 410]);
    assert_eq!(platform.audit().await.objects, 1);
}

#[tokio::test]
async fn an_upload_that_ends_after_its_export_was_deleted_is_refused_and_leaves_nothing() {
    let platform = Platform::start().await;
    let export = platform.asking.create(1).await.unwrap();
    let upload = Begun::begin(&platform, &export.id, &export.sources[0]).await;
    assert_eq!(platform.asking.delete(&export.id).await.unwrap(), 202);
    assert_eq!(upload.end(b"bytes").await.status(), 404);
    assert_eq!(platform.audit().await.objects, 0);
}

#[tokio::test]
async fn an_upload_whose_export_was_deleted_is_ended_while_it_runs() {
    let platform = Platform::start().await;
    let export = platform.asking.create(1).await.unwrap();
    let upload = Begun::begin(&platform, &export.id, &export.sources[0]).await;
    assert_eq!(platform.asking.delete(&export.id).await.unwrap(), 202);
    // Nothing more is sent: the renewal of its lease finds out.
    let answer = upload.answer.await.unwrap();
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == 404));
    assert_eq!(platform.audit().await.objects, 0);
}

#[tokio::test]
async fn an_upload_that_lost_its_lease_is_refused_and_its_repeat_succeeds() {
    let platform = Platform::start().await;
    let export = platform.asking.create(1).await.unwrap();
    let source = &export.sources[0];
    let upload = Begun::begin(&platform, &export.id, source).await;
    let database = platform.rig.database().await.unwrap();
    // As long as nobody renews the lease it runs out, and the reaper comes.
    platform.internal.process().pause().unwrap();
    let attempts = "SELECT count(*) FROM upload_attempts";
    poll_until(SOON, async || Ok((count(&database, attempts).await? == 0).then_some(()))).await.unwrap();
    platform.internal.process().resume().unwrap();
    let answer = upload.end(b"bytes").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(platform.answering.upload(&export.id, source, b"bytes".to_vec()).await.unwrap(), 202);
    assert_eq!(platform.audit().await.objects, 1);
}

#[tokio::test]
async fn an_object_that_was_stored_after_its_lease_ran_out_is_not_left_behind() {
    // From the stored object to its row it takes longer than the lease lasts.
    let slow = "receive::object-stored=1*sleep(6000)";
    let platform = Platform::on_failing(Rig::new().await, Some((InternalApi, slow))).await;
    let export = platform.asking.create(1).await.unwrap();
    let source = &export.sources[0];
    let bytes = payload(source, 3_000);
    assert_eq!(platform.answering.upload(&export.id, source, bytes.clone()).await.unwrap(), 503);
    assert_eq!(platform.answering.upload(&export.id, source, bytes).await.unwrap(), 202);
    assert_eq!(platform.audit().await.objects, 1);
}

#[tokio::test]
async fn a_long_upload_keeps_its_lease_and_no_sweep_takes_its_object() {
    let platform = Platform::start().await;
    let export = platform.asking.create(1).await.unwrap();
    let source = &export.sources[0];
    let upload = Begun::begin(&platform, &export.id, source).await;
    // Until two further leases have begun, with sweeps all the while.
    let database = platform.rig.database().await.unwrap();
    let lease = "SELECT extract(epoch FROM max(lease_expires_at))::bigint FROM upload_attempts";
    let first = count(&database, lease).await.unwrap();
    poll_until(SOON, async || Ok((count(&database, lease).await? >= first + 8).then_some(()))).await.unwrap();
    assert_eq!(upload.end(b"bytes").await.status(), 202);
    note_delivered(&platform, source, b"bytes");
    assert_eq!(platform.audit().await.objects, 1);
}

fn note_delivered(platform: &Platform, source: &str, last: &[u8]) {
    let sha256 = sha256_hex([BEGINNING, last].concat());
    platform.rig.ledger.note(|books| books.delivered.insert(source.to_owned(), sha256));
}

#[tokio::test]
async fn an_upload_whose_client_goes_away_leaves_its_source_open_and_nothing_behind() {
    let platform = Platform::start().await;
    let export = platform.asking.create(1).await.unwrap();
    let source = &export.sources[0];
    for cut_after in [1_000, 8 << 20] {
        platform.internal.door().set(Fault::CutOnce(Direction::ToServer, cut_after));
        let answer = platform.answering.upload(&export.id, source, payload(source, IN_PARTS)).await;
        assert!(answer.is_err(), "{answer:?}");
        let database = platform.rig.database().await.unwrap();
        for table in ["upload_attempts", "object_deletions"] {
            wait_for_none(&database, &format!("SELECT count(*) FROM {table}")).await.unwrap();
        }
        assert!(objects(&platform.rig.blobs).await.unwrap().is_empty());
    }
    assert_eq!(platform.answering.upload(&export.id, source, payload(source, IN_PARTS)).await.unwrap(), 202);
    assert_eq!(platform.audit().await.objects, 1);
}

/// Uploads for one source that all have begun before any of them ends; their statuses.
async fn race(platform: &Platform, export: &str, source: &str, bodies: &[&'static [u8]]) -> Vec<u16> {
    let mut uploads = Vec::new();
    for _ in bodies {
        uploads.push(Begun::begin(platform, export, source).await);
    }
    let ends = uploads.into_iter().zip(bodies).map(|(upload, body)| upload.end(body));
    join_all(ends).await.iter().map(|answer| answer.status().as_u16()).collect()
}

/// An upload under way: the platform has noted it and waits for its bytes.
struct Begun {
    chunks: mpsc::Sender<Vec<u8>>,
    answer: JoinHandle<anyhow::Result<Response>>,
}

impl Begun {
    async fn begin(platform: &Platform, export: &str, source: &str) -> Self {
        let (chunks, body) = mpsc::channel(2);
        let (answering, body) = (platform.answering.clone(), Body::wrap_stream(held_back(body)));
        let (export, source) = (export.to_owned(), source.to_owned());
        let database = platform.rig.database().await.unwrap();
        let attempts = "SELECT count(*) FROM upload_attempts";
        let before = count(&database, attempts).await.unwrap();
        let answer = tokio::spawn(async move { answering.upload_as(&export, &source, body).await });
        chunks.send(BEGINNING.to_vec()).await.unwrap();
        poll_until(SOON, async || Ok((count(&database, attempts).await? > before).then_some(())))
            .await
            .unwrap();
        Self { chunks, answer }
    }

    async fn end(self, last: &[u8]) -> Response {
        // A server that has answered meanwhile takes no more.
        let _ = self.chunks.send(last.to_vec()).await;
        drop(self.chunks);
        self.answer.await.unwrap().expect("an answer")
    }
}
