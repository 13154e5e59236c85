//! A downloaded archive: is it what its `meta.json` says?

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use sha2::{Digest, Sha256};
use zip::ZipArchive;

use crate::applications::hex;

/// Members beside the files of the sources.
const ABOUT: [&str; 2] = ["meta.json", "README.md"];

/// The files of an archive, each read whole and equal to what `meta.json` says of it.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) files: Vec<ArchivedFile>,
}

/// One file of a source.
#[derive(Debug)]
pub(crate) struct ArchivedFile {
    pub(crate) name: String,
    pub(crate) application: String,
    pub(crate) resource: String,
    /// Elements of the JSON array, or CSV records after the header.
    pub(crate) rows: u64,
    pub(crate) size_bytes: u64,
    /// Hexadecimal, of the bytes as read.
    pub(crate) sha256: String,
}

#[derive(Deserialize)]
struct Meta {
    file_meta: Vec<FileMeta>,
    #[serde(default)]
    failed_files: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
struct FileMeta {
    filename: String,
    application: String,
    resource: String,
    size_bytes: u64,
    sha256: String,
}

impl Archive {
    /// Reads every byte of the archive.
    ///
    /// # Errors
    /// When it is no archive, a file is missing, superfluous or different from what `meta.json` says, or
    /// a source failed.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let failed = || format!("the archive {}", path.display());
        let file = File::open(path).with_context(failed)?;
        Self::read(BufReader::new(file)).with_context(failed)
    }

    fn read(archive: impl Read + Seek) -> Result<Self> {
        let mut zip = ZipArchive::new(archive).context("not a ZIP archive")?;
        let meta: Meta = serde_json::from_reader(zip.by_name("meta.json")?).context("meta.json")?;
        ensure!(meta.failed_files.is_empty(), "meta.json lists {} failed files", meta.failed_files.len());
        let known: BTreeSet<&str> =
            meta.file_meta.iter().map(|file| file.filename.as_str()).chain(ABOUT).collect();
        for name in zip.file_names() {
            let name = name.context("a file name")?;
            ensure!(known.contains(name.as_ref()), "{name} is in the archive and not in meta.json");
        }
        let read = |file: &FileMeta| read_file(&mut zip, file).with_context(|| file.filename.clone());
        Ok(Self { files: meta.file_meta.iter().map(read).collect::<Result<_>>()? })
    }
}

fn read_file(zip: &mut ZipArchive<impl Read + Seek>, expected: &FileMeta) -> Result<ArchivedFile> {
    let mut content = Hashing { inner: zip.by_name(&expected.filename)?, hash: Sha256::new(), size_bytes: 0 };
    let rows = match expected.filename.rsplit('.').next() {
        Some("csv") => csv_records(&mut content)?,
        _ => json_elements(&mut content)?,
    };
    // What the parser had no use for counts too; the end is where the checksum of the ZIP is compared.
    io::copy(&mut content, &mut io::sink())?;
    let (size_bytes, sha256) = (content.size_bytes, hex(&content.hash.finalize()));
    ensure!(size_bytes == expected.size_bytes, "{size_bytes} bytes instead of {}", expected.size_bytes);
    ensure!(sha256 == expected.sha256, "SHA-256 is {sha256} instead of {}", expected.sha256);
    Ok(ArchivedFile {
        name: expected.filename.clone(),
        application: expected.application.clone(),
        resource: expected.resource.clone(),
        rows,
        size_bytes,
        sha256,
    })
}

/// Hashes and counts what passes.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
    size_bytes: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.size_bytes += u64::try_from(read).map_err(io::Error::other)?;
        Ok(read)
    }
}

fn csv_records(content: impl Read) -> Result<u64> {
    let mut reader = csv::Reader::from_reader(content);
    let mut record = csv::ByteRecord::new();
    let mut records = 0;
    while reader.read_byte_record(&mut record)? {
        records += 1;
    }
    Ok(records)
}

/// Counts the elements of an array one by one, without keeping them.
fn json_elements(content: impl Read) -> Result<u64> {
    struct Counter;
    impl<'de> Visitor<'de> for Counter {
        type Value = u64;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<u64, A::Error> {
            let mut count = 0;
            while elements.next_element::<IgnoredAny>()?.is_some() {
                count += 1;
            }
            Ok(count)
        }
    }
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(content));
    Ok((&mut json).deserialize_seq(Counter)?)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use serde_json::json;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    const JSON: &str = r#"[{"name":"a"},{"name":"b"}]"#;
    const CSV: &str = "name,note\na,\"two\nlines\"\nb,x\nc,y\n";

    fn archive(files: &[(&str, &str)], meta: &serde_json::Value) -> Cursor<Vec<u8>> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let meta = meta.to_string();
        for (name, content) in
            files.iter().copied().chain([("meta.json", meta.as_str()), ("README.md", "# Export")])
        {
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            zip.write_all(content.as_bytes()).unwrap();
        }
        zip.finish().unwrap()
    }

    fn told(name: &str, content: &str) -> serde_json::Value {
        json!({"filename": name, "application": "inventory", "resource": "packages", "filters": null,
            "size_bytes": content.len(), "sha256": hex(&Sha256::digest(content))})
    }

    #[test]
    fn files_that_agree_with_meta_json_are_counted() {
        let meta = json!({"file_meta": [told("1.json", JSON), told("2.csv", CSV)]});
        let archive = Archive::read(archive(&[("1.json", JSON), ("2.csv", CSV)], &meta)).unwrap();
        let rows: Vec<_> = archive.files.iter().map(|file| file.rows).collect();
        assert_eq!(rows, [2, 3]);
        assert_eq!(archive.files[0].size_bytes, 27);
    }

    #[test]
    fn a_file_that_is_different_missing_or_superfluous_is_refused() {
        let meta = json!({"file_meta": [told("1.json", JSON)]});
        let other = r#"[{"name":"a"},{"name":"c"}]"#;
        for (files, complaint) in [
            (&[("1.json", other)][..], "SHA-256"),
            (&[("1.json", "[]")][..], "bytes instead of"),
            (&[][..], "1.json"),
            (&[("1.json", JSON), ("2.json", JSON)][..], "2.json is in the archive"),
        ] {
            let error = format!("{:#}", Archive::read(archive(files, &meta)).unwrap_err());
            assert!(error.contains(complaint), "{error}");
        }
    }

    #[test]
    fn an_archive_with_failed_sources_is_refused() {
        let meta = json!({"file_meta": [], "failed_files": [{"filename": "1.json"}]});
        assert!(Archive::read(archive(&[], &meta)).is_err());
    }
}
