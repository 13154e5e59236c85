//! Postgres: the truth about exports. One way in, `Store::tx` and `Store::statement`; one module for each
//! use case, outbox, leases and deletions.
//!
//! Calls are short and run on a bounded number of connections: a semaphore of the pool's size stands
//! before the pool, so that a slow database makes callers fail fast instead of piling up threads.
//! Times come in from outside (`domain::Clock`), so that tests can stand at the edge of a deadline.

mod answers;
mod ask_again;
mod connection;
mod count;
mod create;
mod deadlines;
mod delete;
mod deletions;
mod download;
mod each_export;
mod error;
mod find;
mod follow_answers;
mod followed_registry;
mod freeze;
mod installation;
mod lease;
mod list;
mod locked_export;
mod migrations;
mod org_of_export;
mod orphans;
mod outbox;
mod outbox_care;
mod outbox_rows;
mod plan;
mod pool;
mod registry;
mod registry_keys;
mod release;
mod resend;
mod resumable;
mod retry;
mod rows;
mod schema;
mod settings;
mod source_tags;
mod statement;
mod tell;
mod uploads;
mod url;
mod wakeup;

pub use answers::{AnswerOutcome, AnswerTarget};
pub use create::CreateExport;
pub use deletions::ObjectDeletion;
pub use download::Downloadable;
pub use error::StoreError;
pub use find::FoundExport;
pub use followed_registry::FollowedRegistry;
pub use list::ExportPage;
pub use migrations::MigrationError;
pub use orphans::StoredObjectRow;
pub use outbox_care::{OutboxDepth, ParkedRecord};
pub use outbox_rows::{LeasedRecord, OutboxKind, OutboxMessage};
pub use plan::ReapPlan;
pub use pool::{PoolState, Store};
pub use registry::{ApplicationKey, ApplyOutcome, RegistryRevision};
pub use registry_keys::AddKeyOutcome;
pub use resumable::{
    ChangeState, FinishedPiece, NewResumableUpload, PieceBegin, PieceOutcome, PieceRequest, PieceStart,
    ResumableUpload,
};
pub use retry::{Retry, RetryOutcome, RetrySource};
pub use settings::Settings;
pub use uploads::NewAttempt;
pub use wakeup::{WakeupListener, WakeupSender};
