//! One piece of an object, received whole.

use std::{ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{StorageError, backend::Backend};

/// How often a piece whose connection broke on the way is asked for again, from where it stopped.
const MAX_RESUMES: u32 = 3;

const PAUSE: Duration = Duration::from_millis(100);

/// Receives `range` of an object, exactly. As the bytes of an object never change, what broke on the way is
/// resumed where it stopped; a request that brought nothing was tried again by the client library already.
pub(crate) async fn fetch(
    backend: Backend,
    key: Arc<str>,
    range: Range<u64>,
) -> Result<Vec<Bytes>, StorageError> {
    let mut pieces = Vec::new();
    let mut resumes = 0;
    loop {
        let received: u64 = pieces.iter().map(|bytes: &Bytes| bytes.len() as u64).sum();
        let count = pieces.len();
        let Err(error) = backend.read(&key, range.start + received..range.end, &mut pieces).await else {
            return Ok(pieces);
        };
        let brought_something = pieces[count..].iter().any(|bytes| !bytes.is_empty());
        let may_pass = matches!(error, StorageError::Unavailable { .. } | StorageError::WrongSize { .. });
        if !brought_something || !may_pass || resumes == MAX_RESUMES {
            return Err(error);
        }
        resumes += 1;
        tracing::debug!(object.key = %key, resumes, "an object's piece broke off and is resumed");
        tokio::time::sleep(PAUSE).await;
    }
}
