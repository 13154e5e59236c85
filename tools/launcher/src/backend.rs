//! What the services work on: database, broker, object store.

use std::path::Path;

use anyhow::{Context, Result};
use devservers::{DataDir, Kafka, KafkaOptions, Postgres, PostgresOptions, S3, S3Connection, S3Options};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::data_folder::DataFolder;
use crate::restart::Restart;
use crate::screen::Stopwatch;

/// Partitions of each topic: as many consumers of one group can share it.
const PARTITIONS: i32 = 4;
const MAX_CONNECTIONS: u32 = 200;

/// Where everything is, for whoever wants to look into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Details {
    /// `host:port`
    pub(crate) kafka_brokers: String,
    /// With the password.
    pub(crate) postgres_url: String,
    /// Kind, place and keys of the object store.
    pub(crate) object_store: Value,
}

impl Details {
    /// Reads what `standalone` wrote about its embedded parts.
    ///
    /// # Errors
    /// When the file is missing or is something else.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let failed = || format!("reading {}", path.display());
        serde_json::from_slice(&std::fs::read(path).with_context(failed)?).with_context(failed)
    }
}

/// The servers of the mode with separate services.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) postgres: Postgres,
    pub(crate) kafka: Kafka,
    pub(crate) s3: S3,
    restarts: Restarts,
}

#[derive(Debug)]
struct Restarts {
    postgres: Restart,
    kafka: Restart,
    s3: Restart,
}

impl Servers {
    /// Starts all three at the same time and returns once they are ready.
    ///
    /// # Errors
    /// When one of them does not start, with the end of its log.
    pub(crate) async fn start(folder: &DataFolder) -> Result<Self> {
        let within = |name: &str| DataDir::At(folder.entry(name));
        let watch = Stopwatch::start();
        let postgres = async {
            let started = Postgres::start(PostgresOptions {
                data: within("postgres"),
                max_connections: MAX_CONNECTIONS,
                ..PostgresOptions::default()
            });
            let postgres = started.await?;
            println!("  PostgreSQL ready after {watch}, port {}", postgres.port());
            Ok::<_, devservers::Error>(postgres)
        };
        let kafka = async {
            let started = Kafka::start(KafkaOptions { data: within("kafka"), ..KafkaOptions::default() });
            let kafka = started.await?;
            println!("  Kafka ready after {watch}, {}", kafka.brokers());
            Ok(kafka)
        };
        let s3 = async {
            let s3 = S3::start(S3Options { data: within("s3"), ..S3Options::default() }).await?;
            println!("  S3 server ready after {watch}, {}", s3.connection().endpoint);
            Ok(s3)
        };
        let (postgres, kafka, s3) = tokio::try_join!(postgres, kafka, s3)?;
        let restarts = Restarts {
            postgres: Restart::of("PostgreSQL"),
            kafka: Restart::of("Kafka"),
            s3: Restart::of("The S3 server"),
        };
        Ok(Self { postgres, kafka, s3, restarts })
    }

    /// Makes those of the topics that are not there yet.
    ///
    /// # Errors
    /// When the broker refuses.
    pub(crate) async fn make_topics(&self, names: &[&str]) -> Result<()> {
        let settings = bus::KafkaSettings { brokers: self.kafka.brokers(), ..bus::KafkaSettings::default() };
        bus::topics::ensure_topics(&settings, names, PARTITIONS).await.context("making the topics")
    }

    /// Where everything is.
    pub(crate) fn details(&self) -> Details {
        let S3Connection { endpoint, bucket, access_key_id, secret_access_key, region } =
            self.s3.connection();
        Details {
            kafka_brokers: self.kafka.brokers(),
            postgres_url: self.postgres.url(),
            object_store: json!({
                "kind": "s3",
                "endpoint": endpoint,
                "bucket": bucket,
                "access_key_id": access_key_id,
                "secret_access_key": secret_access_key,
                "region": region,
            }),
        }
    }

    /// Starts what ended by itself again; what does not start is tried again at a later call.
    pub(crate) async fn restart_ended(&mut self) {
        let Self { postgres, kafka, s3, restarts } = self;
        // Side by side: one that hangs keeps nobody from the others.
        tokio::join!(
            restarts.postgres.ensure(postgres.is_running(), async || postgres.restart().await),
            restarts.kafka.ensure(kafka.is_running(), async || kafka.restart().await),
            restarts.s3.ensure(s3.is_running(), async || s3.restart().await),
        );
    }

    /// Stops all three in an orderly way.
    pub(crate) async fn stop(&self) {
        let (s3, kafka, postgres) = tokio::join!(self.s3.stop(), self.kafka.stop(), self.postgres.stop());
        for error in [s3, kafka, postgres].into_iter().filter_map(Result::err) {
            println!("{error}");
        }
    }
}
