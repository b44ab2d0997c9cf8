//! The property is in `properties/body.rs`.
#![no_main]

#[path = "../properties/body.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|input: &[u8]| body::check(input));
