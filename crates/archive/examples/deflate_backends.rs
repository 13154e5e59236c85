//! Measures the deflate libraries that were considered for [`archive::gzip::deflate_block`] against
//! each other, on data as sources send it: blocks of 1 MiB, each on its own, one thread.
//!
//! `cargo run --release -p archive --features deflate-backends --example deflate_backends`
//! (needs cmake to build zlib-ng; `-- FILE…` measures on files of yours instead).
//!
//! The results and what follows from them are in `docs/decisions/0003-deflate-backend.md`.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    reason = "a measuring program: it rounds, draws bits from random words and stops at what goes wrong"
)]

use std::{fmt::Write as _, time::Instant};

use archive::gzip::{BLOCK_BYTES, deflate_block};
use flate2::{Compress, Compression, FlushCompress};
use libdeflater::{CompressionLvl, Compressor};
use zlib_rs::{Deflate, DeflateFlush};

const SAMPLE_BYTES: usize = 64 << 20;
const ROUNDS: usize = 5;

fn main() {
    let files: Vec<String> = std::env::args().skip(1).collect();
    let samples = if files.is_empty() {
        vec![
            ("JSON".to_owned(), lines(json_line)),
            ("CSV".to_owned(), lines(csv_line)),
            ("noise".to_owned(), noise(SAMPLE_BYTES / 4)),
        ]
    } else {
        files.into_iter().map(|file| (file.clone(), std::fs::read(file).expect("a readable file"))).collect()
    };
    println!("| data | backend | MB/s | ratio | largest block |\n|---|---|---|---|---|");
    for (name, data) in &samples {
        let report = |backend: &str, deflate: &mut dyn FnMut(&[u8]) -> Vec<u8>| {
            let Measured { seconds, deflated_bytes, largest_block } = measure(data, deflate);
            println!(
                "| {name} | {backend} | {:.0} | {:.2} | {largest_block} |",
                data.len() as f64 / seconds / 1e6,
                data.len() as f64 / deflated_bytes as f64,
            );
        };
        report("ISA-L 1 (deflate_block)", &mut deflate_block);
        for level in [1, 2] {
            report(&format!("libdeflate {level} (ends the stream)"), &mut libdeflate(level));
        }
        for level in [1, 2, 3] {
            report(&format!("zlib-ng {level}"), &mut zlib_ng(level));
        }
        for level in [1, 2, 3, 6] {
            report(&format!("zlib-rs {level}"), &mut zlib_rs(level));
        }
    }
}

struct Measured {
    /// The median of [`ROUNDS`].
    seconds: f64,
    deflated_bytes: usize,
    largest_block: usize,
}

fn measure(data: &[u8], deflate: &mut dyn FnMut(&[u8]) -> Vec<u8>) -> Measured {
    let (mut seconds, mut deflated_bytes, mut largest_block) = (Vec::new(), 0, 0);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let sizes: Vec<usize> = data.chunks(BLOCK_BYTES).map(|block| deflate(block).len()).collect();
        seconds.push(start.elapsed().as_secs_f64());
        deflated_bytes = sizes.iter().sum();
        largest_block = sizes.into_iter().max().unwrap_or_default();
    }
    seconds.sort_by(f64::total_cmp);
    Measured { seconds: seconds[ROUNDS / 2], deflated_bytes, largest_block }
}

/// Room for any of them: the fastest levels of zlib-ng and zlib-rs expand noise by a twentieth.
fn room(block: &[u8]) -> usize {
    block.len() + block.len() / 8 + 4096
}

fn zlib_ng(level: u32) -> impl FnMut(&[u8]) -> Vec<u8> {
    let mut state = Compress::new(Compression::new(level), false);
    move |block| {
        let mut deflated = Vec::with_capacity(room(block));
        state.reset();
        state.compress_vec(block, &mut deflated, FlushCompress::Sync).expect("enough room");
        deflated
    }
}

fn zlib_rs(level: i32) -> impl FnMut(&[u8]) -> Vec<u8> {
    let mut state = Deflate::new(level, false, 15);
    move |block| {
        let mut deflated = vec![0; room(block)];
        state.reset();
        state.compress(block, &mut deflated, DeflateFlush::SyncFlush).expect("enough room");
        deflated.truncate(usize::try_from(state.total_out()).expect("a block"));
        deflated
    }
}

fn libdeflate(level: i32) -> impl FnMut(&[u8]) -> Vec<u8> {
    let mut state = Compressor::new(CompressionLvl::new(level).expect("a level"));
    move |block| {
        let mut deflated = vec![0; room(block)];
        let length = state.deflate_compress(block, &mut deflated).expect("enough room");
        deflated.truncate(length);
        deflated
    }
}

/// xorshift64*: the same sample every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 33) % limit
    }

    fn one_of(&mut self, choices: &[&'static str]) -> &'static str {
        choices[self.below(choices.len() as u64) as usize]
    }
}

fn noise(size: usize) -> Vec<u8> {
    let mut random = Random(7);
    (0..size / 8).flat_map(|_| random.next().to_le_bytes()).collect()
}

fn lines(line: fn(&mut String, &mut Random)) -> Vec<u8> {
    let mut random = Random(42);
    let mut text = String::with_capacity(SAMPLE_BYTES + 1024);
    while text.len() < SAMPLE_BYTES {
        line(&mut text, &mut random);
    }
    text.truncate(SAMPLE_BYTES);
    text.into_bytes()
}

const SYSTEMS: [&str; 5] = [
    "Red Hat Enterprise Linux 9.4",
    "CentOS Stream 9",
    "Fedora Linux 41",
    "Debian GNU/Linux 12",
    "Ubuntu 24.04",
];
const PACKAGES: [&str; 7] = [
    "openssl-libs",
    "glibc-common",
    "systemd-udev",
    "python3-requests",
    "kernel-core",
    "bash",
    "NetworkManager",
];
const SITES: [&str; 8] = ["raleigh", "brno", "pune", "beijing", "munich", "boston", "sydney", "tokyo"];

/// A host of an inventory, with the random parts that such a thing has.
fn json_line(text: &mut String, random: &mut Random) {
    let uuid =
        format!("{:08x}-{:04x}-4{:03x}", random.next() as u32, random.next() as u16, random.below(4096));
    let uuid = format!("{uuid}-8{:03x}-{:012x}", random.below(4096), random.next() >> 16);
    let (site, host) = (random.one_of(&SITES), random.below(100_000));
    let (system, package) = (random.one_of(&SYSTEMS), random.one_of(&PACKAGES));
    let _ = write!(text, r#"{{"id":"{uuid}","display_name":"host-{host:05}.{site}.example.com","#);
    let _ = write!(text, r#""os":"{system}","package":"{package}","version":"{}","#, version(random));
    let _ = write!(text, r#""reported_at":"{}","stale":{},"#, time(random), random.below(5) == 0);
    let _ =
        write!(text, r#""memory_bytes":{},"cpu_count":{},"#, random.below(64) << 30, 1 << random.below(7));
    let _ = write!(
        text,
        r#""ip_address":"10.{}.{}.{}","#,
        random.below(256),
        random.below(256),
        random.below(256)
    );
    let _ = writeln!(
        text,
        r#""tags":["env={}","owner=team-{}"]}},"#,
        random.one_of(&["prod", "stage"]),
        random.below(40)
    );
}

fn csv_line(text: &mut String, random: &mut Random) {
    let (site, host) = (random.one_of(&SITES), random.below(100_000));
    let (system, package) = (random.one_of(&SYSTEMS), random.one_of(&PACKAGES));
    let _ = write!(text, "host-{host:05}.{site}.example.com,{system},{package},{},", version(random));
    let _ = writeln!(text, "{},{},{}", random.below(50_000_000), time(random), random.below(5) == 0);
}

fn version(random: &mut Random) -> String {
    format!("{}.{}.{}-{}.el9", random.below(10), random.below(30), random.below(10), random.below(100))
}

fn time(random: &mut Random) -> String {
    let (month, day) = (1 + random.below(12), 1 + random.below(28));
    format!(
        "2026-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        random.below(24),
        random.below(60),
        random.below(60)
    )
}
