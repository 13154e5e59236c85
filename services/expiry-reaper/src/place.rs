//! Whether the object storage in the settings is the one that the database speaks of.
//!
//! In another bucket, under another prefix or in a folder whose volume is not mounted, every object looks
//! lost, and all that is there looks like orphans. Nothing is swept before that is ruled out.

use blobs::Blobs;
use chrono::{DateTime, Utc};
use domain::ids::InstallationId;
use service::BoxError;
use store::{Store, StoredObjectRow};

use crate::missing::missing;

/// How many rows are looked up to know a place that has no mark yet.
const SAMPLE: u32 = 100;

/// What is known of the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is the right one.
    Known,
    /// There is nothing yet by which it could be known.
    Unknown,
}

/// The settings lead to object storage that is not that of this database.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WrongPlace {
    #[error("the object storage belongs to installation {found}, and the database is that of {expected}")]
    OfAnother { found: InstallationId, expected: InstallationId },
    #[error(
        "the object storage has no mark of installation {0}, and none of the {1} objects that were looked for: \
         is it another bucket, prefix or folder than the other services have?"
    )]
    Strange(InstallationId, usize),
}

/// Compares the mark of the object storage with the id of the database. A place without a mark is known by
/// an object that the database knows, and then marked, unless this is a dry run.
///
/// # Errors
/// [`WrongPlace`], and those of database and storage.
pub(crate) async fn check(
    store: &Store,
    blobs: &Blobs,
    now: DateTime<Utc>,
    dry_run: bool,
) -> Result<Place, BoxError> {
    let expected = store.installation_id().await?;
    match blobs.installation().await? {
        Some(found) if found == expected => return Ok(Place::Known),
        Some(found) => return Err(WrongPlace::OfAnother { found, expected }.into()),
        None => {}
    }
    let sample: Vec<StoredObjectRow> = store.stored_objects(None, now, SAMPLE).await?;
    let looked_for = sample.len();
    if looked_for == 0 {
        return Ok(Place::Unknown);
    }
    if missing(blobs, sample).await?.len() == looked_for {
        return Err(WrongPlace::Strange(expected, looked_for).into());
    }
    if !dry_run {
        blobs.mark(expected).await?;
    }
    Ok(Place::Known)
}
