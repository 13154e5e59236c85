//! Data to store, and what to expect of it.

use std::{
    convert::Infallible,
    io::Write,
    process::{Command, Stdio},
};

use bytes::Bytes;
use futures_util::{Stream, stream};
use sha2::{Digest, Sha256};

pub(crate) const MIB: usize = 1 << 20;

/// No limit that a test would reach.
pub(crate) const NO_LIMIT: u64 = u64::MAX;

/// Bytes that do not compress; another `seed` gives others.
pub(crate) fn noise(bytes: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    noise.truncate(bytes);
    noise.into()
}

/// Lines of JSON, which compress well.
pub(crate) fn json(bytes: usize) -> Bytes {
    let mut json = Vec::with_capacity(bytes + 128);
    for row in 0_u32.. {
        if json.len() >= bytes {
            break;
        }
        let size = row.wrapping_mul(2_654_435_761) >> 12;
        writeln!(json, r#"{{"id":{row},"name":"package-{}","size":{size}}}"#, row % 977).unwrap();
    }
    json.truncate(bytes);
    json.into()
}

/// `data` as a body, in chunks of `chunk` bytes.
pub(crate) fn body(data: &Bytes, chunk: usize) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
    let data = data.clone();
    let starts = (0..data.len()).step_by(chunk);
    stream::iter(starts.map(move |start| Ok(data.slice(start..data.len().min(start + chunk)))))
}

pub(crate) fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

/// The stored form of `data`, made by `archive` alone. Only noise, which is not compressed, always has the same.
pub(crate) fn gzipped(data: &[u8]) -> Vec<u8> {
    use archive::gzip;
    let digest = gzip::Digest::of(data);
    let blocks = data.chunks(gzip::BLOCK_BYTES).flat_map(gzip::deflate_block);
    let trailer = gzip::trailer(digest.crc32, digest.size_bytes);
    gzip::HEADER.into_iter().chain(blocks).chain(trailer).collect()
}

/// What the gzip program unpacks from `object`; panics if the object is not whole.
pub(crate) fn gunzip(object: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip")
        .args(["-d", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = gzip.stdin.take().unwrap();
    let object = object.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(&object));
    let output = gzip.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
