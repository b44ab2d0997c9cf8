//! The property is in `properties/multipart.rs`.
#![no_main]

#[path = "../properties/multipart.rs"]
mod multipart;

libfuzzer_sys::fuzz_target!(|input: &[u8]| multipart::check(input));
