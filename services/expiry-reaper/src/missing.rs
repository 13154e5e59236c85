//! Looking for the objects of rows.

use blobs::{Blobs, ObjectKey};
use futures_util::StreamExt as _;
use service::BoxError;
use store::StoredObjectRow;

/// Requests to the store under way at once.
const CONCURRENCY: usize = 8;

/// Those rows whose object does not exist.
pub(crate) async fn missing(
    blobs: &Blobs,
    rows: Vec<StoredObjectRow>,
) -> Result<Vec<StoredObjectRow>, BoxError> {
    let checks = futures_util::stream::iter(rows).map(|row| async move {
        let key: ObjectKey = row.object_key.parse()?;
        let size = blobs.size_of(&key).await?;
        Ok::<_, BoxError>(size.is_none().then_some(row))
    });
    let checked: Vec<Result<Option<StoredObjectRow>, BoxError>> =
        checks.buffer_unordered(CONCURRENCY).collect().await;
    checked.into_iter().filter_map(Result::transpose).collect()
}
