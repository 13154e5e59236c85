//! Which web pages of other origins may call the API from a browser.

use actix_cors::Cors;
use actix_web::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_RANGE, ETAG, HeaderName, LOCATION, RETRY_AFTER,
};
use domain::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{rate_limit, request_id};

/// Cross-origin calls from browsers.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CorsSettings {
    /// Origins whose pages may call, such as `https://console.example.com`, or `*` for any. Empty: none,
    /// and preflight requests are not answered.
    pub allowed_origins: Vec<String>,
    /// Whether such calls may carry cookies and client certificates; never from any origin (`*`).
    pub allow_credentials: bool,
    /// How long browsers may remember the answer to a preflight request.
    pub max_age: Period,
}

impl Default for CorsSettings {
    fn default() -> Self {
        Self { allowed_origins: Vec::new(), allow_credentials: false, max_age: Period::from_secs(3600) }
    }
}

impl CorsSettings {
    pub(super) fn enabled(&self) -> bool {
        !self.allowed_origins.is_empty()
    }

    pub(super) fn middleware(&self) -> Cors {
        let exposed: [HeaderName; 9] = [
            request_id::HEADER,
            rate_limit::HEADER,
            rate_limit::POLICY_HEADER,
            RETRY_AFTER,
            CONTENT_DISPOSITION,
            ETAG,
            // A page that resumes a download looks at these.
            ACCEPT_RANGES,
            CONTENT_RANGE,
            LOCATION,
        ];
        let max_age = usize::try_from(self.max_age.as_duration().as_secs()).unwrap_or(usize::MAX);
        let mut cors =
            Cors::default().allow_any_method().allow_any_header().expose_headers(exposed).max_age(max_age);
        let any = self.allowed_origins.iter().any(|origin| origin == "*");
        if any {
            return cors.allow_any_origin().send_wildcard();
        }
        for origin in &self.allowed_origins {
            cors = cors.allowed_origin(origin);
        }
        if self.allow_credentials { cors.supports_credentials() } else { cors }
    }
}
