//! Who may add to a resumable upload, where, and what becomes of small pieces (S0-tus).

use chrono::TimeDelta;
use domain::{ExportStatus, ids::UploadId};
use store::{AnswerOutcome, PieceBegin, PieceOutcome, PieceRequest};

use super::{SETTLED, Upload};
use crate::support::{Fixture, owner};

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_only_one_request_at_a_time_adds_to_an_upload_and_a_dead_one_soon_gives_way() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let upload = Upload::begin(&fixture, &draft, Some(60)).await;
    let (dead, next) = (upload.request(0), upload.request(0));
    let begun_dead = upload.begin_piece(&dead).await;
    assert_eq!(upload.try_begin_piece(&next).await, PieceBegin::Busy);
    fixture.clock.advance(TimeDelta::seconds(8));
    let begun = upload.begin_piece(&next).await;
    // It was not dead after all.
    let late = upload.commit(&dead, &begun_dead, 10).await;
    assert_eq!(late, PieceOutcome::Answered(AnswerOutcome::LeaseLost));
    assert_eq!(fixture.queued_keys(), [dead.attempt.object_key]);
    assert_eq!(upload.offset().await, Some(0));
    assert_eq!(upload.commit(&next, &begun, 10).await, PieceOutcome::Kept);
    assert_eq!(upload.offset().await, Some(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_a_piece_begins_where_the_upload_stands_and_within_its_length() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 2).await;
    let upload = Upload::begin(&fixture, &draft, None).await;
    upload.add(0, 10).await;
    assert_eq!(upload.try_begin_piece(&upload.request(9)).await, PieceBegin::OtherOffset(10));
    let with_length = |length| PieceRequest { length_bytes: Some(length), ..upload.request(10) };
    assert_eq!(upload.try_begin_piece(&with_length(9)).await, PieceBegin::OtherLength);
    let request = with_length(30);
    let start = upload.begin_piece(&request).await;
    assert_eq!((start.position, start.begins_at, start.length_bytes), (1, 10, Some(30)));
    assert_eq!(start.sha256_state, Some(vec![0]));
    upload.commit(&request, &start, 10).await;
    let request = PieceRequest { length_bytes: Some(31), ..upload.request(20) };
    assert_eq!(upload.try_begin_piece(&request).await, PieceBegin::OtherLength);
    let of_another = PieceRequest { upload: UploadId::random(), ..upload.request(20) };
    assert_eq!(upload.try_begin_piece(&of_another).await, PieceBegin::NotFound);
    let mut for_another = upload.request(20);
    for_another.attempt.resource_id = draft.sources[1].id;
    assert_eq!(upload.try_begin_piece(&for_another).await, PieceBegin::NotFound);
    assert_eq!(
        upload.add(20, 10).await.1,
        PieceOutcome::Answered(AnswerOutcome::Settled(ExportStatus::Running))
    );
    assert_eq!(upload.try_begin_piece(&upload.request(30)).await, PieceBegin::Finished);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_many_small_pieces_become_few() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let upload = Upload::begin(&fixture, &draft, Some(1000)).await;
    let mut everything = Vec::new();
    for place in 0..100 {
        let (key, outcome) = upload.add(place * 10, 10).await;
        everything.push(key);
        assert_eq!(outcome == PieceOutcome::Kept, place < 99);
        assert!(fixture.number("SELECT count(*) AS n FROM upload_pieces") <= 8);
    }
    assert_eq!(upload.offset().await, Some(1000));
    let kept = "SELECT object_key AS t FROM resources UNION ALL SELECT object_key FROM resource_pieces";
    let mut known = fixture.texts(kept);
    known.extend(fixture.queued_keys());
    known.sort();
    everything.sort();
    assert_eq!(known, everything);
    assert_eq!(fixture.number("SELECT size_bytes AS n FROM resources"), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_nothing_is_folded_into_the_last_piece() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let upload = Upload::begin(&fixture, &draft, Some(90)).await;
    for place in 0..8 {
        upload.add(place * 10, 10).await;
    }
    let last = PieceRequest { body_bytes: Some(10), ..upload.request(80) };
    let start = upload.begin_piece(&last).await;
    assert_eq!((start.position, start.folded.len()), (8, 0));
    assert_eq!(upload.commit(&last, &start, 10).await, SETTLED);
}
