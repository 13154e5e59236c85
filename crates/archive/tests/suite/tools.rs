//! Runs programs that read archives.

use std::{
    io::ErrorKind,
    process::{Command, Output},
};

/// What `program` wrote to standard output. Fails the test if it is not installed (naming the Debian
/// `package` that has it) or does not exit with 0.
pub(crate) fn output(
    program: &str,
    package: &str,
    configure: impl FnOnce(&mut Command) -> &mut Command,
) -> Vec<u8> {
    let mut command = Command::new(program);
    // Names in archives are UTF-8, whatever the machine is set to.
    command.env("LC_ALL", "C.UTF-8").env_remove("UNZIP").env_remove("ZIPINFO");
    let output = match configure(&mut command).output() {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("{program} is not installed; on Debian: apt-get install {package}")
        }
        Err(error) => panic!("{command:?}: {error}"),
    };
    let Output { status, stdout, stderr } = output;
    assert!(
        status.success(),
        "{command:?}: {status}\n{}\n{}",
        String::from_utf8_lossy(&stderr),
        tail(&String::from_utf8_lossy(&stdout)),
    );
    stdout
}

/// Enough of a long output to see what went wrong.
fn tail(text: &str) -> &str {
    &text[text.floor_char_boundary(text.len().saturating_sub(2000))..]
}
