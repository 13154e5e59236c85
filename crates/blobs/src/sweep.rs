//! What unfinished uploads leave among local files.

use std::{fs, io, path::Path, time::SystemTime};

/// Removes files `…#N` and empty folders below `root` that were last written before `before`; returns how
/// many files. What vanishes meanwhile is fine: uploads end, and others sweep.
pub(crate) fn sweep(root: &Path, before: SystemTime) -> io::Result<u64> {
    let mut swept = 0;
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.is_dir() {
            // Looked at before its files go, as that counts as writing to it.
            let old = is_older(&metadata, before);
            swept += gone_is_fine(sweep(&path, before))?;
            if old {
                // Fails when it is not empty, as it should.
                let _ = fs::remove_dir(&path);
            }
        } else if is_unfinished(&path) && is_older(&metadata, before) {
            swept += gone_is_fine(fs::remove_file(&path).map(|()| 1))?;
        }
    }
    Ok(swept)
}

fn is_older(metadata: &fs::Metadata, before: SystemTime) -> bool {
    metadata.modified().is_ok_and(|modified| modified < before)
}

/// `key#N`: the client library writes a file under this name until it is whole. Keys have no `#`.
fn is_unfinished(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).and_then(|name| name.rsplit_once('#')).is_some_and(
        |(key, number)| !key.is_empty() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()),
    )
}

fn gone_is_fine(result: io::Result<u64>) -> io::Result<u64> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_unfinished_uploads_are_swept() {
        for (name, unfinished) in
            [("/d/key#1", true), ("/d/key#12", true), ("/d/key", false), ("/d/key#", false), ("/d/#1", false)]
        {
            assert_eq!(is_unfinished(Path::new(name)), unfinished, "{name}");
        }
    }
}
