//! All services in this process, for one test.

use std::{sync::Arc, thread, time::Duration};

use anyhow::{Result, ensure};
use bus::{KafkaSettings, topics::ensure_topics};
use chrono::{DateTime, Utc};
use domain::{Clock as _, ManualClock, SharedClock};
use reqwest::{Client, Method, RequestBuilder};
use service::Context;
use store::Store;
use testkit::{TestBucket, TestDatabase, TestTopic};

use crate::{
    AppSettings, Customer, SourceApplication,
    settings::{any_port, migrated_database, operators_store},
};

/// How long anything may take that a test waits for. Reached only when something is broken.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Where the public API is.
pub const PUBLIC: &str = "/api/export/v1";

/// Where the internal API is.
pub const INTERNAL: &str = "/app/export/v1";

/// The moment at which the clock of an app begins to stand still.
const BEGINNING: &str = "2026-11-21T06:37:51.726270Z";

/// The public API, the internal API, the dispatcher and the expiry-reaper, on a database, topic and key
/// prefix of their own. Their clock stands still until the test moves it.
///
/// End it with [`TestApp::end`].
pub struct TestApp {
    /// `http://127.0.0.1:PORT` of the public API.
    pub public_url: String,
    /// `http://127.0.0.1:PORT` of the internal API.
    pub internal_url: String,
    /// The clock of all services.
    pub clock: Arc<ManualClock>,
    /// What all services run on; its metrics are theirs.
    pub context: Context,
    /// Where they keep exports.
    pub database: TestDatabase,
    /// Where they keep bytes.
    pub bucket: TestBucket,
    /// What they were started with, with the addresses they got.
    pub settings: AppSettings,
    http: Client,
    ended: bool,
}

impl TestApp {
    /// Starts all services.
    ///
    /// # Panics
    /// When the test servers do not run, or a service does not start.
    pub async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// Starts all services with settings that `change` has changed.
    ///
    /// # Panics
    /// As [`TestApp::start`].
    pub async fn with(change: impl FnOnce(&mut AppSettings)) -> Self {
        match Box::pin(Self::try_start(change)).await {
            Ok(app) => app,
            Err(error) => panic!("the app does not start: {error:#}"),
        }
    }

    async fn try_start(change: impl FnOnce(&mut AppSettings)) -> Result<Self> {
        let database = migrated_database().await?;
        let (topic, bucket) = (TestTopic::new("requests")?, TestBucket::new("e2e")?);
        let mut settings = AppSettings::new(&database, &topic, &bucket);
        change(&mut settings);
        let brokers = KafkaSettings { brokers: topic.brokers.clone(), ..KafkaSettings::default() };
        let topics = [&settings.events.topic, &settings.lifecycle_events.topic, &settings.announce.topic]
            .map(String::as_str);
        ensure_topics(&brokers, &topics, 1).await?;
        settings.apply_registry(&database).await?;
        let clock = ManualClock::at(BEGINNING.parse()?);
        let context = Context::new("e2e", Arc::clone(&clock) as SharedClock);

        let failed = |error: service::BoxError| anyhow::anyhow!(service::chain(error.as_ref()));
        let public = context.for_service("public-api");
        let address = public_api::serve(&public, settings.of_public_api()).await.map_err(failed)?;
        settings.public_api.listen = address;
        let internal = context.for_service("internal-api");
        let address = internal_api::serve(&internal, settings.of_internal_api()).await.map_err(failed)?;
        settings.internal_api.listen = address;
        dispatcher::wire(context.for_service("dispatcher"), settings.of_dispatcher())
            .await
            .map_err(failed)?;
        let reaper = context.for_service("expiry-reaper");
        expiry_reaper::wire(reaper, settings.of_expiry_reaper()).await.map_err(failed)?;
        context.health().enter(service::health::Phase::Running);

        Ok(Self {
            public_url: format!("http://{}", settings.public_api.listen),
            internal_url: format!("http://{}", settings.internal_api.listen),
            clock,
            context,
            database,
            bucket,
            settings,
            http: Client::builder().no_proxy().build()?,
            ended: false,
        })
    }

    /// The database, as an operator's command reaches it: past any proxy.
    pub fn store(&self) -> Store {
        operators_store(&self.database)
    }

    /// Starts a second replica of the public API and returns its `http://127.0.0.1:PORT`.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn second_public_api(&self) -> String {
        let mut settings = self.settings.of_public_api();
        settings.public_api.listen = any_port();
        let replica = self.context.for_service("second-public-api");
        match public_api::serve(&replica, settings).await {
            Ok(address) => format!("http://{address}"),
            Err(error) => panic!("the second replica does not start: {error}"),
        }
    }

    /// Starts a second replica of the internal API and returns its `http://127.0.0.1:PORT`.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn second_internal_api(&self) -> String {
        let mut settings = self.settings.of_internal_api();
        settings.internal_api.listen = any_port();
        let replica = self.context.for_service("second-internal-api");
        match internal_api::serve(&replica, settings).await {
            Ok(address) => format!("http://{address}"),
            Err(error) => panic!("the second replica does not start: {error}"),
        }
    }

    /// Starts a further replica of the dispatcher, known as `name`, with settings that `change` has changed.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn another_dispatcher(&self, name: &'static str, change: impl FnOnce(&mut AppSettings)) {
        let started = self.try_another_dispatcher(name, change).await;
        assert!(started.is_ok(), "{name} does not start: {started:?}");
    }

    /// The same, where it may refuse.
    ///
    /// # Errors
    /// Why it does not start.
    pub async fn try_another_dispatcher(
        &self,
        name: &'static str,
        change: impl FnOnce(&mut AppSettings),
    ) -> Result<(), service::BoxError> {
        let mut settings = self.settings.clone();
        change(&mut settings);
        dispatcher::wire(self.context.for_service(name), settings.of_dispatcher()).await
    }

    /// Makes the registry what the settings say by now.
    ///
    /// # Panics
    /// When the database refuses.
    pub async fn apply_registry(&self) {
        let applied = self.settings.apply_registry(&self.database).await;
        assert!(applied.is_ok(), "{applied:?}");
    }

    /// A request of `customer` to the public API, at `path` below its base (such as `/exports`).
    pub fn ask(&self, customer: &Customer, method: Method, path: &str) -> RequestBuilder {
        self.ask_unidentified(method, path).header("x-rh-identity", customer.header())
    }

    /// A request of nobody to the public API.
    pub fn ask_unidentified(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{PUBLIC}{path}", self.public_url))
    }

    /// A request of `application` to the internal API, at `path` below its base.
    pub fn answer(&self, application: &SourceApplication, method: Method, path: &str) -> RequestBuilder {
        self.answer_unidentified(method, path).header("x-rh-exports-psk", &application.key)
    }

    /// A request of nobody to the internal API.
    pub fn answer_unidentified(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{INTERNAL}{path}", self.internal_url))
    }

    /// A client for requests to anywhere.
    pub fn http(&self) -> &Client {
        &self.http
    }

    /// What the clock of all services shows.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Stops all services. Nothing may wait to be sent, no upload may be under way, and no service may have
    /// failed.
    ///
    /// # Panics
    /// When one of these is not so.
    pub async fn end(mut self) {
        self.ended = true;
        let ended = self.try_end().await;
        assert!(ended.is_ok(), "the app does not end well: {ended:?}");
    }

    async fn try_end(&self) -> Result<()> {
        self.wait_for_no("outbox").await?;
        self.wait_for_no("upload_attempts").await?;
        let stopped = self.context.stop(PATIENCE, std::future::pending()).await;
        ensure!(stopped, "these tasks do not end: {:?}", self.context.tasks().running());
        ensure!(self.context.tasks().failure().is_none(), "a task failed");
        Ok(())
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        // A test that fails has said why.
        assert!(self.ended || thread::panicking(), "a test must end its app with TestApp::end");
    }
}
