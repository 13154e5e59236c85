//! Programs that outlive a launcher that was killed: they are still finishing what they do when the next
//! one starts on the same folder.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::Signal;

use crate::data_folder::{DataFolder, write_private};

const FILE: &str = "pids.json";

/// Remembers the programs that run now, by name.
///
/// # Errors
/// The operating system's answer.
pub(crate) fn note(folder: &DataFolder, pids: &BTreeMap<String, u32>) -> Result<()> {
    write_private(&folder.entry(FILE), &serde_json::to_vec(pids)?)
}

/// Ends what the last run noted and did not end; waits for it.
pub(crate) fn end(folder: &DataFolder, grace: Duration) {
    let noted = fs::read(folder.entry(FILE)).unwrap_or_default();
    // No file, or one that cannot be read, says that there is nothing to end.
    let pids: BTreeMap<String, u32> = serde_json::from_slice(&noted).unwrap_or_default();
    for pid in pids.into_values() {
        devservers::end_left_behind(pid, folder.path(), Signal::SIGTERM, grace);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_program_of_a_killed_run_is_ended_and_a_stranger_with_its_number_is_not() {
        let temp = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(temp.path()).unwrap();
        let ours = folder.path().display().to_string();
        // The folder stands on the command line, as the name of the script.
        let mut left =
            Command::new("sh").args(["-c", "while :; do sleep 0.05; done", &ours]).spawn().unwrap();
        let command_line = format!("/proc/{}/cmdline", left.id());
        // It shows a moment after the start.
        while !fs::read_to_string(&command_line).unwrap().contains(&ours) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
        note(&folder, &BTreeMap::from([("a".to_owned(), left.id()), ("b".to_owned(), stranger.id())]))
            .unwrap();
        end(&folder, Duration::from_secs(5));
        assert!(!left.wait().unwrap().success());
        assert!(stranger.try_wait().unwrap().is_none());
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
}
