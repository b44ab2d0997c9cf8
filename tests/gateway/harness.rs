//! What every test starts: the gateway as a process of its own, an upstream, and a caller that says exactly what it sends.

pub(crate) mod asteroid;
pub(crate) mod balancer;
pub(crate) mod caller;
pub(crate) mod certificates;
pub(crate) mod cgroup;
pub(crate) mod collector;
pub(crate) mod container;
pub(crate) mod frames;
pub(crate) mod gate;
pub(crate) mod haproxy;
pub(crate) mod load;
pub(crate) mod metrics;
pub(crate) mod names;
pub(crate) mod network;
pub(crate) mod program;
pub(crate) mod raw;
pub(crate) mod secure;
pub(crate) mod unruly;

use serde_json::Value;

pub(crate) use asteroid::Asteroid;
pub(crate) use caller::{Answer, Caller};
pub(crate) use collector::Collector;
pub(crate) use program::{Program, binary};
pub(crate) use secure::Secure;

/// An agent's id.
pub(crate) const AGENT: &str = "8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";

/// The path that starts an execution of [`AGENT`].
pub(crate) const EXECUTE: &str = "/agents/8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11/execute";

/// The gateway's key, which no output may show.
pub(crate) const KEY: &str = "ak-canary-5f1c9d7e3b2a4680";

/// A gateway in front of a simulated Asteroid that knows its key.
pub(crate) struct Pair {
    pub(crate) asteroid: Asteroid,
    pub(crate) gateway: Program,
}

impl Pair {
    /// With the smallest configuration.
    pub(crate) fn start() -> Pair {
        Pair::with("")
    }

    /// With further keys of the configuration, as YAML at the top level.
    pub(crate) fn with(more: &str) -> Pair {
        let asteroid = Asteroid::start();
        let gateway = Program::run(&configuration(&asteroid.url(), more));
        Pair { asteroid, gateway }
    }

    /// With further keys of `upstream`.
    pub(crate) fn with_upstream(more: &str) -> Pair {
        let asteroid = Asteroid::start();
        let gateway = Program::run(&configuration(&format!("{}, {more}", asteroid.url()), ""));
        Pair { asteroid, gateway }
    }

    /// With further keys of the listener.
    pub(crate) fn with_listener(more: &str) -> Pair {
        let asteroid = Asteroid::start();
        let fixed = "tenant: { fixed: billing }";
        let gateway = Program::run(&configuration(&asteroid.url(), "").replace(fixed, &format!("{fixed}, {more}")));
        Pair { asteroid, gateway }
    }

    /// Over TLS, by which the simulator speaks HTTP/2; with further keys at the top level.
    pub(crate) fn tls(more: &str) -> Pair {
        Pair::before(Asteroid::start_tls("localhost"), more)
    }

    /// In front of a simulator with a certificate.
    pub(crate) fn before(asteroid: Asteroid, more: &str) -> Pair {
        let upstream = format!("{}, ca_file: {}", asteroid.url(), asteroid.ca_file());
        Pair { gateway: Program::run(&configuration(&upstream, more)), asteroid }
    }

    pub(crate) fn caller(&self) -> Caller {
        Caller::connect(self.gateway.address())
    }

    /// Starts an execution with this body.
    pub(crate) fn execute(&self, body: &str) -> Answer {
        self.caller().execute(body)
    }
}

/// A configuration for an upstream; `{dir}` is where [`Program::run`] puts the key.
pub(crate) fn configuration(upstream: &str, more: &str) -> String {
    format!(
        "upstream: {{ url: {upstream} }}
listeners: [{{ address: 127.0.0.1:0, tenant: {{ fixed: billing }} }}]
admin: {{ address: 127.0.0.1:0 }}
credentials: {{ main: {{ file: \"{{dir}}/key\" }} }}
tenants: {{ billing: {{ credential: main, metadata: {{ team: billing, cost_center: \"4711\" }} }} }}
{more}
"
    )
}

/// A body as JSON.
pub(crate) fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(body)))
}
