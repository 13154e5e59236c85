//! Who is calling: the customer behind an `x-rh-identity` header, the application or service behind a
//! pre-shared key.
//!
//! Nothing here knows HTTP: the services read the headers, ask here, and answer.

mod application_keys;
pub mod identity;
mod key_hash;
mod path_segment;
mod service_keys;

pub use application_keys::{
    ApplicationKeys, ApplicationSettings, Applications, KeyError, KeySetupError, catalog,
};
pub use identity::{Identity, IdentityError};
pub use key_hash::{InvalidKeyHash, KeyHash};
pub use path_segment::{InvalidSegment, decode_application_segment};
pub use service_keys::ServiceKeys;
