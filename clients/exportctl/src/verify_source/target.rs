//! What a path of the internal API names (S0-47b, X3).

use percent_encoding::percent_decode_str;
use uuid::Uuid;

const BASES: [&str; 2] = ["/app/export/v1/", "/internal/export/v1/"];

/// Clients in the field encode twice at most.
const MAX_ROUNDS: usize = 4;

/// What an application posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Data.
    Upload,
    /// An error report.
    Report,
}

/// The source that is answered, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The export.
    pub(crate) export_id: Uuid,
    /// The application, decoded.
    pub(crate) application: String,
    /// The source.
    pub(crate) resource_id: Uuid,
    /// Data or an error.
    pub(crate) action: Action,
}

impl Target {
    /// Reads `path`, in either order of its segments; None when it is no path of an answer.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let rest = BASES.iter().find_map(|base| path.strip_prefix(base))?;
        let segments: Vec<&str> = rest.split('/').collect();
        let [first, second, third, fourth] = segments[..] else { return None };
        let (action, [export, application, resource]) = match (action(first), action(fourth)) {
            (Some(action), _) => (action, [second, third, fourth]),
            (None, Some(action)) => (action, [first, second, third]),
            (None, None) => return None,
        };
        Some(Self {
            export_id: export.parse().ok()?,
            application: decode(application)?,
            resource_id: resource.parse().ok()?,
            action,
        })
    }
}

fn action(segment: &str) -> Option<Action> {
    match segment {
        "upload" => Some(Action::Upload),
        "error" => Some(Action::Report),
        _ => None,
    }
}

/// Decodes until nothing changes any more, as the platform does.
fn decode(segment: &str) -> Option<String> {
    let mut text = segment.to_owned();
    for _ in 0..MAX_ROUNDS {
        let decoded = percent_decode_str(&text).decode_utf8().ok()?.into_owned();
        if decoded == text {
            return Some(text);
        }
        text = decoded;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPORT: &str = "018cc251-f400-7000-8000-000000000002";
    const RESOURCE: &str = "018cc251-f400-7000-8000-000000000003";

    #[test]
    fn s0_47b_both_orders_and_bases_and_encoded_names_are_known() {
        for path in [
            format!("/app/export/v1/{EXPORT}/urn:a/{RESOURCE}/error"),
            format!("/internal/export/v1/error/{EXPORT}/urn%3Aa/{RESOURCE}"),
            format!("/app/export/v1/error/{EXPORT}/urn%253Aa/{RESOURCE}"),
        ] {
            let target = Target::parse(&path).unwrap();
            assert_eq!((target.application.as_str(), target.action), ("urn:a", Action::Report), "{path}");
            assert_eq!(target.export_id.to_string(), EXPORT);
        }
    }

    #[test]
    fn other_paths_are_none() {
        for path in [
            "/",
            "/app/export/v1/ping",
            &format!("/app/export/v1/{EXPORT}/a/{RESOURCE}"),
            &format!("/app/export/v1/{EXPORT}/a/x/upload"),
            &format!("/api/export/v1/{EXPORT}/a/{RESOURCE}/upload"),
            &format!("/app/export/v1/{EXPORT}/a/{RESOURCE}/uploads"),
        ] {
            assert_eq!(Target::parse(path), None, "{path}");
        }
    }
}
