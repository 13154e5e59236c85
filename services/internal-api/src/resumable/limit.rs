//! How large a resumable upload may be (S0-48).

use domain::{ByteSize, SourceError};
use receive::in_customary_units;

use crate::{api::Api, error::ApiError, target::SourcePath};

/// Fails the source when an upload of `length_bytes` would be too large.
///
/// # Errors
/// 413.
pub(super) async fn check(
    api: &Api,
    path: SourcePath,
    length_bytes: Option<u64>,
    limit: ByteSize,
) -> Result<(), ApiError> {
    if length_bytes.is_some_and(|length| length > limit.bytes()) {
        return Err(fail(api, path, limit).await);
    }
    Ok(())
}

/// Fails the source because its data is larger than `limit`, as an upload does.
pub(super) async fn fail(api: &Api, path: SourcePath, limit: ByteSize) -> ApiError {
    let reason = SourceError::too_large(&in_customary_units(limit));
    match api.store.answer_with_error(path.export_id, path.resource_id, reason, api.clock.now()).await {
        // A source that has its answer keeps it.
        Ok(_) => ApiError::TooLarge(limit),
        Err(error) => error.into(),
    }
}
