//! The export of spans: a bounded queue, and one task that sends batches to the collector.
//!
//! A slow or broken collector costs spans, which are counted. It costs no request, and no memory beyond the queue. A batch is sent
//! again if OTLP allows it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{HeaderMap, RETRY_AFTER};
use hyper::http::uri::PathAndQuery;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::otlp::{Request, Resource, ResourceSpans, Response, Scope, ScopeSpans, Span, attribute};
use super::span::SCHEMA;
use crate::client::{self, Client};
use crate::event;
use crate::tasks::Tasks;

/// The requests whose spans may wait: about 3 MiB.
const QUEUE_CAPACITY: usize = 2048;
/// The requests whose spans are sent in one batch.
const BATCH_SIZE: usize = 512;
/// How long the first spans of a batch wait for others.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// The time-out of one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// The most attempts for a batch.
const MAX_ATTEMPTS: u32 = 5;
/// The longest pause between two attempts, whatever `Retry-After` says.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// How long the drain waits for the remaining spans.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// The queue of spans.
#[derive(Debug)]
pub struct Queue {
    sender: mpsc::Sender<Vec<Bytes>>,
    counts: Arc<Counts>,
}

/// The counts of spans since the process started.
#[derive(Debug, Default)]
struct Counts {
    /// Put into the queue, or dropped because it was full.
    made: AtomicU64,
    /// Taken by the collector.
    sent: AtomicU64,
    /// Dropped: the queue was full, or the collector did not take them.
    dropped: AtomicU64,
}

impl Counts {
    fn add(count: &AtomicU64, spans: usize) {
        count.fetch_add(spans as u64, Ordering::Relaxed);
    }

    /// Returns how many spans are neither sent nor dropped.
    fn left(&self) -> u64 {
        let [made, sent, dropped] = [&self.made, &self.sent, &self.dropped].map(|count| count.load(Ordering::Relaxed));
        made.saturating_sub(sent).saturating_sub(dropped)
    }
}

impl Queue {
    /// Adds the spans of a request. If the queue is full, drops and counts them; never waits.
    pub(super) fn put(&self, spans: &[Span]) {
        let count = spans.len();
        // Encoded, they take a fraction of the memory.
        let spans = spans.iter().map(|span| Bytes::from(span.encode_to_vec())).collect();
        Counts::add(&self.counts.made, count);
        if self.sender.try_send(spans).is_err() {
            Counts::add(&self.counts.dropped, count);
        }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }
}

/// The task that sends the spans of the queue.
#[derive(Debug)]
pub struct Exporter {
    client: Client,
    target: PathAndQuery,
    queue: mpsc::Receiver<Vec<Bytes>>,
    counts: Arc<Counts>,
    resource: Resource,
    batch: Vec<Vec<Bytes>>,
    episode: Option<Episode>,
    /// Drops that an episode knows of.
    known: u64,
}

/// A period in which spans are lost or at risk: one log line when it begins, and one when it ends.
#[derive(Debug)]
struct Episode {
    /// Drops before it.
    before: u64,
}

/// A running exporter.
#[derive(Debug)]
pub struct Exporting {
    counts: Arc<Counts>,
    flush: oneshot::Sender<Infallible>,
    flushed: oneshot::Receiver<Infallible>,
}

/// The reason why the collector did not accept a batch.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Exchange(#[from] client::Error),
    #[error("it answered {0}")]
    Status(StatusCode, Option<Duration>),
}

impl Failure {
    /// Returns the pause before the next attempt; none if OTLP forbids another. It allows one if the collector said that it is busy,
    /// or said nothing.
    fn wait(&self, attempt: u32) -> Option<Duration> {
        let asked = match self {
            Failure::Exchange(_) => None,
            Failure::Status(status, asked) if matches!(status.as_u16(), 429 | 502 | 503 | 504) => *asked,
            Failure::Status(..) => return None,
        };
        let doubled = Duration::from_secs(1 << attempt.min(5));
        // Spread by half, or gateways that were refused together would retry together.
        let spread = doubled / 2 + doubled.mul_f32(f32::from(uuid::Uuid::new_v4().as_bytes()[0]) / 255.0) / 2;
        Some(asked.unwrap_or(spread).min(MAX_WAIT))
    }
}

impl Exporter {
    /// Creates a queue and its exporter, which sends as this service.
    #[must_use]
    pub fn new(client: Client, target: PathAndQuery, service_name: &str) -> (Queue, Exporter) {
        let (sender, queue) = mpsc::channel(QUEUE_CAPACITY);
        let counts = Arc::<Counts>::default();
        let attributes = vec![
            attribute("service.name", service_name),
            attribute("service.version", env!("CARGO_PKG_VERSION")),
            attribute("service.instance.id", uuid::Uuid::new_v4().to_string()),
        ];
        let (resource, batch) = (Resource { attributes }, Vec::new());
        let queue_end = Queue { sender, counts: Arc::clone(&counts) };
        (queue_end, Exporter { client, target, queue, counts, resource, batch, episode: None, known: 0 })
    }

    /// Starts to send, until it is told to flush.
    #[must_use]
    pub fn begin(self, tasks: &Tasks) -> Exporting {
        let counts = Arc::clone(&self.counts);
        let (flush, told) = oneshot::channel();
        let (done, flushed) = oneshot::channel();
        tasks.spawn_untracked(async move {
            self.run(told).await;
            drop(done);
        });
        Exporting { counts, flush, flushed }
    }

    async fn run(mut self, mut told: oneshot::Receiver<Infallible>) {
        let mut flushing = false;
        loop {
            if flushing {
                while self.batch.len() < BATCH_SIZE
                    && let Ok(spans) = self.queue.try_recv()
                {
                    self.batch.push(spans);
                }
            } else {
                tokio::select! {
                    () = self.gather() => {}
                    _ = &mut told => {
                        flushing = true;
                        continue;
                    }
                }
            }
            if self.batch.is_empty() {
                return;
            }
            self.deliver(&mut told, &mut flushing).await;
        }
    }

    /// Fills the batch. It keeps its spans if this is cancelled.
    async fn gather(&mut self) {
        if self.batch.is_empty() && self.queue.recv_many(&mut self.batch, BATCH_SIZE).await == 0 {
            return;
        }
        let deadline = Instant::now() + FLUSH_INTERVAL;
        while self.batch.len() < BATCH_SIZE {
            let room = BATCH_SIZE - self.batch.len();
            match timeout_at(deadline, self.queue.recv_many(&mut self.batch, room)).await {
                Err(_) | Ok(0) => return,
                Ok(_) => {}
            }
        }
    }

    /// Sends the batch until it is accepted or no further attempt is allowed. While flushing, sends it once.
    async fn deliver(&mut self, told: &mut oneshot::Receiver<Infallible>, flushing: &mut bool) {
        let spans: Vec<Bytes> = self.batch.drain(..).flatten().collect();
        let count = spans.len();
        let body = Bytes::from(self.request(spans).encode_to_vec());
        for attempt in 0..MAX_ATTEMPTS {
            let failure = match self.attempt(body.clone()).await {
                Ok(rejected) => {
                    Counts::add(&self.counts.sent, count.saturating_sub(rejected));
                    Counts::add(&self.counts.dropped, rejected.min(count));
                    self.report(None);
                    return;
                }
                Err(failure) => failure,
            };
            let wait = failure.wait(attempt).filter(|_| !*flushing && attempt + 1 < MAX_ATTEMPTS);
            if wait.is_none() {
                Counts::add(&self.counts.dropped, count);
            }
            self.report(Some(&failure));
            let Some(wait) = wait else { return };
            tokio::select! {
                () = sleep(wait) => {}
                _ = &mut *told => *flushing = true,
            }
        }
    }

    fn request(&self, spans: Vec<Bytes>) -> Request {
        let scope = Scope { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, schema_url: SCHEMA.to_owned() }];
        Request { resource_spans: vec![ResourceSpans { resource: Some(self.resource.clone()), scope_spans }] }
    }

    /// Sends a batch once; says how many spans of it were rejected.
    ///
    /// Every 2xx takes the batch, whatever its body: collectors, and proxies before them, answer 202 or 204, with JSON or with
    /// nothing.
    async fn attempt(&self, body: Bytes) -> Result<usize, Failure> {
        let question = client::post(&self.target, "application/x-protobuf", body);
        let answer = match self.client.send(question, ATTEMPT_TIMEOUT).await {
            Ok(answer) => answer,
            Err(client::Error::Incomplete(status, _)) if status.is_success() => return Ok(0),
            Err(client::Error::Incomplete(status, _)) => return Err(Failure::Status(status, None)),
            Err(error) => return Err(error.into()),
        };
        if !answer.status().is_success() {
            return Err(Failure::Status(answer.status(), retry_after(answer.headers())));
        }
        let partial = Response::decode(answer.into_body()).ok().and_then(|response| response.partial_success);
        let rejected = partial.map_or(0, |partial| partial.rejected_spans);
        Ok(usize::try_from(rejected).unwrap_or(0))
    }

    /// Tells the log of the beginning and the end of an episode.
    fn report(&mut self, failure: Option<&Failure>) {
        let dropped = self.counts.dropped.load(Ordering::Relaxed);
        let lost = dropped > self.known;
        let before = std::mem::replace(&mut self.known, dropped);
        let trouble = failure.is_some() || lost;
        match (&self.episode, trouble) {
            (None, true) => {
                let reason = failure.map_or_else(|| "it rejects spans, or is too slow".to_owned(), ToString::to_string);
                let dropped = dropped - before;
                tracing::warn!(
                    event = event::TRACE_EXPORT_FAILED,
                    reason,
                    dropped,
                    "the collector does not accept every span; requests are not affected"
                );
                self.episode = Some(Episode { before });
            }
            (Some(episode), false) => {
                let dropped = dropped - episode.before;
                tracing::info!(event = event::TRACE_EXPORT_RESUMED, dropped, "the collector accepts spans again");
                self.episode = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
}

impl Exporting {
    /// Has what is left sent, once and for a bounded time. To be called when no request is left.
    pub async fn flush(self) {
        drop(self.flush);
        // Nothing is ever sent: the channel closes when the exporter has ended.
        drop(timeout(FLUSH_TIMEOUT, self.flushed).await);
        let (dropped, unsent) = (self.counts.dropped.load(Ordering::Relaxed), self.counts.left());
        if dropped > 0 || unsent > 0 {
            tracing::warn!(
                event = event::TRACE_SPANS_LOST,
                dropped,
                unsent,
                "spans were lost since the process started"
            );
        }
    }
}

/// In seconds; a date is taken for nothing, as no collector sends one.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
