//! Deletes what is due: expired and deleted exports, unfinished uploads, orphans.
//!
//! Nothing waits for it: expiry counts from its moment, enforced where exports are read. Several reapers
//! share the work. The loops:
//! - [`release`]: exports and sources past expiry or deletion hand over their objects; old rows are purged;
//! - [`uploads`]: uploads whose process died hand over theirs;
//! - [`objects`]: what was handed over is deleted from object storage;
//! - [`sweep`]: objects without a row, and rows without an object;
//! - [`counts`]: the counts of listings are folded.
//!
//! With `dry_run` there is only [`dry_run`], which tells what would be done.

mod counts;
mod dry_run;
mod missing;
mod objects;
mod place;
mod release;
mod settings;
mod sweep;
mod uploads;

use blobs::Blobs;
use domain::SharedClock;
use service::{BoxError, Context, database::Connections};
use store::Store;

pub use settings::{ExpiryReaperSettings, Settings};

/// What every loop works with.
#[derive(Debug, Clone)]
pub(crate) struct Reaper {
    store: Store,
    blobs: Blobs,
    clock: SharedClock,
    settings: ExpiryReaperSettings,
}

/// Starts the loops as tasks of `context`.
///
/// # Errors
/// When the settings cannot be used.
#[expect(clippy::unused_async, reason = "the shape that service::run asks for")]
pub async fn wire(context: Context, settings: Settings) -> Result<(), BoxError> {
    settings.check_batch()?;
    let reaper = Reaper {
        store: Store::connect(settings.database),
        blobs: Blobs::connect(&settings.object_store)?,
        clock: context.clock().clone(),
        settings: settings.expiry_reaper,
    };
    service::database::register(
        &context,
        &reaper.store,
        |store| async move { store.check().await },
        |store| {
            let pool = store.pool_state();
            Connections { open: pool.open, idle: pool.idle }
        },
    );
    let blobs = reaper.blobs.clone();
    context.health().register("object-storage", move || {
        let blobs = blobs.clone();
        async move { blobs.check().await }
    });
    if reaper.settings.dry_run {
        dry_run::start(&context, &reaper);
        sweep::start(&context, &reaper);
    } else {
        release::start(&context, &reaper);
        uploads::start(&context, &reaper);
        objects::start(&context, &reaper);
        sweep::start(&context, &reaper);
        counts::start(&context, &reaper);
    }
    Ok(())
}
