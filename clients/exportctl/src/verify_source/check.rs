//! What is checked.

use clap::ValueEnum;
use serde::Serialize;

/// One thing that a source application should do. Reports show them in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The application answers a request.
    Answers,
    /// JSON is an array.
    Json,
    /// CSV is as RFC 4180 has it.
    Csv,
    /// The Content-Type is that of the format.
    ContentType,
    /// The Content-Encoding is one that the platform takes.
    Encoding,
    /// Data is streamed.
    Streaming,
    /// Filters are applied.
    Filters,
    /// Filters without a member are no filters.
    EmptyFilters,
    /// A filter may have the value null.
    NullFilter,
    /// A filter that does not exist is reported.
    UnknownFilter,
    /// A resource that does not exist is reported.
    UnknownResource,
    /// A format that does not exist is survived.
    UnknownFormat,
    /// Error reports are as the platform reads them.
    ErrorReport,
    /// The key is sent as a header, once.
    Key,
    /// The key is not in the URL.
    KeyNotInUrl,
    /// Answers go to the path of their request.
    Path,
    /// A copy of an event does not get another answer.
    Duplicate,
    /// What was taken is not sent again.
    Once,
    /// What is no event is survived.
    Malformed,
    /// Others' requests are left to them.
    OtherApplication,
    /// Two requests that come together are both answered.
    TwoAtOnce,
    /// A platform that reads slowly and answers late is waited for.
    Slow,
    /// A broken connection is not the end of the answer.
    Cut,
    /// A resumable upload goes on where it broke off.
    Resumable,
    /// 503 is not the end of the answer.
    Unavailable,
    /// Retry-After is waited for.
    RetryAfter,
    /// Waits between tries grow.
    Backoff,
    /// A key that is refused does not lose the request.
    Unauthorized,
    /// Answers that are refused for good are not sent for ever.
    Refusals,
    /// After each failure the next request is answered.
    GoesOn,
    /// Answers come in time.
    InTime,
    /// Offsets are committed after the answer, not before.
    Commit,
}

impl Check {
    /// All of them, in order.
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// Its name on the command line and in reports.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The contract's id of the rule that it rests on.
    pub fn contract(self) -> &'static str {
        match self {
            Self::Answers | Self::Malformed => "S0-2",
            Self::Duplicate => "S0-3",
            Self::Json | Self::Csv | Self::UnknownFormat => "S0-13",
            Self::ContentType => "X8",
            Self::Filters | Self::EmptyFilters | Self::NullFilter | Self::UnknownFilter => "S0-16",
            Self::UnknownResource => "S0-14",
            Self::ErrorReport => "S0-19",
            Self::Key | Self::KeyNotInUrl | Self::Unauthorized => "S0-17",
            Self::Path => "S0-47b",
            Self::Once | Self::Refusals => "S0-47c",
            Self::OtherApplication => "S0-52",
            Self::Cut => "S0-48",
            Self::Resumable => "S0-tus",
            Self::Encoding
            | Self::Streaming
            | Self::Slow
            | Self::Unavailable
            | Self::RetryAfter
            | Self::Backoff => "S0-18",
            Self::TwoAtOnce | Self::GoesOn | Self::InTime | Self::Commit => "S0-deadline",
        }
    }

    /// What the application should do, as a sentence without its end.
    pub fn promise(self) -> &'static str {
        match self {
            Self::Answers => "answers a request",
            Self::Json => "answers json with a JSON array",
            Self::Csv => "answers csv with RFC 4180 and equal columns",
            Self::ContentType => "names the type of its data",
            Self::Encoding => "sends plain data, or gzip and says so",
            Self::Streaming => "streams its data",
            Self::Filters => "applies filters",
            Self::EmptyFilters => "takes empty filters for none",
            Self::NullFilter => "answers a filter that is null",
            Self::UnknownFilter => "reports a filter that it does not know",
            Self::UnknownResource => "reports a resource that it does not know",
            Self::UnknownFormat => "reports a format that it does not know",
            Self::ErrorReport => "reports errors as JSON with message and error",
            Self::Key => "shows its key or token as a header, once",
            Self::KeyNotInUrl => "keeps its key or token out of the URL",
            Self::Path => "answers at the path of the request",
            Self::Duplicate => "gives a copy of an event no other answer",
            Self::Once => "answers once",
            Self::Malformed => "passes over what is no event",
            Self::OtherApplication => "leaves others' requests to them",
            Self::TwoAtOnce => "answers two requests that come together",
            Self::Slow => "waits for a platform that is slow",
            Self::Cut => "sends again after a broken connection",
            Self::Resumable => "goes on with a resumable upload where it broke off",
            Self::Unavailable => "sends again after 503",
            Self::RetryAfter => "waits as long as Retry-After says",
            Self::Backoff => "waits longer after each failure",
            Self::Unauthorized => "keeps the request when its key is refused",
            Self::Refusals => "takes 400, 404, 410 and 413 for final",
            Self::GoesOn => "goes on with the next request after each failure",
            Self::InTime => "answers in time",
            Self::Commit => "commits its offset after the answer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_report() {
        assert_eq!(Check::all().first(), Some(&Check::Answers));
        assert!(Check::all().is_sorted());
        assert_eq!(Check::KeyNotInUrl.name(), "key-not-in-url");
    }
}
