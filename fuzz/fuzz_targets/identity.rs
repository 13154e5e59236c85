//! See `checks/identity.rs`.
#![no_main]

#[path = "../checks/identity.rs"]
mod identity;

libfuzzer_sys::fuzz_target!(|data: &[u8]| identity::check(data));
