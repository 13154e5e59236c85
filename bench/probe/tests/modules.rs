//! The rest of the benchmark is Python; its tests run with all others.

use std::process::Command;

#[test]
fn the_modules_of_the_benchmark_pass_their_own_tests() {
    let bench = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let ran = Command::new("python3")
        .args(["-B", "-m", "unittest", "discover", "-s", "tests"])
        .current_dir(bench)
        .env("PYTHONPATH", bench)
        .output()
        .expect("Python is installed");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}
