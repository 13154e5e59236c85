//! What tests share: a database, topic and key prefix of their own on the shared servers, a proxy
//! that makes connections fail, certificates, an issuer of tokens, our real binaries as processes, bounded waiting.
//!
//! The shared servers are started by `scripts/test-servers` (`scripts/test` does it by itself).
//! Nothing here is part of the product.

mod authority;
mod bucket;
mod database;
mod issuer;
pub mod memory;
mod poll;
mod process;
mod proxy;
mod topic;
mod unique;

pub use authority::{Issued, TestAuthority};
pub use bucket::TestBucket;
pub use database::TestDatabase;
pub use devservers::TestServers;
pub use issuer::TestIssuer;
pub use poll::poll_until;
pub use process::{Process, binary};
pub use proxy::{Direction, Fault, FaultProxy};
pub use topic::TestTopic;
pub use unique::unique_name;
