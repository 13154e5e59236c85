//! Fetching from where others say.
//!
//! Whoever names an address to fetch from may name one that only this machine reaches. So a [`Fetcher`]
//! connects to public addresses only, and to those that an operator has listed; it looks at the very addresses
//! that it connects to, so that a name cannot mean another one by then; it follows no redirect and asks no
//! proxy. What it hands over is a stream that ends well only when all of the body has come, within limits of
//! size, patience and pace.
//!
//! No type of the HTTP client shows outside this crate.

mod addresses;
mod body;
mod error;
mod fetcher;
mod settings;
mod target;

pub use body::Body;
pub use error::{FetchError, InvalidFetchSettings};
pub use fetcher::{Coding, Fetched, Fetcher};
pub use settings::FetchSettings;
pub use target::{InvalidTarget, Target};
