//! The cost of each stage of a request, in instructions, which do not vary with the machine's load. A stage that needs more
//! than its limit fails the run. Raise a limit only with its reason in the commit.
//!
//! `tests/run` runs it; alone: `cargo bench --bench stages` (needs valgrind and gungraun-runner).
#![expect(missing_docs, reason = "the macros make public modules")]
#![expect(clippy::exit, reason = "the main of the runner exits by it")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up ends by panicking")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use asteroid_gateway::asteroid::operation::{self, Operation};
use asteroid_gateway::asteroid::start::{self, OnConflict, Tags};
use asteroid_gateway::caller::Peer;
use asteroid_gateway::facts::Outcome;
use asteroid_gateway::facts::request_id::RequestId;
use asteroid_gateway::json::{self, Pieces};
use asteroid_gateway::metrics::RequestLabels;
use asteroid_gateway::proxy::redact::KeyRedactor;
use asteroid_gateway::record::{Record, Sinks};
use asteroid_gateway::secret::{Needle, Secret};
use asteroid_gateway::state::{
    BodyDigest, Bounds, Claims, IdempotencyDigest, IdempotencyResult, Limit, LimitDecision, Meters, PriorUse, Reply,
};
use asteroid_gateway::transport::endpoint::Scheme;
use bytes::Bytes;
use gungraun::{Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};

/// Returns the configuration of a benchmark that may need at most this many instructions.
fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(Callgrind::default().hard_limits([(EventKind::Ir, instructions)]).clone());
    config
}

/// Returns a body of the size that most starts have.
fn small() -> (Bytes, Tags) {
    body(
        json!({ "url": "https://example.test/start", "note": "caf\u{e9} \"quoted\" \\ tab\t", "n": 12.5, "list": [1, { "deep": null }] }),
    )
}

/// Returns a body of 64 KiB, a quarter of it structure.
fn rows() -> (Bytes, Tags) {
    let row = |id: u32| json!({ "id": id, "name": format!("customer number {id}"), "email": format!("person{id}@example.test"), "open": id.is_multiple_of(3), "note": "line one\nline \"two\" \u{fc}" });
    body(json!({ "rows": (0..540).map(row).collect::<Vec<Value>>() }))
}

/// Returns a body of 64 KiB of text.
fn prose() -> (Bytes, Tags) {
    let sentence = "The agent opens the page, reads the table below the second heading and writes down what it finds. ";
    body(json!({ "instructions": vec![sentence.repeat(44); 15] }))
}

fn body(inputs: Value) -> (Bytes, Tags) {
    let body = json!({
        "version": 3,
        "agentProfileId": "0f0f1c9e-8a77-4d6f-9e31-5d2c0f6f3c11",
        "inputs": inputs,
        "metadata": { "source": "billing", "run": "2031-02" },
    });
    let tags = [("tenant", "billing"), ("team", "billing"), ("cost_center", "4711")];
    (body.to_string().into(), Tags::new(tags.map(|(name, value)| (name.to_owned(), value.to_owned()))))
}

#[library_benchmark]
#[bench::small(args = (small()), config = at_most(10_500))]
#[bench::rows(args = (rows()), config = at_most(750_000))]
#[bench::prose(args = (prose()), config = at_most(75_000))]
fn validate_and_tag((body, tags): (Bytes, Tags)) -> (Pieces, Bytes, Tags) {
    let changes = start::validate(black_box(&body), &tags, OnConflict::Reject).unwrap();
    (json::splice(&body, changes).unwrap(), body, tags)
}

#[library_benchmark]
#[bench::of_a_start(args = ("/agents/v2/agents/8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11/execute".parse().unwrap()), config = at_most(1_300))]
fn select(target: Uri) -> Uri {
    black_box(operation::select(&Method::POST, black_box(&target)).unwrap());
    target
}

/// Returns the claims of ten thousand answered starts, and the body and tags of another start with an idempotency key.
fn filled_claims() -> (Arc<Claims>, Bytes, Tags, Instant) {
    let (body, tags) = small();
    let (claims, now) = (Arc::<Claims>::default(), Instant::now());
    for n in 0..10_000_u32 {
        answer(&claims, IdempotencyDigest::of(&[&n.to_be_bytes()]), BodyDigest::of(b"invoice", &body), now);
    }
    (claims, body, tags.reserve(&["idempotency_digest", "idempotency_body"]), now)
}

fn answer(claims: &Arc<Claims>, key: IdempotencyDigest, request: BodyDigest, now: Instant) {
    let bounds = Bounds { retention: Duration::from_secs(86_400), memory: 64 << 20, share: 64 << 20 };
    if let Ok(PriorUse::None(claim)) = claims.claim(&Arc::from("billing"), key, request, bounds, now) {
        let media_type = HeaderValue::from_static("application/json");
        let body = br#"{"executionId":"8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11"}"#;
        black_box(claim.send().answered(Reply::new(StatusCode::ACCEPTED, Some(&media_type), body), now));
    }
}

// What an idempotency key adds to a small start: digests, the tag, the claim, the kept answer. More than half is SHA-256,
// which valgrind runs without the processor's own instructions for it.
#[library_benchmark]
#[bench::small(args = (filled_claims()), config = at_most(40_000))]
fn key((claims, body, tags, now): (Arc<Claims>, Bytes, Tags, Instant)) -> (Arc<Claims>, Bytes, Tags) {
    let of = |tenant: &[u8]| {
        let id = b"8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";
        IdempotencyDigest::of(&[tenant, b"AgentExecutePost", id, black_box(b"invoice-4711")])
    };
    let (key, digest, request) = (of(b"billing"), of(b"prod/billing"), BodyDigest::of(b"invoice-4711", &body));
    black_box(tags.with_reserved(&[&digest.to_string(), &request.to_string()]));
    answer(&claims, key, request, now);
    (claims, body, tags)
}

/// Returns the record of a start that was answered, and the sinks that count it. They have counted another like it before.
fn record() -> (Box<Record>, Arc<Meters>, Arc<Sinks>) {
    let (sinks, meters) = (Arc::<Sinks>::default(), Arc::<Meters>::default());
    let record = || {
        let mut record =
            Record::new(Arc::clone(&sinks), Peer::Tcp(([127, 0, 0, 1], 1).into()), RequestId::of(&HeaderMap::new()));
        record.labels = RequestLabels::new(Scheme::Http, &Method::POST);
        record.facts.operation = Some(Operation::AgentExecute);
        record.meters = Some(Arc::clone(&meters));
        record.facts.status = 202;
        record.facts.outcome = Outcome::Answered;
        record
    };
    drop(record());
    exchange(&sinks);
    (record(), meters, sinks)
}

fn exchange(sinks: &Arc<Sinks>) {
    sinks.metrics.client.begin(Operation::AgentExecute).answered(StatusCode::ACCEPTED);
}

// What metrics add to a small start with an idempotency key and every limit: four decisions, the idempotency key, the request to
// the upstream, and the end of its record, without its line in the log.
#[library_benchmark]
#[bench::counted(args = (record()), config = at_most(850))]
fn close((record, meters, sinks): (Box<Record>, Arc<Meters>, Arc<Sinks>)) -> (Arc<Meters>, Arc<Sinks>) {
    for limit in Limit::ALL {
        meters.count_decision(black_box(limit), LimitDecision::Allowed);
    }
    meters.count_idempotency(black_box(IdempotencyResult::New));
    exchange(&sinks);
    drop(record);
    (meters, sinks)
}

/// Returns the redactor of an API key of usual length, and an answer without it, of which more may follow.
fn answer_of(body: Bytes, more: bool) -> (KeyRedactor, Bytes, bool) {
    let secret = Secret::new("ak_live_0c1f6b7e5d3a4928b1e07f66a5d4c3b2").unwrap();
    (KeyRedactor::new(Needle::new(&secret), Arc::default(), "main".into()), body, more)
}

const STARTED: Bytes = Bytes::from_static(br#"{"executionId":"8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11"}"#);

#[library_benchmark]
#[bench::of_a_start(args = (answer_of(STARTED, false)), config = at_most(700))]
#[bench::rows(args = (answer_of(rows().0, true)), config = at_most(30_000))]
fn redact((mut redactor, body, more): (KeyRedactor, Bytes, bool)) -> (KeyRedactor, Bytes) {
    let passed = redactor.redact(black_box(body), more);
    (redactor, passed)
}

library_benchmark_group!(name = stages, benchmarks = [validate_and_tag, select, key, close, redact]);
main!(library_benchmark_groups = stages);
