//! The property is in `properties/trace_context.rs`.
#![no_main]

#[path = "../properties/head.rs"]
mod head;
#[path = "../properties/trace_context.rs"]
mod trace_context;

libfuzzer_sys::fuzz_target!(|input: &[u8]| trace_context::check(input));
