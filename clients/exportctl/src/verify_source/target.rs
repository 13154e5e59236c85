//! What a path of the internal API names (S0-47b, X3).

use actix_web::http::Method;
use percent_encoding::percent_decode_str;
use uuid::Uuid;

const BASES: [&str; 2] = ["/app/export/v1/", "/internal/export/v1/"];

/// Clients in the field encode twice at most.
const MAX_ROUNDS: usize = 4;

/// What an application calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Data.
    Upload,
    /// An error report.
    Report,
    /// The beginning of a resumable upload (S0-tus).
    Begin,
    /// What belongs to a resumable upload, by its id.
    Resume(Uuid),
}

impl Action {
    /// Whether it is called by `method`.
    pub(crate) fn takes(self, method: &Method) -> bool {
        match self {
            Self::Upload | Self::Report => method == Method::POST,
            Self::Begin => [Method::POST, Method::OPTIONS].contains(method),
            Self::Resume(_) => {
                [Method::HEAD, Method::PATCH, Method::DELETE, Method::OPTIONS].contains(method)
            }
        }
    }
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
        let (action, [export, application, resource]) = match segments[..] {
            [first, second, third, "uploads"] => (Action::Begin, [first, second, third]),
            [first, second, third, "uploads", id] => {
                (Action::Resume(id.parse().ok()?), [first, second, third])
            }
            [first, second, third, fourth] => match (action(first), action(fourth)) {
                (Some(action), _) => (action, [second, third, fourth]),
                (None, Some(action)) => (action, [first, second, third]),
                (None, None) => return None,
            },
            _ => return None,
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
    fn s0_tus_a_resumable_upload_has_a_path_of_its_own() {
        let uploads = format!("/app/export/v1/{EXPORT}/a/{RESOURCE}/uploads");
        assert_eq!(Target::parse(&uploads).unwrap().action, Action::Begin);
        let one = Target::parse(&format!("{uploads}/{EXPORT}")).unwrap();
        assert_eq!(one.action, Action::Resume(EXPORT.parse().unwrap()));
        assert!(one.action.takes(&Method::PATCH) && !one.action.takes(&Method::POST));
    }

    #[test]
    fn other_paths_are_none() {
        for path in [
            "/",
            "/app/export/v1/ping",
            &format!("/app/export/v1/{EXPORT}/a/{RESOURCE}"),
            &format!("/app/export/v1/{EXPORT}/a/x/upload"),
            &format!("/api/export/v1/{EXPORT}/a/{RESOURCE}/upload"),
            &format!("/app/export/v1/uploads/{EXPORT}/a/{RESOURCE}"),
            &format!("/app/export/v1/{EXPORT}/a/{RESOURCE}/uploads/x"),
        ] {
            assert_eq!(Target::parse(path), None, "{path}");
        }
    }
}
