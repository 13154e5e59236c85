//! What both APIs do around a call: limits on callers, other origins, ids of requests, figures, and what they need
//! being away.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod figures;
mod origins;
mod outages;
mod rate_limit;
mod request_ids;
mod support;
