//! The simulated Asteroid, in the test's process, on a separate runtime.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use asteroid_gateway::simulator::api::Api;
use asteroid_gateway::simulator::fault::Fault;
use asteroid_gateway::simulator::plan::LifePlan;
use asteroid_gateway::simulator::received::ReceivedRequest;
use asteroid_gateway::simulator::storage::StorageReport;
use asteroid_gateway::simulator::{Options, SimulatedExecution, Simulator, tls};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::caller::TIMEOUT;
use super::certificates::Authority;
use super::{API_KEY, Answer, Caller, Configuration};

/// An address whose port the system chooses.
const LOOPBACK: &str = "127.0.0.1:0";

/// A running simulator that accepts [`API_KEY`].
pub(crate) struct Asteroid {
    simulator: Arc<Simulator>,
    address: SocketAddr,
    certificates: Option<(String, TempDir)>,
    runtime: Handle,
    /// Ends the simulator when it is dropped.
    _stop: oneshot::Sender<Infallible>,
}

impl Asteroid {
    pub(crate) fn start() -> Asteroid {
        Asteroid::serve(LOOPBACK, None, false, Api::Both)
    }

    /// Starts one that serves this era of the API.
    pub(crate) fn start_api(api: Api) -> Asteroid {
        Asteroid::serve(LOOPBACK, None, false, api)
    }

    /// Starts one over TLS and HTTP/2, with a certificate for this name from a new CA.
    pub(crate) fn start_tls(name: &str) -> Asteroid {
        Asteroid::serve(LOOPBACK, Some(("localhost".to_owned(), certificates(name))), false, Api::Both)
    }

    /// Starts one over TLS and HTTP/2 at this address, with a certificate for this name, which its URL contains.
    pub(crate) fn start_tls_at(address: &str, name: &str) -> Asteroid {
        Asteroid::serve(address, Some((name.to_owned(), certificates(name))), false, Api::Both)
    }

    /// Starts one over TLS that speaks only HTTP/1.1, with a certificate for this name.
    pub(crate) fn start_tls_http1(name: &str) -> Asteroid {
        Asteroid::serve(LOOPBACK, Some(("localhost".to_owned(), certificates(name))), true, Api::Both)
    }

    fn serve(address: &str, certificates: Option<(String, TempDir)>, http1_only: bool, api: Api) -> Asteroid {
        let tls = certificates.as_ref().map(|(_, dir)| {
            tls::server(&dir.path().join("cert.pem"), &dir.path().join("key.pem"), http1_only).unwrap()
        });
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        // What is started runs at once and does not end, unless a test changes that.
        let life = LifePlan::endless();
        let simulator = Simulator::new(Options { api_keys: vec![API_KEY.into()], observer: None, api, life });
        let listener = runtime.block_on(tokio::net::TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<Infallible>();
        let handle = runtime.handle().clone();
        let serving = Arc::clone(&simulator).serve(listener, tls);
        std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    never = serving => match never {},
                    _ = stopped => {}
                }
            });
        });
        Asteroid { simulator, address, certificates, runtime: handle, _stop: stop }
    }

    /// Returns its base URL.
    pub(crate) fn url(&self) -> String {
        match &self.certificates {
            None => format!("http://{}/agents/v2", self.address),
            Some((name, _)) => format!("https://{name}:{}/agents/v2", self.address.port()),
        }
    }

    /// Returns the smallest configuration of a gateway in front of it.
    pub(crate) fn configuration(&self) -> Configuration {
        let configuration = Configuration::for_upstream(&self.url());
        match &self.certificates {
            None => configuration,
            Some(_) => configuration.upstream(&format!("ca_file: '{}'", self.ca_file())),
        }
    }

    /// Returns its address, in the form of `Host`.
    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn ca_file(&self) -> String {
        self.certificates.as_ref().unwrap().1.path().join("ca.pem").to_str().unwrap().to_owned()
    }

    pub(crate) fn requests(&self) -> Vec<ReceivedRequest> {
        self.simulator.requests()
    }

    /// Returns those requests that are starts.
    pub(crate) fn starts(&self) -> Vec<ReceivedRequest> {
        self.requests().into_iter().filter(|request| request.method == "POST").collect()
    }

    pub(crate) fn only_request(&self) -> ReceivedRequest {
        let [request] = self.requests().try_into().expect("one request");
        request
    }

    /// Returns the number of all started executions.
    pub(crate) fn started(&self) -> usize {
        self.simulator.started_count()
    }

    pub(crate) fn executions(&self) -> Vec<SimulatedExecution> {
        self.simulator.executions()
    }

    /// Returns what its storage has, and who used it.
    pub(crate) fn storage(&self) -> StorageReport {
        self.simulator.storage()
    }

    /// Lets the next request fail. The simulator's help describes a fault.
    pub(crate) fn fail_next(&self, fault: Value) {
        let fault: Fault = serde_json::from_value(fault).unwrap();
        self.simulator.fail_next(1, fault);
    }

    /// Lets the listing differ from the started executions. Members that are left out have their defaults.
    pub(crate) fn set_listing(&self, listing: Value) {
        self.simulator.set_listing(serde_json::from_value(listing).unwrap());
    }

    /// Ends an execution and deletes it with the API, as an operator may do.
    pub(crate) fn delete(&self, id: &str) {
        self.set_status(id, "cancelled");
        let mut caller = self.caller();
        let path = format!("/agents/v2/executions/{id}");
        let host = self.address;
        caller.send(format!("DELETE {path} HTTP/1.1\r\nHost: {host}\r\nX-Api-Key: {API_KEY}\r\n\r\n").as_bytes());
        assert_eq!(caller.answer().status, 204);
    }

    /// Moves an execution to this status.
    pub(crate) fn set_status(&self, id: &str, status: &str) {
        let status = serde_json::from_value(status.into()).unwrap();
        assert!(self.simulator.set_status(id, status), "there is no execution {id}");
    }

    /// Changes how executions live that are started from now on. Members that are left out have their defaults, not those of
    /// [`LifePlan::endless`].
    pub(crate) fn set_life(&self, life: Value) {
        self.simulator.set_life(serde_json::from_value(life).unwrap());
    }

    /// Lets every request fail from now on.
    pub(crate) fn fail_always(&self, fault: Value) {
        let fault: Fault = serde_json::from_value(fault).unwrap();
        self.simulator.fail_next(u32::MAX, fault);
    }

    pub(crate) fn clear_faults(&self) {
        self.simulator.clear_faults();
    }

    /// Closes the connections, and waits until they are closed.
    pub(crate) fn close_connections(&self) {
        self.runtime.block_on(self.simulator.close_connections());
    }

    /// Waits until the other side has closed every connection.
    pub(crate) fn wait_for_no_connection(&self) {
        let closed = async { tokio::time::timeout(TIMEOUT, self.simulator.wait_until_disconnected()).await };
        self.runtime.block_on(closed).expect("the connections are closed");
    }

    pub(crate) fn replace_api_key(&self, key: &str) {
        self.set_api_keys(&[key]);
    }

    /// Accepts only these API keys.
    pub(crate) fn set_api_keys(&self, keys: &[&str]) {
        self.simulator.set_api_keys(keys.iter().map(|key| (*key).into()).collect());
    }

    /// Waits until this many requests have arrived.
    pub(crate) fn wait_for_requests(&self, count: usize) {
        let arrived = async { tokio::time::timeout(TIMEOUT, self.simulator.wait_for_requests(count)).await };
        self.runtime.block_on(arrived).expect("the requests arrive");
    }

    /// Connects a caller directly to it, without the gateway.
    pub(crate) fn caller(&self) -> Caller {
        Caller::connect(self.address)
    }

    /// Sends a GET with its API key directly to it, without the gateway.
    pub(crate) fn get(&self, path: &str) -> Answer {
        let mut caller = self.caller();
        caller
            .send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\nX-Api-Key: {API_KEY}\r\n\r\n", self.address).as_bytes());
        caller.answer()
    }

    /// Returns the requests as it shows them over HTTP.
    pub(crate) fn shown(&self) -> String {
        let answer = self.caller().request("GET", "/_simulator/requests");
        assert_eq!(answer.status, 200);
        String::from_utf8(answer.body).unwrap()
    }
}

/// Makes a directory with `ca.pem`, and a certificate for this name in `cert.pem` and `key.pem`.
pub(crate) fn certificates(name: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.write(name, dir.path());
    std::fs::write(dir.path().join("ca.pem"), &authority.pem).unwrap();
    dir
}

/// Returns an address at which every connection is refused. While the socket is open, no other process gets its port.
/// Otherwise the port could become the upstream of another test.
pub(crate) fn refused_address() -> (SocketAddr, tokio::net::TcpSocket) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    (socket.local_addr().unwrap(), socket)
}

/// Returns an address at which connection attempts get no answer until the other values are dropped.
pub(crate) fn unreachable_address() -> (SocketAddr, Vec<Box<dyn Send>>) {
    let runtime = Builder::new_current_thread().enable_io().build().unwrap();
    let listener: TcpListener = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        socket.listen(1).unwrap().into_std().unwrap()
    });
    let address = listener.local_addr().unwrap();
    let mut held: Vec<Box<dyn Send>> = vec![Box::new(listener)];
    // The backlog is full as soon as a connection attempt times out.
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        held.push(Box::new(stream));
        assert!(held.len() < 100, "the queue has no end");
    }
    (address, held)
}
