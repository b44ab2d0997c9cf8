//! A whole life with files, through the SDKs of both eras and as two tenants, with the gateway as their host.

use asteroid_gateway::simulator::execution::ORGANIZATION;

use super::run_file;
use crate::harness::teams::Teams;
use crate::harness::{AGENT, Asteroid, at_once};

const VERSION: &str = "0b0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";

#[test]
fn two_tenants_start_with_files_and_read_them_through_the_sdks_and_neither_reaches_the_others() {
    at_once([("1.7.257", "old", "/agents/v2"), ("1.9.167", "new", "")], |(sdk, era, base)| {
        let teams = Teams::configured(Asteroid::start(), |configuration| {
            configuration.upstream(&format!("api: {era}")).with("operations: { rerun: true }\nupload_limit: 110MB")
        });
        let host = format!("http://{}{base}", teams.0.gateway.address());
        let lines = run_file(sdk, "files.py", &[&host, AGENT, ORGANIZATION, VERSION]);
        let is_new = era == "new";
        let of_new = |line: &'static str| Some(line).filter(|_| is_new);
        let expected: Vec<&str> = [
            Some("uploaded Files uploaded."),
            Some("listed invoice ü.pdf 8 c.txt 1"),
            Some("read %PDF-1.7 C"),
            Some("shared {True}"),
            Some("download b'%PDF'"),
            Some("recording 200"),
            of_new("workflow 36"),
            of_new("waits running"),
            Some("version 36"),
            of_new("rerun True"),
            Some("start 400 BadRequestException body True"),
            Some("upload 404 NotFoundException not-found False"),
            Some("list 404 NotFoundException not-found False"),
            Some("files 404 NotFoundException not-found False"),
            Some("file 404 NotFoundException not-found False"),
            Some("record 404 NotFoundException not-found False"),
            of_new("again 404 NotFoundException not-found False"),
            Some("8 MB 404 NotFoundException not-found False"),
            Some("100 MB 404 NotFoundException not-found False"),
            Some("large 413 ApiException body-too-large False"),
        ]
        .into_iter()
        .flatten()
        .collect();
        assert_eq!(lines, expected, "{sdk}");
        assert_eq!(teams.0.asteroid.storage().leaked_credentials, 0, "{sdk}");
    });
}
