//! What the endpoints work with.

use std::collections::BTreeMap;

use access::ApplicationKeys;
use blobs::Blobs;
use chrono::TimeDelta;
use domain::{ApplicationName, ByteSize, SharedClock};
use service::{BoxError, Context, database::Connections};
use store::Store;

use crate::settings::{DuplicateUploadStatus, Settings};

/// Shared by all requests.
#[derive(Debug)]
pub struct Api {
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    pub(crate) keys: ApplicationKeys,
    pub(crate) clock: SharedClock,
    pub(crate) duplicate_upload_status: DuplicateUploadStatus,
    pub(crate) upload_lease: TimeDelta,
    max_upload_bytes: ByteSize,
    max_upload_bytes_of: BTreeMap<ApplicationName, ByteSize>,
}

impl Api {
    /// Connects to what the API needs, lazily, and registers the checks of its readiness.
    ///
    /// # Errors
    /// When settings cannot be used; without any application key the API must not start (S0-17).
    pub fn new(context: &Context, settings: Settings) -> Result<Self, BoxError> {
        let own = settings.internal_api;
        let limits = settings.applications.iter();
        let api = Self {
            store: Store::connect(settings.database),
            blobs: Blobs::connect(&settings.object_store)?,
            keys: ApplicationKeys::new(&settings.applications)?,
            clock: context.clock().clone(),
            duplicate_upload_status: own.duplicate_upload_status,
            upload_lease: own.upload_lease.as_time_delta(),
            max_upload_bytes: own.max_upload_bytes,
            max_upload_bytes_of: limits
                .filter_map(|(name, application)| Some((name.clone(), application.max_upload_bytes?)))
                .collect(),
        };
        api.register(context);
        Ok(api)
    }

    /// The largest upload of `application`, before compression.
    pub(crate) fn max_upload_bytes(&self, application: &ApplicationName) -> ByteSize {
        self.max_upload_bytes_of.get(application).copied().unwrap_or(self.max_upload_bytes)
    }

    fn register(&self, context: &Context) {
        service::database::register(
            context,
            &self.store,
            |store| async move { store.check().await },
            |store| {
                let pool = store.pool_state();
                Connections { open: pool.open, idle: pool.idle }
            },
        );
        let blobs = self.blobs.clone();
        context.health().register("object-storage", move || {
            let blobs = blobs.clone();
            async move { blobs.check().await }
        });
    }
}
