//! Idempotency keys are remembered within their bounds, and no way of losing a claim makes a second start possible.

use super::super::ready;
use super::entries::{ANSWER_MEMORY, ENTRY_MEMORY, IN_FLIGHT_MEMORY, MAX_SWEEP};
use super::*;

const BOUNDS: Bounds =
    Bounds { retention: Duration::from_secs(100), memory: 10 * IN_FLIGHT_MEMORY, share: 10 * IN_FLIGHT_MEMORY };

fn key(name: &str) -> IdempotencyDigest {
    IdempotencyDigest::of(&[name.as_bytes()])
}

fn reply(body: &str) -> Reply {
    Reply::new(StatusCode::ACCEPTED, Some(&HeaderValue::from_static("application/json")), body.as_bytes())
}

fn body(text: &str) -> BodyDigest {
    BodyDigest::of(b"", b"", text.as_bytes())
}

/// The claims of one tenant, and a clock.
struct Fixture {
    claims: Arc<Claims>,
    bounds: Bounds,
    tenant: Arc<str>,
    begun: Instant,
}

impl Fixture {
    fn new() -> Fixture {
        let claims = Arc::<Claims>::default();
        Fixture { claims, bounds: BOUNDS, tenant: "billing".into(), begun: Instant::now() }
    }

    /// Returns the same claims for another tenant.
    fn of(&self, tenant: &str) -> Fixture {
        Fixture { claims: Arc::clone(&self.claims), tenant: tenant.into(), ..*self }
    }

    /// Returns the time a number of seconds after the beginning.
    fn at(&self, seconds: u64) -> Instant {
        self.begun + Duration::from_secs(seconds)
    }

    fn claim(&self, name: &str, seconds: u64) -> Result<PriorUse, ClaimError> {
        self.claim_with(name, "the body", seconds)
    }

    fn claim_with(&self, name: &str, text: &str, seconds: u64) -> Result<PriorUse, ClaimError> {
        self.claims.claim(&self.tenant, key(name), body(text), self.bounds, self.at(seconds))
    }

    #[track_caller]
    fn new_claim(&self, name: &str, seconds: u64) -> Claim {
        let claimed = self.claim(name, seconds);
        let Ok(PriorUse::None(claim)) = claimed else { panic!("{claimed:?}") };
        claim
    }

    fn answer(&self, name: &str, body: &str, seconds: u64) {
        assert!(self.new_claim(name, seconds).send().answered(reply(body), self.at(seconds)));
    }

    #[track_caller]
    fn assert_answered(&self, name: &str, body: &str, seconds: u64) {
        let claimed = self.claim(name, seconds);
        let Ok(PriorUse::Answered(kept)) = claimed else { panic!("{claimed:?}") };
        assert_eq!(*kept, reply(body));
    }

    fn memory(&self) -> usize {
        self.claims.lock().memory
    }
}

#[test]
fn a_key_belongs_to_one_request_until_it_is_settled_and_then_its_answer_is_replayed() {
    let fixture = Fixture::new();
    let claim = fixture.new_claim("k", 0);
    assert_eq!(fixture.claim("k", 0).unwrap_err(), ClaimError::InFlight);
    let sent = claim.send();
    assert_eq!(fixture.claim("k", 1000).unwrap_err(), ClaimError::InFlight, "however long it takes");
    assert!(sent.answered(reply("one"), fixture.at(1000)));
    fixture.assert_answered("k", "one", 1001);
    fixture.assert_answered("k", "one", 1099);
    drop(fixture.new_claim("other", 1001));
}

#[test]
fn a_key_that_was_used_for_another_request_is_refused_in_every_state() {
    let fixture = Fixture::new();
    let other = || fixture.claim_with("k", "another body", 1).unwrap_err();
    let claim = fixture.new_claim("k", 0);
    assert_eq!(other(), ClaimError::Mismatch);
    let sent = claim.send();
    assert_eq!(other(), ClaimError::Mismatch);
    drop(sent);
    assert_eq!(other(), ClaimError::Mismatch);
    let Ok(PriorUse::Unknown(claim)) = fixture.claim("k", 1) else { panic!() };
    ready(claim.found(Arc::new(reply("one")), None, fixture.at(1)));
    assert_eq!(other(), ClaimError::Mismatch);
}

#[test]
fn a_start_that_was_not_sent_or_started_nothing_frees_the_key_also_for_another_request() {
    let fixture = Fixture::new();
    drop(fixture.new_claim("k", 0));
    fixture.new_claim("k", 0).send().nothing_started();
    assert_eq!(fixture.memory(), 0);
    assert!(matches!(fixture.claim_with("k", "another body", 0), Ok(PriorUse::None(_))));
}

#[test]
fn a_start_that_was_sent_and_lost_is_unknown_until_it_is_found_after_any_number_of_look_ups() {
    let fixture = Fixture::new();
    drop(fixture.new_claim("k", 0).send());
    for _ in 0..2 {
        let Ok(PriorUse::Unknown(claim)) = fixture.claim("k", 50) else { panic!() };
        assert_eq!(fixture.claim("k", 50).unwrap_err(), ClaimError::InFlight, "one looks it up at a time");
        drop(claim);
    }
    let Ok(PriorUse::Unknown(claim)) = fixture.claim("k", 50) else { panic!() };
    ready(claim.found(Arc::new(reply("found")), None, fixture.at(50)));
    fixture.assert_answered("k", "found", 149);
}

#[test]
fn a_key_of_which_several_starts_were_found_is_unknown() {
    let fixture = Fixture::new();
    ready(fixture.new_claim("k", 0).unknown(fixture.at(0)));
    assert!(matches!(fixture.claim("k", 99), Ok(PriorUse::Unknown(_))));
}

#[test]
fn an_unknown_outcome_is_remembered_from_the_end_of_its_start() {
    let fixture = Fixture::new();
    fixture.new_claim("k", 0).send().unknown(fixture.at(90));
    assert!(matches!(fixture.claim("k", 189), Ok(PriorUse::Unknown(_))));
    drop(fixture.new_claim("k", 190));
}

#[test]
fn an_unknown_outcome_that_was_not_settled_is_remembered_from_when_its_claim_was_dropped() {
    let fixture = Fixture::new();
    let long_ago = fixture.begun.checked_sub(Duration::from_secs(1000)).unwrap();
    let claimed = fixture.claims.claim(&fixture.tenant, key("k"), body("the body"), fixture.bounds, long_ago);
    let Ok(PriorUse::None(claim)) = claimed else { panic!() };
    drop(claim.send());
    assert!(matches!(fixture.claim("k", 99), Ok(PriorUse::Unknown(_))));
}

#[test]
fn the_body_of_a_start_that_only_the_upstream_knows_is_compared_if_its_tag_shows_it() {
    let fixture = Fixture::new();
    ready(fixture.new_claim("k", 0).found(Arc::new(reply("one")), None, fixture.at(0)));
    assert!(matches!(fixture.claim_with("k", "another body", 1), Ok(PriorUse::Answered(_))));
    let fixture = Fixture::new();
    ready(fixture.new_claim("k", 0).found(Arc::new(reply("one")), Some(body("another body")), fixture.at(0)));
    assert!(matches!(fixture.claim_with("k", "another body", 1), Ok(PriorUse::Answered(_))));
    assert_eq!(fixture.claim("k", 1).unwrap_err(), ClaimError::Mismatch);
    let fixture = Fixture::new();
    ready(fixture.new_claim("k", 0).unknown(fixture.at(0)));
    assert!(matches!(fixture.claim_with("k", "another body", 1), Ok(PriorUse::Unknown(_))));
}

#[test]
fn a_settled_key_is_forgotten_when_its_time_is_over_and_not_before() {
    let fixture = Fixture::new();
    fixture.answer("answered", "one", 0);
    drop(fixture.new_claim("unknown", 0).send());
    fixture.assert_answered("answered", "one", 99);
    assert!(matches!(fixture.claim("unknown", 99), Ok(PriorUse::Unknown(_))), "and asking does not keep it longer");
    drop(fixture.new_claim("answered", 102));
    drop(fixture.new_claim("unknown", 102));
    assert_eq!(fixture.memory(), 0);
    let records = fixture.claims.lock();
    assert!(records.by_digest.is_empty() && records.ends.is_empty());
    assert!(records.tenants.iter().all(|usage| usage.answered.is_empty() && usage.memory == 0));
}

#[test]
fn outdated_keys_are_removed_by_the_claims_of_others() {
    let fixture = Fixture::new();
    for n in 0..9 {
        fixture.answer(&n.to_string(), "", 0);
    }
    drop(fixture.new_claim("another", 102));
    assert_eq!(fixture.memory(), 0);
}

#[test]
fn a_key_is_forgotten_in_time_also_if_many_others_are_outdated() {
    let bounds = Bounds { memory: 1000 * IN_FLIGHT_MEMORY, share: 1000 * IN_FLIGHT_MEMORY, ..BOUNDS };
    for answered in [false, true] {
        let fixture = Fixture { bounds, ..Fixture::new() };
        let claim = |n: usize, seconds| fixture.new_claim(&n.to_string(), seconds).send();
        for n in 0..3 * MAX_SWEEP {
            let sent = claim(n, 0);
            if answered {
                assert!(sent.answered(reply(""), fixture.at(0)));
            }
        }
        let last = *fixture.claims.lock().by_digest.keys().max().unwrap();
        let claimed = fixture.claims.claim(&fixture.tenant, last, body("the body"), bounds, fixture.at(102));
        assert!(matches!(claimed, Ok(PriorUse::None(_))));
    }
}

#[test]
fn if_it_is_full_the_oldest_answer_is_forgotten_first_and_a_start_that_may_run_never() {
    let fixture = Fixture::new();
    let in_flight = fixture.new_claim("in flight", 0);
    drop(fixture.new_claim("unknown", 0).send());
    let mut answered = 0;
    while !fixture.claims.lock().by_digest.contains_key(&key("0"))
        || fixture.memory() + IN_FLIGHT_MEMORY <= BOUNDS.memory
    {
        fixture.answer(&answered.to_string(), "", 1 + answered);
        answered += 1;
    }
    let more = fixture.new_claim("one more", 50);
    assert!(!fixture.claims.lock().by_digest.contains_key(&key("0")));
    fixture.assert_answered("1", "", 50);
    fixture.assert_answered(&(answered - 1).to_string(), "", 50);
    let held: Vec<Claim> = (0..)
        .map_while(|n| match fixture.claim(&format!("held {n}"), 50) {
            Ok(PriorUse::None(claim)) => Some(claim),
            Ok(_) => None,
            Err(refused) => {
                assert_eq!(refused, ClaimError::Full);
                None
            }
        })
        .collect();
    assert_eq!(held.len(), 7, "with one that was in flight, one more and the unknown one there is no room for another");
    assert!(fixture.memory() <= BOUNDS.memory);
    assert!(matches!(fixture.claim("unknown", 50), Ok(PriorUse::Unknown(_))));
    drop((in_flight, more, held));
    assert_eq!(fixture.memory(), ENTRY_MEMORY, "the unknown one is all that is left");
}

#[test]
fn an_answer_that_finds_no_room_leaves_its_key_unknown() {
    let fixture = Fixture::new();
    fixture.answer("old", "", 0);
    let (sent, other) = (fixture.new_claim("k", 1).send(), fixture.new_claim("other", 1));
    assert!(!sent.answered(reply(&"x".repeat(BOUNDS.memory - ENTRY_MEMORY)), fixture.at(1)));
    assert!(matches!(fixture.claim("k", 1), Ok(PriorUse::Unknown(_))));
    drop(other);
    drop(fixture.new_claim("old", 1));
    let Ok(PriorUse::Unknown(claim)) = fixture.claim("k", 1) else { panic!() };
    let long = "x".repeat(BOUNDS.memory - ENTRY_MEMORY - ANSWER_MEMORY - "application/json".len());
    ready(claim.found(Arc::new(reply(&long)), None, fixture.at(1)));
    fixture.assert_answered("k", &long, 1);
    assert_eq!(fixture.memory(), BOUNDS.memory);
}

#[test]
fn of_many_threads_with_one_key_one_sends() {
    let fixture = Fixture::new();
    let sent = std::thread::scope(|scope| {
        let claim = || {
            let first = |claimed| if let Ok(PriorUse::None(claim)) = claimed { Some(claim) } else { None };
            let mine = (0..1000).filter_map(|_| first(fixture.claim("k", 0)));
            mine.map(|claim| claim.send().answered(reply("one"), fixture.at(0))).filter(|is_kept| *is_kept).count()
        };
        let threads = [scope.spawn(claim), scope.spawn(claim), scope.spawn(claim)];
        threads.map(|thread| thread.join().unwrap()).iter().sum::<usize>()
    });
    assert_eq!(sent, 1);
}

/// Returns bounds of memory that a number of tenants share.
fn shared(tenants: usize) -> Bounds {
    Bounds {
        retention: Duration::from_secs(100),
        memory: 30 * IN_FLIGHT_MEMORY,
        share: 30 * IN_FLIGHT_MEMORY / tenants,
    }
}

#[test]
fn a_tenant_whose_outcomes_are_unknown_fills_its_own_share_and_leaves_the_others_theirs() {
    let billing = Fixture { bounds: shared(3), ..Fixture::new() };
    let (sales, support) = (billing.of("sales"), billing.of("support"));
    let unknown = |n: usize| {
        sales.claim(&n.to_string(), 0).map(|claimed| match claimed {
            PriorUse::None(claim) => drop(claim.send()),
            claimed => panic!("{claimed:?}"),
        })
    };
    let failed = (0..1000).map_while(|n| unknown(n).ok()).count();
    assert_eq!(sales.claim("one more", 0).unwrap_err(), ClaimError::Full);
    assert!(failed > 15, "a record of an unknown outcome is small: {failed}");
    let held: Vec<Claim> = (0..10).map(|n| billing.new_claim(&format!("b{n}"), 0)).collect();
    let more: Vec<Claim> = (0..10).map(|n| support.new_claim(&format!("s{n}"), 0)).collect();
    assert!(billing.memory() <= billing.bounds.memory);
    drop((held, more));
    assert!(matches!(sales.claim("0", 50), Ok(PriorUse::Unknown(_))), "and nothing of it is forgotten");
}

#[test]
fn answers_take_memory_that_others_do_not_use_and_give_way_to_a_tenant_within_its_share() {
    let billing = Fixture { bounds: shared(3), ..Fixture::new() };
    let sales = billing.of("sales");
    (0..8).for_each(|n| billing.answer(&format!("b{n}"), "", 0));
    (0..200).for_each(|n| sales.answer(&format!("s{n}"), "", 1));
    (0..8).for_each(|n| billing.assert_answered(&format!("b{n}"), "", 2));
    let kept = |fixture: &Fixture, letter: char| {
        let records = fixture.claims.lock();
        (0..200).filter(|n| records.by_digest.contains_key(&key(&format!("{letter}{n}")))).count()
    };
    assert!(kept(&sales, 's') > 15, "beyond its share of ten: {}", kept(&sales, 's'));
    sales.assert_answered("s199", "", 2);
    let before = kept(&sales, 's');
    let held: Vec<Claim> = (0..2).map(|n| billing.new_claim(&format!("held{n}"), 2)).collect();
    assert!(kept(&sales, 's') < before, "the oldest of the tenant that has most go first");
    (0..8).for_each(|n| billing.assert_answered(&format!("b{n}"), "", 2));
    assert!(billing.memory() <= billing.bounds.memory);
    drop(held);
}

#[test]
fn memory_is_shared_by_the_tenants_there_are_and_each_has_enough_for_some_starts() {
    let share = |tenants| Bounds { memory: 64 << 20, ..BOUNDS }.shared_by(tenants).share;
    assert_eq!([share(0), share(1), share(4), share(5000)], [64 << 20, 64 << 20, 16 << 20, 16 << 10]);
}

#[test]
fn a_record_takes_no_more_memory_than_is_counted() {
    const KEYS: usize = 58_000;
    // For other memory that the process takes meanwhile.
    const TOLERANCE: usize = 1 << 20;
    let resident = || {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    };
    let bounds = Bounds { memory: 1 << 30, share: 1 << 30, ..BOUNDS };
    for answered in [false, true] {
        let (fixture, before) = (Fixture { bounds, ..Fixture::new() }, resident());
        let id = r#"{"executionId":"8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11"}"#;
        // As many as leave their tables the emptiest.
        for n in 0..KEYS {
            let sent = fixture.new_claim(&n.to_string(), 0).send();
            if answered {
                assert!(sent.answered(reply(id), fixture.at(0)));
            }
        }
        let (taken, counted) = (resident() - before, fixture.memory());
        println!("answered: {answered}; a record takes {} bytes, counted {}", taken / KEYS, counted / KEYS);
        assert!(taken <= counted + TOLERANCE);
    }
}
