//! What should not have come, and what came too late.

use std::time::Duration;

use crate::verify_source::{
    case::{Case, Settled},
    ledger::State,
    report::Finding,
    stage::seconds,
};

/// Two tries of a refused key in less than this are no waiting.
const HAMMERING: Duration = Duration::from_millis(100);

/// Whether one of a case's later posts differed from its answer.
fn differs(case: &Case) -> bool {
    case.later_attempts().iter().any(|attempt| attempt.status == Some(410))
}

pub(super) fn once(state: &State) -> Finding {
    let mut repeated = None;
    for case in state.cases.values().filter(|case| case.is_due() && !case.copied) {
        if differs(case) {
            return Finding::fail(
                format!("{} was answered again, otherwise", case.purpose),
                "Answer a request once: after 202 it is settled, and another answer is refused with 410.",
            );
        }
        if !case.later_attempts().is_empty() {
            repeated = Some(&case.purpose);
        }
    }
    match repeated {
        Some(purpose) => Finding::warn(
            format!("{purpose} was answered again, with the same"),
            "Stop at 202: another answer is only work.",
        ),
        None => Finding::pass("nothing came after 202"),
    }
}

pub(super) fn in_time(state: &State, limit: Duration) -> Finding {
    let (mut slowest, mut late) = (Duration::ZERO, Vec::new());
    for case in state.cases.values().filter(|case| case.is_due()) {
        match case.settled {
            Some((.., at)) if at - case.asked <= limit + case.grace => slowest = slowest.max(at - case.asked),
            None if case.was_called() => {}
            _ => late.push(case.purpose.as_str()),
        }
    }
    if late.is_empty() {
        return Finding::pass(format!("the slowest answer took {}", seconds(slowest)));
    }
    Finding::fail(
        format!("not answered within {}: {}", seconds(limit), late.join(", ")),
        "Answer every request, with data or an error report. If the data takes long to read, give it more time \
         with --answer-within.",
    )
}

pub(super) fn other_application(cases: &[&Case]) -> Finding {
    if cases.iter().any(|case| !case.attempts.is_empty()) {
        return Finding::fail(
            "a request to another application was answered",
            "Answer only records whose header `application` and data.resource_request.application are your name.",
        );
    }
    Finding::pass("passed over")
}

pub(super) fn duplicate(cases: &[&Case]) -> Finding {
    let Some(case) = cases.first() else { return Finding::skip("it was not sent") };
    match case.later_attempts() {
        _ if case.settled.is_none() => Finding::skip("the event itself was not answered"),
        [] => Finding::pass("passed over"),
        _ if differs(case) => Finding::fail(
            "the copy was answered with other data",
            "Remember the ids of events that you answered and pass over their copies; or answer them with the \
             same bytes (the same order, no times of now).",
        ),
        _ => Finding::pass("answered with the same"),
    }
}

pub(super) fn unknown_format(cases: &[&Case]) -> Finding {
    let mend =
        "Report an error for a format that you do not know: the customer waits for the deadline otherwise.";
    match cases.first().and_then(|case| case.answer()) {
        Some(Settled::Error(report)) => Finding::pass(format!("with error {}", report.code)),
        Some(Settled::Data(_)) => Finding::fail("data came for pdf", mend),
        None => Finding::warn("no answer", mend),
    }
}

pub(super) fn unauthorized(cases: &[&Case]) -> Finding {
    let Some(case) = cases.first() else { return Finding::skip("it was not asked") };
    let gaps = case.gaps();
    match (case.attempts.len(), case.answer()) {
        (0, _) => Finding::fail("no answer", "Answer every request."),
        (3.., _) if gaps.iter().take(2).sum::<Duration>() < HAMMERING => Finding::fail(
            "it was sent again without a wait",
            "Wait longer after each failure: a refused key is mended by people.",
        ),
        (_, Some(_)) => Finding::pass(format!("sent again, {} times", case.attempts.len() - 1)),
        (1, None) => Finding::warn(
            "it was given up",
            "Try again with growing waits after 401 and 403: while a key is replaced, requests must not be lost.",
        ),
        (_, None) => Finding::pass("it keeps trying"),
    }
}

pub(super) fn refusals(cases: &[&Case]) -> Finding {
    let mend = "Take 400, 404, 410 and 413 for final: log them, commit, and go on with the next request.";
    let again = |case: &&&Case| case.attempts.len() > 1;
    match cases.iter().filter(again).max_by_key(|case| case.attempts.len()) {
        None if cases.iter().any(|case| case.attempts.is_empty()) => {
            Finding::fail("a request was not answered", "Answer every request.")
        }
        None => Finding::pass("each sent once"),
        Some(case) => {
            let detail = format!("{}: sent {} times", case.purpose, case.attempts.len());
            if case.attempts.len() == 2 { Finding::warn(detail, mend) } else { Finding::fail(detail, mend) }
        }
    }
}
