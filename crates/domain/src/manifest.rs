//! The manifest: everything an archive's bytes follow from, frozen when the last source answers.
//!
//! Every replica that lays out the same manifest serves the same bytes, so a download can be resumed
//! anywhere. The texts of `meta.json` and `README.md` are part of it (S0-33).

#[cfg(test)]
mod samples;
mod texts;

use std::{collections::BTreeMap, fmt::Write as _};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use self::texts::Texts;
use crate::{
    export::Export,
    ids::{ExportId, ResourceId},
    owner::Owner,
    piece::StoredPiece,
    resource::{Resource, ResourceState, SourceError, StoredData},
};

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
        let (mut members, mut texts) = (Vec::new(), Texts::new(export, owner));
        let mut valid_until: Option<DateTime<Utc>> = None;
        for resource in resources {
            let file_name = format!("{}.{}", resource.id, export.format.as_str());
            let data = match outcome(resource, as_of) {
                Ok(data) => data,
                Err(error) => {
                    texts.add_failed(file_name, resource, error);
                    continue;
                }
            };
            if resource.expires_at < export.expires_at {
                valid_until =
                    Some(valid_until.map_or(resource.expires_at, |known| known.min(resource.expires_at)));
            }
            members.push(FrozenMember {
                name: file_name.clone(),
                object_key: data.object_key.clone(),
                crc32: data.crc32,
                size_bytes: data.size_bytes,
                stored_bytes: data.stored_bytes,
                further_pieces: further_pieces.get(&resource.id).cloned().unwrap_or_default(),
            });
            texts.add_file(file_name, resource, data);
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
            meta_json: texts.meta_json(),
            readme: texts.readme(),
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
fn outcome(resource: &Resource, as_of: DateTime<Utc>) -> Result<&StoredData, SourceError> {
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

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::Value;

    use super::{
        samples::{complete, export, freeze, freeze_in_pieces, resource},
        *,
    };

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
}
