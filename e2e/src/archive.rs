//! A downloaded archive, read by a program that is not ours.

use std::io::{Cursor, Read as _};

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use zip::ZipArchive;

/// The SHA-256 of `bytes` in hexadecimal, as `meta.json` has it.
pub fn sha256_hex(bytes: impl AsRef<[u8]>) -> String {
    let bytes = Sha256::digest(bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// A zip archive, unpacked.
#[derive(Debug, Clone)]
pub struct Archive {
    /// The archive itself.
    pub bytes: Bytes,
    /// Names and contents, in the order of the archive.
    pub members: Vec<(String, Vec<u8>)>,
}

impl Archive {
    /// Unpacks `bytes`; every checksum is checked.
    ///
    /// # Panics
    /// When they are not a zip archive in order.
    pub fn read(bytes: Bytes) -> Self {
        match unpack(&bytes) {
            Ok(members) => Self { bytes, members },
            Err(error) => panic!("not a zip archive: {error}"),
        }
    }

    /// The names of its members.
    pub fn names(&self) -> Vec<&str> {
        self.members.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The content of a member.
    ///
    /// # Panics
    /// When there is no such member, or it is not UTF-8.
    pub fn text(&self, name: &str) -> String {
        let member = self.members.iter().find(|(member, _)| member == name);
        match member.map(|(_, content)| String::from_utf8(content.clone())) {
            Some(Ok(text)) => text,
            other => panic!("{name}: {other:?} in {:?}", self.names()),
        }
    }

    /// What `meta.json` says.
    ///
    /// # Panics
    /// When it says nothing.
    pub fn meta(&self) -> Value {
        match serde_json::from_str(&self.text("meta.json")) {
            Ok(meta) => meta,
            Err(error) => panic!("meta.json: {error}"),
        }
    }
}

fn unpack(bytes: &Bytes) -> zip::result::ZipResult<Vec<(String, Vec<u8>)>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))?;
    (0..archive.len())
        .map(|place| {
            let mut member = archive.by_index(place)?;
            let mut content = Vec::new();
            // Its end is where the checksum is compared.
            member.read_to_end(&mut content)?;
            Ok((member.name()?.into_owned(), content))
        })
        .collect()
}
