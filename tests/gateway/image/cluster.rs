//! The environment of the image's containers: a pod's network, the network to which it is joined, and a pod's volumes.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::Command;

use asteroid_gateway::event;
use serde_json::Value;

use asteroid_gateway::simulator::SimulatedExecution;

use crate::harness::container::{Container, Pod, Volume};
use crate::harness::names::NameServer;
use crate::harness::network::Network;
use crate::harness::{AGENT, API_KEY, Answer, Asteroid, Caller, EXECUTE};

/// The configuration of the sidecar manifests.
pub(super) const SIDECAR: &str = "deploy/kustomize/examples/sidecar/gateway.yaml";

/// The configuration of the manifests for a central gateway.
pub(super) const CENTRAL: &str = "deploy/kustomize/central/gateway.yaml";

/// The tenant of both.
const TENANT: &str = "billing";

/// The pod's address.
pub(super) const POD: &str = "10.77.0.2";

/// Asteroid's real name, which both configurations use.
const NAME: &str = "odyssey.asteroid.ai";

/// The default `/etc/resolv.conf` of a container.
const RESOLVER: (&str, &str) = ("/etc/resolv.conf", "nameserver 10.77.0.53\n");

/// A script that executes an agent as a tenant, and prints the execution's id.
const SDK: &str = r#"
import sys
import asteroid_odyssey as sdk
from asteroid_odyssey.api.agents_api import AgentsApi
from asteroid_odyssey.models.agents_agent_execute_agent_request import AgentsAgentExecuteAgentRequest as Request

host, id, tenant = sys.argv[1:]
with sdk.ApiClient(sdk.Configuration(host=host)) as client:
    client.set_default_header("X-Tenant-Id", tenant)
    print(AgentsApi(client).agent_execute_post(id, Request(inputs={"invoice": 4711})).execution_id)
"#;

/// The network of a pod, a network with Asteroid and a name server, and the pod's volumes.
pub(super) struct Cluster {
    pod: Network,
    world: Network,
    names: NameServer,
    asteroid: Asteroid,
    configuration: Volume,
    secret: Volume,
    /// The CA of Asteroid's certificate, if the pod trusts it; without it, only the built-in roots are trusted.
    authority: Option<Volume>,
}

impl Cluster {
    pub(super) fn new() -> Cluster {
        let mut cluster = Cluster::without_its_authority();
        let authority = std::fs::read_to_string(cluster.asteroid.ca_file()).unwrap();
        cluster.authority = Some(Volume::new(&[("ca.pem", &authority)]));
        cluster
    }

    pub(super) fn without_its_authority() -> Cluster {
        let (pod, world) = (Network::new(), Network::new());
        pod.join("10.77.0.2/24", &world, "10.77.0.1/24");
        let (asteroid, socket) = world.run_inside(|| {
            let ip = world.command("ip").args(["address", "add", "10.77.0.53/24", "dev", "eth0"]).status().unwrap();
            assert!(ip.success());
            (Asteroid::start_tls_at("10.77.0.1:443", NAME), UdpSocket::bind("10.77.0.53:53").unwrap())
        });
        let names = NameServer::serve(socket, NAME, Ipv4Addr::new(10, 77, 0, 1));
        Cluster {
            pod,
            world,
            names,
            asteroid,
            configuration: Volume::new(&[("gateway.yaml", "")]),
            secret: Volume::new(&[("api-key", API_KEY)]),
            authority: None,
        }
    }

    pub(super) fn pod(&self) -> &Network {
        &self.pod
    }

    pub(super) fn world(&self) -> &Network {
        &self.world
    }

    /// Starts a container with the configuration in this file, and waits until it is ready.
    pub(super) fn run(&self, file: &str) -> Container<'_> {
        self.run_with(file, &[RESOLVER])
    }

    /// Does the same with other files in its `/etc`.
    pub(super) fn run_with(&self, file: &str, files: &[(&str, &str)]) -> Container<'_> {
        self.configure(&read(file));
        let mut volumes =
            vec![("/etc/asteroid-gateway", &self.configuration), ("/var/run/secrets/asteroid", &self.secret)];
        // No load balancer needs time to see the end.
        let mut environment = vec![("ASTEROID_GATEWAY__DRAIN__DELAY", "0s")];
        if let Some(authority) = &self.authority {
            volumes.push(("/etc/authority", authority));
            environment.push(("ASTEROID_GATEWAY__UPSTREAM__CA_FILE", "/etc/authority/ca.pem"));
        }
        let arguments = ["run", "--config", "/etc/asteroid-gateway/gateway.yaml"];
        let (environment, volumes) = (environment.as_slice(), volumes.as_slice());
        let pod = Pod { arguments: &arguments, environment, volumes, files };
        let container = pod.start(&self.pod);
        container.program.event(event::GATEWAY_READY);
        container
    }

    /// Changes the ConfigMap.
    pub(super) fn configure(&self, configuration: &str) {
        self.configuration.publish(&[("gateway.yaml", configuration)]);
    }

    /// Changes the Secret, and the API key that Asteroid accepts.
    pub(super) fn replace_key(&self, key: &str) {
        self.asteroid.replace_key(key);
        self.secret.publish(&[("api-key", key)]);
    }

    /// Waits until this many API keys were read, counted from 1.
    pub(super) fn wait_for_key(&self, container: &Container<'_>, count: usize) {
        container.program.wait_for(|text| (text.matches(event::CREDENTIAL_LOADED).count() >= count).then_some(()));
    }

    /// Sends a start from outside the pod.
    pub(super) fn execute(&self) -> Answer {
        self.caller(8080).post(EXECUTE, &[("X-Tenant-Id", TENANT)], b"{}")
    }

    /// Sends a start from another container of the pod.
    pub(super) fn execute_beside(&self, _running: &Container<'_>) -> Answer {
        self.pod.run_inside(|| Caller::connect("127.0.0.1:8080".parse().unwrap())).execute("{}")
    }

    /// Connects a caller from outside the pod.
    pub(super) fn caller(&self, port: u16) -> Caller {
        self.world.run_inside(|| Caller::connect(format!("{POD}:{port}").parse().unwrap()))
    }

    /// Sends a GET to the admin listener, as a kubelet or Prometheus does.
    pub(super) fn get(&self, path: &str) -> Answer {
        self.caller(9090).request("GET", path)
    }

    /// Returns the names that were looked up since the last call.
    pub(super) fn asked(&self) -> Vec<String> {
        self.names.asked()
    }

    pub(super) fn executions(&self) -> Vec<SimulatedExecution> {
        self.asteroid.executions()
    }

    pub(super) fn next(&self, fault: Value) {
        self.asteroid.next(fault);
    }

    pub(super) fn wait_for_requests(&self, count: usize) {
        self.asteroid.wait_for_requests(count);
    }

    /// Lets the SDKs of both eras execute an agent from a network, without a key, as the tenant.
    pub(super) fn assert_sdks_execute(&self, from: &Network, host: &str) {
        let sdks = std::env::var("ASTEROID_SDKS").expect("tests/run installs the SDKs and names their directory");
        for version in ["1.7.257", "1.9.167"] {
            let mut command = Command::new(format!("{sdks}/sdk-{version}/bin/python"));
            command.args(["-c", SDK, &format!("http://{host}:8080"), AGENT, TENANT]);
            let output = from.run_inside(|| command.output().unwrap());
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let execution = self.asteroid.executions().pop().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), execution.id, "{version}");
            assert_eq!(execution.metadata["tenant"], TENANT);
        }
        assert!(self.asteroid.requests().iter().all(|request| request.authenticated));
    }
}

/// Reads a file of the repository.
pub(super) fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}
