//! The unmodified Python SDK of the specification's era, its host set to the gateway and without a key.

use std::process::Command;

use crate::harness::{AGENT, Pair};

const SCRIPT: &str = r#"
import sys
import asteroid_odyssey as sdk
from asteroid_odyssey.api.agents_api import AgentsApi
from asteroid_odyssey.models.agents_agent_execute_agent_request import AgentsAgentExecuteAgentRequest as Request

host, agent = sys.argv[1:]
with sdk.ApiClient(sdk.Configuration(host=host)) as client:
    api = AgentsApi(client)
    print(api.agent_execute_post(agent, Request(inputs={"invoice": 4711}, metadata={"ticket": "T-1"})).execution_id)
    print(api.agent_execute_post(agent, Request()).execution_id)
    try:
        api.agent_execute_post(agent, Request(metadata={"tenant": "sales"}))
    except sdk.ApiException as error:
        print(error.status, error.body)
"#;

fn run(host: &str) -> Vec<String> {
    let python = std::env::var("ASTEROID_SDK_PYTHON").expect("tests/run installs the SDK and names its interpreter");
    let output = Command::new(python).args(["-c", SCRIPT, host, AGENT]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn the_sdk_executes_an_agent_through_the_gateway_with_every_base_url_that_people_write() {
    let pair = Pair::start();
    for base in ["", "/", "/agents/v2", "/agents/v2/"] {
        let host = format!("http://{}{base}", pair.gateway.address());
        let lines = run(&host);
        let executions = pair.asteroid.executions();
        let [.., first, second] = executions.as_slice() else { panic!("{base}: {executions:?}") };
        assert_eq!(lines[..2], [first.id.clone(), second.id.clone()], "{base}");
        assert!(lines[2].starts_with("400 ") && lines[2].contains("/metadata/tenant"), "{lines:?}");
        assert_eq!(first.metadata["ticket"], "T-1");
        assert_eq!(first.metadata["tenant"], "billing");
        assert_eq!(second.metadata["team"], "billing");
    }
    assert!(pair.asteroid.requests().iter().all(|request| request.authenticated));
}
