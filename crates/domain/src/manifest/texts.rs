//! What an archive says of itself: `meta.json` for programs, and the same facts as `README.md` for people (S0-33).

use chrono::SecondsFormat;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    csv_options::CsvOptions,
    export::Export,
    owner::Owner,
    resource::{Resource, SourceError, StoredData},
};

/// Tells customers where to turn; part of every archive.
const HELP: &str = "This archive holds the data you asked for, one file for each source. If a file is missing or \
                    looks wrong, contact the support of the application that it belongs to.";

/// Both texts, while they are made.
pub(super) struct Texts<'a> {
    meta: Meta<'a>,
}

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

impl<'a> Texts<'a> {
    /// The beginning: of whose export it is told.
    pub(super) fn new(export: &Export, owner: &'a Owner) -> Self {
        let meta = Meta {
            exported_by: &owner.username,
            export_date: export.created_at.to_rfc3339_opts(SecondsFormat::Secs, true),
            export_org_id: &owner.org_id,
            file_meta: Vec::new(),
            help_string: HELP,
            failed_files: Vec::new(),
        };
        Self { meta }
    }

    /// Tells of a file in the archive.
    pub(super) fn add_file(&mut self, filename: String, resource: &'a Resource, data: &StoredData) {
        self.meta.file_meta.push(FileMeta {
            filename,
            application: resource.application.as_str(),
            resource: resource.resource.as_str(),
            filters: resource.filters.as_ref(),
            size_bytes: data.size_bytes,
            sha256: data.sha256_hex(),
            csv: data.changed_from.map(|_| resource.csv),
            uploaded_sha256: data.changed_from.map(|uploaded| uploaded.sha256_hex()),
        });
    }

    /// Tells of a file that is not in the archive, and why.
    pub(super) fn add_failed(&mut self, filename: String, resource: &'a Resource, error: SourceError) {
        self.meta.failed_files.push(FailedFile {
            filename,
            application: resource.application.as_str(),
            resource: resource.resource.as_str(),
            error,
        });
    }

    /// The text of `meta.json`.
    pub(super) fn meta_json(&self) -> String {
        serde_json::json!(self.meta).to_string()
    }

    /// The text of `README.md`.
    pub(super) fn readme(&self) -> String {
        readme(&self.meta)
    }
}

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
    use super::{
        super::samples::{complete, export, freeze, resource},
        *,
    };
    use crate::resource::{ResourceState, UploadedData};

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
    fn text_from_outside_stays_on_its_line_and_is_no_markup() {
        assert_eq!(code("a`\n# b"), "`a' # b`");
    }
}
