//! Who calls (S0-20, S0-21), and how often (rate limit).
//!
//! The middleware decides once for each request; handlers get the [`Caller`] and cannot run without one.

use std::future::{Ready, ready};

use access::{Identity, IdentityError, identity};
use actix_web::{
    Error, FromRequest, HttpMessage as _, HttpRequest,
    body::{BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::header::{HeaderMap, HeaderName},
    middleware::Next,
    web,
};
use domain::Owner;
use service::http::{Fact, note};

use crate::{api::Api, error::ApiError};

const IDENTITY_HEADER: HeaderName = HeaderName::from_static("x-rh-identity");
const KEY_HEADER: HeaderName = HeaderName::from_static("x-rh-exports-psk");

/// The customer that a request comes from. Handlers take it as an argument.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Identity);

impl Caller {
    pub(crate) fn owner(&self) -> Owner {
        self.0.owner.clone()
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        // Without the middleware before it a handler refuses: it fails closed.
        ready(req.extensions().get::<Self>().cloned().ok_or(ApiError::Identity(IdentityError::Missing)))
    }
}

/// The middleware that puts the caller into each request.
#[derive(Clone)]
pub(crate) struct Callers(web::Data<Api>);

impl Callers {
    pub(crate) fn new(api: &web::Data<Api>) -> Self {
        Self(api.clone())
    }

    /// Identifies the caller, counts the call, and goes on with `next`.
    pub(crate) async fn identify<B: MessageBody + 'static>(
        &self,
        req: ServiceRequest,
        next: Next<B>,
    ) -> Result<ServiceResponse<BoxBody>, Error> {
        let identity = match self.identity_of(req.headers()) {
            Ok(identity) => identity,
            Err(error) => return Ok(req.error_response(error)),
        };
        let owner = &identity.owner;
        note(Fact::Organization, &owner.org_id);
        // NUL is in none of the parts, so that no two callers share a text.
        let key = format!("{}\0{}\0{}", owner.org_id, owner.account, owner.username);
        req.extensions_mut().insert(Caller(identity));
        self.0.rate_limit.apply(Some(&key), req, next).await
    }

    fn identity_of(&self, headers: &HeaderMap) -> Result<Identity, ApiError> {
        if headers.contains_key(KEY_HEADER) {
            let key = only(headers, &KEY_HEADER).ok_or(ApiError::ServiceKey)?;
            if !self.0.service_keys.accepts(key) {
                return Err(ApiError::ServiceKey);
            }
        }
        let header = only(headers, &IDENTITY_HEADER).ok_or(ApiError::Identity(IdentityError::Missing))?;
        let header = std::str::from_utf8(header).map_err(|_| ApiError::Identity(IdentityError::NotBase64))?;
        identity::decode(header).map_err(ApiError::Identity)
    }
}

/// The value of a header that is there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name);
    let first = values.next()?;
    values.next().is_none().then_some(first.as_bytes())
}
