//! Who is calling: the customer behind an `x-rh-identity` header, the application or service behind a
//! pre-shared key.
//!
//! Nothing here knows HTTP: the services read the headers, ask here, and answer.

mod application_keys;
pub mod identity;
mod path_segment;
mod random_key;
mod service_keys;

pub use application_keys::{KeyError, authorise_application};
pub use identity::{Identity, IdentityError};
pub use path_segment::{InvalidSegment, decode_application_segment};
pub use random_key::{NoRandomness, random_key};
pub use service_keys::ServiceKeys;
