//! The property is in `properties/path.rs`.
#![no_main]

#[path = "../properties/head.rs"]
mod head;
#[path = "../properties/path.rs"]
mod path;

libfuzzer_sys::fuzz_target!(|input: &[u8]| path::check(input));
