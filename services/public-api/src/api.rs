//! What the endpoints work with.

use std::{sync::Arc, time::Duration};

use access::AcceptedKeys;
use blobs::Blobs;
use bus::RequestEvents;
use domain::{Asking, CreateLimits, Owner, SharedClock, ids::ExportId};
use service::{BoxError, Context, database::Connections, follow, http::RateLimit};
use store::{FollowedRegistry, FoundExport, Store, WakeupSender};

use crate::{error::ApiError, settings::Settings};

/// How old what is known of the registry may be.
const REGISTRY_AGE: Duration = Duration::from_secs(1);

/// Shared by all requests.
#[derive(Debug)]
pub struct Api {
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    pub(crate) events: RequestEvents,
    pub(crate) registry: Arc<FollowedRegistry>,
    pub(crate) clock: SharedClock,
    pub(crate) wakeup: WakeupSender,
    pub(crate) create_limits: CreateLimits,
    pub(crate) asking: Asking,
    pub(crate) max_body_bytes: u64,
    pub(crate) service_keys: AcceptedKeys,
    pub(crate) rate_limit: RateLimit,
}

impl Api {
    /// Connects to what the API needs, lazily, and registers the checks of its readiness.
    ///
    /// # Errors
    /// When settings cannot be used, or the system has no thread left.
    pub fn new(context: &Context, settings: Settings) -> Result<Self, BoxError> {
        let own = &settings.public_api;
        let store = Store::connect(settings.database);
        let api = Self {
            wakeup: store.wakeup_sender()?,
            blobs: Blobs::connect(&settings.object_store)?,
            events: RequestEvents::new(&settings.events)?,
            registry: Arc::new(FollowedRegistry::new(store.clone())),
            clock: context.clock().clone(),
            create_limits: own.create_limits(),
            asking: own.asking(),
            max_body_bytes: own.max_body_size.bytes(),
            service_keys: AcceptedKeys::new(own.service_keys_sha256.clone()),
            rate_limit: RateLimit::new(&own.rate_limit),
            store,
        };
        api.register(context);
        Ok(api)
    }

    /// Keeps what is known of the registry no older than a second; the question is for one number.
    pub(crate) async fn follow_registry(&self, context: &Context) {
        let (followed, known) = (self.registry.clone(), self.registry.clone());
        let refresh = move || {
            let registry = followed.clone();
            async move { registry.refresh().await }
        };
        follow(context, "registry", REGISTRY_AGE, refresh, move || known.current().map(drop)).await;
    }

    /// The export `id` of `owner`, as it is now.
    ///
    /// # Errors
    /// 404 where there is none.
    pub(crate) async fn find_export(&self, owner: Owner, id: ExportId) -> Result<FoundExport, ApiError> {
        self.store.find_export(owner, id, self.clock.now()).await?.ok_or(ApiError::NotFound(id))
    }

    /// Readiness is Postgres alone: without object storage everything but downloads works, and a probe that
    /// failed then would take all of it away.
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
    }
}
