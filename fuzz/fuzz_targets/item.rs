//! The property is in `properties/item.rs`.
#![no_main]

#[path = "../properties/item.rs"]
mod item;

libfuzzer_sys::fuzz_target!(|input: &[u8]| item::check(input));
