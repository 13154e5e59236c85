//! A source application in this process.

use std::time::Duration;

use e2e::{Customer, Export, PATIENCE, SOURCE_APPLICATION, SourceApplication, TestApp};
use export_source::{Answer, Credentials, Error, Metrics, Refusal, Request, Settings, Source};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::poll_until;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// A source application that runs until it is stopped.
pub(crate) struct Running {
    pub(crate) metrics: Metrics,
    stop: CancellationToken,
    ended: JoinHandle<Result<(), Error>>,
}

impl Running {
    pub(crate) fn start<F, Fut>(settings: Settings, answer: F) -> Self
    where
        F: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Answer, Refusal>> + Send + 'static,
    {
        let source = Source::new(settings, answer).unwrap();
        let (metrics, stop) = (source.metrics(), CancellationToken::new());
        let ended = tokio::spawn(source.run(stop.clone().cancelled_owned()));
        Self { metrics, stop, ended }
    }

    /// Asks it to stop and waits for its end.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.ended).await.unwrap().unwrap().unwrap();
    }
}

/// The settings of the usual application at `app`.
pub(crate) fn settings(app: &TestApp) -> Settings {
    let application = SourceApplication::named(SOURCE_APPLICATION);
    let (brokers, url) = (&app.settings.kafka.brokers, &app.internal_url);
    let settings = Settings::new(SOURCE_APPLICATION, brokers, url, Credentials::key(&application.key));
    // A group of the test's own too: it would be divided anew whenever another test began or ended.
    let topic = app.settings.events.topic.clone();
    Settings { group: topic.clone(), topic, ..settings }
}

/// A body that asks the usual application for a resource, `count` times.
pub(crate) fn wanted(format: &str, count: usize) -> Value {
    let source =
        json!({"application": SOURCE_APPLICATION, "resource": "exampleResource", "filters": {"from": 3}});
    json!({"name": "n", "format": format, "sources": vec![source; count]})
}

pub(crate) fn customer() -> Customer {
    Customer::named("jdoe")
}

/// Waits until the export has this status, and returns its status body.
pub(crate) async fn wait_for(app: &TestApp, export: &Export, status: &str) -> Value {
    let ended = poll_until(PATIENCE, async || {
        // The platform may just be coming back.
        let answer =
            app.ask(&export.customer, Method::GET, &format!("{}/status", export.path())).send().await?;
        let body: Value = answer.error_for_status()?.json().await?;
        Ok((body["status"] == status).then_some(body))
    });
    match ended.await {
        Ok(body) => body,
        Err(error) => panic!("{error:#}: {}", app.status(export).await),
    }
}

/// Waits until `probe` says so.
pub(crate) async fn until(what: &str, probe: impl Fn() -> bool) {
    let waited = poll_until(PATIENCE, async || Ok(probe().then_some(()))).await;
    assert!(waited.is_ok(), "never {what}");
}

/// Long enough for something that must not happen to happen.
pub(crate) async fn a_while() {
    sleep(Duration::from_millis(1500)).await;
}
