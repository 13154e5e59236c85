//! The envelope of our events: CloudEvents 1.0 in structured JSON (S0-2 to S0-10).

use serde::Serialize;

/// An event as it is written: ten keys and no other, because consumers reject any additional one.
#[derive(Serialize)]
pub(crate) struct Envelope<'a, Data> {
    #[serde(rename = "$schema")]
    pub(crate) schema: &'a str,
    pub(crate) id: &'a str,
    pub(crate) source: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) specversion: &'static str,
    #[serde(rename = "type")]
    pub(crate) event_type: &'a str,
    pub(crate) time: &'a str,
    pub(crate) redhatorgid: &'a str,
    pub(crate) dataschema: &'a str,
    pub(crate) data: Data,
}
