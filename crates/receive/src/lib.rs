//! Taking in the data of a source, whichever way it comes: posted by its application, or fetched from where
//! the application has announced it.
//!
//! - [`Receiver::deliver`] stores a stream of bytes as a new object, changed for spreadsheets where that is asked
//!   for, and settles the source with it.
//! - [`Receiver::expect_same`] reads what comes for a source that is complete already.
//! - [`Receiver::while_wanted`] keeps the lease of an upload that its caller stores, as one of several requests.
//! - [`change_piece`] changes the CSV of one of several requests for spreadsheets.
//! - [`inflate`] turns a gzip stream into the bytes that it stands for.
//!
//! A layer of its own between services and adapters: several services receive, and it joins the database and
//! object storage, which do not know each other (`docs/decisions/0012-receiving-is-a-layer.md`).

mod csv;
mod deliver;
mod error;
mod inflate;
mod lease;
mod receiver;
mod repeat;

pub use csv::{Changed, InvalidChangeState, change_piece, limit_after};
pub use error::{DeliveryError, UploadError, in_customary_units};
pub use inflate::inflate;
pub use lease::{Journal, Received};
pub use receiver::{Place, Receiver};
