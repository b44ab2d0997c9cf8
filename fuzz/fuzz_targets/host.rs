//! The property is in `properties/host.rs`.
#![no_main]

#[path = "../properties/head.rs"]
mod head;
#[path = "../properties/host.rs"]
mod host;

libfuzzer_sys::fuzz_target!(|input: &[u8]| host::check(input));
