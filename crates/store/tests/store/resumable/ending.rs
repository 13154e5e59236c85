//! Resumable uploads that will not finish leave nothing (S0-tus).

use chrono::TimeDelta;
use diesel::connection::SimpleConnection as _;
use domain::{ExportStatus, SourceError};
use store::{AnswerOutcome, PieceBegin, PieceOutcome};

use super::{SETTLED, Upload};
use crate::support::{Fixture, Held, owner};

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_an_upload_that_is_not_continued_expires_with_its_pieces() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let upload = Upload::begin(&fixture, &draft, Some(60)).await;
    fixture.clock.advance(TimeDelta::minutes(30));
    let (key, _) = upload.add(0, 10).await;
    fixture.clock.advance(TimeDelta::minutes(59));
    assert_eq!(fixture.store.expire_resumables(fixture.now(), 10).await.unwrap(), 0);
    assert_eq!(fixture.store.expire_uploads(fixture.now(), 10).await.unwrap(), 0);
    fixture.clock.advance(TimeDelta::minutes(1));
    assert_eq!(upload.try_begin_piece(&upload.request(10)).await, PieceBegin::Expired);
    assert_eq!(fixture.store.expire_resumables(fixture.now(), 10).await.unwrap(), 1);
    assert_eq!(fixture.queued_keys(), [key]);
    assert_eq!((upload.offset().await, fixture.attempts()), (None, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_an_upload_that_cannot_finish_is_removed_before_it_expires() {
    let fixture = Fixture::new().await;
    let (deleted, failed) =
        (fixture.create(&owner("jdoe"), 1).await, fixture.create(&owner("jdoe"), 1).await);
    let mut pieces = Vec::new();
    for draft in [&deleted, &failed] {
        pieces.push(Upload::begin(&fixture, draft, Some(60)).await.add(0, 10).await.0);
    }
    assert_eq!(fixture.store.expire_resumables(fixture.now(), 10).await.unwrap(), 0);
    fixture.store.delete_export(owner("jdoe"), deleted.id, fixture.now()).await.unwrap();
    let error = SourceError::new(404, "no");
    let answer =
        fixture.store.answer_with_error(failed.id, failed.sources[0].id, error, fixture.now()).await.unwrap();
    assert_eq!(answer, AnswerOutcome::Settled(ExportStatus::Failed));
    assert_eq!(fixture.store.expire_resumables(fixture.now(), 10).await.unwrap(), 2);
    pieces.sort();
    assert_eq!(fixture.queued_keys(), pieces);
    assert_eq!(fixture.attempts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_a_terminated_upload_takes_no_more() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let upload = Upload::begin(&fixture, &draft, Some(60)).await;
    let (first, _) = upload.add(0, 10).await;
    let running = upload.request(10);
    let start = upload.begin_piece(&running).await;
    assert!(fixture.store.end_resumable(upload.id, fixture.now()).await.unwrap());
    assert!(!fixture.store.end_resumable(upload.id, fixture.now()).await.unwrap());
    let late = upload.commit(&running, &start, 10).await;
    assert_eq!(late, PieceOutcome::NoUpload);
    let mut gone = [first, running.attempt.object_key];
    gone.sort();
    assert_eq!(fixture.queued_keys(), gone);
    assert_eq!(fixture.attempts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_a_piece_that_counts_while_its_upload_is_terminated_is_deleted_with_it() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let upload = Upload::begin(&fixture, &draft, Some(60)).await;
    let (first, _) = upload.add(0, 10).await;
    // Somebody has just committed a piece, but for the last moment.
    let mut held = Held { holder: fixture.connection(), observer: fixture.connection() };
    let commit = format!(
        "BEGIN; SELECT FROM resumable_uploads WHERE id = '{0}' FOR UPDATE; INSERT INTO upload_pieces \
         SELECT upload_id, 1, 'second', size_bytes, stored_bytes, crc32, sha256_state FROM upload_pieces; \
         UPDATE resumable_uploads SET offset_bytes = 20 WHERE id = '{0}'",
        upload.id
    );
    held.holder.batch_execute(&commit).unwrap();
    let (store, id, now) = (fixture.store.clone(), upload.id, fixture.now());
    let ending = tokio::spawn(async move { store.end_resumable(id, now).await });
    held.awaited_by(1).await;
    held.holder.batch_execute("COMMIT").unwrap();
    assert!(ending.await.unwrap().unwrap());
    assert_eq!(fixture.queued_keys(), [first, "second".to_owned()]);
    assert_eq!((upload.offset().await, fixture.attempts()), (None, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_an_upload_that_is_just_being_added_to_does_not_expire() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let upload = Upload::begin(&fixture, &draft, Some(20)).await;
    fixture.clock.advance(TimeDelta::hours(1) - TimeDelta::seconds(4));
    let slow = upload.request(0);
    let start = upload.begin_piece(&slow).await;
    fixture.clock.advance(TimeDelta::seconds(4));
    assert_eq!(fixture.store.expire_resumables(fixture.now(), 10).await.unwrap(), 0);
    assert_eq!(upload.try_begin_piece(&upload.request(0)).await, PieceBegin::Busy);
    assert_eq!(upload.commit(&slow, &start, 10).await, PieceOutcome::Kept);
    assert_eq!(fixture.store.expire_resumables(fixture.now(), 10).await.unwrap(), 0);
    assert_eq!(upload.add(10, 10).await.1, SETTLED);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_what_a_finished_upload_has_settled_and_was_lost_can_be_uploaded_anew() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let upload = Upload::begin(&fixture, &draft, Some(10)).await;
    assert_eq!(upload.add(0, 10).await.1, SETTLED);
    let mut rows = fixture.store.stored_objects(None, fixture.now(), 10).await.unwrap();
    assert!(fixture.store.settle_lost_object(rows.remove(0), fixture.now()).await.unwrap());
    // Else its client would take it for delivered after a retry.
    assert_eq!(fixture.store.expire_resumables(fixture.now(), 10).await.unwrap(), 1);
    assert_eq!(upload.offset().await, None);
}
