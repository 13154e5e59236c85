//! How each post looked.

use crate::verify_source::{
    case::Case,
    ledger::State,
    post::{Attempt, Body, Head, KeySent},
    report::Finding,
    stage::seconds,
};

/// Sized data up to here, in bytes, may well be built whole.
const SMALL: u64 = 1024 * 1024;
/// Of a longer message the platform keeps the beginning, in bytes.
const MAX_MESSAGE_BYTES: usize = 1024;

/// The heads of all requests.
fn heads(state: &State) -> impl Iterator<Item = &Head> {
    let whole = posts(state).map(|(_, attempt)| &attempt.head).filter(|head| head.piece.is_none());
    whole.chain(state.cases.values().flat_map(|case| &case.calls))
}

fn posts(state: &State) -> impl Iterator<Item = (&Case, &Attempt)> {
    state.cases.values().flat_map(|case| case.attempts.iter().map(move |attempt| (case, attempt)))
}

/// Posts with data that came to its end, each with its size.
fn uploads(state: &State) -> impl Iterator<Item = (&Case, &Attempt, u64)> {
    posts(state).filter_map(|(case, attempt)| match &attempt.body {
        Body::Data(content) => Some((case, attempt, content.size_bytes)),
        _ => None,
    })
}

pub(super) fn key(state: &State) -> Finding {
    let sent = |key| heads(state).filter(move |head| head.key == key).count();
    let all = heads(state).count();
    if all == 0 {
        return Finding::skip("no post came");
    }
    let mend = "Send the header x-rh-exports-psk exactly once on every request, with the key and nothing else, \
                not even quotes; with --bearer `Authorization: Bearer` and the token.";
    for (wrong, what) in [
        (KeySent::Missing, "it was missing"),
        (KeySent::Repeated, "it was there more than once"),
        (KeySent::Wrong, "it was another one"),
        (KeySent::BesideToken, "a token, by which the platform goes then, was beside it"),
    ] {
        let count = sent(wrong);
        if count > 0 {
            return Finding::fail(format!("{what} on {count} of {all} requests"), mend);
        }
    }
    Finding::pass(format!("on {all} requests"))
}

pub(super) fn key_not_in_url(state: &State) -> Finding {
    let seen = heads(state).any(|head| head.key_in_url) || state.strays.iter().any(|stray| stray.key_in_url);
    if seen {
        return Finding::fail(
            "it was in the URL",
            "Send the key only as a header, and replace it: URLs are written to logs on their way.",
        );
    }
    Finding::pass("it was in none")
}

pub(super) fn path(state: &State) -> Finding {
    match state.strays.iter().find(|stray| stray.ours) {
        Some(stray) => Finding::fail(
            stray.what.clone(),
            "POST to /app/export/v1/{export_request_uuid}/{application}/{uuid}/upload or …/error, with the ids \
             of the same request; a resumable upload begins at …/uploads and goes on at its Location.",
        ),
        None => Finding::pass(format!("{} requests", heads(state).count())),
    }
}

pub(super) fn content_type(state: &State) -> Finding {
    let mut unnamed = None;
    for (case, attempt, _) in uploads(state) {
        let format = case.request.format.as_str();
        let essence = attempt.head.content_type.as_deref().unwrap_or_default();
        let essence = essence.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match (format, essence.as_str()) {
            ("json", "application/json") | ("csv", "text/csv" | "application/csv") => {}
            // The protocol of resumable uploads knows no such header.
            (_, "") if attempt.head.piece.is_some() => {}
            (_, "" | "application/octet-stream") => unnamed = Some(format),
            (_, other) => {
                return Finding::fail(
                    format!("{format} was sent as {other}"),
                    "Send Content-Type: application/json with json, text/csv with csv.",
                );
            }
        }
    }
    match unnamed {
        Some(format) => Finding::warn(
            format!("{format} was sent without it"),
            "Send Content-Type: application/json or text/csv; the platform does without, people who look at the \
             traffic do not.",
        ),
        None => Finding::pass(format!("{} uploads", uploads(state).count())),
    }
}

pub(super) fn encoding(state: &State) -> Finding {
    let mend = "Send plain data, or gzip with Content-Encoding: gzip; the platform knows no other encoding.";
    for (_, attempt) in posts(state) {
        match (attempt.head.content_encoding.as_deref(), &attempt.body) {
            (Some("gzip" | "x-gzip"), Body::Undecodable(wrong)) => {
                return Finding::fail(format!("what was sent as gzip is none: {wrong}"), mend);
            }
            (None | Some("gzip" | "x-gzip"), _) => {}
            (Some(other), _) => return Finding::fail(format!("Content-Encoding: {other}"), mend),
        }
    }
    let zipped = posts(state).any(|(_, attempt)| attempt.head.content_encoding.is_some());
    Finding::pass(if zipped { "gzip" } else { "plain" })
}

pub(super) fn streaming(state: &State) -> Finding {
    let stalled = posts(state).find_map(|(_, attempt)| match attempt.body {
        Body::Stalled(limit) => Some(limit),
        _ => None,
    });
    if let Some(limit) = stalled {
        return Finding::fail(
            format!("nothing came for {} in the middle of an upload", seconds(limit)),
            "Begin the upload when rows are at hand, and send them as they come: after 30 s of silence the \
             platform answers 408.",
        );
    }
    let whole = uploads(state).filter(|(_, attempt, _)| !attempt.head.chunked).map(|(.., size)| size).max();
    match whole {
        None => Finding::pass("in chunks"),
        Some(size) if size <= SMALL => Finding::pass(format!("with a length, up to {size} bytes")),
        Some(size) => Finding::warn(
            format!("{size} bytes were sent with a length"),
            "Send rows in chunks (Transfer-Encoding: chunked) as they are read; data that is built whole first \
             needs memory for the largest customer.",
        ),
    }
}

pub(super) fn error_report(state: &State) -> Finding {
    let mut reports = 0;
    for (case, attempt) in posts(state) {
        match &attempt.body {
            Body::Report(Err(wrong)) => {
                return Finding::fail(
                    format!("{}: {wrong}", case.purpose),
                    r#"Post {"message": "what the customer should read", "error": 404}: a text and an integer that is not 0."#,
                );
            }
            Body::Report(Ok(report)) if report.message.trim().is_empty() => {
                return Finding::warn(
                    "a message is empty",
                    "Say in `message` what the customer can do about it.",
                );
            }
            Body::Report(Ok(report)) if report.message.len() > MAX_MESSAGE_BYTES => {
                return Finding::warn(
                    format!("a message has {} bytes", report.message.len()),
                    "Keep messages below 1,024 bytes: of longer ones the beginning is kept.",
                );
            }
            Body::Report(Ok(_)) => reports += 1,
            _ => {}
        }
    }
    if reports == 0 {
        Finding::skip("nothing was reported")
    } else {
        Finding::pass(format!("{reports} reports"))
    }
}
