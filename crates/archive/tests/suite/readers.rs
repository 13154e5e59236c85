//! Archives as real programs and libraries read them: by the directory at the end, and from the
//! front without seeking.

use std::{
    fs::File,
    io::Read,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use archive::gzip::Digest;
use flate2::read::DeflateDecoder;
use tempfile::TempDir;

use crate::{
    samples::{Member, Sample, far, giant, many, modified, small, utf8_names},
    tools,
};

const UNZIP: (&str, &str) = ("unzip", "unzip");
const SEVEN_ZIP: (&str, &str) = ("7z", "p7zip-full");
const BSDTAR: (&str, &str) = ("bsdtar", "libarchive-tools");
const PYTHON: (&str, &str) = ("python3", "python3");
const JAVA: (&str, &str) = ("java", "openjdk-17-jdk-headless");

const PYTHON_READER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/readers/reader.py");
const JAVA_READER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/readers/Reader.java");

/// Archives on disk, while a test lasts.
struct Archives {
    directory: TempDir,
    samples: Vec<(PathBuf, Sample)>,
}

impl Archives {
    /// One of each kind, but for the one with more than 4 GiB inside.
    fn all() -> Self {
        Self::of([small(), utf8_names(), many(1002), many(70_000)])
    }

    fn of(samples: impl IntoIterator<Item = Sample>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let write = |(number, sample): (usize, Sample)| {
            let path = directory.path().join(format!("{number}.zip"));
            sample.write(&path);
            (path, sample)
        };
        let samples = samples.into_iter().enumerate().map(write).collect();
        Self { directory, samples }
    }

    fn paths(&self) -> impl Iterator<Item = &Path> {
        self.samples.iter().map(|(path, _)| path.as_path())
    }

    /// What a reader that prints one line for each member of each archive must print.
    fn lines(&self, detail: &str) -> Vec<String> {
        let line = |path: &Path, member: &Member| {
            let Member { name, size_bytes, crc32 } = member;
            format!("{}\t{crc32}\t{size_bytes}\t{detail}\t{name}", path.display())
        };
        self.samples
            .iter()
            .flat_map(|(path, sample)| sample.members.iter().map(move |member| line(path, member)))
            .collect()
    }
}

/// That the lines are the same, without printing 70,000 of them.
fn assert_same_lines(found: &[String], expected: &[String]) {
    let difference = found.iter().zip(expected).find(|(found, expected)| found != expected);
    assert_eq!(difference, None, "found, expected");
    assert_eq!(found.len(), expected.len());
}

/// Runs a tool that writes all members' bytes one after the other.
fn assert_contents(sample: &Sample, contents: &[u8]) {
    assert_eq!(Digest::of(contents), sample.digest());
}

#[test]
fn info_zip_reads_every_archive() {
    for (path, sample) in &Archives::all().samples {
        tools::output(UNZIP, |unzip| unzip.arg("-tq").arg(path));
        assert_same_lines(&tools::lines(UNZIP, |unzip| unzip.arg("-Z1").arg(path)), &sample.names());
        assert_contents(sample, &tools::output(UNZIP, |unzip| unzip.arg("-p").arg(path)));
    }
}

#[test]
fn seven_zip_reads_every_archive() {
    for (path, sample) in &Archives::all().samples {
        tools::output(SEVEN_ZIP, |seven| seven.args(["t", "-bd"]).arg(path));
        let listing = tools::lines(SEVEN_ZIP, |seven| seven.args(["l", "-ba", "-slt"]).arg(path));
        let names: Vec<String> =
            listing.iter().filter_map(|line| line.strip_prefix("Path = ")).map(str::to_owned).collect();
        assert_same_lines(&names, &sample.names());
        assert_contents(sample, &tools::output(SEVEN_ZIP, |seven| seven.args(["x", "-so"]).arg(path)));
    }
}

#[test]
fn bsdtar_reads_every_archive() {
    for (path, sample) in &Archives::all().samples {
        assert_same_lines(&tools::lines(BSDTAR, |bsdtar| bsdtar.arg("-tf").arg(path)), &sample.names());
        assert_contents(sample, &tools::output(BSDTAR, |bsdtar| bsdtar.arg("-xOf").arg(path)));
    }
}

#[test]
fn bsdtar_reads_every_archive_from_a_pipe() {
    for (path, sample) in &Archives::all().samples {
        let names = bsdtar_from_a_pipe(path, |bsdtar| bsdtar.args(["-tf", "-"]));
        assert_same_lines(&tools::split(names), &sample.names());
        assert_contents(sample, &bsdtar_from_a_pipe(path, |bsdtar| bsdtar.args(["-xOf", "-"])));
    }
}

#[test]
fn python_reads_every_archive() {
    let archives = Archives::all();
    assert_same_lines(&python(&archives), &archives.lines("0o100644"));
}

#[test]
fn java_zip_file_reads_every_archive() {
    let archives = Archives::all();
    assert_same_lines(&java(&archives, "ZipFile"), &archives.lines(&modified().timestamp().to_string()));
}

#[test]
fn java_zip_input_stream_reads_every_archive() {
    let archives = Archives::all();
    assert_same_lines(
        &java(&archives, "ZipInputStream"),
        &archives.lines(&modified().timestamp().to_string()),
    );
}

#[test]
fn the_zip_crate_reads_every_archive() {
    let archives = Archives::all();
    for (path, sample) in &archives.samples {
        let mut archive = ::zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
        assert_eq!(archive.len(), sample.members.len());
        for (index, expected) in sample.members.iter().enumerate() {
            let mut member = archive.by_index(index).unwrap();
            assert_eq!((member.unix_mode(), member.is_file()), (Some(0o100_644), true));
            let name = member.name().unwrap().into_owned();
            assert_eq!(&digested(name, &mut member), expected);
        }
    }
}

#[test]
fn the_zip_crate_reads_every_archive_from_the_front() {
    let archives = Archives::all();
    for (path, sample) in &archives.samples {
        let mut file = std::io::BufReader::new(File::open(path).unwrap());
        for expected in &sample.members {
            let mut member = ::zip::read::read_zipfile_from_stream(&mut file).unwrap().expect("a member");
            let name = member.name().unwrap().into_owned();
            assert_eq!(&digested(name, &mut member), expected);
        }
        assert!(::zip::read::read_zipfile_from_stream(&mut file).unwrap().is_none());
    }
}

#[test]
fn the_rawzip_crate_reads_every_archive() {
    let archives = Archives::all();
    archives.samples.iter().for_each(|(path, sample)| check_with_rawzip(path, sample));
}

#[test]
fn more_than_4_gib_in_one_member_are_read_by_the_directory() {
    let archives = Archives::of([giant()]);
    assert!(archives.samples[0].1.members[0].size_bytes > 1 << 32);
    let modified = modified().timestamp().to_string();
    assert_same_lines(&java(&archives, "ZipFile"), &archives.lines(&modified));
    assert_same_lines(&python(&archives), &archives.lines("0o100644"));
    archives
        .paths()
        .for_each(|path| drop(tools::output(SEVEN_ZIP, |seven| seven.args(["t", "-bd"]).arg(path))));
}

#[test]
fn more_than_4_gib_in_one_member_are_read_by_info_zip() {
    let archives = Archives::of([giant()]);
    archives.paths().for_each(|path| drop(tools::output(UNZIP, |unzip| unzip.arg("-tq").arg(path))));
}

#[test]
fn more_than_4_gib_in_one_member_are_read_from_the_front() {
    let archives = Archives::of([giant()]);
    let modified = modified().timestamp().to_string();
    assert_same_lines(&java(&archives, "ZipInputStream"), &archives.lines(&modified));
    let path = archives.paths().next().unwrap();
    bsdtar_from_a_pipe(path, |bsdtar| bsdtar.args(["-xOf", "-"]).stdout(Stdio::null()));
}

#[test]
fn a_member_behind_4_gib_is_found() {
    let archives = Archives::of([far()]);
    let path = archives.paths().next().unwrap();
    let expected = "beyond 4 GiB";
    let found = |tool, arguments: &[&str]| {
        let output = tools::output(tool, |tool| tool.args(arguments).arg(path).arg("meta.json"));
        assert_eq!(String::from_utf8(output).unwrap(), expected, "{tool:?}");
    };
    found(UNZIP, &["-p"]);
    found(SEVEN_ZIP, &["x", "-so"]);
    found(BSDTAR, &["-xOf"]);
    found(
        PYTHON,
        &[
            "-c",
            "import sys, zipfile; print(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]).decode(), end='')",
        ],
    );

    let lines = tools::lines(JAVA, |java| java.args(["-Donly=meta.json", JAVA_READER, "ZipFile"]).arg(path));
    assert_same_lines(&lines, &archives.lines(&modified().timestamp().to_string())[1..]);

    let mut zip = ::zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    assert_eq!(std::io::read_to_string(zip.by_name("meta.json").unwrap()).unwrap(), expected);
}

/// MS-DOS times have no zone and even seconds only: the extended timestamp gives the true one.
#[test]
fn unpacked_files_have_the_time_and_mode_given_in_any_time_zone() {
    let archives = Archives::of([small()]);
    let path = archives.paths().next().unwrap();
    let check = |tool: (&str, &str), arguments: &[&str]| {
        let target = archives.directory.path().join(tool.0);
        std::fs::create_dir(&target).unwrap();
        tools::output(tool, |tool| {
            tool.env("TZ", "Asia/Tokyo").args(arguments).arg(path).current_dir(&target)
        });
        for member in &archives.samples[0].1.members {
            let metadata = target.join(&member.name).metadata().unwrap();
            assert_eq!(metadata.mtime(), modified().timestamp(), "{tool:?} {member:?}");
            assert_eq!(metadata.permissions().mode() & 0o777, 0o644, "{tool:?} {member:?}");
            assert_eq!(metadata.len(), member.size_bytes, "{tool:?} {member:?}");
        }
    };
    check(UNZIP, &["-q"]);
    check(SEVEN_ZIP, &["x", "-bd"]);
    check(BSDTAR, &["-xf"]);
}

/// Lets bsdtar read a file through a pipe, in which it cannot seek.
fn bsdtar_from_a_pipe(path: &Path, configure: impl FnOnce(&mut Command) -> &mut Command) -> Vec<u8> {
    let mut cat = Command::new("cat").arg(path).stdout(Stdio::piped()).spawn().expect("cat runs");
    let pipe = cat.stdout.take().expect("a pipe");
    let output = tools::output(BSDTAR, |bsdtar| configure(bsdtar.stdin(pipe)));
    cat.wait().expect("cat ran");
    output
}

fn python(archives: &Archives) -> Vec<String> {
    tools::lines(PYTHON, |python| python.arg(PYTHON_READER).args(archives.paths()))
}

fn java(archives: &Archives, reader: &str) -> Vec<String> {
    tools::lines(JAVA, |java| java.args([JAVA_READER, reader]).args(archives.paths()))
}

/// Reads by the directory, checks CRC and sizes.
fn check_with_rawzip(path: &Path, sample: &Sample) {
    let mut buffer = vec![0; 1 << 16];
    let archive = rawzip::ZipArchive::from_file(File::open(path).unwrap(), &mut buffer).unwrap();
    let mut entries = archive.entries(&mut buffer);
    for expected in &sample.members {
        let entry = entries.next_entry().unwrap().expect("an entry");
        let name = String::from_utf8(entry.file_path().as_ref().to_vec()).unwrap();
        let (method, wayfinder) = (entry.compression_method(), entry.wayfinder());
        let local = archive.get_entry(wayfinder).unwrap();
        let found = if method == rawzip::CompressionMethod::DEFLATE {
            digested(name, &mut local.verifying_reader(DeflateDecoder::new(local.reader())))
        } else {
            digested(name, &mut local.verifying_reader(local.reader()))
        };
        assert_eq!(&found, expected);
    }
    assert!(entries.next_entry().unwrap().is_none());
}

fn digested(name: String, bytes: &mut impl Read) -> Member {
    let (mut digest, mut buffer) = (Digest::default(), vec![0; 1 << 16]);
    loop {
        match bytes.read(&mut buffer).unwrap() {
            0 => break,
            read => digest = digest.combine(Digest::of(&buffer[..read])),
        }
    }
    Member { name, size_bytes: digest.size_bytes, crc32: digest.crc32 }
}
