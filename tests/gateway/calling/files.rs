//! The examples of docs/CALLING.md with files.

use asteroid_gateway::simulator::storage::ReportedFile;

use super::{SDKS, block, is_installed, python, run_in, start};
use crate::harness::{Pair, at_once};

const INVOICE: &str = "%PDF-1.7 an invoice";
const NOTES: &str = "Skip page 2";

/// Runs an example beside the two files that it uploads, and asserts that they arrived and that it downloaded what the agent made.
fn assert_files(program: &str, arguments: &[&str], file: &str, example: &str) {
    let pair = start();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("invoice.pdf"), INVOICE).unwrap();
    std::fs::write(dir.path().join("notes.txt"), NOTES).unwrap();
    let printed = run_in(dir.path(), program, arguments, file, example, &pair);

    let [execution] = pair.asteroid.executions().try_into().unwrap();
    let storage = pair.asteroid.storage();
    // The execution has a copy of the staged file.
    let [staged, copy, added] = storage.files.as_slice() else { panic!("{:?}", storage.files) };
    assert_uploaded(staged, "invoice.pdf", INVOICE);
    assert_uploaded(copy, "invoice.pdf", INVOICE);
    assert_uploaded(added, "notes.txt", NOTES);
    assert_eq!(execution.temp_files, std::slice::from_ref(&staged.id));
    assert!([copy, added].iter().all(|file| file.execution_id.as_ref() == Some(&execution.id)));
    assert!(printed.contains(&format!("started {}\n", execution.id)), "{printed}");

    let downloads = downloads(&pair, &execution.id);
    assert!(!downloads.is_empty());
    for id in downloads {
        assert!(printed.contains(&format!("downloaded {id}\n")), "{printed}");
        let content = std::fs::read_to_string(dir.path().join(&id)).unwrap();
        assert!(content.contains(&execution.id), "{content}");
    }
    assert_eq!(storage.leaked_credentials, 0);
}

fn assert_uploaded(file: &ReportedFile, name: &str, content: &str) {
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content.as_bytes());
    let sum: String = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((file.name.as_str(), &file.sha256), (name, &sum));
}

/// Returns the ids of the files that the agent made for its caller.
fn downloads(pair: &Pair, execution: &str) -> Vec<String> {
    let listed = pair.asteroid.get(&format!("/agents/v2/executions/{execution}/files")).json();
    let files = listed["directories"]["downloads"].as_array().unwrap().clone();
    files.iter().map(|file| file["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_example_for_curl_uploads_and_downloads_files() {
    assert_files("bash", &["-euo", "pipefail"], "files.sh", &block("bash", "temp-files"));
}

#[test]
fn the_examples_for_each_python_sdk_upload_and_download_files() {
    at_once(SDKS.into_iter().zip(["temp_files_stage", "temp_files_upload"]), |(sdk, text)| {
        assert_files(&python(sdk), &[], "files.py", &block("python", text));
    });
}

#[test]
fn the_example_for_typescript_uploads_and_downloads_files() {
    assert_files("node", &[], "files.mjs", &block("ts", "FormData"));
}

#[test]
fn the_example_for_go_uploads_and_downloads_files() {
    if is_installed("go", "version") {
        assert_files("go", &["run"], "main.go", &block("go", "multipart"));
    }
}

#[test]
fn the_example_for_java_uploads_and_downloads_files() {
    if is_installed("java", "--version") {
        assert_files("java", &[], "Files.java", &block("java", "multipart"));
    }
}
