//! A collector of spans on a real socket, with scripted answers. OpenTelemetry's own classes decode what it receives.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::Value;

use super::caller::TIMEOUT;

/// A running collector; its threads end with the test.
pub(crate) struct Collector {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    posts: Vec<Post>,
    replies: VecDeque<CollectorReply>,
    always: Option<CollectorReply>,
}

/// A request that was posted.
#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Whether it was answered with 200.
    accepted: bool,
}

/// A scripted answer.
#[derive(Clone)]
pub(crate) enum CollectorReply {
    /// This status, these further header lines, and this body.
    Answer(u16, &'static str, Vec<u8>),
    /// This status, half of a body, and then a close.
    Cut(u16),
    /// No answer, as long as the test runs.
    Hang,
    /// A close without an answer.
    Close,
}

impl Collector {
    pub(crate) fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let collector = Collector { address: listener.local_addr().unwrap(), shared: Arc::default() };
        let shared = Arc::clone(&collector.shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || while serve(&stream, &shared).is_some() {});
            }
        });
        collector
    }

    /// Returns the `traces` section that exports to it, with further members.
    pub(crate) fn traces(&self, more: &str) -> String {
        format!("traces: {{ otlp: \"http://{}/v1/traces\"{more} }}", self.address)
    }

    /// Answers the next posts so, and the later ones with 200.
    pub(crate) fn next(&self, replies: &[CollectorReply]) {
        self.shared.state.lock().unwrap().replies.extend(replies.iter().cloned());
    }

    /// Answers every post so from now on.
    pub(crate) fn always(&self, reply: CollectorReply) {
        self.shared.state.lock().unwrap().always = Some(reply);
    }

    /// Waits for this many posts, and returns all.
    pub(crate) fn posts(&self, count: usize) -> Vec<Post> {
        let state = self.shared.state.lock().unwrap();
        let waited = self.shared.changed.wait_timeout_while(state, TIMEOUT, |state| state.posts.len() < count);
        let posts = waited.unwrap().0.posts.clone();
        assert!(posts.len() >= count, "{} posts of {count} came", posts.len());
        posts
    }

    /// Waits until it has accepted this many spans, and returns all that it accepted.
    pub(crate) fn spans(&self, count: usize) -> Vec<Value> {
        let mut seen = 1;
        loop {
            let posts = self.posts(seen);
            let accepted = posts.iter().filter(|post| post.accepted);
            let spans = decode(accepted.map(|post| post.body.as_slice()));
            if spans.len() >= count {
                return spans;
            }
            seen = posts.len() + 1;
        }
    }
}

fn serve(mut stream: &TcpStream, shared: &Shared) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let reply = {
        let mut state = shared.state.lock().unwrap();
        let reply = state.replies.pop_front().or_else(|| state.always.clone());
        let reply = reply.unwrap_or(CollectorReply::Answer(200, "", Vec::new()));
        state.posts.push(Post { head, body, accepted: matches!(reply, CollectorReply::Answer(200, ..)) });
        shared.changed.notify_all();
        reply
    };
    match reply {
        CollectorReply::Answer(status, headers, body) => {
            let head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
            stream.write_all(&[head.as_bytes(), &body].concat()).ok()
        }
        CollectorReply::Cut(status) => {
            let cut = format!("HTTP/1.1 {status} Said\r\nContent-Length: 10\r\n\r\nhalf");
            stream.write_all(cut.as_bytes()).ok()?;
            None
        }
        CollectorReply::Hang => stream.read(&mut [0]).ok().filter(|read| *read > 0).map(drop),
        CollectorReply::Close => None,
    }
}

/// Returns the spans of all bodies, as `tests/otlp.py` prints them.
pub(crate) fn decode<'a>(bodies: impl IntoIterator<Item = &'a [u8]>) -> Vec<Value> {
    let python =
        std::env::var("ASTEROID_OTLP_PYTHON").expect("tests/run installs opentelemetry-proto and names its Python");
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/otlp.py"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for body in bodies {
        let hex: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(input, "{hex}").unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}
