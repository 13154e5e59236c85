//! Looking for the objects of rows.

use blobs::{Blobs, ObjectKey};
use futures_util::StreamExt as _;
use service::BoxError;
use store::StoredObjectRow;

/// Requests to the store under way at once.
const CONCURRENCY: usize = 8;

/// Those rows of whose objects one does not exist.
pub(crate) async fn missing(
    blobs: &Blobs,
    rows: Vec<StoredObjectRow>,
) -> Result<Vec<StoredObjectRow>, BoxError> {
    let checks = futures_util::stream::iter(rows).map(|row| async move {
        for key in std::iter::once(&row.object_key).chain(&row.further_keys) {
            let key: ObjectKey = key.parse()?;
            if blobs.size_of(&key).await?.is_none() {
                return Ok::<_, BoxError>(Some(row));
            }
        }
        Ok(None)
    });
    let checked: Vec<Result<Option<StoredObjectRow>, BoxError>> =
        checks.buffer_unordered(CONCURRENCY).collect().await;
    checked.into_iter().filter_map(Result::transpose).collect()
}
