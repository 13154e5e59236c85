//! Tokens of an `OpenID Connect` issuer (S0-17b).
//!
//! An application proves itself by a JWT that its issuer signed (client credentials, RFC 6749 section 4.4).
//! Who may do what is not in the token: its client id is looked up in the registry.

mod issuer;
mod keys;
mod settings;
mod verify;

pub use issuer::{Asked, KeysUnavailable};
pub use settings::{InvalidOidcSettings, OidcSettings};
pub use verify::{Refusal, TokenError, TokenVerifier};
