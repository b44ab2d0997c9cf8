//! The SDKs of both eras stage files, upload them and read them at the simulator, without the gateway.

use asteroid_gateway::simulator::execution::ORGANIZATION;

use super::run;
use crate::harness::{API_KEY, Asteroid};

/// A script that prints what each call returns. A download follows the redirect, and takes the API key along.
const FILES: &str = r#"
import sys
import urllib.request
import asteroid_odyssey as sdk

host, agent = sys.argv[1:]
with sdk.ApiClient(sdk.Configuration(host=host, api_key={"ApiKeyAuth": "KEY"})) as client:
    files, executions = sdk.FilesApi(client), sdk.ExecutionApi(client)
    staged = files.temp_files_stage("ORGANIZATION", [("Rechnung ü.pdf", b"A"), b"B"]).temp_files
    print(*(file.name for file in staged))
    request = sdk.AgentsAgentExecuteAgentRequest(temp_files=staged)
    id = sdk.AgentsApi(client).agent_execute_post(agent, request).execution_id
    print(files.execution_context_files_upload(id, [("c.txt", b"C")]))
    listed = files.execution_context_files_get(id)
    print(*(f"{file.file_name} {file.mime_type} {file.file_size}" for file in listed), sep=", ")
    print(*(urllib.request.urlopen(file.signed_url).read().decode() for file in listed))
    folder = files.execution_files_get(id).directories
    print(*(f"{name} {len(found)}" for name, found in folder.model_dump().items()))
    for call in (
        lambda: files.execution_file_download_redirect(id, listed[0].id),
        lambda: executions.execution_recording_redirect(id),
        lambda: files.execution_files_get(agent),
    ):
        try:
            call()
        except sdk.ApiException as error:
            print(error.status, error.body)
"#;

/// What the newer SDK alone can do.
const NEWER: &str = r#"
    print(*(file.name for file in files.temp_files_upload([("d.pdf", b"D")]).temp_files))
    answer = sdk.AgentsApi(client).agent_execute_sync_post(agent, sdk.AgentsAgentExecuteAgentSyncRequest(timeout_seconds=1))
    print(answer.status.value)
"#;

#[test]
fn the_sdks_of_both_eras_stage_upload_and_read_the_simulators_files() {
    for (sdk, base, newer) in [("1.7.257", "/agents/v2", ""), ("1.9.167", "", NEWER)] {
        let asteroid = Asteroid::start();
        let script = format!("{FILES}{newer}").replace("KEY", API_KEY).replace("ORGANIZATION", ORGANIZATION);
        let lines = run(sdk, &script, &format!("http://{}{base}", asteroid.authority()));
        let expected = [
            "Rechnung ü.pdf files",
            "Files uploaded.",
            "Rechnung ü.pdf application/pdf 1, files application/octet-stream 1, c.txt text/plain 1",
            "A B C",
            "uploads 3 downloads 1 workspace 1 shared 1 debug 1 tracing 1",
            "400 a signed URL takes no other credential",
            "400 a signed URL takes no other credential",
            "404 execution not found",
        ];
        let (lines, more) = lines.split_at(expected.len());
        assert_eq!(lines, expected, "{sdk}");
        assert_eq!(more, if newer.is_empty() { &[][..] } else { &["d.pdf", "running"] }, "{sdk}");
        let storage = asteroid.storage();
        assert_eq!((storage.leaked_credentials, storage.downloads), (2, 3), "{sdk}");
    }
}
