//! The property is in `properties/idempotency_key.rs`.
#![no_main]

#[path = "../properties/idempotency_key.rs"]
mod idempotency_key;

libfuzzer_sys::fuzz_target!(|input: &[u8]| idempotency_key::check(input));
