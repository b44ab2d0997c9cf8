//! Bounds of the memory, connections and audit slots that callers can take, and the share of each tenant.

mod memory;
mod uploads;
mod upstream;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use bytes::Bytes;
use hyper::Request;
use hyper::body::{Body, Frame, SizeHint};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;

use crate::harness::caller::{TIMEOUT, connect_from, encrypt};
use crate::harness::certificates::Authority;
use crate::harness::frames::{
    CONTINUATION, END_HEADERS, END_STREAM, FrameConnection, HEADERS, SETTINGS, block, frame, start,
};
use crate::harness::metrics::Metrics;
use crate::harness::{API_KEY, Asteroid, Caller, EXECUTE, Pair, Program, TlsPair};

/// The addresses of the two tenants' callers, which are the only trusted peers.
const GREEDY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
const QUIET: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 3));
const OUTSIDER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 4));

const MIB: usize = 1024 * 1024;

/// Returns a number of MiB as the value of a metric.
fn in_mib(count: u32) -> f64 {
    f64::from(count) * 1024.0 * 1024.0
}

/// A gateway over TLS for two tenants, with an audit file.
struct Shared {
    asteroid: Asteroid,
    authority: Authority,
    gateway: Program,
    _dir: TempDir,
}

impl Shared {
    /// Starts it with further sections, in a process after these shell commands.
    fn start(sections: &str, preparation: &str) -> Shared {
        let (authority, dir, asteroid) = (Authority::new(), tempfile::tempdir().unwrap(), Asteroid::start());
        authority.write("localhost", dir.path());
        let configuration = asteroid
            .configuration()
            .set("/listeners/0/tenant", json!({ "header": "X-Tenant-Id", "trusted_peers": [GREEDY, QUIET] }))
            .tls(dir.path())
            .tenant("greedy")
            .tenant("quiet")
            .remove("/tenants/billing")
            .with("audit: { file: '{dir}/audit.jsonl' }")
            .with(sections);
        let gateway = Program::run_under(configuration, preparation);
        Shared { asteroid, authority, gateway, _dir: dir }
    }

    fn address(&self) -> SocketAddr {
        self.gateway.address()
    }

    /// Sends a start of the quiet tenant on a new connection.
    #[track_caller]
    fn assert_quiet_is_served(&self, during: &str) {
        let stream = connect_from(QUIET, self.address()).unwrap();
        let mut caller = Caller::over(encrypt(stream, self.authority.client(b"http/1.1")), self.address());
        let answer = caller.try_post(EXECUTE, &[("Host", "localhost"), ("X-Tenant-Id", "quiet")], &body(100 * 1024));
        let answer = answer.unwrap_or_else(|| panic!("{during}: no answer\n{}", self.gateway.output()));
        assert_eq!(answer.status, 202, "{during}: {}", String::from_utf8_lossy(&answer.body));
    }

    /// Opens a connection of the greedy tenant over HTTP/2, and sends these frames.
    fn greedy_frames(&self, bytes: &[u8]) -> Option<FrameConnection<impl std::io::Read + std::io::Write + use<>>> {
        let stream = connect_from(GREEDY, self.address()).ok()?;
        let mut frames = FrameConnection::new(encrypt(stream, self.authority.client(b"h2"))).begin();
        frames.send(bytes);
        Some(frames)
    }

    fn counted(&self, name: &str) -> f64 {
        self.gateway.metrics().find(&format!("asteroid_gateway_{name}"), &[]).unwrap()
    }
}

/// Returns a start's body of about this size.
fn body(size: usize) -> Vec<u8> {
    serde_json::to_vec(&json!({"inputs": {"text": "x".repeat(size)}})).unwrap()
}

/// Returns the head of a start of the greedy tenant, whose body is never sent.
fn greedy_head(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(&[start(), vec![("x-tenant-id", "greedy")]].concat()))
}

/// Returns a header block that does not end.
fn endless_head() -> Vec<u8> {
    let filler = ("x-filler", "0123456789012345678901234567890123456789012345678901234567890123456789");
    [frame(HEADERS, 0, 1, &block(&[start(), vec![filler; 100]].concat())), frame(CONTINUATION, 0, 1, &block(&[filler]))]
        .concat()
}

/// A body that announces its length and never sends its last byte.
struct HeldBack {
    length: usize,
    sent: usize,
}

impl Body for HeldBack {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = (self.length - 1 - self.sent).min(16 * 1024);
        if next == 0 {
            return Poll::Pending;
        }
        self.sent += next;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b' '; next])))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.length - self.sent) as u64)
    }
}

/// Requests of the greedy tenant over HTTP/2, whose bodies stay incomplete until this is dropped.
struct Holding {
    answers: mpsc::Receiver<Option<u16>>,
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Holding {
    fn begin(shared: &Shared, connections: usize, streams: usize, length: usize) -> Holding {
        let (address, config) = (shared.address(), shared.authority.client(b"h2"));
        let (answered, answers) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<Infallible>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for _ in 0..connections {
                    hold(address, Arc::clone(&config), streams, length, &answered).await;
                }
                drop(answered);
                drop(stopped.await);
            });
        });
        Holding { answers, stop: Some(stop), thread: Some(thread) }
    }

    /// Waits for this many answers.
    fn answers(&mut self, count: usize) -> Vec<Option<u16>> {
        (0..count).map(|_| self.answers.recv_timeout(TIMEOUT).expect("the answers come")).collect()
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        drop(self.stop.take());
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// Opens a connection of the greedy tenant, and begins this many starts on it.
async fn hold(
    address: SocketAddr,
    config: Arc<ClientConfig>,
    streams: usize,
    length: usize,
    answered: &mpsc::Sender<Option<u16>>,
) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((GREEDY, 0).into()).unwrap();
    let stream = socket.connect(address).await.unwrap();
    let stream = TlsConnector::from(config).connect("localhost".try_into().unwrap(), stream).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    // Ends when the gateway closes the connection.
    tokio::spawn(async move { drop(connection.await) });
    for _ in 0..streams {
        let request = Request::post(format!("https://localhost{EXECUTE}"))
            .header("content-type", "application/json")
            .header("x-tenant-id", "greedy")
            .body(HeldBack { length, sent: 0 })
            .unwrap();
        let (mut sender, answered) = (sender.clone(), answered.clone());
        tokio::spawn(async move {
            let status = sender.send_request(request).await.ok().map(|answer| answer.status().as_u16());
            // The receiver may have been dropped.
            answered.send(status).ok();
        });
    }
}

fn body_memory(metrics: &Metrics) -> Option<f64> {
    metrics.find("asteroid_gateway_body_memory_bytes", &[])
}

#[test]
fn bodies_that_are_held_back_take_a_tenant_s_share_of_memory_and_no_other_tenant_s() {
    let shared = Shared::start("body_memory: 8MiB", "true");
    let mut holding = Holding::begin(&shared, 2, 40, MIB);
    assert!(holding.answers(60).iter().all(|status| *status == Some(503)), "no more than a few are held");
    shared.assert_quiet_is_served("bodies are held back");
    let held = body_memory(&shared.gateway.metrics()).unwrap();
    assert!((in_mib(2)..=in_mib(4)).contains(&held), "{held}");
    assert_eq!(shared.counted("body_memory_limit_bytes"), in_mib(8));
    assert!(shared.counted("body_memory_refused_total") >= 60.0);
    let refused = shared.gateway.line(|line| line["error"] == "body-memory");
    assert_eq!(
        (&refused["status"], &refused["tenant"], &refused["outcome"]),
        (&json!(503), &json!("greedy"), &json!("not_started"))
    );
    drop(holding);
    shared.gateway.wait_for_metrics(body_memory, &Some(0.0));
    assert_eq!(shared.asteroid.starts().len(), 1);
}

#[test]
fn a_body_that_finds_no_memory_is_refused_with_what_to_do_and_the_next_one_is_taken() {
    let secure = TlsPair::with("body_memory: 3MiB\nidempotency: { memory: 1MiB }");
    let mut held: Vec<Caller> = (0..3)
        .map(|_| {
            let mut caller = secure.caller();
            let head = format!("POST {EXECUTE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n");
            caller.try_send(format!("{head}Content-Length: {MIB}\r\n\r\n").as_bytes());
            caller.try_send(&vec![b' '; MIB - 1]);
            caller
        })
        .collect();
    let refused = |metrics: &Metrics| {
        metrics.find("asteroid_gateway_body_memory_refused_total", &[]).is_some_and(|refused| refused >= 1.0)
    };
    secure.gateway.wait_for_metrics(refused, &true);
    let line = secure.gateway.line(|line| line["error"] == "body-memory");
    let answers: Vec<_> = held
        .iter_mut()
        .map(|caller| {
            caller.try_send(b"{");
            caller.answer()
        })
        .collect();
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert!(!refused.is_empty() && refused.len() < 3, "{answers:?}");
    for answer in refused {
        answer.assert_error(503, "body-memory", "not_started");
        assert_eq!((answer.header("retry-after"), answer.header("connection")), (Some("1"), Some("close")));
    }
    assert_eq!(line["outcome"], "not_started");
    assert_eq!(secure.caller().execute("{}").status, 202);
    secure.gateway.wait_for_metrics(body_memory, &Some(0.0));
    assert!(!secure.gateway.output().contains(API_KEY));
}

#[test]
fn in_the_smallest_body_memory_one_of_several_tenants_sends_the_largest_body_however_it_is_framed() {
    let pair = Pair::configured(|smallest| smallest.with("body_memory: 3MiB").tenant("sales"));
    let envelope = body(0).len();
    let largest = body(MIB - envelope);
    assert_eq!(largest.len(), MIB, "the default of body_limit");
    let mut caller = pair.caller();
    assert_eq!(caller.post(EXECUTE, &[], &largest).status, 202);
    let head = format!("POST {EXECUTE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n");
    caller.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes());
    for part in largest.chunks(1000) {
        caller.send(format!("{:x}\r\n", part.len()).as_bytes());
        caller.send(part);
        caller.send(b"\r\n");
    }
    caller.send(b"0\r\n\r\n");
    assert_eq!(caller.answer().status, 202);
}

#[test]
fn a_body_s_memory_is_held_until_its_start_is_answered() {
    let secure = TlsPair::start();
    secure.asteroid.fail_next(json!({"run": true, "then": "stall"}));
    let mut caller = secure.caller();
    caller.send_post(EXECUTE, &[("Host", "localhost")], &body(100 * 1024));
    secure.asteroid.wait_for_requests(1);
    let held = body_memory(&secure.gateway.metrics()).unwrap();
    assert!(held >= 100.0 * 1024.0, "{held}");
    secure.asteroid.clear_faults();
    assert_eq!(caller.answer().status, 202);
    secure.gateway.wait_for_metrics(body_memory, &Some(0.0));
}

#[test]
fn starts_whose_bodies_do_not_come_take_a_tenant_s_share_of_the_audit_and_no_other_tenant_s() {
    // More heads than there are audit slots.
    const CONNECTIONS: usize = 84;
    let shared = Shared::start("body_memory: 1024MiB", "true");
    let heads: Vec<u8> = (0..100).flat_map(|n| greedy_head(2 * n + 1)).collect();
    let held: Vec<_> = (0..CONNECTIONS).filter_map(|_| shared.greedy_frames(&heads)).collect();
    let waiting = |metrics: &Metrics| metrics.find("asteroid_gateway_audit_records_waiting", &[]);
    shared.gateway.wait_for_metrics(waiting, &Some(4096.0));
    shared.assert_quiet_is_served("heads alone have come");
    shared.gateway.line(|line| line["error"] == "audit-share" && line["tenant"] == "greedy" && line["status"] == 503);
    assert_eq!(shared.counted("audit_refused_total"), 0.0, "the audit itself is well");
    drop(held);
    shared.gateway.wait_for_metrics(waiting, &Some(0.0));
    assert!(!shared.gateway.output().contains(API_KEY));
}

#[test]
fn a_connection_that_brings_no_whole_first_head_is_closed_soon_over_tls_and_http2_too() {
    // Longer than a test waits, so that only the limit for the first head closes connections.
    let secure = TlsPair::with("timeouts: { idle: 10m }");
    let address = secure.gateway.address();
    let mut silent = Caller::connect(address);
    let mut in_handshake = Caller::connect(address);
    in_handshake.send(&[22, 3, 1]);
    let mut in_head = secure.caller();
    in_head.send(b"POST / HTTP/1.1\r\nHost: loc");
    let mut without_request = secure.frames().begin();
    let mut in_block = secure.frames().begin();
    in_block.send(&endless_head());
    let mut used = secure.caller();
    assert_eq!(used.execute("{}").status, 202);
    for caller in [&mut silent, &mut in_handshake, &mut in_head] {
        assert!(caller.is_closed());
    }
    for frames in [&mut without_request, &mut in_block] {
        while frames.next().is_some() {}
    }
    let late = |metrics: &Metrics| metrics.find("asteroid_gateway_connections_closed_total", &[("reason", "late")]);
    secure.gateway.wait_for_metrics(late, &Some(5.0));
    assert_eq!(used.execute("{}").status, 202, "a connection that has brought a request is kept");
}
