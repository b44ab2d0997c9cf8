//! The parts of every test: the gateway as a separate process, an upstream, and a caller that controls every byte it sends.

pub(crate) mod asteroid;
pub(crate) mod balancer;
pub(crate) mod caller;
pub(crate) mod certificates;
pub(crate) mod cgroup;
pub(crate) mod collector;
pub(crate) mod configuration;
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
pub(crate) mod teams;
pub(crate) mod unruly;

use std::fmt::Display;

use serde_json::Value;

pub(crate) use asteroid::Asteroid;
pub(crate) use caller::{Answer, Caller};
pub(crate) use collector::Collector;
pub(crate) use configuration::Configuration;
pub(crate) use program::{Program, binary};
pub(crate) use secure::TlsPair;

/// An agent's id.
pub(crate) const AGENT: &str = "8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";

/// The path that starts an execution of [`AGENT`].
pub(crate) const EXECUTE: &str = "/agents/8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11/execute";

/// The gateway's API key, which no output may show.
pub(crate) const API_KEY: &str = "ak-canary-5f1c9d7e3b2a4680";

/// A gateway in front of a simulated Asteroid that accepts its API key.
pub(crate) struct Pair {
    pub(crate) asteroid: Asteroid,
    pub(crate) gateway: Program,
}

impl Pair {
    /// Starts a gateway with the smallest configuration.
    pub(crate) fn start() -> Pair {
        Pair::with("")
    }

    /// Starts a gateway with further sections of the configuration.
    pub(crate) fn with(sections: &str) -> Pair {
        Pair::configured(|smallest| smallest.with(sections))
    }

    /// Starts a gateway with further members in its listener.
    pub(crate) fn with_listener(members: &str) -> Pair {
        Pair::configured(|smallest| smallest.listener(members))
    }

    /// Starts a gateway with the smallest configuration after this change.
    pub(crate) fn configured(change: impl FnOnce(Configuration) -> Configuration) -> Pair {
        let asteroid = Asteroid::start();
        let configuration = change(asteroid.configuration());
        Pair::run(asteroid, configuration)
    }

    /// Starts a gateway with further sections, in front of a simulator over TLS and HTTP/2.
    pub(crate) fn tls(sections: &str) -> Pair {
        Pair::before(Asteroid::start_tls("localhost"), sections)
    }

    /// Starts a gateway with further sections, in front of this simulator.
    pub(crate) fn before(asteroid: Asteroid, sections: &str) -> Pair {
        let configuration = asteroid.configuration().with(sections);
        Pair::run(asteroid, configuration)
    }

    /// Starts a gateway with this configuration, beside a simulator that may be its upstream.
    pub(crate) fn run(asteroid: Asteroid, configuration: impl Display) -> Pair {
        Pair { gateway: Program::run(configuration), asteroid }
    }

    pub(crate) fn caller(&self) -> Caller {
        Caller::connect(self.gateway.address())
    }

    /// Starts an execution with this body.
    pub(crate) fn execute(&self, body: &str) -> Answer {
        self.caller().execute(body)
    }
}

/// Checks all cases at the same time, for cases that mostly wait.
pub(crate) fn at_once<T: Send>(cases: impl IntoIterator<Item = T>, check: impl Fn(T) + Sync) {
    let check = &check;
    std::thread::scope(|scope| cases.into_iter().for_each(|case| drop(scope.spawn(move || check(case)))));
}

/// Reads a body as JSON.
pub(crate) fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(body)))
}
