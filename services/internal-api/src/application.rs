//! Which application calls (S0-17, S0-47b).

use std::future::{Ready, ready};

use access::{KeyError, authorise_application, decode_application_segment};
use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header::HeaderName, web};
use domain::ApplicationName;
use service::http::{Fact, note};

use crate::{api::Api, error::ApiError};

const KEY_HEADER: HeaderName = HeaderName::from_static("x-rh-exports-psk");

/// The application that a path names, whose key the caller has shown. Handlers take it as an argument and
/// cannot run without one.
#[derive(Debug, Clone)]
pub(crate) struct CallingApplication(pub(crate) ApplicationName);

impl FromRequest for CallingApplication {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(authorise(req).map(Self))
    }
}

fn authorise(req: &HttpRequest) -> Result<ApplicationName, ApiError> {
    let key = only_key(req)?;
    let Some(api) = req.app_data::<web::Data<Api>>() else { return Err(ApiError::Key(KeyError::Unknown)) };
    let segment = req.match_info().query("application");
    let application = decode_application_segment(segment).map_err(ApiError::Application)?;
    let known = api.registry.current()?;
    let keys = known.keys.iter().map(|key| (key.id, &key.application, &key.hash));
    let used = authorise_application(keys, key, &application)?;
    api.used_keys.note(used, api.clock.now());
    note(Fact::Application, &application);
    Ok(application)
}

/// The key of a request that has exactly one.
pub(crate) fn only_key(req: &HttpRequest) -> Result<&[u8], ApiError> {
    let mut keys = req.headers().get_all(KEY_HEADER);
    let (Some(key), None) = (keys.next(), keys.next()) else { return Err(ApiError::MissingKey) };
    Ok(key.as_bytes())
}
