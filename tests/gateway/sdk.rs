//! The unmodified Python SDKs of both eras, with the gateway as their host and without an API key. They also read the
//! simulator's listing, without the gateway.

mod files;
mod matrix;
mod retries;
mod simulated_files;
mod waiting;

use std::process::Command;

use asteroid_gateway::simulator::SimulatedExecution;

use crate::harness::{AGENT, API_KEY, Asteroid, Pair};

/// The id of an execution that does not exist.
const UNKNOWN: &str = "0b0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";

/// The paths of base URLs that users write after the gateway's address.
const BASES: [&str; 4] = ["", "/", "/agents/v2", "/agents/v2/"];

/// A script that prints the ids of two executions, then the errors for a forged tag and for a body with several faults.
const AGENTS: &str = r#"
import sys
import asteroid_odyssey as sdk
from asteroid_odyssey.api.agents_api import AgentsApi
from asteroid_odyssey.models.agents_agent_execute_agent_request import AgentsAgentExecuteAgentRequest as Request

host, id = sys.argv[1:]
with sdk.ApiClient(sdk.Configuration(host=host)) as client:
    execute = AgentsApi(client).agent_execute_post
    print(execute(id, Request(inputs={"invoice": 4711}, metadata={"ticket": "T-1"})).execution_id)
    print(execute(id, Request()).execution_id)
    for wrong in Request(metadata={"tenant": "sales"}), Request(agent_profile_id="x", metadata={"ticket": 1}):
        try:
            execute(id, wrong)
        except sdk.ApiException as error:
            print(error.status, error.body)
"#;

/// A script with a time-out and a retry loop, like most services. It prints the type of each failure, then the execution
/// and whether its answer was replayed.
const RETRIES: &str = r#"
import sys
import time
import asteroid_odyssey as sdk
from asteroid_odyssey.api.agents_api import AgentsApi
from asteroid_odyssey.models.agents_agent_execute_agent_request import AgentsAgentExecuteAgentRequest as Request

host, id = sys.argv[1:]
with sdk.ApiClient(sdk.Configuration(host=host)) as client:
    execute = AgentsApi(client).agent_execute_post_with_http_info
    for patience in [0.3] + [5] * 100:
        try:
            answer = execute(id, Request(), _headers={"Idempotency-Key": "invoice-4711"}, _request_timeout=patience)
        except sdk.ApiException as error:
            print(error.status)
            time.sleep(0.1)
        except Exception as error:
            print("no answer")
        else:
            print(answer.data.execution_id, answer.headers["idempotent-replayed"])
            break
"#;

/// A script that lists the executions for a ticket directly at the simulated Asteroid, and prints them.
const LISTING: &str = r#"
import sys
import asteroid_odyssey as sdk
from asteroid_odyssey.api.execution_api import ExecutionApi

host, id = sys.argv[1:]
with sdk.ApiClient(sdk.Configuration(host=host, api_key={"ApiKeyAuth": "KEY"})) as client:
    listing = ExecutionApi(client).executions_list(page_size=2, FILTER)
    print(listing.total, listing.page_size)
    item = listing.items[0]
    print(item.id, item.metadata["ticket"], item.agent_id, item.status.value, item.created_at.tzinfo)
    print(ExecutionApi(client).execution_get(item.id) == item)
"#;

/// Returns the same script for the newer era's workflows.
fn workflows() -> String {
    AGENTS
        .replace("agents_api import AgentsApi", "workflows_api import WorkflowsApi")
        .replace("agents_agent_execute_agent_request", "workflows_workflow_execute_request")
        .replace("AgentsAgentExecuteAgentRequest", "WorkflowsWorkflowExecuteRequest")
        .replace("AgentsApi(client).agent_execute_post", "WorkflowsApi(client).workflow_execute_post")
        .replace("agent_profile_id=", "head=True, version=3, profile_id=")
}

fn run(sdk: &str, script: &str, host: &str) -> Vec<String> {
    printed(interpreter(sdk).args(["-c", script, host, AGENT]))
}

/// Runs a script of `tests/gateway/sdk/` with an SDK, and returns what it prints.
fn run_file(sdk: &str, script: &str, arguments: &[&str]) -> Vec<String> {
    printed(interpreter(sdk).arg("-B").arg(path(script)).args(arguments))
}

/// Returns the path of a script of `tests/gateway/sdk/`.
fn path(script: &str) -> String {
    format!("{}/tests/gateway/sdk/{script}", env!("CARGO_MANIFEST_DIR"))
}

/// Returns the Python in whose environment an SDK is installed.
fn interpreter(sdk: &str) -> Command {
    let sdks = std::env::var("ASTEROID_SDKS").expect("tests/run installs the SDKs and names their directory");
    Command::new(format!("{sdks}/sdk-{sdk}/bin/python"))
}

/// Runs a program to its end, and returns the lines that it prints.
fn printed(command: &mut Command) -> Vec<String> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Runs a script for every base URL, and asserts its results. `faults` are the faults of its last body.
fn assert_executes(sdk: &str, script: &str, faults: &[&str], is_of_id: fn(&SimulatedExecution) -> bool) {
    let pair = Pair::start();
    for base in BASES {
        let lines = run(sdk, script, &format!("http://{}{base}", pair.gateway.address()));
        let executions = pair.asteroid.executions();
        let [.., first, second] = executions.as_slice() else { panic!("{base}: {executions:?}") };
        assert_eq!(lines[..2], [first.id.clone(), second.id.clone()], "{base}");
        assert!(is_of_id(first) && is_of_id(second), "{executions:?}");
        assert_eq!((&first.metadata["ticket"], &first.metadata["tenant"]), (&"T-1".into(), &"billing".into()));
        assert_eq!(second.metadata["team"], "billing");
        assert_eq!(pointers(&lines[2]), ["/metadata/tenant"]);
        assert_eq!(pointers(&lines[3]), faults);
    }
    assert_eq!(pair.asteroid.requests().len(), 2 * BASES.len(), "what is refused does not get there");
    assert!(pair.asteroid.requests().iter().all(|request| request.authenticated));
}

/// Returns the positions of a body's faults, as the user of the SDK sees them.
fn pointers(line: &str) -> Vec<String> {
    let body = line.strip_prefix("400 ").unwrap_or_else(|| panic!("{line}"));
    let problem = crate::harness::json(body.as_bytes());
    let errors = problem["errors"].as_array().unwrap();
    errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_sdk_of_the_specifications_era_executes_an_agent_with_every_base_url_that_people_write() {
    let faults = ["/agentProfileId", "/metadata/ticket"];
    assert_executes("1.7.257", AGENTS, &faults, |execution| execution.agent_id.as_deref() == Some(AGENT));
}

#[test]
fn the_newest_sdk_executes_an_agent_with_every_base_url_that_people_write() {
    let faults = ["/agentProfileId", "/metadata/ticket"];
    assert_executes("1.9.167", AGENTS, &faults, |execution| execution.agent_id.as_deref() == Some(AGENT));
}

#[test]
fn the_newest_sdk_executes_a_workflow_with_every_base_url_that_people_write() {
    let faults = ["/profileId", "/metadata/ticket", "/head"];
    assert_executes("1.9.167", &workflows(), &faults, |execution| execution.workflow_id.as_deref() == Some(AGENT));
}

#[test]
fn a_service_that_gives_up_and_retries_with_its_key_gets_the_execution_of_its_first_try() {
    for version in ["1.7.257", "1.9.167"] {
        let pair = Pair::start();
        pair.asteroid.fail_next(serde_json::json!({"run": true, "delay_ms": 1500}));
        let lines = run(version, RETRIES, &format!("http://{}", pair.gateway.address()));
        let [execution] = pair.asteroid.executions().try_into().unwrap();
        assert_eq!(lines[0], "no answer");
        assert!(lines[1..lines.len() - 1].iter().all(|line| line == "409"), "{lines:?}");
        assert_eq!(lines[lines.len() - 1], format!("{} true", execution.id));
    }
}

#[test]
fn the_sdks_of_both_eras_read_the_simulators_listing_each_by_its_own_filter() {
    let pair = r#"metadata_key="ticket", metadata_value="T=1 & 2""#;
    let repeated = r#"metadata=["ticket=T=1 & 2", "team=a"]"#;
    for (sdk, base, filter) in [("1.7.257", "/agents/v2", pair), ("1.9.167", "", pair), ("1.9.167", "", repeated)] {
        let asteroid = Asteroid::start();
        let path = format!("/agents/v2/agents/{AGENT}/execute");
        for ticket in ["T=1 & 2", "T=1"] {
            let body = serde_json::json!({ "metadata": { "ticket": ticket, "team": "a" } }).to_string();
            assert_eq!(asteroid.caller().post(&path, &[("X-Api-Key", API_KEY)], body.as_bytes()).status, 202);
        }
        let script = LISTING.replace("KEY", API_KEY).replace("FILTER", filter);
        let lines = run(sdk, &script, &format!("http://{}{base}", asteroid.authority()));
        let item = format!("{} T=1 & 2 {AGENT} running UTC", asteroid.executions()[0].id);
        assert_eq!(lines, ["1 2", item.as_str(), "True"], "{sdk} {filter}");
    }
}
