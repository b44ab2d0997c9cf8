//! The property is in `properties/listing.rs`.
#![no_main]

#[path = "../properties/listing.rs"]
mod listing;

libfuzzer_sys::fuzz_target!(|input: &[u8]| listing::check(input));
