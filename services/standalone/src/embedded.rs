//! The servers within: a PostgreSQL cluster that is started and stopped with the process, and a Kafka
//! broker that lives in it.

use std::path::Path;

use bus::EmbeddedBroker;
use devservers::{DataDir, Postgres, PostgresOptions};
use service::BoxError;

/// Partitions of each topic: as many consumers of one application can share it.
const PARTITIONS: i32 = 4;

/// Connections of all services together, with room for a person's `psql`.
const MAX_CONNECTIONS: u32 = 120;

/// What runs within.
pub(crate) struct Embedded {
    postgres: Postgres,
    broker: EmbeddedBroker,
}

impl Embedded {
    /// Starts them on the folder `data`, with these topics; the cluster is made when it is missing.
    pub(crate) async fn start(data: &Path, topics: &[&str]) -> Result<Self, BoxError> {
        let options = PostgresOptions {
            data: DataDir::At(data.join("postgres")),
            max_connections: MAX_CONNECTIONS,
            ..PostgresOptions::default()
        };
        let postgres = Postgres::start(options).await?;
        let broker = EmbeddedBroker::start()?;
        topics.iter().try_for_each(|topic| broker.create_topic(topic, PARTITIONS))?;
        Ok(Self { postgres, broker })
    }

    pub(crate) fn postgres_url(&self) -> String {
        self.postgres.url()
    }

    pub(crate) fn kafka_brokers(&self) -> &str {
        self.broker.bootstrap_servers()
    }

    /// Stops the cluster. The broker ends when this is dropped.
    pub(crate) async fn stop(&self) {
        if let Err(error) = self.postgres.stop().await {
            tracing::warn!(error = service::chain(&error), "the embedded PostgreSQL did not stop well");
        }
    }
}
