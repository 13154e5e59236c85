//! What became of resumable uploads (S0-tus).

use crate::verify_source::{case::Case, ledger::State, post::Attempt, report::Finding};

/// Judges all of them, and closer those of the case whose answer was cut.
pub(super) fn resumable(state: &State, cut: &[&Case]) -> Finding {
    if let Some(misuse) = state.cases.values().find_map(|case| case.misuse.as_ref()) {
        return Finding::fail(
            misuse,
            "Speak tus 1.0.0, best by a library of it: Tus-Resumable: 1.0.0 on every request, Upload-Length or \
             Upload-Defer-Length: 1 at the beginning, then Upload-Offset and Content-Type: \
             application/offset+octet-stream.",
        );
    }
    if state.cases.values().all(|case| case.calls.is_empty()) {
        return Finding::skip("each answer came in one request");
    }
    let in_pieces = |case: &&&Case| case.attempts.iter().any(|attempt| attempt.head.piece.is_some());
    let Some(cut) = cut.iter().find(in_pieces) else {
        return Finding::skip("the answer that was cut came in one request");
    };
    let Some(from_byte) = gone_on(&cut.attempts) else {
        return Finding::warn(
            "the upload that was cut was not gone on with",
            "After a broken connection ask with HEAD how far it is, and go on from its Upload-Offset.",
        );
    };
    let left_behind = left_behind(state);
    if left_behind > 0 {
        return Finding::warn(
            format!("{left_behind} were neither finished nor ended"),
            "DELETE an upload that is not gone on with: what it has brought is kept for a day otherwise.",
        );
    }
    Finding::pass(format!("from byte {from_byte}"))
}

/// Uploads that were given up without a word, though their source was answered.
fn left_behind(state: &State) -> usize {
    let answered = state.cases.values().filter(|case| case.settled.is_some());
    answered.flat_map(|case| case.uploads.values()).filter(|upload| !upload.finished).count()
}

/// From which byte an upload went on after its attempt had failed.
fn gone_on(attempts: &[Attempt]) -> Option<u64> {
    attempts.windows(2).find_map(|pair| match (pair[0].head.piece, pair[1].head.piece) {
        (Some((one, _)), Some((other, from_byte))) if one == other => Some(from_byte),
        _ => None,
    })
}
