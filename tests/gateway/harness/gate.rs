//! A relay between the gateway and its upstream. It holds one exchange or one connection at a point that the test chooses.

mod relay;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use tokio::net::TcpSocket;
use tokio::runtime::Builder;

use super::caller::{TIMEOUT, connect};
use super::{Asteroid, Configuration};

/// The number of connections that may wait to be accepted.
const BACKLOG: u32 = 64;

/// The point at which an exchange or a connection is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HoldPoint {
    /// The port is closed until the verdict: connections are refused, and nothing is held.
    Refused {
        /// The number of connections that are accepted before.
        after: usize,
    },
    /// A connection is not made until the verdict. The backlog is full, so the system drops the SYN, and the gateway's
    /// side sends it again after a second.
    Connecting {
        /// The number of connections that are accepted before.
        after: usize,
    },
    /// A look-up has arrived, and was not forwarded.
    LookUp,
    /// Half of a look-up's answer was forwarded.
    LookUpMidAnswer,
    /// The head of a start has arrived, and was not forwarded. Its body is not read.
    Head,
    /// Half of a start's body was forwarded.
    MidBody,
    /// A start was forwarded and answered; the answer was not forwarded.
    Body,
    /// Half of a start's answer was forwarded.
    MidAnswer,
    /// A start's answer was forwarded.
    Answer,
}

/// The continuation of the exchange or connection that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It continues as if it had not been held.
    Proceed,
    /// Its connections are closed.
    Close,
    /// The gateway's connection is reset.
    Reset,
    /// This answer replaces the upstream's.
    Answer(Substitute),
}

/// An answer that the gate sends instead of the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Substitute {
    pub(crate) status: u16,
    /// Its header fields without those of the framing, each with its line end.
    pub(crate) fields: &'static str,
    pub(crate) body: &'static str,
    /// Whether it has a Content-Length; otherwise the end of the connection ends its body.
    pub(crate) has_length: bool,
}

/// A running gate.
pub(crate) struct Gate {
    shared: Arc<Shared>,
    /// The socket that listens after the verdict, if connections are refused before.
    later: Option<TcpSocket>,
}

struct Shared {
    address: SocketAddr,
    upstream: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    point: Option<HoldPoint>,
    /// Whether the exchange to hold has begun; all others pass.
    begun: bool,
    held: bool,
    verdict: Option<Verdict>,
    /// Whether the gateway's connection was closed or reset.
    closed: bool,
    /// Whether the backlog accepts connections again.
    opened: bool,
    /// Whether the gate was dropped.
    ended: bool,
    /// The status of an interim answer that is sent before an exchange is held.
    interim: Option<u16>,
    /// Whether probes of the newest API key are answered with 401.
    refuses_newest: bool,
    /// A connection that fills the backlog.
    filler: Option<TcpStream>,
}

impl Gate {
    /// Starts a gate that holds the first exchange or connection that reaches this point.
    pub(crate) fn before(asteroid: &Asteroid, point: Option<HoldPoint>) -> Gate {
        let now = bind(None);
        let address = now.local_addr().unwrap();
        let upstream = asteroid.authority().parse().unwrap();
        let state = Mutex::new(State { point, ..State::default() });
        let shared = Arc::new(Shared { address, upstream, state, changed: Condvar::new() });
        let later = match point {
            Some(HoldPoint::Refused { after: 0 }) => Some(now),
            Some(HoldPoint::Refused { .. }) => {
                // Bound before the other one listens, so that the port stays reserved when that one is closed.
                let later = bind(Some(address));
                shared.listen(now, BACKLOG);
                Some(later)
            }
            Some(HoldPoint::Connecting { .. }) => {
                // The system's backlog takes one connection more than this number.
                shared.listen(now, 0);
                None
            }
            _ => {
                shared.listen(now, BACKLOG);
                None
            }
        };
        Gate { shared, later }
    }

    /// Holds another exchange, after the verdict on the previous one.
    pub(crate) fn arm(&self, point: HoldPoint) {
        *self.shared.lock() = State { point: Some(point), ..State::default() };
    }

    /// Sends an interim answer before the exchange is held.
    pub(crate) fn answer_in_the_interim(&self, status: u16) {
        self.shared.tell(|state| state.interim = Some(status));
    }

    /// Answers every probe of the newest API key with 401.
    pub(crate) fn refuse_newest(&self) {
        self.shared.tell(|state| state.refuses_newest = true);
    }

    /// Returns the smallest configuration of a gateway in front of it.
    pub(crate) fn configuration(&self) -> Configuration {
        Configuration::for_upstream(&format!("http://{}/agents/v2", self.shared.address))
    }

    /// Waits until an exchange or a connection is held, if the point holds any.
    pub(crate) fn wait_until_held(&self) {
        let point = self.shared.lock().point;
        match point {
            None | Some(HoldPoint::Refused { .. }) => {}
            Some(HoldPoint::Connecting { .. }) => wait_for_unanswered_connection(self.shared.address),
            Some(_) => assert!(self.shared.wait_until(|state| state.held).held, "no exchange reached the point"),
        }
    }

    /// Gives the verdict. Waits until the connection is closed or reset, if that is the verdict, and until connections
    /// are accepted again, if they were not.
    pub(crate) fn decide(&mut self, verdict: Verdict) {
        self.shared.tell(|state| state.verdict = Some(verdict));
        if matches!(verdict, Verdict::Close | Verdict::Reset) {
            assert!(self.shared.wait_until(|state| state.closed).closed, "nothing was held");
        }
        if self.shared.lock().filler.is_some() {
            assert!(self.shared.wait_until(|state| state.opened).opened, "the backlog is not read");
        }
        if let Some(socket) = self.later.take() {
            self.shared.listen(socket, BACKLOG);
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.shared.tell(|state| state.ended = true);
        // Wakes the thread that accepts connections.
        drop(TcpStream::connect(self.shared.address));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn tell(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until the state is so, at most for [`TIMEOUT`].
    fn wait_until(&self, reached: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        self.changed.wait_timeout_while(self.lock(), TIMEOUT, |state| !reached(state)).unwrap().0
    }

    /// Waits for the verdict, or for the end of the gate.
    fn verdict(&self) -> Option<Verdict> {
        self.wait_until(|state| state.verdict.is_some() || state.ended).verdict
    }

    fn listen(self: &Arc<Self>, socket: TcpSocket, backlog: u32) {
        let runtime = Builder::new_current_thread().enable_io().build().unwrap();
        let listener = runtime.block_on(async { socket.listen(backlog).unwrap().into_std().unwrap() });
        listener.set_nonblocking(false).unwrap();
        let point = self.lock().point;
        if point == Some(HoldPoint::Connecting { after: 0 }) {
            self.fill();
        }
        let shared = Arc::clone(self);
        std::thread::spawn(move || accept(listener, &shared));
    }

    /// Fills the backlog with a connection.
    fn fill(&self) {
        let filler = connect(self.address);
        self.lock().filler = Some(filler);
    }

    /// Returns the number of connections before the one that is held or refused; `None` after the verdict.
    fn held_after(&self) -> Option<usize> {
        let state = self.lock();
        match state.point.filter(|_| state.verdict.is_none())? {
            HoldPoint::Refused { after } | HoldPoint::Connecting { after } => Some(after),
            _ => None,
        }
    }
}

fn accept(listener: TcpListener, shared: &Arc<Shared>) {
    let held_after = shared.held_after();
    for number in 0.. {
        if held_after == Some(number) {
            shared.verdict();
        }
        let (stream, _) = listener.accept().unwrap();
        if shared.lock().ended {
            return;
        }
        if held_after == Some(number) {
            shared.tell(|state| state.opened = true);
        }
        // Each closes after its first answer, so that the next request needs a connection.
        let closes = held_after.is_some_and(|after| number < after);
        let last = held_after == Some(number + 1);
        let relaying = relay::task(shared, stream, closes);
        let point = shared.lock().point;
        match point {
            Some(HoldPoint::Refused { .. }) if last => {
                drop(listener);
                std::thread::spawn(relaying);
                return;
            }
            Some(HoldPoint::Connecting { .. }) if last => shared.fill(),
            _ => {}
        }
        std::thread::spawn(relaying);
    }
}

/// Returns a bound socket. It can share its port with others until one of them listens.
fn bind(address: Option<SocketAddr>) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address.unwrap_or_else(|| "127.0.0.1:0".parse().unwrap())).unwrap();
    socket
}

/// Waits until the system's table shows an unanswered connection attempt to this address.
fn wait_for_unanswered_connection(address: SocketAddr) {
    // The remote address, with 127.0.0.1 as the table writes it, and the state SYN_SENT.
    let asking = format!(" 0100007F:{:04X} 02 ", address.port());
    let until = Instant::now() + TIMEOUT;
    while !std::fs::read_to_string("/proc/net/tcp").unwrap().contains(&asking) {
        assert!(Instant::now() < until, "there is no connection attempt");
        std::thread::yield_now();
    }
}
