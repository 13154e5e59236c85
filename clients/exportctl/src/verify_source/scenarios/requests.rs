//! Every kind of request.

use std::time::Duration;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::verify_source::{
    arguments::DataFormat,
    case::{Case, Settled},
    check::Check,
    content::Content,
    report::Finding,
    script::Script,
    stage::{Stage, Stop, seconds},
    wiring,
};

/// The name of what no application knows.
const UNKNOWN: &str = "exportctl-unknown";

/// The first request. Without an answer to it there is nothing to check.
///
/// # Errors
/// [`Stop::Silent`].
pub(super) async fn first(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let id = stage.ask_plain("the first request", None).await?;
    let within = stage.limit().max(Duration::from_secs(stage.arguments.start_within));
    stage.ledger.with_case(id, |case| case.grace = within.saturating_sub(stage.limit()));
    if stage.answer_within(id, within).await.is_some() {
        let took = stage.case(id, |case| case.settled.as_ref().map(|(.., at)| *at - case.asked)).flatten();
        stage.note(Check::Answers, Finding::pass(format!("after {}", seconds(took.unwrap_or_default()))));
        return Ok(());
    }
    if stage.case(id, Case::was_called) == Some(true) {
        let finding = Finding::fail(stage.instead(id), "The other checks say what is wrong with it.");
        stage.note(Check::Answers, finding);
        return Ok(());
    }
    let finding =
        Finding::fail(format!("no answer within {}", seconds(within)), wiring::explain(stage).await);
    stage.report.note(Check::Answers, finding);
    Err(Stop::Silent)
}

/// Each format, offered or not.
pub(super) async fn formats(stage: &mut Stage<'_>) -> Result<(), Stop> {
    for (format, check) in [(DataFormat::Json, Check::Json), (DataFormat::Csv, Check::Csv)] {
        let name = format.as_str();
        let request = stage.request(&stage.arguments.resource, name, None);
        let id = stage.ask(&format!("a request for {name}"), request, Script::platform()).await?;
        let answer = stage.answer(id).await;
        let finding = if stage.arguments.formats.contains(&format) {
            match answer {
                Some(Settled::Data(content)) => judge_rows(&content, name),
                other => no_data(stage, id, other),
            }
        } else {
            match answer {
                Some(Settled::Error(report)) => {
                    Finding::pass(format!("not offered, and says so ({})", report.code))
                }
                Some(Settled::Data(_)) => Finding::warn(
                    "it is not among --formats, and data came",
                    format!("Add {name} to --formats, so that its data is checked."),
                ),
                None => Finding::fail(
                    stage.instead(id),
                    format!("Report an error for {name}, which is not offered: customers wait otherwise."),
                ),
            }
        };
        stage.note(check, finding);
    }
    Ok(())
}

fn judge_rows(content: &Content, format: &str) -> Finding {
    match &content.rows {
        Err(wrong) if format == "json" => Finding::fail(
            wrong,
            "Write one JSON array, as UTF-8 without a byte order mark, [] when there are no rows; take a library that does.",
        ),
        Err(wrong) => Finding::fail(
            wrong,
            "Write CSV with a library: a header, as many fields in every line, quotes where needed, CRLF, UTF-8.",
        ),
        Ok(found) if found.bare_line_feeds => Finding::warn(
            format!("{} rows, lines end with LF", found.rows),
            "End lines with CRLF, as RFC 4180 has it; some readers insist.",
        ),
        Ok(found) => Finding::pass(format!("{} rows, {} bytes", found.rows, content.size_bytes)),
    }
}

fn no_data(stage: &Stage<'_>, id: Uuid, answer: Option<Settled>) -> Finding {
    match answer {
        Some(Settled::Error(report)) => Finding::fail(
            format!("it reported error {}: {}", report.code, report.message),
            "Offer the resource in this format to this customer, or change --resource, --formats or --identity.",
        ),
        _ => Finding::fail(stage.instead(id), "Upload the data, or report why there is none."),
    }
}

/// Filters that the resource knows.
pub(super) async fn filters(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let Some(filters) = stage.arguments.filters.clone() else {
        stage.note(Check::Filters, Finding::skip("--filters names none"));
        return Ok(());
    };
    let all = stage.ask_plain("a request without filters", None).await?;
    let all = stage.answer(all).await;
    let some = stage.ask_plain("a request with filters", Some(filters)).await?;
    let finding = match (stage.answer(some).await, all) {
        (Some(Settled::Data(some)), Some(Settled::Data(all))) if some.sha256 == all.sha256 => Finding::fail(
            "the data is the same with and without --filters",
            "Apply the filters of the request; or name --filters that leave out some rows.",
        ),
        (Some(Settled::Data(some)), _) => match &some.rows {
            Ok(found) => Finding::pass(format!("{} rows", found.rows)),
            Err(wrong) => Finding::fail(wrong, "Write filtered data as you write all of it."),
        },
        (other, _) => no_data(stage, some, other),
    };
    stage.note(Check::Filters, finding);
    Ok(())
}

/// Filters that are empty, null, or unknown.
pub(super) async fn odd_filters(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let empty = stage.ask_plain("a request with empty filters", Some(Map::new())).await?;
    let known = stage.arguments.filters.as_ref().and_then(|filters| filters.keys().next());
    let null = Map::from_iter([(known.map_or(UNKNOWN, String::as_str).to_owned(), Value::Null)]);
    let null = stage.ask_plain("a request with a filter that is null", Some(null)).await?;
    let unknown = json!({UNKNOWN: "x"}).as_object().cloned();
    let unknown = stage.ask_plain("a request with an unknown filter", unknown).await?;

    let finding = match stage.answer(empty).await {
        Some(Settled::Data(_)) => Finding::pass("with data"),
        Some(Settled::Error(report)) => Finding::fail(
            format!("it reported error {}: {}", report.code, report.message),
            "Take `filters: {}` for a request without filters: customers may send it.",
        ),
        None => Finding::fail(stage.instead(empty), "Take `filters: {}` for a request without filters."),
    };
    stage.note(Check::EmptyFilters, finding);

    let finding = match stage.answer(null).await {
        Some(Settled::Data(_)) => Finding::pass("with data"),
        Some(Settled::Error(report)) => Finding::pass(format!("with error {}", report.code)),
        None => Finding::fail(
            stage.instead(null),
            "A filter's value may be any JSON, null as well: apply it, ignore it, or report an error.",
        ),
    };
    stage.note(Check::NullFilter, finding);

    let finding = match stage.answer(unknown).await {
        Some(Settled::Error(report)) => Finding::pass(format!("with error {}", report.code)),
        Some(Settled::Data(_)) => Finding::warn(
            "it was ignored",
            "Report an error that names the filters that there are: ignored, the customer gets more than asked for.",
        ),
        None => {
            Finding::fail(stage.instead(unknown), "Report an error that names the filters that there are.")
        }
    };
    stage.note(Check::UnknownFilter, finding);
    Ok(())
}

/// A resource that there is not.
pub(super) async fn unknown_resource(stage: &mut Stage<'_>) -> Result<(), Stop> {
    let request = stage.request(UNKNOWN, stage.arguments.main_format().as_str(), None);
    let id = stage.ask("a request for an unknown resource", request, Script::platform()).await?;
    let mend = "Report an error for a resource that you do not know, such as 404: customers wait otherwise.";
    let finding = match stage.answer(id).await {
        Some(Settled::Error(report)) => Finding::pass(format!("with error {}", report.code)),
        Some(Settled::Data(_)) => Finding::fail("data came", mend),
        None => Finding::fail(stage.instead(id), mend),
    };
    stage.note(Check::UnknownResource, finding);
    Ok(())
}
