//! Resumable uploads: what counts, who may add to it, and that no piece is forgotten (S0-tus).

mod adding;
mod counting;
mod ending;
mod random;
mod settling;

use chrono::TimeDelta;
use domain::{
    ExportDraft, ExportStatus,
    ids::{AttemptId, UploadId},
};
use store::{
    AnswerOutcome, FinishedPiece, NewAttempt, NewResumableUpload, PieceBegin, PieceOutcome, PieceRequest,
    PieceStart,
};

use crate::support::{Fixture, stored};

const OUTCOME: [u8; 32] = [9; 32];

const SETTLED: PieceOutcome = PieceOutcome::Answered(AnswerOutcome::Settled(ExportStatus::Complete));

/// How long an upload counts as an answer under way between two requests.
const PAUSE: TimeDelta = TimeDelta::minutes(10);

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
            counts_until: fixture.now() + PAUSE,
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
            change: None,
            counts_until: self.fixture.now() + PAUSE,
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
