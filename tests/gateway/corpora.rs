//! The corpora of the fuzz targets, replayed without instrumentation. `tests/fuzz` runs the targets themselves.

#[path = "../../fuzz/properties/body.rs"]
mod body;
#[path = "../../fuzz/properties/configuration.rs"]
mod configuration;
#[path = "../../fuzz/properties/files.rs"]
mod files;
#[path = "../../fuzz/properties/head.rs"]
mod head;
#[path = "../../fuzz/properties/host.rs"]
mod host;
#[path = "../../fuzz/properties/idempotency_key.rs"]
mod idempotency_key;
#[path = "../../fuzz/properties/item.rs"]
mod item;
#[path = "../../fuzz/properties/listing.rs"]
mod listing;
#[path = "../../fuzz/properties/multipart.rs"]
mod multipart;
#[path = "../../fuzz/properties/path.rs"]
mod path;
#[path = "../../fuzz/properties/redaction.rs"]
mod redaction;
#[path = "../../fuzz/properties/trace_context.rs"]
mod trace_context;

use std::fs;
use std::panic;
use std::path::{Path, PathBuf};

type Property = fn(&[u8]);

const TARGETS: [(&str, Property); 11] = [
    ("body", body::check),
    ("configuration", configuration::check),
    ("files", files::check),
    ("host", host::check),
    ("idempotency_key", idempotency_key::check),
    ("item", item::check),
    ("listing", listing::check),
    ("multipart", multipart::check),
    ("path", path::check),
    ("redaction", redaction::check),
    ("trace_context", trace_context::check),
];

/// Returns the entries of a directory of `fuzz`, in order.
fn listed(directory: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(directory);
    let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

#[test]
fn each_input_in_the_corpora_keeps_the_property_of_its_target() {
    let mut failed = Vec::new();
    for (target, property) in TARGETS {
        let inputs = listed(&format!("corpus/{target}"));
        assert!(inputs.len() >= 20, "{target} has {} inputs", inputs.len());
        for path in inputs {
            let input = fs::read(&path).unwrap();
            if panic::catch_unwind(|| property(&input)).is_err() {
                failed.push(path);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn each_fuzz_target_has_a_corpus_that_is_replayed() {
    let names = |directory| -> Vec<String> {
        let stems = listed(directory).into_iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
        stems.collect()
    };
    let targets = TARGETS.map(|(target, _)| target);
    assert_eq!(names("fuzz_targets"), targets);
    assert_eq!(names("corpus"), targets);
}
