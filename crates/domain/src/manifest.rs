//! The manifest: everything an archive's bytes follow from, frozen when the last source answers.
//!
//! Every replica that lays out the same manifest serves the same bytes, so a download can be resumed
//! anywhere. The texts of `meta.json` and `README.md` are part of it (S0-33).

use std::{collections::BTreeMap, fmt::Write as _};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::{
    csv_options::CsvOptions,
    export::Export,
    ids::{ExportId, ResourceId},
    owner::Owner,
    piece::StoredPiece,
    resource::{Resource, ResourceState, SourceError},
};

/// Tells customers where to turn; part of every archive.
const HELP: &str = "This archive holds the data you asked for, one file for each source. If a file is missing or \
                    looks wrong, contact the support of the application that it belongs to.";

/// The code shown for a file whose source expired before its export (S0-source-expired).
const SOURCE_EXPIRED: i64 = 410;

/// A file of the archive, and the object that holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenMember {
    /// Its name in the archive.
    pub name: String,
    /// The key of its gzip object.
    pub object_key: String,
    /// CRC-32 of the identity bytes.
    pub crc32: u32,
    /// Length of the identity bytes.
    pub size_bytes: u64,
    /// Length of the gzip object.
    pub stored_bytes: u64,
    /// The objects that hold the rest of it, in order, when it lies in several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_pieces: Vec<StoredPiece>,
}

/// A frozen archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the layout rules that turn it into bytes.
    pub layout_version: u32,
    /// Counts from 1; a source that expires makes the next one.
    pub revision: u32,
    /// The strong entity tag of the archive, without quotes: 32 hexadecimal digits that follow from everything
    /// else here. Frozen with it, so that a later version, which may write a manifest otherwise, serves the
    /// same bytes under the same tag.
    pub etag: String,
    /// The export it belongs to.
    pub export_id: ExportId,
    /// The moment it tells of; the time of every file in the archive.
    pub as_of: DateTime<Utc>,
    /// When the first of its files expires ahead of the export, after which it must not be served.
    pub valid_until: Option<DateTime<Utc>>,
    /// The name a download is saved under.
    pub archive_file_name: String,
    /// The delivered files, in the order of the request.
    pub members: Vec<FrozenMember>,
    /// The text of `meta.json`.
    pub meta_json: String,
    /// The text of `README.md`.
    pub readme: String,
}

/// What a manifest is frozen from.
#[derive(Debug, Clone, Copy)]
pub struct ManifestInput<'a> {
    /// The export.
    pub export: &'a Export,
    /// Whose it is.
    pub owner: &'a Owner,
    /// All its sources, none of them pending, in the order of the request.
    pub resources: &'a [Resource],
    /// Of sources whose data lies in several objects, those after the first.
    pub further_pieces: &'a FurtherPieces,
}

/// By source, the objects of its data after the first one, in their order.
pub type FurtherPieces = BTreeMap<ResourceId, Vec<StoredPiece>>;

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are the contract's, S0-33")]
struct Meta<'a> {
    exported_by: &'a str,
    export_date: String,
    export_org_id: &'a str,
    file_meta: Vec<FileMeta<'a>>,
    help_string: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed_files: Vec<FailedFile<'a>>,
}

#[derive(Serialize)]
struct FileMeta<'a> {
    filename: String,
    application: &'a str,
    resource: &'a str,
    filters: Option<&'a Map<String, Value>>,
    size_bytes: u64,
    sha256: String,
    /// What was done to the CSV, where something was.
    #[serde(skip_serializing_if = "Option::is_none")]
    csv: Option<CsvOptions>,
    /// The digest of the bytes as the application delivered them, where those here are others.
    #[serde(skip_serializing_if = "Option::is_none")]
    uploaded_sha256: Option<String>,
}

#[derive(Serialize)]
struct FailedFile<'a> {
    filename: String,
    application: &'a str,
    resource: &'a str,
    error: SourceError,
}

impl Manifest {
    /// Freezes the archive as it is at `as_of`: files whose source has expired by then are listed as
    /// failed. The same input gives the same manifest.
    pub fn freeze(
        input: ManifestInput<'_>,
        revision: u32,
        layout_version: u32,
        as_of: DateTime<Utc>,
    ) -> Self {
        let ManifestInput { export, owner, resources, further_pieces } = input;
        let mut members = Vec::new();
        let mut meta = Meta {
            exported_by: &owner.username,
            export_date: export.created_at.to_rfc3339_opts(SecondsFormat::Secs, true),
            export_org_id: &owner.org_id,
            file_meta: Vec::new(),
            help_string: HELP,
            failed_files: Vec::new(),
        };
        let mut valid_until: Option<DateTime<Utc>> = None;
        for resource in resources {
            let filename = format!("{}.{}", resource.id, export.format.as_str());
            let (application, name) = (resource.application.as_str(), resource.resource.as_str());
            let data = match outcome(resource, as_of) {
                Ok(data) => data,
                Err(error) => {
                    meta.failed_files.push(FailedFile { filename, application, resource: name, error });
                    continue;
                }
            };
            if resource.expires_at < export.expires_at {
                valid_until =
                    Some(valid_until.map_or(resource.expires_at, |known| known.min(resource.expires_at)));
            }
            members.push(FrozenMember {
                name: filename.clone(),
                object_key: data.object_key.clone(),
                crc32: data.crc32,
                size_bytes: data.size_bytes,
                stored_bytes: data.stored_bytes,
                further_pieces: further_pieces.get(&resource.id).cloned().unwrap_or_default(),
            });
            meta.file_meta.push(FileMeta {
                filename,
                application,
                resource: name,
                filters: resource.filters.as_ref(),
                size_bytes: data.size_bytes,
                sha256: data.sha256_hex(),
                csv: data.changed_from.map(|_| resource.csv),
                uploaded_sha256: data.changed_from.map(|uploaded| uploaded.sha256_hex()),
            });
        }
        let mut manifest = Self {
            layout_version,
            revision,
            etag: String::new(),
            export_id: export.id,
            as_of,
            valid_until,
            archive_file_name: export.archive_file_name(),
            members,
            meta_json: serde_json::json!(meta).to_string(),
            readme: readme(&meta),
        };
        manifest.etag = manifest.digest();
        manifest
    }

    /// Whether the next revision has to be frozen before it is served at `now`: because a file in it has
    /// expired, or because it was made for other rules than those of `layout_version`. One for newer rules is
    /// not: while versions change, those that know them serve it, and the others must not undo it.
    pub fn is_outdated(&self, layout_version: u32, now: DateTime<Utc>) -> bool {
        self.layout_version < layout_version || self.valid_until.is_some_and(|until| until <= now)
    }

    fn digest(&self) -> String {
        let document = serde_json::json!(self).to_string();
        let digest = Sha256::digest(document.as_bytes());
        digest[..16].iter().fold(String::with_capacity(32), |mut tag, byte| {
            // Writing to a String cannot fail.
            let _ = write!(tag, "{byte:02x}");
            tag
        })
    }
}

/// The data of a source, or why its file is not in the archive.
fn outcome(resource: &Resource, as_of: DateTime<Utc>) -> Result<&crate::StoredData, SourceError> {
    match &resource.state {
        ResourceState::Complete(data) if resource.expires_at > as_of => Ok(data),
        ResourceState::Complete(_) => {
            let when = resource.expires_at.to_rfc3339_opts(SecondsFormat::Secs, true);
            Err(SourceError::new(SOURCE_EXPIRED, &format!("expired at {when}")))
        }
        ResourceState::Failed(error) => Err(error.clone()),
        ResourceState::Pending => Err(SourceError::deadline_passed(1)),
    }
}

/// The facts of `meta.json` for people.
fn readme(meta: &Meta<'_>) -> String {
    let mut parts = vec![
        "# Export Manifest\n\n## Exported Information\n".to_owned(),
        format!("- **Exported by**: {}", code(meta.exported_by)),
        format!("- **Organization**: {}", code(meta.export_org_id)),
        format!("- **Export date**: {}", meta.export_date),
        "\n## Data Details".to_owned(),
    ];
    for file in &meta.file_meta {
        parts.push(format!("\n### {}\n", file.filename));
        parts.push(format!("- **Application**: {}", code(file.application)));
        parts.push(format!("- **Resource**: {}", code(file.resource)));
        parts.push(format!("- **Size**: {} bytes", file.size_bytes));
        parts.push(format!("- **SHA-256**: {}", file.sha256));
        parts.extend(file.csv.map(csv_line));
        let uploaded = file.uploaded_sha256.as_ref();
        parts.extend(uploaded.map(|digest| format!("- **SHA-256 as delivered**: {digest}")));
        match file.filters {
            None => parts.push("- **Filters**: none".to_owned()),
            Some(filters) if filters.is_empty() => parts.push("- **Filters**: none".to_owned()),
            Some(filters) => {
                parts.push("- **Filters**:".to_owned());
                parts.extend(
                    filters
                        .iter()
                        .map(|(name, value)| format!("  - {}: {}", code(name), code(&value.to_string()))),
                );
            }
        }
    }
    if !meta.failed_files.is_empty() {
        parts.push("\n## Failed Files".to_owned());
    }
    for file in &meta.failed_files {
        parts.push(format!("\n### {}\n", file.filename));
        parts.push(format!("- **Application**: {}", code(file.application)));
        parts.push(format!("- **Resource**: {}", code(file.resource)));
        parts.push(format!("- **Error**: {}, {}", file.error.code(), code(file.error.message())));
    }
    parts.push(format!("\n## Help and Support\n\n{}\n", meta.help_string));
    parts.join("\n")
}

fn csv_line(done: CsvOptions) -> String {
    let guard = done.formula_guard.then_some("cells that look like formulas begin with `'`");
    let bom = done.bom.then_some("begins with a byte order mark");
    let done: Vec<&str> = guard.into_iter().chain(bom).collect();
    format!("- **Changed for spreadsheets**: {}", done.join("; "))
}

/// A text from outside as Markdown code, on one line, so that it cannot become markup of its own.
fn code(text: &str) -> String {
    let clean: String = text
        .chars()
        .map(|c| {
            if c.is_control() {
                ' '
            } else if c == '`' {
                '\''
            } else {
                c
            }
        })
        .collect();
    format!("`{clean}`")
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::{
        clock::{Clock as _, SystemClock},
        export::{ExportFormat, ExportStatus},
        names::{ApplicationName, ResourceName},
        resource::{StoredData, UploadedData},
    };

    fn owner() -> Owner {
        Owner { account: String::new(), org_id: "org".to_owned(), username: "jdoe".to_owned() }
    }

    fn export() -> Export {
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

    fn resource(export: &Export, state: ResourceState) -> Resource {
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

    fn complete() -> ResourceState {
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

    fn freeze(export: &Export, resources: &[Resource], as_of: DateTime<Utc>) -> Manifest {
        freeze_in_pieces(export, resources, &FurtherPieces::new(), as_of)
    }

    fn freeze_in_pieces(
        export: &Export,
        resources: &[Resource],
        further_pieces: &FurtherPieces,
        as_of: DateTime<Utc>,
    ) -> Manifest {
        Manifest::freeze(ManifestInput { export, owner: &owner(), resources, further_pieces }, 1, 1, as_of)
    }

    #[test]
    fn pieces_are_frozen_and_a_file_of_one_object_says_nothing_of_them() {
        let export = export();
        let resources = [resource(&export, complete()), resource(&export, complete())];
        let piece = StoredPiece { object_key: "k2".to_owned(), stored_bytes: 9 };
        let further = FurtherPieces::from([(resources[1].id, vec![piece.clone()])]);
        let manifest = freeze_in_pieces(&export, &resources, &further, export.created_at);
        let document = serde_json::json!(manifest);
        // Those frozen before there were pieces read as they did, and keep their tag.
        assert!(document["members"][0].get("further_pieces").is_none());
        assert_eq!(document["members"][1]["further_pieces"], serde_json::json!([piece]));
        assert_eq!(serde_json::from_value::<Manifest>(document).unwrap(), manifest);
    }

    #[test]
    fn a_failed_source_is_named_with_its_reason() {
        let export = export();
        let error = SourceError::new(404, "no such resource");
        let resources = [resource(&export, complete()), resource(&export, ResourceState::Failed(error))];
        let manifest = freeze(&export, &resources, export.created_at);
        let meta: Value = serde_json::from_str(&manifest.meta_json).unwrap();
        assert_eq!(manifest.members.len(), 1);
        assert_eq!(meta["file_meta"][0]["filename"], format!("{}.json", resources[0].id));
        assert_eq!(meta["file_meta"][0]["sha256"], "01".repeat(32));
        assert_eq!(meta["failed_files"][0]["error"]["code"], 404);
        assert!(manifest.readme.starts_with("# Export Manifest\n"));
        assert!(manifest.readme.contains("## Failed Files"));
        assert!(manifest.readme.contains("no such resource"));
    }

    #[test]
    fn what_was_done_to_csv_is_said_beside_both_digests() {
        let export = export();
        let ResourceState::Complete(data) = complete() else { panic!("it is complete") };
        let changed_from = Some(UploadedData { size_bytes: 4, sha256: [2; 32] });
        let state = ResourceState::Complete(StoredData { changed_from, ..data });
        let csv = CsvOptions { formula_guard: true, bom: false };
        let resources = [Resource { csv, ..resource(&export, state) }, resource(&export, complete())];
        let manifest = freeze(&export, &resources, export.created_at);
        let meta: Value = serde_json::from_str(&manifest.meta_json).unwrap();
        let (changed, plain) = (&meta["file_meta"][0], &meta["file_meta"][1]);
        assert_eq!(changed["csv"], serde_json::json!({"formula_guard": true, "bom": false}));
        assert_eq!(changed["sha256"], "01".repeat(32));
        assert_eq!(changed["uploaded_sha256"], "02".repeat(32));
        assert_eq!((plain.get("csv"), plain.get("uploaded_sha256")), (None, None));
        assert!(
            manifest.readme.contains("- **Changed for spreadsheets**: cells that look like formulas begin")
        );
        assert!(manifest.readme.contains(&format!("- **SHA-256 as delivered**: {}", "02".repeat(32))));
    }

    #[test]
    fn without_failures_the_failed_files_are_absent() {
        let export = export();
        let manifest = freeze(&export, &[resource(&export, complete())], export.created_at);
        let meta: Value = serde_json::from_str(&manifest.meta_json).unwrap();
        assert!(meta.get("failed_files").is_none());
        assert!(!manifest.readme.contains("Failed Files"));
    }

    #[test]
    fn a_source_that_expires_first_leaves_the_archive() {
        let export = export();
        let soon = export.created_at + TimeDelta::days(1);
        let short_lived = Resource { expires_at: soon, ..resource(&export, complete()) };
        let resources = [short_lived, resource(&export, complete())];
        let before = freeze(&export, &resources, export.created_at);
        assert_eq!((before.members.len(), before.valid_until), (2, Some(soon)));
        assert!(!before.is_outdated(1, soon - TimeDelta::seconds(1)));
        assert!(before.is_outdated(1, soon));
        let after = freeze(&export, &resources, soon);
        let meta: Value = serde_json::from_str(&after.meta_json).unwrap();
        assert_eq!((after.members.len(), after.valid_until), (1, None));
        assert_eq!(meta["failed_files"][0]["error"]["code"], 410);
        assert_ne!(before.etag, after.etag);
    }

    #[test]
    fn an_archive_of_another_layout_is_another_one() {
        let (export, one) = (export(), 1);
        let manifest = freeze(&export, &[resource(&export, complete())], export.created_at);
        assert!(!manifest.is_outdated(one, export.created_at));
        assert!(manifest.is_outdated(one + 1, export.created_at));
    }

    #[test]
    fn the_same_input_freezes_to_the_same_manifest() {
        let export = export();
        let resources = [resource(&export, complete())];
        let (one, two) =
            (freeze(&export, &resources, export.created_at), freeze(&export, &resources, export.created_at));
        assert_eq!(one, two);
        assert_eq!(one.etag, two.etag);
        assert_eq!(one.etag.len(), 32);
    }

    #[test]
    fn text_from_outside_stays_on_its_line_and_is_no_markup() {
        assert_eq!(code("a`\n# b"), "`a' # b`");
    }
}
