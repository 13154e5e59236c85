//! Whether a token is good, and whose it is.

use std::{fmt, sync::Arc};

use jsonwebtoken::{Algorithm, Validation, decode, decode_header, errors::ErrorKind};
use serde::Deserialize;

use super::{
    issuer::{Asked, Issuer, KeysUnavailable},
    settings::{InvalidOidcSettings, OidcSettings},
};

/// Larger ones are refused unread; tokens of the field have one to four KiB.
const MAX_TOKEN_BYTES: usize = 16 << 10;

/// How far the clocks of issuer and platform may be apart, in seconds.
const LEEWAY_SECONDS: u64 = 30;

/// Signed by a key of its own, so that nobody who can check a token can make one.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::RS256, Algorithm::ES256];

/// Checks the tokens of one issuer. Clones share its keys. The time is that of the system, which issuers tell
/// theirs by.
#[derive(Clone)]
pub struct TokenVerifier {
    issuer: Arc<Issuer>,
    name: String,
    validation: Validation,
}

/// What is wrong with a token. Fixed texts: nothing of a token may reach a log or an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is larger than 16 KiB.
    #[error("too-large")]
    TooLarge,
    /// It is no JWT, or asks for what we do not know (`crit`).
    #[error("malformed")]
    Malformed,
    /// It is signed by another algorithm than RS256 and ES256, or not at all.
    #[error("algorithm")]
    Algorithm,
    /// The issuer has no such key.
    #[error("unknown-key")]
    UnknownKey,
    /// It is not what the issuer signed.
    #[error("signature")]
    Signature,
    /// A claim is missing or of another type than it must be.
    #[error("claims")]
    Claims,
    /// It is another issuer's.
    #[error("issuer")]
    Issuer,
    /// It is meant for somebody else.
    #[error("audience")]
    Audience,
    /// Its time is over.
    #[error("expired")]
    Expired,
    /// Its time has not come.
    #[error("not-yet-valid")]
    NotYetValid,
    /// It names no client.
    #[error("no-client")]
    NoClient,
}

/// Why a token does not open anything.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It is not a token of our issuer for us, or not now: 401.
    #[error("invalid bearer token")]
    Refused(Refusal),
    /// The key that it names is not known, and the issuer does not answer: 503.
    #[error("the token cannot be checked now")]
    Unavailable(#[source] KeysUnavailable),
}

/// What we read of a token once its signature is good.
#[derive(Deserialize)]
struct Claims {
    /// The library also takes an array, which RFC 7519 (section 4.1.1) does not know.
    iss: String,
    azp: Option<String>,
    client_id: Option<String>,
}

impl TokenVerifier {
    /// A verifier for the issuer of the settings; None when they name none. `observe` hears of every question
    /// to the issuer.
    ///
    /// # Errors
    /// [`InvalidOidcSettings`].
    pub fn new(
        settings: &OidcSettings,
        observe: impl Fn(Asked) + Send + Sync + 'static,
    ) -> Result<Option<Self>, InvalidOidcSettings> {
        let Some(name) = settings.checked_issuer()? else { return Ok(None) };
        let mut validation = Validation::new(Algorithm::RS256);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.set_issuer(&[name]);
        validation.set_audience(&[&settings.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        let issuer = Arc::new(Issuer::new(name, settings, observe)?);
        Ok(Some(Self { issuer, name: name.to_owned(), validation }))
    }

    /// The client that `token` stands for: its `azp`, else its `client_id` (S0-17b).
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn client_of(&self, token: &str) -> Result<String, TokenError> {
        let refused = |refusal| Err(TokenError::Refused(refusal));
        if token.len() > MAX_TOKEN_BYTES {
            return refused(Refusal::TooLarge);
        }
        // It knows no `alg` of `none`.
        let Ok(header) = decode_header(token) else { return refused(Refusal::Malformed) };
        if !ALGORITHMS.contains(&header.alg) {
            return refused(Refusal::Algorithm);
        }
        // Extensions that must be understood: we understand none (RFC 7515, section 4.1.11).
        if header.crit.is_some() {
            return refused(Refusal::Malformed);
        }
        let key = self.issuer.key(header.kid.as_deref(), header.alg).await;
        let Some(key) = key.map_err(TokenError::Unavailable)? else { return refused(Refusal::UnknownKey) };
        let validation = Validation { algorithms: vec![header.alg], ..self.validation.clone() };
        let claims = decode::<Claims>(token, &key, &validation)
            .map_err(|error| TokenError::Refused(Refusal::of(error.kind())))?
            .claims;
        if claims.iss != self.name {
            return refused(Refusal::Issuer);
        }
        let client = claims.azp.or(claims.client_id).filter(|client| !client.is_empty());
        client.ok_or(TokenError::Refused(Refusal::NoClient))
    }

    /// Asks the issuer for its keys, so that no call has to wait for them and withdrawn ones are forgotten.
    ///
    /// # Errors
    /// [`KeysUnavailable`]; the keys that were known go on counting.
    pub async fn refresh_keys(&self) -> Result<(), KeysUnavailable> {
        self.issuer.refresh().await
    }
}

impl Refusal {
    fn of(error: &ErrorKind) -> Self {
        match error {
            ErrorKind::InvalidSignature => Self::Signature,
            ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) | ErrorKind::Json(_) => {
                Self::Claims
            }
            ErrorKind::InvalidIssuer => Self::Issuer,
            ErrorKind::InvalidAudience => Self::Audience,
            ErrorKind::ExpiredSignature => Self::Expired,
            ErrorKind::ImmatureSignature => Self::NotYetValid,
            ErrorKind::InvalidAlgorithm => Self::Algorithm,
            _ => Self::Malformed,
        }
    }
}

impl fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenVerifier").field("issuer", &self.name).finish_non_exhaustive()
    }
}
