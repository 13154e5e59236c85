//! Runs programs that read archives.

use std::{
    io::ErrorKind,
    process::{Command, Output},
};

/// A program, and the Debian package that has it.
pub(crate) type Tool<'a> = (&'a str, &'a str);

/// What the tool wrote to standard output. Fails the test if it is not installed (naming its package)
/// or does not exit with 0.
pub(crate) fn output(
    (program, package): Tool<'_>,
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

/// The same, as lines of text.
pub(crate) fn lines(tool: Tool<'_>, configure: impl FnOnce(&mut Command) -> &mut Command) -> Vec<String> {
    split(output(tool, configure))
}

/// Output as lines of text.
pub(crate) fn split(output: Vec<u8>) -> Vec<String> {
    String::from_utf8(output).expect("UTF-8").lines().map(str::to_owned).collect()
}

/// Enough of a long output to see what went wrong.
fn tail(text: &str) -> &str {
    &text[text.floor_char_boundary(text.len().saturating_sub(2000))..]
}
