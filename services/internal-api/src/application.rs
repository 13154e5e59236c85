//! Which application calls (S0-17, S0-17b, S0-47b).

use access::{KeyError, authorise_application, bearer, decode_application_segment};
use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{AUTHORIZATION, HeaderName, HeaderValue},
    web,
};
use domain::ApplicationName;
use futures_util::future::LocalBoxFuture;
use service::http::{Fact, note};

use crate::{api::Api, error::ApiError};

const KEY_HEADER: HeaderName = HeaderName::from_static("x-rh-exports-psk");

/// The application that a path names, in whose name the caller may act. Handlers take it as an argument and
/// cannot run without one.
#[derive(Debug, Clone)]
pub(crate) struct CallingApplication(pub(crate) ApplicationName);

impl FromRequest for CallingApplication {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move { authorise(&req).await.map(Self) })
    }
}

/// A token decides alone where there is one; else the key does.
async fn authorise(req: &HttpRequest) -> Result<ApplicationName, ApiError> {
    let Some(api) = req.app_data::<web::Data<Api>>() else { return Err(ApiError::Key(KeyError::Unknown)) };
    let shown = bearer(req.headers().get_all(AUTHORIZATION).map(HeaderValue::as_bytes));
    let application = match api.tokens.client_of(shown).await? {
        Some(client) => of_client(api, &client, named(req)?)?,
        None => of_key(api, req)?,
    };
    note(Fact::Application, &application);
    Ok(application)
}

fn of_client(api: &Api, client: &str, application: ApplicationName) -> Result<ApplicationName, ApiError> {
    let known = api.registry.current()?;
    let entry = known.registry.application(&application);
    let acts_for_it = entry.is_some_and(|entry| entry.oidc_clients.contains(client));
    if acts_for_it { Ok(application) } else { Err(ApiError::OtherClient) }
}

fn of_key(api: &Api, req: &HttpRequest) -> Result<ApplicationName, ApiError> {
    let key = only_key(req)?;
    let application = named(req)?;
    let known = api.registry.current()?;
    let keys = known.keys.iter().map(|key| (key.id, &key.application, &key.hash));
    let used = authorise_application(keys, key, &application)?;
    api.used_keys.note(used, api.clock.now());
    Ok(application)
}

/// The application that the path names.
fn named(req: &HttpRequest) -> Result<ApplicationName, ApiError> {
    decode_application_segment(req.match_info().query("application")).map_err(ApiError::Application)
}

/// The key of a request that has exactly one.
pub(crate) fn only_key(req: &HttpRequest) -> Result<&[u8], ApiError> {
    let mut keys = req.headers().get_all(KEY_HEADER);
    let (Some(key), None) = (keys.next(), keys.next()) else { return Err(ApiError::MissingKey) };
    Ok(key.as_bytes())
}
