//! Files that are made from code and kept in the tree.

use std::{env, fs, path::Path};

/// `text` must be what the file at `path` (from the root of the project) holds. With `UPDATE_GENERATED=1` in
/// the environment it is written there.
pub(crate) fn assert_committed(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if env::var("UPDATE_GENERATED").is_ok_and(|value| value == "1") {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        return;
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    let differs = committed.lines().zip(text.lines()).find(|(old, new)| old != new);
    assert!(
        committed == text,
        "{path} is not what the code says; run UPDATE_GENERATED=1 cargo test -p e2e --test openapi. First \
         difference: {differs:?}"
    );
}
