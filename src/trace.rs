//! Traces: passes the caller's context on. If spans are exported, a sampled request gets one of kind SERVER, and one of kind CLIENT
//! for each request to the upstream.
//!
//! The part of a request in a trace is decided once, from its head. Its spans are made when its record is closed, and put into a
//! queue that never waits.

pub mod export;
mod otlp;
mod ratio;
mod span;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, StatusCode, Uri, Version};

use crate::transport::endpoint::Scheme;

use crate::facts::Facts;
use crate::facts::trace_context::{self as context, Context, SpanId, TraceId};
use export::Queue;

pub use ratio::Ratio;

/// The sampler of traces, and the queue of their spans.
#[derive(Debug)]
pub struct Tracer {
    sample: Ratio,
    upstream: PeerAttributes,
    queue: Queue,
}

/// The upstream, as spans show it.
#[derive(Debug)]
pub struct PeerAttributes {
    /// Scheme and authority of its URL.
    pub origin: String,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// A request's part in a trace.
#[derive(Debug, Default, Clone)]
pub enum Trace {
    /// None: no valid context came, and no trace begins here.
    #[default]
    Absent,
    /// The caller's context is passed on as it came.
    Passed(TraceId),
    /// A trace that begins here and is not sampled.
    Unsampled(Context),
    /// A trace that is sampled.
    Recorded(Arc<Recording>),
}

/// The data for the spans of a request.
#[derive(Debug)]
pub struct Recording {
    own: Context,
    parent: Option<SpanId>,
    /// The caller's `tracestate`, of several headers together.
    state: String,
    clock: Clock,
    scheme: Scheme,
    method: Method,
    uri: Uri,
    version: Version,
    client_spans: Mutex<Vec<ClientSpan>>,
}

/// A request to the upstream, with times in nanoseconds since 1970.
#[derive(Debug)]
struct ClientSpan {
    id: SpanId,
    method: Method,
    uri: Uri,
    query: QueryOrigin,
    begun: u64,
    ended: Option<u64>,
    answer: Option<(StatusCode, Version)>,
    error: Option<&'static str>,
}

/// Where the query of a request to the upstream comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryOrigin {
    /// The gateway wrote it for an inquiry of its own. Spans show it.
    Gateway,
    /// A caller did. It may hold personal data, such as a value that a listing is filtered by, so no span shows it.
    Caller,
}

/// A clock that reads the time of day once, and then counts on by one that is never set.
#[derive(Debug)]
struct Clock {
    wall: u64,
    steady: Instant,
}

impl Clock {
    fn start() -> Clock {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        Clock { wall: u64::try_from(wall).unwrap_or(u64::MAX), steady: Instant::now() }
    }

    fn now(&self) -> u64 {
        let since = u64::try_from(self.steady.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.wall.saturating_add(since)
    }
}

impl Tracer {
    /// Creates a tracer of requests to `upstream`. New traces are sampled at this ratio.
    #[must_use]
    pub fn new(sample: Ratio, upstream: PeerAttributes, queue: Queue) -> Tracer {
        Tracer { sample, upstream, queue }
    }

    /// Returns how many spans were dropped since the process started.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    /// Puts the spans of a request that has ended into the queue.
    pub fn close(&self, trace: &Trace, facts: &Facts) {
        if let Trace::Recorded(recording) = trace {
            self.queue.put(&span::all(facts, recording, &self.upstream));
        }
    }
}

impl Trace {
    /// Returns the part of a request in a trace. The ratio of the gateway applies to new traces and to those that callers sampled.
    #[must_use]
    pub fn of(tracer: Option<&Tracer>, scheme: Scheme, head: &Parts) -> Trace {
        let caller = Context::of(&head.headers);
        let Some(tracer) = tracer else {
            return caller.map_or(Trace::Absent, |context| Trace::Passed(context.trace_id));
        };
        let own = match caller {
            Some(caller) if !caller.is_sampled() || !Context::draw(|random| tracer.sample.takes(random)) => {
                return Trace::Passed(caller.trace_id);
            }
            Some(caller) => caller.sibling(),
            None => Context::begin(|random| tracer.sample.takes(random)),
        };
        if !own.is_sampled() {
            return Trace::Unsampled(own);
        }
        let state = if caller.is_some() { joined(&head.headers) } else { String::new() };
        Trace::Recorded(Arc::new(Recording {
            own,
            parent: caller.map(|caller| caller.span_id),
            state,
            clock: Clock::start(),
            scheme,
            method: head.method.clone(),
            uri: head.uri.clone(),
            version: head.version,
            client_spans: Mutex::default(),
        }))
    }

    /// Returns the id of the trace, for the log.
    #[must_use]
    pub fn id(&self) -> Option<TraceId> {
        match self {
            Trace::Absent => None,
            Trace::Passed(id) => Some(*id),
            Trace::Unsampled(context) => Some(context.trace_id),
            Trace::Recorded(recording) => Some(recording.own.trace_id),
        }
    }

    /// Adds the trace to a request to the upstream. If the trace is recorded, begins a span.
    ///
    /// The caller's `tracestate` is passed on only if its `traceparent` is.
    pub fn pass_on<B>(&self, caller: &HeaderMap, query: QueryOrigin, request: &mut Request<B>) {
        let (parent, with_state) = match self {
            Trace::Absent => return,
            Trace::Passed(_) => (caller.get(context::PARENT).cloned(), true),
            Trace::Unsampled(context) => (Some(context.header_value()), false),
            Trace::Recorded(recording) => {
                (Some(recording.begin(request, query).header_value()), recording.parent.is_some())
            }
        };
        let headers = request.headers_mut();
        headers.extend(parent.map(|parent| (context::PARENT, parent)));
        if with_state {
            for state in caller.get_all(context::STATE) {
                headers.append(context::STATE, state.clone());
            }
        }
    }

    /// Returns those of a caller's headers that [`Trace::pass_on`] reads.
    #[must_use]
    pub fn context_of(caller: &HeaderMap) -> HeaderMap {
        let fields = caller.iter().filter(|(name, _)| [context::PARENT, context::STATE].contains(name));
        fields.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Notes the head of the answer in the last span.
    pub fn answered(&self, status: StatusCode, version: Version) {
        self.last(|span, _| span.answer = Some((status, version)));
    }

    /// Ends the last span. `error` is the code of the error that it ended with.
    pub fn ended(&self, error: Option<&'static str>) {
        self.last(|span, now| (span.ended, span.error) = (Some(now), error));
    }

    /// Exchanges follow one another, so it is always the last that goes on.
    fn last(&self, change: impl FnOnce(&mut ClientSpan, u64)) {
        let Trace::Recorded(recording) = self else { return };
        let now = recording.clock.now();
        if let Some(span) = recording.client_spans().last_mut().filter(|span| span.ended.is_none()) {
            change(span, now);
        }
    }
}

impl Recording {
    /// Begins an exchange. A request that is made again before its exchange ended goes over another connection, and belongs
    /// to the same exchange.
    fn begin<B>(&self, request: &Request<B>, query: QueryOrigin) -> Context {
        if let Some(last) = self.client_spans().last().filter(|last| last.ended.is_none()) {
            return Context { span_id: last.id, ..self.own };
        }
        let context = self.own.sibling();
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let begun = self.clock.now();
        let span =
            ClientSpan { id: context.span_id, method, uri, query, begun, ended: None, answer: None, error: None };
        self.client_spans().push(span);
        context
    }

    fn client_spans(&self) -> MutexGuard<'_, Vec<ClientSpan>> {
        // Uncontended: it is there because a span may outlive its request's record.
        self.client_spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The longest `tracestate` that spans show, in bytes: as much as every participant must pass on.
const LONGEST_STATE: usize = 512;

/// Joins several headers into one list (RFC 9110, section 5.3). A header that is not text is left out, and a list that is too long.
fn joined(headers: &HeaderMap) -> String {
    let states: Vec<&str> = headers.get_all(context::STATE).iter().filter_map(|state| state.to_str().ok()).collect();
    let length: usize = states.iter().map(|state| state.len() + 1).sum();
    if length > LONGEST_STATE + 1 { String::new() } else { states.join(",") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_is_made_again_belongs_to_its_exchange_until_that_has_ended() {
        let trace = Trace::Recorded(Arc::new(Recording {
            own: Context::begin(|_| true),
            parent: None,
            state: String::new(),
            clock: Clock::start(),
            scheme: Scheme::Http,
            method: Method::POST,
            uri: Uri::default(),
            version: Version::HTTP_11,
            client_spans: Mutex::default(),
        }));
        let parent = || {
            let mut request = Request::new(());
            trace.pass_on(&HeaderMap::new(), QueryOrigin::Gateway, &mut request);
            request.headers()[context::PARENT].to_str().unwrap().to_owned()
        };
        let (first, again) = (parent(), parent());
        assert_eq!(first, again);
        trace.ended(None);
        assert_ne!(first, parent());
        let Trace::Recorded(recording) = &trace else { panic!("it is recorded") };
        assert_eq!(recording.client_spans().len(), 2);
    }
}
