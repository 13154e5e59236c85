//! Whether an operator calls.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web};

use crate::{api::Api, application::only_key, error::ApiError};

/// Somebody with one of the keys of `internal_api.operator_keys_sha256`. Handlers take it as an argument and
/// cannot run without one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operator;

impl FromRequest for Operator {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(authorise(req))
    }
}

fn authorise(req: &HttpRequest) -> Result<Operator, ApiError> {
    let key = only_key(req)?;
    let accepted = req.app_data::<web::Data<Api>>().is_some_and(|api| api.operator_keys.accepts(key));
    if accepted { Ok(Operator) } else { Err(ApiError::NoOperator) }
}
