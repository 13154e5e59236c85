//! A topic, a place to listen, and the command line for both.

use std::{net::TcpListener, sync::Arc, time::Duration};

use clap::Parser;
use exportctl::verify_source::{Arguments, report::Report, run};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
};
use testkit::{TestTopic, poll_until};

/// The name of the application in all tests.
pub(crate) const APPLICATION: &str = "tested";

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    arguments: Arguments,
}

/// A run to be.
pub(crate) struct Run {
    /// The topic; also the name of the application's group.
    pub(crate) topic: TestTopic,
    listener: TcpListener,
    arguments: Vec<String>,
}

impl Run {
    /// With a topic and a port of its own.
    pub(crate) async fn new(resource: &str) -> Self {
        let topic = TestTopic::new("verify").unwrap();
        make(&topic).await;
        Self::on(topic, resource)
    }

    /// On a topic that is there.
    pub(crate) fn on(topic: TestTopic, resource: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = listener.local_addr().unwrap().to_string();
        let arguments = [
            "verify-source",
            "--application",
            APPLICATION,
            "--resource",
            resource,
            "--brokers",
            &topic.brokers,
            "--topic",
            &topic.name,
            "--listen",
            &listen,
        ];
        Self { arguments: arguments.iter().map(ToString::to_string).collect(), topic, listener }
    }

    /// Adds to the command line.
    #[must_use]
    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(ToString::to_string));
        self
    }

    /// Where the application is to send its answers.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.listener.local_addr().unwrap())
    }

    /// Runs to the end.
    pub(crate) async fn report(&self) -> Report {
        let arguments = Cli::try_parse_from(&self.arguments).unwrap().arguments;
        run(&arguments, self.listener.try_clone().unwrap(), |_| ()).await.unwrap()
    }
}

/// The broker makes the topic when it is first asked for.
async fn make(topic: &TestTopic) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &topic.brokers).set("allow.auto.create.topics", "true");
    let client: BaseConsumer = config.create().unwrap();
    let (client, name) = (Arc::new(client), topic.name.clone());
    let made = poll_until(Duration::from_secs(30), async || {
        let (client, name) = (Arc::clone(&client), name.clone());
        let look = move || client.fetch_metadata(Some(&name), Duration::from_secs(5));
        let found = tokio::task::spawn_blocking(look).await??;
        Ok(found.topics().iter().any(|topic| !topic.partitions().is_empty()).then_some(()))
    });
    made.await.unwrap();
}
