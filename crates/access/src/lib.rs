//! Who is calling: the customer behind an `x-rh-identity` header, the application or service behind a
//! pre-shared key or a token.
//!
//! Nothing here serves HTTP: the services read the headers, ask here, and answer. (The issuer of tokens is
//! asked for its keys from here.)

mod accepted_keys;
mod application_keys;
mod bearer;
pub mod identity;
pub mod oidc;
mod path_segment;
mod random_key;

pub use accepted_keys::AcceptedKeys;
pub use application_keys::{KeyError, authorise_application};
pub use bearer::{Bearer, bearer};
pub use identity::{Identity, IdentityError};
pub use path_segment::{InvalidSegment, decode_application_segment};
pub use random_key::{NoRandomness, random_key};
