//! Archives as other people's programs read them.

use std::{path::Path, process::Command};

use e2e::{Customer, TestApp, expect};

use crate::support::{noise, wanted};

/// Extracts `archive.zip` in the folder that is its argument, and compares every checksum.
const PYTHON: &str = "\
import sys, zipfile
with zipfile.ZipFile('archive.zip') as archive:
    assert archive.testzip() is None
    archive.extractall('python')
";

fn run(folder: &Path, program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{program}: {output:?}");
}

#[tokio::test]
async fn unzip_and_python_read_a_downloaded_archive() {
    let app = TestApp::start().await;
    let export = app.create(&Customer::new(), &wanted(3)).await;
    let contents = [b"[1]".to_vec(), Vec::new(), noise(2 << 20)];
    for (source, content) in export.sources.iter().zip(&contents) {
        expect(app.upload(source, content.clone()).await, 202).await;
    }
    let archive = app.download(&export).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("archive.zip"), &archive.bytes).unwrap();
    run(folder.path(), "unzip", &["-q", "archive.zip", "-d", "unzip"]);
    run(folder.path(), "python3", &["-c", PYTHON]);
    for reader in ["unzip", "python"] {
        for (source, content) in export.sources.iter().zip(&contents) {
            let file = folder.path().join(reader).join(format!("{}.json", source.id));
            assert!(std::fs::read(&file).unwrap() == *content, "{}", file.display());
        }
        assert!(folder.path().join(reader).join("README.md").exists());
    }
    app.end().await;
}
