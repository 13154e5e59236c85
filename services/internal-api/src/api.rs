//! What the endpoints work with.

use std::{sync::Arc, time::Duration};

use access::AcceptedKeys;
use blobs::Blobs;
use chrono::TimeDelta;
use domain::{ApplicationName, ByteSize, ResourceName, SharedClock};
use receive::Receiver;
use service::{BoxError, Context, database::Connections, follow, metrics::Counter};
use store::{FollowedRegistry, Store, StoreError};

use crate::{
    settings::{DuplicateUploadStatus, Settings},
    tokens::Tokens,
    used_keys::UsedKeys,
};

/// How old what is known of the registry may be.
const REGISTRY_AGE: Duration = Duration::from_secs(1);

/// Shared by all requests.
#[derive(Debug)]
pub struct Api {
    pub(crate) store: Store,
    pub(crate) receiver: Receiver,
    pub(crate) blobs: Blobs,
    pub(crate) registry: Arc<FollowedRegistry>,
    pub(crate) used_keys: UsedKeys,
    pub(crate) operator_keys: AcceptedKeys,
    pub(crate) tokens: Tokens,
    pub(crate) clock: SharedClock,
    pub(crate) duplicate_upload_status: DuplicateUploadStatus,
    pub(crate) resumable_expiry: TimeDelta,
    pub(crate) resumable_pause: TimeDelta,
    pub(crate) resumable_piece: ByteSize,
    pub(crate) resumable_uploads: Counter<1>,
    max_upload_bytes: ByteSize,
}

impl Api {
    /// Connects to what the API needs, lazily, and registers the checks of its readiness.
    ///
    /// # Errors
    /// When settings cannot be used.
    pub fn new(context: &Context, settings: Settings) -> Result<Self, BoxError> {
        let own = settings.internal_api;
        let (store, blobs) = (Store::connect(settings.database), Blobs::connect(&settings.object_store)?);
        let api = Self {
            registry: Arc::new(FollowedRegistry::new(store.clone())),
            used_keys: UsedKeys::default(),
            operator_keys: AcceptedKeys::new(own.operator_keys_sha256),
            receiver: Receiver::new(
                store.clone(),
                blobs.clone(),
                context.clock().clone(),
                own.upload_lease.as_time_delta(),
            ),
            tokens: Tokens::new(context, &settings.oidc)?,
            store,
            blobs,
            clock: context.clock().clone(),
            duplicate_upload_status: own.duplicate_upload_status,
            resumable_expiry: own.resumable_upload_expiry.as_time_delta(),
            resumable_pause: own.resumable_upload_pause.as_time_delta(),
            resumable_piece: own.resumable_upload_piece,
            resumable_uploads: context.metrics().counter(
                "resumable_uploads_total",
                "Resumable uploads, by what happened: begun, finished, terminated.",
                ["what"],
            ),
            max_upload_bytes: own.max_upload_bytes,
        };
        api.register(context);
        Ok(api)
    }

    /// The largest upload of `resource` of `application`, before compression.
    ///
    /// # Errors
    /// When the registry was not read yet.
    pub(crate) fn max_upload_bytes(
        &self,
        application: &ApplicationName,
        resource: &ResourceName,
    ) -> Result<ByteSize, StoreError> {
        let known = self.registry.current()?;
        let own = known.registry.application(application).and_then(|entry| entry.max_upload_bytes(resource));
        Ok(own.unwrap_or(self.max_upload_bytes))
    }

    /// Keeps what is known of the registry no older than a second; the question is for one number. Not ready
    /// while nobody could deliver anything (S0-17).
    pub(crate) async fn follow_registry(&self, context: &Context) {
        let (followed, known, takes_tokens) =
            (self.registry.clone(), self.registry.clone(), self.tokens.are_taken());
        let refresh = move || {
            let registry = followed.clone();
            async move { registry.refresh().await.map_err(BoxError::from) }
        };
        let known = move || {
            let known = known.current()?;
            let by_token = takes_tokens && known.registry.has_client();
            if by_token || !known.keys.is_empty() { Ok(()) } else { Err("no application has a key".into()) }
        };
        follow(context, "application-keys", REGISTRY_AGE, refresh, known).await;
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
