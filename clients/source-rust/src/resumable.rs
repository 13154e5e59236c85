//! Uploads in pieces, each of which can be repeated: tus 1.0.0 with creation-defer-length (S0-tus).
//!
//! The piece under way is held in memory. So a broken connection costs at most a piece, and the function is not
//! called again.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::{StreamExt as _, future::join_all, stream};
use reqwest::{
    Method, RequestBuilder, Response, StatusCode, Url,
    header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION},
};
use tokio::time::timeout;

use crate::{
    Request,
    answer::ByteStream,
    backoff::{ForNow, GivenUp, Waits},
    body::Notes,
    metrics::Outcome,
    pieces::{Piece, Pieces},
    platform::{CALL_TIMEOUT, NotUploaded, Platform},
};

/// Size of a piece. A larger one costs more when a connection breaks, a smaller one more when none does.
pub(crate) const PIECE_BYTES: usize = 8 * 1024 * 1024;

/// How long the platform is told, at the end, of uploads that were given up.
const FAREWELL: Duration = Duration::from_secs(3);

const UPLOAD_OFFSET: &str = "upload-offset";
const UPLOAD_LENGTH: &str = "upload-length";

/// Uploads that were begun and neither finished nor ended, by where they go on. Clones are of the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unfinished(Arc<Mutex<HashSet<Url>>>);

impl Unfinished {
    fn lock(&self) -> MutexGuard<'_, HashSet<Url>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the platform takes an upload that is to be begun.
enum Begun {
    /// It goes on here.
    At(Url),
    /// It takes no pieces of this source, or of none.
    InOneRequest,
    /// It does not want the data.
    Refused(Outcome),
}

impl Platform {
    /// Uploads the data in pieces, or in one request where the platform takes no pieces. While the platform is away
    /// this waits; data is asked for anew only when the upload is lost.
    pub(crate) async fn upload_in_pieces(
        &self,
        request: &Request,
        data: ByteStream,
        waits: &Waits,
    ) -> Result<Outcome, NotUploaded> {
        let mut pieces = Pieces::new(data, self.piece_bytes);
        // Before anything is begun: data that fails at once leaves nothing behind.
        let first = pieces.next().await.map_err(NotUploaded::Refused)?;
        let location = match self.begin(request, waits).await? {
            Begun::At(location) => location,
            // The answer to the data itself tells a platform without pieces from an export that is gone.
            Begun::InOneRequest => return self.upload(request, pieces.from(first)).await,
            Begun::Refused(outcome) => return Ok(outcome),
        };
        self.unfinished.lock().insert(location.clone());
        let mut upload = Upload { platform: self, waits, location, offset: 0 };
        let sent = upload.send(first, pieces).await;
        match sent {
            Ok(Outcome::Uploaded) => {}
            // The platform may be away, and a stop waits for nobody: told of by `end_unfinished`.
            Err(NotUploaded::GivenUp) => return sent,
            _ => self.end_upload(&upload.location).await,
        }
        self.unfinished.lock().remove(&upload.location);
        sent
    }

    /// Ends the uploads whose answers were given up. The platform would keep what they have brought for a day.
    pub(crate) async fn end_unfinished(&self) {
        let locations: Vec<Url> = self.unfinished.lock().drain().collect();
        let ending = join_all(locations.iter().map(|location| self.end_upload(location)));
        if timeout(FAREWELL, ending).await.is_err() {
            tracing::debug!("uploads are left to expire");
        }
    }

    async fn begin(&self, request: &Request, waits: &Waits) -> Result<Begun, GivenUp> {
        let mut backoff = waits.backoff();
        let media_type = STANDARD.encode(request.format.content_type());
        loop {
            let url = self.url(request, "uploads");
            let post = self
                .tus(Method::POST, &url)
                .header("upload-defer-length", 1)
                .header("upload-metadata", format!("filetype {media_type}"));
            match self.call(post.timeout(CALL_TIMEOUT)).await {
                Ok(response) => return Ok(self.begun(&url, response).await),
                Err(reason) => waits.wait(&mut backoff, &reason).await?,
            }
        }
    }

    async fn begun(&self, url: &Url, response: Response) -> Begun {
        match response.status() {
            StatusCode::CREATED => self.location(url, &response).map_or(Begun::InOneRequest, Begun::At),
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                Begun::InOneRequest
            }
            _ => Begun::Refused(self.settled(response, Outcome::Refused).await),
        }
    }

    /// Where the upload goes on: of the header only the path counts, for the key must not go wherever it says.
    fn location(&self, created_at: &Url, response: &Response) -> Option<Url> {
        let location = response.headers().get(LOCATION)?.to_str().ok()?;
        let path = created_at.join(location).ok()?.path().to_owned();
        let mut url = self.base.clone();
        let prefix = self.base.path().trim_end_matches('/');
        // What stands before the platform may add a prefix that the platform knows nothing of.
        url.set_path(&if path.starts_with(prefix) { path } else { format!("{prefix}{path}") });
        Some(url)
    }

    async fn end_upload(&self, location: &Url) {
        let delete = self.tus(Method::DELETE, location).timeout(CALL_TIMEOUT);
        if let Err(reason) = self.call(delete).await {
            tracing::debug!(why = reason.why, "an upload is left to expire");
        }
    }

    fn tus(&self, method: Method, url: &Url) -> RequestBuilder {
        self.http.request(method, url.clone()).header("tus-resumable", "1.0.0")
    }
}

/// One upload of one source.
struct Upload<'a> {
    platform: &'a Platform,
    waits: &'a Waits,
    location: Url,
    /// Where the next piece begins.
    offset: u64,
}

impl Upload<'_> {
    /// Sends all of it; returns what the platform made of it.
    async fn send(&mut self, first: Piece, mut pieces: Pieces) -> Result<Outcome, NotUploaded> {
        let mut piece = first;
        loop {
            // Given away, so that it does not lie in memory beside the next.
            if let Some(outcome) = self.send_piece(piece).await? {
                return Ok(outcome);
            }
            piece = pieces.next().await.map_err(NotUploaded::Refused)?;
        }
    }

    /// Sends what the platform does not have of `piece`; returns what became of the upload, if that is its end.
    async fn send_piece(&mut self, piece: Piece) -> Result<Option<Outcome>, NotUploaded> {
        let (start, end) = (self.offset, self.offset + piece.bytes.len() as u64);
        let mut backoff = self.waits.backoff();
        loop {
            let reason = match self.patch(&piece, start).await {
                Ok(response) if response.status().is_success() => break,
                Ok(response) if !piece.is_last && is_gone(response.status()) => return Err(lost()),
                Ok(response) => {
                    return Ok(Some(self.platform.settled(response, Outcome::Uploaded).await));
                }
                Err(reason) => reason,
            };
            self.waits.wait(&mut backoff, &reason).await?;
            let (offset, is_settled) = self.standing(start, end).await?;
            if offset > self.offset {
                // It moves: the next failure is a new one.
                backoff = self.waits.backoff();
            }
            self.offset = offset;
            if offset == end && (is_settled || !piece.is_last) {
                break;
            }
        }
        self.offset = end;
        Ok(piece.is_last.then_some(Outcome::Uploaded))
    }

    /// Sends `piece`, which begins at `start`, from where the upload goes on.
    async fn patch(&self, piece: &Piece, start: u64) -> Result<Response, ForNow> {
        let from = usize::try_from(self.offset - start).unwrap_or(usize::MAX).min(piece.bytes.len());
        let bytes = piece.bytes.slice(from..);
        let mut patch = self
            .platform
            .tus(Method::PATCH, &self.location)
            .header(CONTENT_TYPE, "application/offset+octet-stream")
            .header(CONTENT_LENGTH, bytes.len())
            .header(UPLOAD_OFFSET, self.offset);
        if piece.is_last {
            patch = patch.header(UPLOAD_LENGTH, self.offset + bytes.len() as u64);
        }
        let body = stream::iter([Ok::<Bytes, _>(bytes)]).boxed();
        let response = self.platform.send(patch, body, &Notes::default()).await?;
        if is_unsettled(response.status()) {
            return Err(ForNow::answered(&response));
        }
        Ok(response)
    }

    /// How far the platform has it, and whether that is all of it: then the source is settled.
    async fn standing(&self, start: u64, end: u64) -> Result<(u64, bool), NotUploaded> {
        let mut backoff = self.waits.backoff();
        let response = loop {
            let head = self.platform.tus(Method::HEAD, &self.location).timeout(CALL_TIMEOUT);
            match self.platform.call(head).await {
                Ok(response) => break response,
                Err(reason) => self.waits.wait(&mut backoff, &reason).await?,
            }
        };
        let number = |name| response.headers().get(name)?.to_str().ok()?.parse::<u64>().ok();
        match number(UPLOAD_OFFSET) {
            Some(offset) if response.status().is_success() && (start..=end).contains(&offset) => {
                Ok((offset, number(UPLOAD_LENGTH) == Some(offset)))
            }
            _ => Err(lost()),
        }
    }
}

/// The platform no longer has what was sent before: the data is needed from its beginning.
fn lost() -> NotUploaded {
    ForNow::because("the platform no longer has the upload").into()
}

fn is_gone(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
}

/// The upload stands elsewhere than this side thought, the try before still holds it, or the piece was damaged on
/// its way.
fn is_unsettled(status: StatusCode) -> bool {
    const CHECKSUM_MISMATCH: u16 = 460;
    matches!(status, StatusCode::CONFLICT | StatusCode::LOCKED) || status.as_u16() == CHECKSUM_MISMATCH
}

#[cfg(test)]
mod tests;
