//! The settings of a test's services.

use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::{Ipv4Addr, SocketAddr},
};

use access::oidc::OidcSettings;
use anyhow::{Context as _, Result};
use bus::{AnnounceSettings, EventSettings, KafkaSettings, LifecycleEventSettings};
use dispatcher::DispatcherSettings;
use domain::{
    ApplicationName, Clock as _, KeyHash, Period, ResourceName, Secret, SystemClock,
    registry::{Application, Registry, Resource},
};
use expiry_reaper::ExpiryReaperSettings;
use internal_api::InternalApiSettings;
use public_api::PublicApiSettings;
use service::http::HttpSettings;
use store::Store;
use testkit::{FaultProxy, TestBucket, TestDatabase, TestTopic};

/// Answers for `exampleResource` and `anotherExampleResource`.
pub const SOURCE_APPLICATION: &str = "exampleApplication";

/// Another application, with a key of its own; it answers for `otherResource`.
pub const OTHER_APPLICATION: &str = "urn:redhat:application:other";

/// An application without a key: it can be asked and cannot deliver.
pub const SILENT_APPLICATION: &str = "silentApplication";

/// Everything that a test may set otherwise before its services start.
#[derive(Debug, Clone)]
pub struct AppSettings {
    /// Of all services.
    pub database: store::Settings,
    /// Of the dispatcher.
    pub kafka: KafkaSettings,
    /// Of the public API and the dispatcher.
    pub events: EventSettings,
    /// Of the dispatcher.
    pub lifecycle_events: LifecycleEventSettings,
    /// Of the dispatcher.
    pub announce: AnnounceSettings,
    /// Of both APIs and the expiry-reaper.
    pub object_store: blobs::Settings,
    /// The registry that both APIs follow.
    pub applications: BTreeMap<ApplicationName, Application>,
    /// Of the internal API.
    pub oidc: OidcSettings,
    /// Of the public API.
    pub public_api: PublicApiSettings,
    /// Of the internal API.
    pub internal_api: InternalApiSettings,
    /// Of the dispatcher.
    pub dispatcher: DispatcherSettings,
    /// Of the expiry-reaper.
    pub expiry_reaper: ExpiryReaperSettings,
}

impl AppSettings {
    /// As by default, on a test's own database, topic and prefix, on free ports, and looking often.
    pub(crate) fn new(database: &TestDatabase, topic: &TestTopic, bucket: &TestBucket) -> Self {
        Self {
            database: database_settings(&database.url()),
            kafka: KafkaSettings { brokers: topic.brokers.clone(), ..KafkaSettings::default() },
            events: EventSettings { topic: topic.name.clone(), ..EventSettings::default() },
            lifecycle_events: LifecycleEventSettings {
                topic: format!("{}-lifecycle", topic.name),
                ..LifecycleEventSettings::default()
            },
            announce: AnnounceSettings {
                topic: format!("{}-announce", topic.name),
                ..AnnounceSettings::default()
            },
            object_store: object_store(bucket),
            applications: applications(),
            oidc: OidcSettings::default(),
            public_api: PublicApiSettings {
                listen: any_port(),
                ops_listen: any_port(),
                http: http_settings(),
                ..PublicApiSettings::default()
            },
            internal_api: InternalApiSettings {
                listen: any_port(),
                ops_listen: any_port(),
                http: http_settings(),
                ..InternalApiSettings::default()
            },
            dispatcher: DispatcherSettings {
                ops_listen: any_port(),
                poll: OFTEN,
                deadline_poll: OFTEN,
                ..DispatcherSettings::default()
            },
            expiry_reaper: ExpiryReaperSettings {
                ops_listen: any_port(),
                poll: OFTEN,
                ..ExpiryReaperSettings::default()
            },
        }
    }

    /// The entry of the application `name`, which the app knows.
    ///
    /// # Panics
    /// When it does not.
    pub fn application(&mut self, name: &str) -> &mut Application {
        let known = self.applications.iter_mut().find(|(known, _)| known.as_str() == name);
        match known {
            Some((_, settings)) => settings,
            None => panic!("there is no application {name}"),
        }
    }

    /// Writes the applications into the registry, past any proxy.
    pub(crate) async fn apply_registry(&self, database: &TestDatabase) -> Result<()> {
        let registry = Registry::new(self.applications.clone())?;
        operators_store(database).apply_registry(registry, SystemClock.now()).await?;
        Ok(())
    }

    /// Leads all services to the database by way of `proxy`.
    ///
    /// # Panics
    /// When the database has no address.
    pub fn database_through(&mut self, proxy: &FaultProxy) {
        let url = self.database.url.expose().to_owned();
        let server = url.rsplit_once('@').and_then(|(_, rest)| rest.split('/').next());
        proxy.set_upstream(address(server));
        let proxied = url.replace(server.unwrap_or_default(), &proxy.address().to_string());
        self.database.url = Secret::from(proxied);
    }

    /// Leads all services to object storage by way of `proxy`.
    ///
    /// # Panics
    /// When object storage has no address.
    pub fn storage_through(&mut self, proxy: &FaultProxy) {
        let endpoint = self.object_store.s3.endpoint.clone().unwrap_or_default();
        proxy.set_upstream(address(endpoint.strip_prefix("http://")));
        self.object_store.s3.endpoint = Some(format!("http://{}", proxy.address()));
    }

    pub(crate) fn of_public_api(&self) -> public_api::Settings {
        public_api::Settings {
            database: self.database.clone(),
            object_store: self.object_store.clone(),
            events: self.events.clone(),
            public_api: self.public_api.clone(),
        }
    }

    pub(crate) fn of_internal_api(&self) -> internal_api::Settings {
        internal_api::Settings {
            database: self.database.clone(),
            object_store: self.object_store.clone(),
            oidc: self.oidc.clone(),
            internal_api: self.internal_api.clone(),
        }
    }

    pub(crate) fn of_dispatcher(&self) -> dispatcher::Settings {
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

    pub(crate) fn of_expiry_reaper(&self) -> expiry_reaper::Settings {
        expiry_reaper::Settings {
            database: self.database.clone(),
            object_store: self.object_store.clone(),
            expiry_reaper: self.expiry_reaper.clone(),
        }
    }
}

/// How often the loops look for what is due: a test waits for them, and a busy machine must not choke.
const OFTEN: Period = Period::from_millis(200);

/// The key with which `application` calls.
pub(crate) fn key_of(application: &str) -> String {
    format!("key-of-{application}")
}

/// A database with all migrations and the usual applications. It is made once, and copied for each test.
///
/// # Errors
/// When the test servers do not run, or a migration fails.
pub async fn migrated_database() -> Result<TestDatabase> {
    let key = format!("e2e_{:016x}", template_hash()?);
    TestDatabase::from_template(&key, async |url| {
        let store = Store::connect(database_settings(&url));
        store.migrate().await.context("migrating the template")?;
        apply_usual_registry(&store).await
    })
    .await
}

/// Writes the usual applications into the registry of a migrated database.
///
/// # Errors
/// When the database refuses.
pub async fn apply_usual_registry(store: &Store) -> Result<()> {
    store.apply_registry(Registry::new(applications())?, SystemClock.now()).await?;
    Ok(())
}

fn template_hash() -> Result<u64> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");
    let mut files: Vec<_> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path().join("up.sql"))).collect::<Result<_>>()?;
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files.iter().filter(|file| file.exists()) {
        fs::read(file)?.hash(&mut hasher);
    }
    format!("{:?}", applications()).hash(&mut hasher);
    Ok(hasher.finish())
}

/// The store of `database`, past any proxy.
pub(crate) fn operators_store(database: &TestDatabase) -> Store {
    Store::connect(database_settings(&database.url()))
}

fn database_settings(url: &str) -> store::Settings {
    store::Settings {
        url: Secret::from(url),
        // Four services of many tests share one server.
        pool_size: 4,
        // The machine may be busy; tests of the wait itself set their own.
        pool_wait: Period::from_secs(20),
        ..store::Settings::default()
    }
}

/// How to reach the place of `bucket`.
pub fn object_store(bucket: &TestBucket) -> blobs::Settings {
    let connection = bucket.connection.clone();
    blobs::Settings {
        kind: blobs::Kind::S3,
        prefix: bucket.prefix.clone(),
        s3: blobs::S3Settings {
            bucket: connection.bucket,
            region: Some(connection.region),
            endpoint: Some(connection.endpoint),
            access_key_id: Some(connection.access_key_id),
            secret_access_key: Some(Secret::from(connection.secret_access_key)),
            allow_http: true,
            ..blobs::S3Settings::default()
        },
        ..blobs::Settings::default()
    }
}

fn http_settings() -> HttpSettings {
    HttpSettings { workers: Some(1), ..HttpSettings::default() }
}

/// The usual applications.
fn applications() -> BTreeMap<ApplicationName, Application> {
    let of = |application: &str, resources: &[&str], has_key: bool| {
        let name = ApplicationName::parse(application).ok()?;
        let resources = resources.iter().filter_map(|resource| ResourceName::parse(resource).ok());
        let entry = Application {
            keys_sha256: has_key.then(|| KeyHash::of(key_of(application).as_bytes())).into_iter().collect(),
            resources: resources.map(|resource| (resource, Resource::default())).collect(),
            ..Application::default()
        };
        Some((name, entry))
    };
    let all = [
        of(SOURCE_APPLICATION, &["exampleResource", "anotherExampleResource"], true),
        of(OTHER_APPLICATION, &["otherResource"], true),
        of(SILENT_APPLICATION, &["silentResource"], false),
    ];
    all.into_iter().flatten().collect()
}

fn address(text: Option<&str>) -> SocketAddr {
    match text.map(str::parse) {
        Some(Ok(address)) => address,
        other => panic!("not an address: {text:?}, {other:?}"),
    }
}

/// A free port of the loopback address.
pub(crate) fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}
