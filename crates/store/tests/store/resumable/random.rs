//! Whatever happens to resumable uploads at once, no object is forgotten (S0-tus).

use std::sync::Mutex;

use chrono::TimeDelta;
use futures_util::future::join_all;
use store::{PieceBegin, PieceOutcome};

use super::Upload;
use crate::{
    random::Random,
    support::{Fixture, owner},
};

const LENGTH: u64 = 60;

/// Where a key may be in the end, a row for each place.
const PLACES: &str = "SELECT object_key AS t FROM resources WHERE object_key IS NOT NULL \
    UNION ALL SELECT object_key FROM resource_pieces UNION ALL SELECT object_key FROM object_deletions \
    UNION ALL SELECT object_key FROM upload_pieces UNION ALL SELECT object_key FROM upload_attempts ORDER BY t";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s0_tus_no_piece_is_forgotten_or_kept_twice_in_any_interleaving() {
    let fixture = Fixture::with(|settings| settings.pool_size = 16).await;
    let mut drafts = Vec::new();
    for _ in 0..16 {
        drafts.push(fixture.create(&owner("jdoe"), 1).await);
    }
    let mut uploads = Vec::new();
    for draft in drafts.iter().cycle().take(32) {
        uploads.push(Upload::begin(&fixture, draft, Some(LENGTH)).await);
    }
    let (begun, settled) = (Mutex::default(), Mutex::default());
    let actors = (0..12).map(|seed| act(&uploads, Random::seeded(seed), &begun, &settled));
    join_all(actors).await;

    let end = fixture.now() + TimeDelta::days(2);
    fixture.store.expire_resumables(end, 1000).await.unwrap();
    fixture.store.expire_uploads(end, 1000).await.unwrap();
    let mut begun: Vec<String> = begun.into_inner().unwrap();
    begun.sort();
    assert_eq!(fixture.texts(PLACES), begun);
    let complete = fixture.number("SELECT count(*) AS n FROM resources WHERE status = 'complete'");
    assert_eq!(complete, *settled.lock().unwrap());
    assert!(complete > 3 && begun.len() > 100, "{complete} of {}", begun.len());
    let sizes = format!("SELECT count(*) AS n FROM resources WHERE size_bytes <> {LENGTH}");
    assert_eq!(fixture.number(&sizes), 0);
}

async fn act(uploads: &[Upload<'_>], mut random: Random, begun: &Mutex<Vec<String>>, settled: &Mutex<i64>) {
    for _ in 0..100 {
        let upload = &uploads[random.below(uploads.len())];
        let (store, now) = (&upload.fixture.store, upload.fixture.now());
        match random.below(20) {
            0 if random.one_in(6) => {
                store.end_resumable(upload.id, now).await.unwrap();
            }
            1 if random.one_in(30) => {
                store.expire_resumables(now + TimeDelta::hours(2), 1).await.unwrap();
            }
            2 => {
                store.expire_resumables(now, 10).await.unwrap();
            }
            // Of those that run as of those that are dead.
            3 => {
                store.expire_uploads(now + TimeDelta::minutes(1), 5).await.unwrap();
            }
            4 if random.one_in(12) => {
                upload.fixture.fail(upload.draft, 0).await;
            }
            5 => {
                upload.fixture.retry(upload.draft, 0).await;
            }
            6 if random.one_in(20) => {
                store.delete_export(owner("jdoe"), upload.draft.id, now).await.unwrap();
            }
            _ => add(upload, &mut random, begun, settled).await,
        }
    }
}

/// Adds ten bytes where the upload stands; sometimes the process dies over it.
async fn add(upload: &Upload<'_>, random: &mut Random, begun: &Mutex<Vec<String>>, settled: &Mutex<i64>) {
    let Some(offset) = upload.offset().await.filter(|offset| *offset < LENGTH) else { return };
    let request = upload.request(offset);
    let PieceBegin::Begun(start) = upload.try_begin_piece(&request).await else { return };
    begun.lock().unwrap().push(request.attempt.object_key.clone());
    if random.one_in(16) {
        return;
    }
    if random.one_in(16) {
        upload.fixture.store.abandon_upload(request.attempt.id, upload.fixture.now()).await.unwrap();
        return;
    }
    let outcome = upload.commit(&request, &start, offset - start.begins_at + 10).await;
    if matches!(outcome, PieceOutcome::Answered(store::AnswerOutcome::Settled(_))) {
        *settled.lock().unwrap() += 1;
    }
}
