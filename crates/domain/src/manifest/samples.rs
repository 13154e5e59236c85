//! An export and its sources, for tests.

use chrono::{DateTime, TimeDelta, Utc};

use super::{FurtherPieces, Manifest, ManifestInput};
use crate::{
    clock::{Clock as _, SystemClock},
    csv_options::CsvOptions,
    export::{Export, ExportFormat, ExportStatus},
    ids::{ExportId, ResourceId},
    names::{ApplicationName, ResourceName},
    owner::Owner,
    resource::{Resource, ResourceState, StoredData},
};

pub(super) fn owner() -> Owner {
    Owner { account: String::new(), org_id: "org".to_owned(), username: "jdoe".to_owned() }
}

pub(super) fn export() -> Export {
    let now = SystemClock.now();
    Export {
        id: ExportId::random(),
        name: "Nightly".to_owned(),
        created_at: now,
        completed_at: Some(now),
        expires_at: now + TimeDelta::days(7),
        format: ExportFormat::Json,
        status: ExportStatus::Partial,
    }
}

pub(super) fn resource(export: &Export, state: ResourceState) -> Resource {
    Resource {
        id: ResourceId::random(),
        application: ApplicationName::parse("app").unwrap(),
        resource: ResourceName::parse("res").unwrap(),
        filters: serde_json::json!({"a": "`#"}).as_object().cloned(),
        csv: CsvOptions::default(),
        expires_at: export.expires_at,
        asked_at: export.created_at,
        state,
    }
}

pub(super) fn complete() -> ResourceState {
    let data = StoredData {
        object_key: "k".to_owned(),
        size_bytes: 5,
        stored_bytes: 25,
        crc32: 7,
        sha256: [1; 32],
        changed_from: None,
    };
    ResourceState::Complete(data)
}

pub(super) fn freeze(export: &Export, resources: &[Resource], as_of: DateTime<Utc>) -> Manifest {
    freeze_in_pieces(export, resources, &FurtherPieces::new(), as_of)
}

pub(super) fn freeze_in_pieces(
    export: &Export,
    resources: &[Resource],
    further_pieces: &FurtherPieces,
    as_of: DateTime<Utc>,
) -> Manifest {
    Manifest::freeze(ManifestInput { export, owner: &owner(), resources, further_pieces }, 1, 1, as_of)
}
