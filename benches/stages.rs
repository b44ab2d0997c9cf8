//! The cost of each stage of a request, in instructions, which do not vary with the machine's load. A stage that needs more
//! than its limit fails the run. Raise a limit only with its reason in the commit.
//!
//! `tests/run` runs it; alone: `cargo bench --bench stages` (needs valgrind and gungraun-runner).
#![expect(missing_docs, reason = "the macros make public modules")]
#![expect(clippy::exit, reason = "the main of the runner exits by it")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up ends by panicking")]

use std::hint::black_box;
use std::iter;
use std::sync::Arc;
use std::time::{Duration, Instant};

use asteroid_gateway::asteroid::era::Era;
use asteroid_gateway::asteroid::execution::Tag;
use asteroid_gateway::asteroid::item;
use asteroid_gateway::asteroid::operation::{self, Operation};
use asteroid_gateway::asteroid::query::{self, ListingScope};
use asteroid_gateway::asteroid::start::{self, OnConflict, StartKind, Tags};
use asteroid_gateway::caller::Peer;
use asteroid_gateway::facts::Outcome;
use asteroid_gateway::facts::request_id::RequestId;
use asteroid_gateway::json::{self, Pieces};
use asteroid_gateway::metrics::RequestLabels;
use asteroid_gateway::proxy::charged_body::ChargedBody;
use asteroid_gateway::proxy::redact::KeyRedactor;
use asteroid_gateway::record::{Record, Sinks};
use asteroid_gateway::secret::{Needle, Secret};
use asteroid_gateway::state::{
    BodyDigest, Bounds, Claims, IdempotencyDigest, IdempotencyResult, Limit, LimitDecision, Meters, OwnedExecutions,
    PriorUse, Quota, Reply, Share, State,
};
use asteroid_gateway::transport::endpoint::Scheme;
use bytes::Bytes;
use gungraun::{Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};
use uuid::Uuid;

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
#[bench::small(args = (small()), config = at_most(10_800))]
#[bench::rows(args = (rows()), config = at_most(750_000))]
#[bench::prose(args = (prose()), config = at_most(75_000))]
fn validate_and_tag((body, tags): (Bytes, Tags)) -> (Pieces, Bytes, Tags) {
    let changes = start::validate(black_box(&body), StartKind::Agent, &tags, OnConflict::Reject).unwrap().changes;
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
        answer(&claims, IdempotencyDigest::of(&[&n.to_be_bytes()]), BodyDigest::of(b"invoice", b"", &body), now);
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
    let (key, digest, request) = (of(b"billing"), of(b"prod/billing"), BodyDigest::of(b"invoice-4711", b"", &body));
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

/// The execution that is followed.
const EXECUTION: Uuid = Uuid::from_u128(0xc901_a2ed_46c4_4ca4_9ee9_bf10_ccfa_324d);

/// The tag of the tenant that follows it.
const TAG: Tag<'static> = Tag { name: "tenant", value: "billing" };

/// Returns a target, and ten thousand executions that are known to be the tenant's, the followed one among them.
fn followed(below: &str) -> (Uri, Arc<OwnedExecutions>) {
    let owned =
        State::new(64 << 20, 10).owned_executions("https://upstream", [TAG.value]).into_values().next().unwrap();
    (0..10_000_u128).map(Uuid::from_u128).chain(iter::once(EXECUTION)).for_each(|id| owned.insert(id));
    (format!("/agents/v2/executions/{EXECUTION}{below}").parse().unwrap(), owned)
}

// What a poll needs until it may be sent: it is selected, its execution is known, and its query is judged and written anew.
// A poll is to need no more than a small start without an idempotency key: `get` and `judge_item` together no more than `select`
// and `validate_and_tag`.
#[library_benchmark]
#[bench::get(args = (followed("")), config = at_most(1_500))]
#[bench::sync(args = (followed("/sync?timeoutSeconds=20")), config = at_most(5_500))]
fn poll((target, owned): (Uri, Arc<OwnedExecutions>)) -> (Uri, Arc<OwnedExecutions>, Instant) {
    let now = Instant::now();
    let call = operation::select(&Method::GET, black_box(&target)).unwrap();
    let known = call.execution().and_then(|id| owned.get(id, now));
    black_box((call.query.map(|query| query::sync(Some(query)).unwrap()), known));
    (target, owned, now)
}

#[library_benchmark]
#[bench::with_filters(args = ("/executions?page=2&pageSize=50&status=running&status=paused&createdAfter=2031-02-01T00%3A00%3A00Z&inputsKey=customer&inputsValue=caf%C3%A9%204711".parse().unwrap()), config = at_most(21_500))]
fn list(target: Uri) -> (Uri, String) {
    let scope = ListingScope { era: Era::New, tag: TAG, max_page_size: 100, organization: None, further: &[] };
    let call = operation::select(&Method::GET, black_box(&target)).unwrap();
    let sent = query::listing(call.query, &scope).unwrap();
    (target, sent)
}

/// Returns an execution of 1 KiB.
fn execution() -> String {
    let execution = json!({
        "id": EXECUTION,
        "agentId": "8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11",
        "agentName": "Invoices of a customer",
        "organizationId": "5a3c1f0e-6f0b-4d57-8f1c-0d1b6a0c9e21",
        "status": "completed",
        "createdAt": "2031-02-01T09:17:57.118Z",
        "terminalAt": "2031-02-01T09:21:12.004Z",
        "duration": 194.886,
        "metadata": { "tenant": "billing", "team": "billing", "cost_center": "4711", "source": "nightly" },
        "inputs": { "url": "https://example.test/start", "note": "caf\u{e9} \"quoted\"", "n": 12.5 },
        "executionResult": { "outcome": "success", "reasoning": "The table below the second heading was read to its end.", "result": { "rows": [1, 2, 3] } },
        "humanLabels": [],
        "comments": [],
        "hasBeenRerun": false,
        "recordingUrl": "https://recordings.example.test/c901a2ed?signature=0c1f6b7e5d3a4928b1e07f66a5d4c3b2",
        "triggerContext": { "source": "api", "apiKeyId": "e9a0c3d2-7b18-4f67-8a55-6c2f9d0b1e43", "apiKeyName": "the key of the gateway", "userEmail": "owner@example.test" },
    });
    execution.to_string()
}

fn charged(answer: &str) -> (ChargedBody, Arc<Share>) {
    let share = Arc::new(Share::new(Arc::new(Quota::new(64 << 20))));
    let mut body = ChargedBody::new(share.hold(0, true).unwrap());
    body.append(answer.as_bytes(), answer.len()).unwrap();
    (body, share)
}

fn an_item() -> (ChargedBody, Arc<Share>) {
    charged(&execution())
}

/// Returns a page of fifty executions.
fn a_page() -> (ChargedBody, Arc<Share>) {
    // Joined as text: the allocator would tidy up after fifty trees of values, and be counted.
    let items = vec![execution(); 50].join(",");
    charged(&format!(r#"{{"items":[{items}],"page":1,"pageSize":50,"total":50}}"#))
}

#[library_benchmark]
#[bench::of_1_kib(args = (an_item()), config = at_most(10_300))]
fn judge_item((mut body, share): (ChargedBody, Arc<Share>)) -> (ChargedBody, Arc<Share>) {
    let item = item::read_item(black_box(body.as_ref()), TAG).unwrap();
    body.cut(item.trigger_context.as_slice());
    (body, share)
}

#[library_benchmark]
#[bench::of_50_items(args = (a_page()), config = at_most(505_000))]
fn judge_page((mut body, share): (ChargedBody, Arc<Share>)) -> (ChargedBody, Arc<Share>) {
    let page = item::read_page(black_box(body.as_ref()), TAG).unwrap();
    body.cut(&page.cuts());
    (body, share)
}

library_benchmark_group!(
    name = stages,
    benchmarks = [validate_and_tag, select, key, close, redact, poll, list, judge_item, judge_page]
);
main!(library_benchmark_groups = stages);
