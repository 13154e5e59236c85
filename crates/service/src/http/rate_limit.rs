//! How often a caller may call.
//!
//! The generic cell rate algorithm: a caller may send a burst at once and then as many as the rate
//! refills. Answers tell where the caller stands, by the IETF draft "`RateLimit` header fields for HTTP".

use std::{
    fmt,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use actix_web::{
    Error, HttpResponse, ResponseError as _,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
    middleware::Next,
};
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::HttpError;

/// Where the caller stands.
pub(super) const HEADER: HeaderName = HeaderName::from_static("ratelimit");

/// What the limit is.
pub(super) const POLICY_HEADER: HeaderName = HeaderName::from_static("ratelimit-policy");

/// After so many calls the callers that have their full burst again are forgotten, so that there are
/// never many more remembered than have called lately.
const CALLS_BETWEEN_SWEEPS: u32 = 10_000;

/// The limit on calls of one caller.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimitSettings {
    /// Whether there is a limit.
    pub enabled: bool,
    /// Calls a second that a caller may go on with. Counted in each process.
    pub per_second: NonZeroU32,
    /// Calls that a caller may make at once after a pause.
    pub burst: NonZeroU32,
}

impl Default for RateLimitSettings {
    fn default() -> Self {
        // A browser polls the status every 500 ms in each of its tabs, all behind one identity.
        let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MAX);
        Self { enabled: true, per_second: number(200), burst: number(400) }
    }
}

type Limiter = RateLimiter<Box<str>, DashMapStateStore<Box<str>>, DefaultClock, StateInformationMiddleware>;

/// A limit on the calls of each caller; clones share it. Make one per process and put it before the
/// routes with `actix_web::middleware::from_fn`.
#[derive(Clone)]
pub struct RateLimit(Arc<Inner>);

struct Inner {
    settings: RateLimitSettings,
    limiter: Limiter,
    policy: HeaderValue,
    calls: AtomicU32,
}

/// Where a caller stands after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    /// Calls that may follow at once.
    remaining: u32,
    /// For a refused call, how long until one is allowed.
    wait: Option<Duration>,
}

impl RateLimit {
    /// The limit that `settings` say.
    pub fn new(settings: &RateLimitSettings) -> Self {
        let quota = Quota::per_second(settings.per_second).allow_burst(settings.burst);
        let window = settings.burst.get().div_ceil(settings.per_second.get());
        let policy = format!("\"default\";q={};w={window}", settings.burst);
        Self(Arc::new(Inner {
            settings: settings.clone(),
            limiter: RateLimiter::dashmap(quota).with_middleware(),
            policy: header_value(&policy),
            calls: AtomicU32::new(0),
        }))
    }

    /// Handles `req` with `next` unless `caller` calls too often: then 429 with `Retry-After`. Either
    /// answer carries `RateLimit` and `RateLimit-Policy`. `caller` is whatever tells callers apart; a
    /// call without one is not limited.
    ///
    /// # Errors
    /// Those of `next`.
    pub async fn apply<B: MessageBody + 'static>(
        &self,
        caller: Option<&str>,
        req: ServiceRequest,
        next: Next<B>,
    ) -> Result<ServiceResponse<BoxBody>, Error> {
        let Some(caller) = caller.filter(|_| self.0.settings.enabled) else {
            return Ok(next.call(req).await?.map_into_boxed_body());
        };
        let standing = self.call(caller);
        let mut response = match standing.wait {
            None => next.call(req).await?.map_into_boxed_body(),
            Some(wait) => req.into_response(refusal(wait)),
        };
        response.headers_mut().insert(POLICY_HEADER, self.0.policy.clone());
        response.headers_mut().insert(HEADER, self.standing_header(standing));
        Ok(response)
    }

    fn call(&self, caller: &str) -> Standing {
        let limiter = &self.0.limiter;
        if self.0.calls.fetch_add(1, Ordering::Relaxed) % CALLS_BETWEEN_SWEEPS == CALLS_BETWEEN_SWEEPS - 1 {
            limiter.retain_recent();
        }
        match limiter.check_key(&Box::from(caller)) {
            Ok(state) => Standing { remaining: state.remaining_burst_capacity(), wait: None },
            Err(refused) => {
                Standing { remaining: 0, wait: Some(refused.wait_time_from(limiter.clock().now())) }
            }
        }
    }

    /// The calls that remain, and the seconds until the burst is full again.
    fn standing_header(&self, standing: Standing) -> HeaderValue {
        let used = self.0.settings.burst.get().saturating_sub(standing.remaining);
        let full_in = used.div_ceil(self.0.settings.per_second.get());
        header_value(&format!("\"default\";r={};t={full_in}", standing.remaining))
    }
}

fn refusal(wait: Duration) -> HttpResponse {
    HttpError::new(StatusCode::TOO_MANY_REQUESTS, "too many requests").retry_after(wait).error_response()
}

fn header_value(ascii: &str) -> HeaderValue {
    // Digits, letters and punctuation only: it is always a value.
    HeaderValue::from_str(ascii).unwrap_or(HeaderValue::from_static(""))
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(per_second: u32, burst: u32) -> RateLimit {
        RateLimit::new(&RateLimitSettings {
            enabled: true,
            per_second: per_second.try_into().unwrap(),
            burst: burst.try_into().unwrap(),
        })
    }

    #[test]
    fn a_caller_may_burst_and_then_waits_while_others_go_on() {
        let limit = limit(1, 3);
        let remaining: Vec<_> = (0..3).map(|_| limit.call("a").remaining).collect();
        assert_eq!(remaining, [2, 1, 0]);
        let wait = limit.call("a").wait.unwrap();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        assert_eq!(limit.call("b"), Standing { remaining: 2, wait: None });
    }

    #[test]
    fn the_headers_tell_policy_and_standing() {
        let limit = limit(200, 400);
        assert_eq!(limit.0.policy, "\"default\";q=400;w=2");
        let standing = Standing { remaining: 150, wait: None };
        assert_eq!(limit.standing_header(standing), "\"default\";r=150;t=2");
    }

    #[test]
    fn callers_that_stay_away_are_forgotten() {
        // So fast that a caller has its full burst again at once.
        let limit = limit(1_000_000_000, 1);
        for caller in 0..10 * CALLS_BETWEEN_SWEEPS {
            limit.call(&caller.to_string());
        }
        assert!(limit.0.limiter.len() <= CALLS_BETWEEN_SWEEPS as usize);
    }
}
