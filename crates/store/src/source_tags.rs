//! What listings find exports by when they are asked for an application or a resource.
//!
//! The names are kept with the export once more, as texts to compare. So such a listing reads the rows of its
//! caller and nothing else; with the sources themselves it would read those of every caller.

use std::collections::BTreeSet;

use domain::SourceDraft;

/// Stands between the two names of a tag. It is a control character, so no name has it.
const SEPARATOR: char = '\u{1f}';

/// The tag for sources of `application` and `resource`, where empty stands for any.
fn tag(application: &str, resource: &str) -> String {
    format!("{application}{SEPARATOR}{resource}")
}

/// The tags of an export: each application, each resource and each pair of them that a source has, once.
pub(crate) fn tags_of(sources: &[SourceDraft]) -> Vec<String> {
    let names = sources.iter().map(|source| (source.application.as_str(), source.resource.as_str()));
    let tags: BTreeSet<String> = names
        .flat_map(|(application, resource)| {
            [tag(application, ""), tag("", resource), tag(application, resource)]
        })
        .collect();
    tags.into_iter().collect()
}

/// The tag of every export that has a source with these names; None when none is asked for.
pub(crate) fn wanted_tag(application: Option<&str>, resource: Option<&str>) -> Option<String> {
    (application.is_some() || resource.is_some())
        .then(|| tag(application.unwrap_or_default(), resource.unwrap_or_default()))
}
