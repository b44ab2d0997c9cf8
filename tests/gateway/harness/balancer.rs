//! A load balancer in front of several gateways, which works as a Kubernetes Service does. It sends a new connection to a
//! ready gateway, and leaves an existing connection at its gateway.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Caller, Program};

/// The interval between two probes of readiness.
const PROBE_INTERVAL: Duration = Duration::from_millis(50);

/// A running load balancer, which ends with the test's process.
pub(crate) struct Balancer {
    address: SocketAddr,
    backends: Arc<Mutex<Vec<Backend>>>,
}

struct Backend {
    address: SocketAddr,
    admin: SocketAddr,
    ready: bool,
}

impl Balancer {
    pub(crate) fn start() -> Balancer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let backends = Arc::<Mutex<Vec<Backend>>>::default();
        let (probed, routed) = (Arc::clone(&backends), Arc::clone(&backends));
        std::thread::spawn(move || {
            loop {
                probe(&probed);
                std::thread::sleep(PROBE_INTERVAL);
            }
        });
        std::thread::spawn(move || {
            for caller in listener.incoming() {
                let backend =
                    routed.lock().unwrap().iter().find(|backend| backend.ready).map(|backend| backend.address);
                // If no gateway is ready, the connection is closed, and the test fails.
                let Some(backend) = backend else { continue };
                relay(caller.unwrap(), TcpStream::connect(backend).unwrap());
            }
        });
        Balancer { address, backends }
    }

    /// Adds a gateway. New connections go to the newest gateway that is ready.
    pub(crate) fn add(&self, gateway: &Program) {
        let backend = Backend { address: gateway.address(), admin: gateway.admin_address(), ready: false };
        self.backends.lock().unwrap().insert(0, backend);
        probe(&self.backends);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

fn probe(backends: &Mutex<Vec<Backend>>) {
    let admins: Vec<SocketAddr> = backends.lock().unwrap().iter().map(|backend| backend.admin).collect();
    for admin in admins {
        let answer = TcpStream::connect(admin).ok().and_then(|_| Caller::connect(admin).try_request("GET", "/readyz"));
        let ready = answer.is_some_and(|answer| answer.status == 200);
        let mut backends = backends.lock().unwrap();
        backends.iter_mut().filter(|backend| backend.admin == admin).for_each(|backend| backend.ready = ready);
    }
}

/// Relays bytes in both directions, until both have ended.
fn relay(caller: TcpStream, backend: TcpStream) {
    for (mut from, mut to) in [(caller.try_clone().unwrap(), backend.try_clone().unwrap()), (backend, caller)] {
        std::thread::spawn(move || {
            let mut bytes = [0; 16 * 1024];
            while let Ok(read @ 1..) = from.read(&mut bytes) {
                if to.write_all(&bytes[..read]).is_err() {
                    break;
                }
            }
            drop(to.shutdown(Shutdown::Write));
        });
    }
}
