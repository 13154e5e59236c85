//! What can be said only at the end, from everything that came.

mod posts;
mod resumable;
mod silence;

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{check::Check, ledger::State, report::Finding};

/// All findings about what came: how posts looked, and what should not have come.
pub(crate) fn judge(
    state: &State,
    watched: &BTreeMap<Check, Vec<Uuid>>,
    limit: std::time::Duration,
) -> Vec<(Check, Finding)> {
    let mut findings = vec![
        (Check::Key, posts::key(state)),
        (Check::KeyNotInUrl, posts::key_not_in_url(state)),
        (Check::Path, posts::path(state)),
        (Check::ContentType, posts::content_type(state)),
        (Check::Encoding, posts::encoding(state)),
        (Check::Streaming, posts::streaming(state)),
        (Check::ErrorReport, posts::error_report(state)),
        (Check::Once, silence::once(state)),
        (Check::InTime, silence::in_time(state, limit)),
    ];
    let cases_of = |ids: &[Uuid]| ids.iter().filter_map(|id| state.cases.get(id)).collect::<Vec<_>>();
    let cut = watched.get(&Check::Resumable).map_or(Vec::new(), |ids| cases_of(ids));
    findings.push((Check::Resumable, resumable::resumable(state, &cut)));
    for (check, ids) in watched {
        let cases = cases_of(ids);
        let finding = match check {
            Check::OtherApplication => silence::other_application(&cases),
            Check::Duplicate => silence::duplicate(&cases),
            Check::UnknownFormat => silence::unknown_format(&cases),
            Check::Unauthorized => silence::unauthorized(&cases),
            Check::Refusals => silence::refusals(&cases),
            _ => continue,
        };
        findings.push((*check, finding));
    }
    findings
}
