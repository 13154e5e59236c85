//! See `checks/filters.rs`.
#![no_main]

#[path = "../checks/filters.rs"]
mod filters;

libfuzzer_sys::fuzz_target!(|data: &[u8]| filters::check(data));
