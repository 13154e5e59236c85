//! What a request to add to an upload says of itself.

use actix_web::{HttpRequest, web::Payload};
use bytes::Bytes;
use domain::{ByteSize, CsvOptions, ids::UploadId};
use futures_util::{Stream, TryStreamExt as _};
use service::http::{BodyLimits, BodyStream};

use super::{checksum::Checksum, cut_body::CutBody, error::ResumableError, headers};
use crate::{error::BodyError, target::SourcePath};

/// A request to add to an upload.
#[derive(Debug, Clone)]
pub(super) struct Appending {
    pub(super) path: SourcePath,
    pub(super) upload: UploadId,
    /// How its data is changed on its way.
    pub(super) csv: CsvOptions,
    /// The most bytes that the upload may have.
    pub(super) limit: ByteSize,
    /// Where it goes on.
    pub(super) offset_bytes: u64,
    /// How many bytes the upload will have, if the request says so.
    pub(super) length_bytes: Option<u64>,
    /// How many bytes the request has, if it says so.
    pub(super) body_bytes: Option<u64>,
    checksum: Option<Checksum>,
}

impl Appending {
    /// The beginning of an upload that the request to begin it brings along; None when it brings nothing. An
    /// upload of no bytes is all there.
    pub(super) fn first(
        req: &HttpRequest,
        path: SourcePath,
        upload: UploadId,
        csv: CsvOptions,
        limit: ByteSize,
        length_bytes: Option<u64>,
    ) -> Result<Option<Self>, ResumableError> {
        if !headers::is_data(req.headers()) && length_bytes != Some(0) {
            return Ok(None);
        }
        let (offset_bytes, body_bytes, checksum) = (0, None, None);
        let appending = Self { path, upload, csv, limit, offset_bytes, length_bytes, body_bytes, checksum };
        appending.with_body_of(req).map(Some)
    }

    /// What a PATCH adds.
    pub(super) fn next(
        req: &HttpRequest,
        path: SourcePath,
        upload: UploadId,
        csv: CsvOptions,
        limit: ByteSize,
    ) -> Result<Self, ResumableError> {
        const OFFSET: &str = "Upload-Offset";
        let offset_bytes =
            headers::bytes(req.headers(), OFFSET)?.ok_or(ResumableError::InvalidHeader(OFFSET))?;
        let length_bytes = headers::bytes(req.headers(), "Upload-Length")?;
        let (body_bytes, checksum) = (None, None);
        let appending = Self { path, upload, csv, limit, offset_bytes, length_bytes, body_bytes, checksum };
        appending.with_body_of(req)
    }

    fn with_body_of(self, req: &HttpRequest) -> Result<Self, ResumableError> {
        let checksum = Checksum::parse(req.headers())?;
        Ok(Self { body_bytes: headers::content_length(req.headers()), checksum, ..self })
    }

    /// The body of the request.
    pub(super) fn body(
        &self,
        payload: Payload,
        limits: &BodyLimits,
    ) -> CutBody<impl Stream<Item = Result<Bytes, BodyError>> + Unpin + use<>> {
        let received = BodyStream::new(payload.into_inner(), limits, u64::MAX).map_err(BodyError::Received);
        CutBody::new(received, self.checksum.clone())
    }
}
