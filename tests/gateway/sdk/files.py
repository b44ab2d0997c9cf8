"""Prints what two tenants get from an SDK in a whole life with files: the first does everything, the second tries to reach it."""

import sys
import urllib.request

import asteroid_odyssey as sdk

host, agent, organization, version = sys.argv[1:]
is_new = hasattr(sdk, "WorkflowVersionsApi")


def client(tenant):
    return sdk.ApiClient(sdk.Configuration(host=host), "X-Tenant-Id", tenant)


def attempt(name, call):
    """Prints the result, or the type of the SDK's error."""
    try:
        print(name, call())
    except sdk.ApiException as error:
        code = (error.body or "").partition('"type":"urn:asteroid-gateway:error:')[2].partition('"')[0]
        print(name, error.status, type(error).__name__, code, "/tempFiles/0/id" in (error.body or ""))


with client("billing") as own, client("sales") as other:
    files, executions = sdk.FilesApi(own), sdk.ExecutionApi(own)
    if is_new:
        staged = files.temp_files_upload([("invoice ü.pdf", b"%PDF-1.7")]).temp_files
    else:
        staged = files.temp_files_stage(organization, [("invoice ü.pdf", b"%PDF-1.7")]).temp_files
    request = sdk.AgentsAgentExecuteAgentRequest(temp_files=staged)
    id = sdk.AgentsApi(own).agent_execute_post(agent, request).execution_id
    print("uploaded", files.execution_context_files_upload(id, [("c.txt", b"C")]))
    listed = files.execution_context_files_get(id)
    print("listed", *(f"{file.file_name} {file.file_size}" for file in listed))
    print("read", *(urllib.request.urlopen(file.signed_url).read().decode() for file in listed))
    sdk.AgentsApi(other).agent_execute_post(agent, sdk.AgentsAgentExecuteAgentRequest())
    directories = files.execution_files_get(id).directories
    print("shared", {file.execution_id == id for file in directories.shared})
    file = directories.downloads[0].id
    # The SDK follows the redirect, and a caller of the gateway has no key that it could take along.
    print("download", files.execution_file_download_redirect_without_preload_content(id, file).read()[:4])
    print("recording", executions.execution_recording_redirect_without_preload_content(id).status)
    if is_new:
        workflows, versions = sdk.WorkflowsApi(own), sdk.WorkflowVersionsApi(own)
        print("workflow", len(workflows.workflow_execute_post(agent, sdk.WorkflowsWorkflowExecuteRequest()).execution_id))
        waits = sdk.AgentsAgentExecuteAgentSyncRequest(timeout_seconds=1)
        print("waits", sdk.AgentsApi(own).agent_execute_sync_post(agent, waits).status.value)
        started = versions.workflow_versions_execute(agent, version, {"inputs": {"a": 1}, "parentExecutionId": id})
        print("version", len(started.execution_id))
        print("rerun", executions.execution_rerun(id).execution_id != id)
    else:
        started = sdk.WorkflowsApi(own).agent_workflows_execute(agent, version, {"inputVariables": {"a": 1}})
        print("version", len(started.execution_id))

    foreign = sdk.FilesApi(other)
    attempt("start", lambda: sdk.AgentsApi(other).agent_execute_post(agent, request))
    attempt("upload", lambda: foreign.execution_context_files_upload(id, [("x", b"X")]))
    attempt("list", lambda: foreign.execution_context_files_get(id))
    attempt("files", lambda: foreign.execution_files_get(id))
    attempt("file", lambda: foreign.execution_file_download_redirect(id, file))
    attempt("record", lambda: sdk.ExecutionApi(other).execution_recording_redirect(id))
    if is_new:
        attempt("again", lambda: sdk.ExecutionApi(other).execution_rerun(id))
    big = b"x" * 100_000_000
    attempt("8 MB", lambda: foreign.execution_context_files_upload(id, [("x", big[:8_000_000])]))
    attempt("100 MB", lambda: foreign.execution_context_files_upload(id, [("x", big)]))
    attempt("large", lambda: files.execution_context_files_upload(id, [("x", big), ("y", big)]))
