//! Real servers as child processes: [`Postgres`], [`Kafka`], [`S3`] (`SeaweedFS`), [`AzureBlobs`] (`azurite`)
//! and [`IdentityProvider`] (`oidc-provider`).
//!
//! The standalone service, the launcher and the tests start them from what `scripts/install` put on
//! this machine. Each server keeps everything it has in one folder ([`DataDir`]): data, log, ports,
//! secrets. Started again on the same folder it has the same data, the same ports and the same
//! password, also after a `kill -9` of either the server or the process that started it.
//!
//! Servers listen on 127.0.0.1 only and end with the process that started them.

mod azure_blobs;
mod error;
mod home;
mod identity_provider;
mod kafka;
mod net;
mod postgres;
mod process;
mod random;
mod s3;
mod server;
mod spawner;
mod test_servers;
mod tools;

pub use azure_blobs::{AzureBlobs, AzureBlobsConnection};
pub use error::Error;
pub use home::DataDir;
pub use identity_provider::IdentityProvider;
pub use kafka::{Kafka, KafkaOptions};
pub use net::{all_free, free_ports};
pub use postgres::{Postgres, PostgresOptions};
pub use process::end_left_behind;
pub use s3::{S3, S3Connection, S3Options};
pub use server::Server;
pub use spawner::{spawn, tied_command};
pub use test_servers::{TestServers, TestServersError};
pub use tools::tus_clients;
