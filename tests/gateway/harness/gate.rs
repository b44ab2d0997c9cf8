//! A relay between the gateway and its upstream that holds one exchange, or one connection, where a test wants it.

mod relay;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use tokio::net::TcpSocket;
use tokio::runtime::Builder;

use super::caller::{TIMEOUT, connect};
use super::{Asteroid, Configuration};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 64;

/// Where something is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HoldPoint {
    /// Nobody listens before the verdict: connections are refused, and nothing is held.
    Refused {
        /// How many connections are made before.
        after: usize,
    },
    /// A connection is not made before the verdict: the queue of those that wait to be accepted is full, so the system
    /// drops what asks for a place in it, and is asked again after a second.
    Connecting {
        /// How many connections are made before.
        after: usize,
    },
    /// A look-up has come, and was not passed on.
    LookUp,
    /// Half of a look-up's answer was passed back.
    LookUpMidAnswer,
    /// The head of a start has come, and was not passed on. What follows it is not read.
    Head,
    /// Half of a start's body was passed on.
    MidBody,
    /// A start was passed on and answered; the answer was not passed back.
    Body,
    /// Half of a start's answer was passed back.
    MidAnswer,
    /// A start's answer was passed back.
    Answer,
}

/// What becomes of what is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on as if it had not been held.
    Proceed,
    /// Its connections are closed.
    Close,
    /// The gateway's connection is reset.
    Reset,
    /// This answer, in the upstream's stead.
    Answer(Substitute),
}

/// An answer of the gate's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Substitute {
    pub(crate) status: u16,
    /// Its header fields beside the framing, each with the end of its line.
    pub(crate) fields: &'static str,
    pub(crate) body: &'static str,
    /// Whether it says how long its body is; else that ends with the connection.
    pub(crate) has_length: bool,
}

/// A running gate.
pub(crate) struct Gate {
    shared: Arc<Shared>,
    /// What is listened on from the verdict on, where connections are refused before.
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
    /// Whether the exchange that is to be held has begun; all others pass.
    begun: bool,
    held: bool,
    verdict: Option<Verdict>,
    /// Whether the gateway's connection was closed or reset.
    closed: bool,
    /// Whether the queue of connections has room again.
    opened: bool,
    /// Whether the gate is gone.
    ended: bool,
    /// The status of an interim answer that is given where something is held.
    interim: Option<u16>,
    /// Whether the gateway is told that its newest key is refused, whenever it asks about that.
    refuses_newest: bool,
    /// Fills the queue of connections that wait to be accepted.
    filler: Option<TcpStream>,
}

impl Gate {
    /// A gate that holds the first exchange or connection that comes to this point.
    pub(crate) fn before(asteroid: &Asteroid, point: Option<HoldPoint>) -> Gate {
        let now = bind(None);
        let address = now.local_addr().unwrap();
        let upstream = asteroid.authority().parse().unwrap();
        let state = Mutex::new(State { point, ..State::default() });
        let shared = Arc::new(Shared { address, upstream, state, changed: Condvar::new() });
        let later = match point {
            Some(HoldPoint::Refused { after: 0 }) => Some(now),
            Some(HoldPoint::Refused { .. }) => {
                // Bound before the other is listened on, so that the port stays when that one is closed.
                let later = bind(Some(address));
                shared.listen(now, BACKLOG);
                Some(later)
            }
            Some(HoldPoint::Connecting { .. }) => {
                // The queue has room for one more than it is said to.
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

    /// Holds another exchange, now that there is a verdict on the one before.
    pub(crate) fn arm(&self, point: HoldPoint) {
        *self.shared.lock() = State { point: Some(point), ..State::default() };
    }

    /// Lets an interim answer come before what is held.
    pub(crate) fn answer_in_the_interim(&self, status: u16) {
        self.shared.tell(|state| state.interim = Some(status));
    }

    /// Answers 401 to each question about the newest key.
    pub(crate) fn refuse_newest(&self) {
        self.shared.tell(|state| state.refuses_newest = true);
    }

    /// Returns the smallest configuration of a gateway in front of it.
    pub(crate) fn configuration(&self) -> Configuration {
        Configuration::for_upstream(&format!("http://{}/agents/v2", self.shared.address))
    }

    /// Waits until something is held, where something is to be.
    pub(crate) fn wait_until_held(&self) {
        let point = self.shared.lock().point;
        match point {
            None | Some(HoldPoint::Refused { .. }) => {}
            Some(HoldPoint::Connecting { .. }) => wait_for_unanswered_connection(self.shared.address),
            Some(_) => assert!(self.shared.wait_until(|state| state.held).held, "nothing came to be held"),
        }
    }

    /// Says what becomes of what is held; waits until the connection is closed or reset where it is to be, and until
    /// connections are made again where they were not.
    pub(crate) fn decide(&mut self, verdict: Verdict) {
        self.shared.tell(|state| state.verdict = Some(verdict));
        if matches!(verdict, Verdict::Close | Verdict::Reset) {
            assert!(self.shared.wait_until(|state| state.closed).closed, "nothing was held");
        }
        if self.shared.lock().filler.is_some() {
            assert!(self.shared.wait_until(|state| state.opened).opened, "the queue is not read");
        }
        if let Some(socket) = self.later.take() {
            self.shared.listen(socket, BACKLOG);
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.shared.tell(|state| state.ended = true);
        // Wakes who accepts.
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

    /// Waits for this, or until it has taken too long.
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

    /// Fills the queue of connections that wait to be accepted.
    fn fill(&self) {
        let filler = connect(self.address);
        self.lock().filler = Some(filler);
    }

    /// After how many connections the next one meets something else; nothing where there is a verdict already.
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

/// A bound socket, which shares its port with others as long as none of them is listened on.
fn bind(address: Option<SocketAddr>) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address.unwrap_or_else(|| "127.0.0.1:0".parse().unwrap())).unwrap();
    socket
}

/// Waits until somebody connects to this address and is not answered, as the system's own table shows it.
fn wait_for_unanswered_connection(address: SocketAddr) {
    // The remote address as 127.0.0.1 is written there, and the state SYN_SENT.
    let asking = format!(" 0100007F:{:04X} 02 ", address.port());
    let until = Instant::now() + TIMEOUT;
    while !std::fs::read_to_string("/proc/net/tcp").unwrap().contains(&asking) {
        assert!(Instant::now() < until, "nobody connects");
        std::thread::yield_now();
    }
}
