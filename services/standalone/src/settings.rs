//! The settings of all services, in one file.

use std::net::{Ipv4Addr, SocketAddr};

use access::oidc::OidcSettings;
use bus::{AnnounceSettings, EventSettings, KafkaSettings, LifecycleEventSettings};
use dispatcher::DispatcherSettings;
use domain::registry::Registry;
use expiry_reaper::ExpiryReaperSettings;
use internal_api::InternalApiSettings;
use public_api::PublicApiSettings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use service::ServiceSettings;

/// Every section. Addresses and folders of the embedded servers are set by the program itself.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Of the embedded database: limits and sizes.
    pub database: store::Settings,
    /// Of the embedded broker: times.
    pub kafka: KafkaSettings,
    /// What request events look like.
    pub events: EventSettings,
    /// Where it is told what happens to exports.
    pub lifecycle_events: LifecycleEventSettings,
    /// Of announcements; local files cannot be announced.
    pub announce: AnnounceSettings,
    /// Of the local files: limits.
    pub object_store: blobs::Settings,
    /// The registry, applied at each start: what customers may ask for, and who may deliver.
    pub applications: Registry,
    /// Whose tokens the internal API takes instead of keys.
    pub oidc: OidcSettings,
    /// Section of the public API; its `ops_listen` is not used.
    pub public_api: PublicApiSettings,
    /// Section of the internal API; its `ops_listen` is not used.
    pub internal_api: InternalApiSettings,
    /// Section of the dispatcher; its `ops_listen` is not used.
    pub dispatcher: DispatcherSettings,
    /// Section of the expiry-reaper; its `ops_listen` is not used.
    pub expiry_reaper: ExpiryReaperSettings,
    /// All services in one process.
    pub standalone: StandaloneSettings,
}

/// Section `[standalone]`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StandaloneSettings {
    /// Where probes and metrics of all services are served.
    pub ops_listen: SocketAddr,
}

impl Default for StandaloneSettings {
    fn default() -> Self {
        Self { ops_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9000)) }
    }
}

impl ServiceSettings for Settings {
    fn ops_listen(&self) -> SocketAddr {
        self.standalone.ops_listen
    }
}

impl Settings {
    pub(crate) fn public_api(&self) -> public_api::Settings {
        public_api::Settings {
            database: self.database.clone(),
            object_store: self.object_store.clone(),
            events: self.events.clone(),
            public_api: self.public_api.clone(),
        }
    }

    pub(crate) fn internal_api(&self) -> internal_api::Settings {
        internal_api::Settings {
            database: self.database.clone(),
            object_store: self.object_store.clone(),
            oidc: self.oidc.clone(),
            internal_api: self.internal_api.clone(),
        }
    }

    pub(crate) fn dispatcher(&self) -> dispatcher::Settings {
        dispatcher::Settings {
            database: self.database.clone(),
            kafka: self.kafka.clone(),
            events: self.events.clone(),
            lifecycle_events: self.lifecycle_events.clone(),
            announce: self.announce.clone(),
            object_store: self.object_store.clone(),
            dispatcher: self.dispatcher.clone(),
        }
    }

    pub(crate) fn expiry_reaper(&self) -> expiry_reaper::Settings {
        expiry_reaper::Settings {
            database: self.database.clone(),
            object_store: self.object_store.clone(),
            expiry_reaper: self.expiry_reaper.clone(),
        }
    }
}
