//! The id by which a request is found again in logs.

use std::{fmt, sync::Arc};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use domain::ids;

/// Longest id that is taken over from a client.
const MAX_BYTES: usize = 128;

/// The header that carries the id in answers, and the first one looked at in requests.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// What gateways of the console call it.
const INSIGHTS_HEADER: HeaderName = HeaderName::from_static("x-rh-insights-request-id");

tokio::task_local! {
    /// The id of the request whose handler runs.
    pub(super) static CURRENT: RequestId;
}

/// The id of a request: 1 to 128 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The id that the request brings as `x-request-id` or else `x-rh-insights-request-id`, if it is a
    /// sane one; a new one otherwise.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let brought = [HEADER, INSIGHTS_HEADER].iter().find_map(|name| sane(headers.get(name)?));
        brought.map_or_else(|| Self(ids::RequestId::random().to_string().into()), |id| Self(id.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn header_value(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

/// The id of the request whose handler runs; `None` outside of one, and in what a handler spawns.
pub fn current_request_id() -> Option<RequestId> {
    CURRENT.try_with(Clone::clone).ok()
}

fn sane(value: &HeaderValue) -> Option<&str> {
    let id = value.to_str().ok()?;
    ((1..=MAX_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())).then_some(id)
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(pairs: &[(HeaderName, &str)]) -> RequestId {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.clone(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        RequestId::of(&headers)
    }

    #[test]
    fn a_sane_id_is_taken_over() {
        assert_eq!(id_of(&[(HEADER, "abc-1")]).as_str(), "abc-1");
        assert_eq!(id_of(&[(INSIGHTS_HEADER, "gw/2")]).as_str(), "gw/2");
        assert_eq!(id_of(&[(INSIGHTS_HEADER, "gw"), (HEADER, "own")]).as_str(), "own");
        assert_eq!(id_of(&[(INSIGHTS_HEADER, "gw"), (HEADER, "a b")]).as_str(), "gw");
    }

    #[test]
    fn an_insane_id_is_replaced() {
        for insane in ["", " ", "a b", "ü", &"x".repeat(129)] {
            let id = id_of(&[(HEADER, insane)]);
            assert_eq!(id.as_str().len(), 36, "{insane}");
            assert_ne!(id, id_of(&[(HEADER, insane)]));
        }
    }
}
