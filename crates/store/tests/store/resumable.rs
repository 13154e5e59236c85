//! Resumable uploads: what counts, who may add to it, and that no piece is forgotten (S0-tus).

use chrono::TimeDelta;
use domain::{
    ExportDraft, ExportStatus, LifecycleChange, SourceError,
    ids::{AttemptId, UploadId},
};
use store::{
    AnswerOutcome, Downloadable, FinishedPiece, NewAttempt, NewResumableUpload, PieceBegin, PieceOutcome,
    PieceRequest, PieceStart,
};

use crate::support::{Fixture, owner, stored};

const OUTCOME: [u8; 32] = [9; 32];

/// A resumable upload for the first source of an export.
struct Upload<'a> {
    fixture: &'a Fixture,
    draft: &'a ExportDraft,
    id: UploadId,
}

impl<'a> Upload<'a> {
    async fn begin(fixture: &'a Fixture, draft: &'a ExportDraft, length_bytes: Option<u64>) -> Self {
        let id = UploadId::random();
        let upload = NewResumableUpload {
            id,
            export_id: draft.id,
            resource_id: draft.sources[0].id,
            object_key: format!("{}/{id}", draft.id),
            length_bytes,
            metadata: Some("name YQ==".to_owned()),
            expires_at: fixture.now() + TimeDelta::hours(1),
        };
        fixture.store.begin_resumable(upload).await.unwrap();
        Self { fixture, draft, id }
    }

    fn request(&self, offset_bytes: u64) -> PieceRequest {
        let id = AttemptId::random();
        let attempt = NewAttempt {
            id,
            export_id: self.draft.id,
            resource_id: self.draft.sources[0].id,
            object_key: format!("{}/{id}", self.draft.id),
            lease_expires_at: self.fixture.now() + TimeDelta::seconds(8),
        };
        PieceRequest { upload: self.id, attempt, offset_bytes, length_bytes: None, body_bytes: None }
    }

    async fn try_begin_piece(&self, request: &PieceRequest) -> PieceBegin {
        self.fixture.store.begin_piece(request.clone(), self.fixture.now()).await.unwrap()
    }

    async fn begin_piece(&self, request: &PieceRequest) -> PieceStart {
        match self.try_begin_piece(request).await {
            PieceBegin::Begun(start) => start,
            other => panic!("the piece was not begun: {other:?}"),
        }
    }

    async fn commit(&self, request: &PieceRequest, start: &PieceStart, size_bytes: u64) -> PieceOutcome {
        let mut data = stored(&request.attempt.object_key, 0);
        (data.size_bytes, data.sha256) = (size_bytes, OUTCOME);
        let piece = FinishedPiece {
            upload: self.id,
            attempt: request.attempt.id,
            export_id: self.draft.id,
            resource_id: self.draft.sources[0].id,
            position: start.position,
            data,
            sha256_state: vec![u8::try_from(start.position).unwrap()],
            expires_at: self.fixture.now() + TimeDelta::hours(1),
        };
        self.fixture.store.commit_piece(piece, self.fixture.now()).await.unwrap()
    }

    /// Adds so many bytes at `offset_bytes` and returns the key of their object.
    async fn add(&self, offset_bytes: u64, size_bytes: u64) -> (String, PieceOutcome) {
        let request = self.request(offset_bytes);
        let start = self.begin_piece(&request).await;
        let outcome = self.commit(&request, &start, offset_bytes - start.begins_at + size_bytes).await;
        (request.attempt.object_key, outcome)
    }

    async fn offset(&self) -> Option<u64> {
        let (store, source) = (&self.fixture.store, self.draft.sources[0].id);
        let found = store.find_resumable(self.draft.id, source, self.id).await.unwrap();
        found.map(|upload| upload.offset_bytes)
    }
}

const SETTLED: PieceOutcome = PieceOutcome::Answered(AnswerOutcome::Settled(ExportStatus::Complete));

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_the_last_piece_settles_the_source_with_all_of_them() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let upload = Upload::begin(&fixture, &draft, Some(60)).await;
    let (first, one) = upload.add(0, 10).await;
    let (second, two) = upload.add(10, 20).await;
    assert_eq!((one, two), (PieceOutcome::Kept, PieceOutcome::Kept));
    let (third, three) = upload.add(30, 30).await;
    assert_eq!(three, SETTLED);
    assert_eq!(upload.offset().await, Some(60));
    assert_eq!(fixture.attempts(), 0);
    assert!(fixture.queued_keys().is_empty());

    let download = fixture.store.find_download(owner("jdoe"), draft.id, fixture.now()).await.unwrap();
    let Downloadable::Ready(manifest) = download else { panic!("{download:?}") };
    let member = &manifest.members[0];
    assert_eq!((manifest.layout_version, member.size_bytes, &member.object_key), (2, 60, &first));
    let further: Vec<_> = member.further_pieces.iter().map(|piece| &piece.object_key).collect();
    assert_eq!(further, [&second, &third]);

    fixture.store.release_expired(draft.expires_at, fixture.now(), 10).await.unwrap();
    let mut all = [first, second, third];
    all.sort();
    assert_eq!(fixture.queued_keys(), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_one_piece_is_no_other_than_an_upload() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let upload = Upload::begin(&fixture, &draft, Some(60)).await;
    assert_eq!(upload.add(0, 60).await.1, SETTLED);
    assert_eq!(fixture.number("SELECT count(*) AS n FROM resource_pieces"), 0);
    let download = fixture.store.find_download(owner("jdoe"), draft.id, fixture.now()).await.unwrap();
    assert!(matches!(download, Downloadable::Ready(manifest) if manifest.layout_version == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_only_data_in_one_object_is_announced_and_all_of_it_is_told() {
    for (pieces, announcements) in [(1, 1), (2, 0)] {
        let fixture = Fixture::new().await;
        fixture.announced(true);
        let draft = fixture.create(&owner("jdoe"), 1).await;
        fixture.news().await;
        let upload = Upload::begin(&fixture, &draft, Some(20 * pieces)).await;
        for place in 0..pieces {
            upload.add(20 * place, 20).await;
        }
        assert_eq!(fixture.announcements(), announcements);
        let LifecycleChange::SourceCompleted { size_bytes, stored_bytes, .. } =
            fixture.news().await[0].change
        else {
            panic!("not told");
        };
        assert_eq!((size_bytes, stored_bytes), (20 * pieces, 50 * pieces));
    }
}

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

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_the_same_bytes_repeat_an_answer_and_others_conflict_and_neither_leaves_a_piece() {
    for (delivered, expected, remains) in
        [(OUTCOME, AnswerOutcome::Repeated, Some(20)), ([1; 32], AnswerOutcome::Conflict, None)]
    {
        let fixture = Fixture::new().await;
        let draft = fixture.create(&owner("jdoe"), 1).await;
        let upload = Upload::begin(&fixture, &draft, Some(20)).await;
        let (first, _) = upload.add(0, 10).await;
        assert_eq!(
            fixture.deliver(draft.id, draft.sources[0].id, delivered[0]).await,
            AnswerOutcome::Settled(ExportStatus::Complete)
        );
        let (second, outcome) = upload.add(10, 10).await;
        assert_eq!(outcome, PieceOutcome::Answered(expected));
        let mut gone = [first, second];
        gone.sort();
        assert_eq!(fixture.queued_keys(), gone);
        assert_eq!((upload.offset().await, fixture.attempts()), (remains, 0));
    }
}

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
    assert_eq!(late, PieceOutcome::Answered(AnswerOutcome::LeaseLost));
    let mut gone = [first, running.attempt.object_key];
    gone.sort();
    assert_eq!(fixture.queued_keys(), gone);
    assert_eq!(fixture.attempts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_a_source_whose_upload_goes_on_is_not_overdue() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    fixture.clock.advance(TimeDelta::hours(23));
    let upload = Upload::begin(&fixture, &draft, Some(60)).await;
    fixture.clock.advance(TimeDelta::minutes(59));
    upload.add(0, 10).await;
    fixture.clock.advance(TimeDelta::minutes(59));
    assert_eq!(fixture.store.fail_overdue(fixture.now(), 10).await.unwrap(), 0);
    fixture.clock.advance(TimeDelta::minutes(1));
    assert_eq!(fixture.store.fail_overdue(fixture.now(), 10).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_a_source_of_which_a_piece_is_lost_fails_and_leaves_none() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let upload = Upload::begin(&fixture, &draft, Some(20)).await;
    let (first, _) = upload.add(0, 10).await;
    let (second, _) = upload.add(10, 10).await;
    let keys = [&first, &second].map(|key| (draft.id, key.clone()));
    assert_eq!(fixture.store.known_objects(keys.to_vec()).await.unwrap().len(), 2);
    let mut rows = fixture.store.stored_objects(None, fixture.now(), 10).await.unwrap();
    assert_eq!((rows.len(), &rows[0].further_keys), (1, &vec![second.clone()]));
    assert!(fixture.store.settle_lost_object(rows.remove(0), fixture.now()).await.unwrap());
    let mut gone = [first, second];
    gone.sort();
    assert_eq!(fixture.queued_keys(), gone);
}
