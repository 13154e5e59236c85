//! The applications that the default settings know, and their keys.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use crate::data_folder::{DataFolder, write_private};

/// The demo application, answered by `examples/inventory-source`.
pub(crate) const DEMO: &str = "inventory";
/// What the demo application delivers.
pub(crate) const DEMO_RESOURCES: [&str; 3] = ["packages", "processes", "mounts"];

/// The platform itself, answered by `examples/sql-source` where that is asked for.
pub(crate) const PLATFORM: &str = "platform";

/// The registry without its keys.
const REGISTRY: &str = include_str!("../applications.toml");

/// An application with the key that it calls the internal API with.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Application {
    /// Goes into the header `x-rh-exports-psk`.
    pub(crate) psk: String,
    /// What customers may ask for.
    pub(crate) resources: Vec<String>,
    /// Its section of the registry, without the key.
    #[serde(skip)]
    pub(crate) entry: Table,
}

impl Application {
    /// SHA-256 of the key, hexadecimal: what the services get to know of it.
    pub(crate) fn key_hash(&self) -> String {
        hex(&Sha256::digest(self.psk.as_bytes()))
    }
}

/// The applications by name.
pub(crate) type Applications = BTreeMap<String, Application>;

#[derive(Deserialize)]
struct Registry {
    applications: BTreeMap<String, Table>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Keys(BTreeMap<String, String>);

/// The applications with their keys, which are drawn at the first start and kept in `keys.json`, mode
/// 0600.
///
/// # Errors
/// When the file cannot be read or written.
pub(crate) fn load(folder: &DataFolder) -> Result<Applications> {
    let Registry { applications } = toml::from_str(REGISTRY).context("applications.toml")?;
    let path = folder.entry("keys.json");
    let mut keys = match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).with_context(|| path.display().to_string())?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Keys::default(),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let known_before = keys.0.len();
    for name in applications.keys() {
        if !keys.0.contains_key(name) {
            keys.0.insert(name.clone(), random_key()?);
        }
    }
    if keys.0.len() != known_before {
        write_private(&path, &serde_json::to_vec_pretty(&keys)?)?;
    }
    let with_key = |(name, entry): (String, Table)| {
        let psk = keys.0.get(&name).cloned().unwrap_or_default();
        let resources = entry.get("resources").and_then(Value::as_table);
        let resources = resources.map(|resources| resources.keys().cloned().collect()).unwrap_or_default();
        (name, Application { psk, resources, entry })
    };
    Ok(applications.into_iter().map(with_key).collect())
}

/// 256 random bits, hexadecimal.
fn random_key() -> Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("drawing a key")?;
    Ok(hex(&bytes))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 0xf)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_drawn_once_and_kept_private() {
        let temp = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(temp.path()).unwrap();
        let first = load(&folder).unwrap();
        let second = load(&folder).unwrap();
        for (name, application) in &first {
            assert_eq!(application.psk.len(), 64);
            assert_eq!(second.get(name).map(|known| &known.psk), Some(&application.psk));
        }
        assert_ne!(first["inventory"].psk, first["exampleApplication"].psk);
        let mode = fs::metadata(folder.entry("keys.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn customers_can_read_about_everything_that_is_offered() {
        let temp = tempfile::tempdir().unwrap();
        let applications = load(&DataFolder::open(temp.path()).unwrap()).unwrap();
        assert_eq!(applications.keys().collect::<Vec<_>>(), ["exampleApplication", DEMO, PLATFORM]);
        let said = |entry: &Table, name| {
            entry.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty())
        };
        for (name, application) in &applications {
            for part in ["title", "owner", "contact", "documentation", "documentation_url"] {
                assert!(said(&application.entry, part), "{name}: {part}");
            }
            assert!(application.resources.len() > 1, "{name}");
            for resource in &application.resources {
                let entry = application.entry["resources"][resource].as_table().unwrap();
                assert!(said(entry, "title"), "{name}: {resource}");
            }
        }
        for resource in DEMO_RESOURCES {
            assert!(applications[DEMO].resources.iter().any(|known| known == resource), "{resource}");
        }
    }

    #[test]
    fn services_get_to_know_the_hash_of_a_key() {
        let psk = "abc".to_owned();
        let application = Application { psk, resources: Vec::new(), entry: Table::new() };
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(application.key_hash(), known);
    }
}
