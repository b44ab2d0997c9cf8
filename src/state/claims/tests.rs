//! Keys are remembered as long and as many as was said, and no way of losing a claim makes a second start possible.

use super::*;

const BOUNDS: Bounds = Bounds { retention: Duration::from_secs(100), memory: 10 * IN_FLIGHT };

fn key(name: &str) -> Digest {
    Digest::of(&[name.as_bytes()])
}

fn reply(body: &str) -> Reply {
    Reply::new(StatusCode::ACCEPTED, Some(&HeaderValue::from_static("application/json")), body.as_bytes())
}

struct Book {
    claims: Arc<Claims>,
    begun: Instant,
}

impl Book {
    fn new() -> Book {
        Book { claims: Arc::default(), begun: Instant::now() }
    }

    /// So many seconds after the beginning.
    fn at(&self, seconds: u64) -> Instant {
        self.begun + Duration::from_secs(seconds)
    }

    fn claim(&self, name: &str, seconds: u64) -> Result<Claimed, Refused> {
        self.claims.claim(key(name), key("the body"), BOUNDS, self.at(seconds))
    }

    #[track_caller]
    fn new_claim(&self, name: &str, seconds: u64) -> Claim {
        let claimed = self.claim(name, seconds);
        let Ok(Claimed::New(claim)) = claimed else { panic!("{claimed:?}") };
        claim
    }

    fn answer(&self, name: &str, body: &str, seconds: u64) {
        self.new_claim(name, seconds).send(self.at(seconds)).answered(reply(body), self.at(seconds));
    }

    #[track_caller]
    fn assert_answered(&self, name: &str, body: &str, seconds: u64) {
        let claimed = self.claim(name, seconds);
        let Ok(Claimed::Answered(kept)) = claimed else { panic!("{claimed:?}") };
        assert_eq!(*kept, reply(body));
    }

    fn memory(&self) -> usize {
        self.claims.lock().memory
    }
}

#[test]
fn a_key_is_one_requests_until_it_is_settled_and_its_answer_is_given_again() {
    let book = Book::new();
    let claim = book.new_claim("k", 0);
    assert_eq!(book.claim("k", 0).unwrap_err(), Refused::InFlight);
    let sent = claim.send(book.at(0));
    assert_eq!(book.claim("k", 1000).unwrap_err(), Refused::InFlight, "however long it takes");
    sent.answered(reply("one"), book.at(1000));
    book.assert_answered("k", "one", 1001);
    book.assert_answered("k", "one", 1099);
    drop(book.new_claim("other", 1001));
}

#[test]
fn a_key_that_was_used_for_another_request_is_refused_in_every_state() {
    let book = Book::new();
    let other = || book.claims.claim(key("k"), key("another body"), BOUNDS, book.at(1)).unwrap_err();
    let claim = book.new_claim("k", 0);
    assert_eq!(other(), Refused::Mismatch);
    let sent = claim.send(book.at(0));
    assert_eq!(other(), Refused::Mismatch);
    drop(sent);
    assert_eq!(other(), Refused::Mismatch);
    let Ok(Claimed::Unknown(claim)) = book.claim("k", 1) else { panic!() };
    claim.found(Arc::new(reply("one")), book.at(1));
    assert_eq!(other(), Refused::Mismatch);
}

#[test]
fn what_was_never_sent_or_started_nothing_frees_the_key_also_for_another_request() {
    let book = Book::new();
    drop(book.new_claim("k", 0));
    book.new_claim("k", 0).send(book.at(0)).nothing_started();
    assert_eq!(book.memory(), 0);
    assert!(matches!(book.claims.claim(key("k"), key("another body"), BOUNDS, book.at(0)), Ok(Claimed::New(_))));
}

#[test]
fn what_was_sent_and_lost_is_unknown_until_it_is_found_and_however_often_it_is_asked_for() {
    let book = Book::new();
    drop(book.new_claim("k", 0).send(book.at(0)));
    for _ in 0..2 {
        let Ok(Claimed::Unknown(claim)) = book.claim("k", 50) else { panic!() };
        assert_eq!(book.claim("k", 50).unwrap_err(), Refused::InFlight, "one looks it up at a time");
        drop(claim);
    }
    let Ok(Claimed::Unknown(claim)) = book.claim("k", 50) else { panic!() };
    claim.found(Arc::new(reply("found")), book.at(50));
    book.assert_answered("k", "found", 149);
}

#[test]
fn a_key_of_which_several_starts_were_found_is_unknown() {
    let book = Book::new();
    book.new_claim("k", 0).unknown(book.at(0));
    assert!(matches!(book.claim("k", 99), Ok(Claimed::Unknown(_))));
}

#[test]
fn an_unknown_outcome_is_remembered_from_the_end_of_its_start() {
    let book = Book::new();
    book.new_claim("k", 0).send(book.at(0)).unknown(book.at(90));
    assert!(matches!(book.claim("k", 189), Ok(Claimed::Unknown(_))));
    drop(book.new_claim("k", 190));
}

#[test]
fn the_body_of_a_start_that_only_the_upstream_knows_is_not_compared() {
    let book = Book::new();
    let other = |seconds| book.claims.claim(key("k"), key("another body"), BOUNDS, book.at(seconds));
    book.new_claim("k", 0).found(Arc::new(reply("one")), book.at(0));
    assert!(matches!(other(1), Ok(Claimed::Answered(_))));
    let book = Book::new();
    book.new_claim("k", 0).unknown(book.at(0));
    let other = book.claims.claim(key("k"), key("another body"), BOUNDS, book.at(1));
    assert!(matches!(other, Ok(Claimed::Unknown(_))));
}

#[test]
fn a_settled_key_is_forgotten_when_its_time_is_over_and_not_before() {
    let book = Book::new();
    book.answer("answered", "one", 0);
    drop(book.new_claim("unknown", 0).send(book.at(0)));
    book.assert_answered("answered", "one", 99);
    assert!(matches!(book.claim("unknown", 99), Ok(Claimed::Unknown(_))), "and asking does not keep it longer");
    drop(book.new_claim("answered", 100));
    drop(book.new_claim("unknown", 100));
    assert_eq!(book.memory(), 0);
    let records = book.claims.lock();
    assert!(records.by_key.is_empty() && records.answered.is_empty() && records.unknown.is_empty());
}

#[test]
fn outdated_keys_go_although_nobody_asks_for_them() {
    let book = Book::new();
    for n in 0..9 {
        book.answer(&n.to_string(), "", 0);
    }
    drop(book.new_claim("another", 100));
    assert_eq!(book.memory(), 0);
}

#[test]
fn a_key_is_forgotten_in_time_also_where_many_others_wait_to_be_cleared_away() {
    let bounds = Bounds { memory: 1000 * IN_FLIGHT, ..BOUNDS };
    for answered in [false, true] {
        let book = Book::new();
        let claim = |n: usize, seconds| {
            let claimed = book.claims.claim(key(&n.to_string()), key("the body"), bounds, book.at(seconds));
            let Ok(Claimed::New(claim)) = claimed else { panic!("{claimed:?}") };
            claim.send(book.at(seconds))
        };
        for n in 0..3 * SWEPT {
            let sent = claim(n, 0);
            if answered {
                sent.answered(reply(""), book.at(0));
            }
        }
        let last = *book.claims.lock().by_key.keys().max().unwrap();
        assert!(matches!(book.claims.claim(last, key("the body"), bounds, book.at(100)), Ok(Claimed::New(_))));
    }
}

#[test]
fn where_it_is_full_the_oldest_answer_goes_first_and_what_may_run_never() {
    let book = Book::new();
    let in_flight = book.new_claim("in flight", 0);
    drop(book.new_claim("unknown", 0).send(book.at(0)));
    let mut answered = 0;
    while !book.claims.lock().by_key.contains_key(&key("0")) || book.memory() + IN_FLIGHT <= BOUNDS.memory {
        book.answer(&answered.to_string(), "", 1 + answered);
        answered += 1;
    }
    let more = book.new_claim("one more", 50);
    assert!(!book.claims.lock().by_key.contains_key(&key("0")));
    book.assert_answered("1", "", 50);
    book.assert_answered(&(answered - 1).to_string(), "", 50);
    let held: Vec<Claim> = (0..)
        .map_while(|n| match book.claim(&format!("held {n}"), 50) {
            Ok(Claimed::New(claim)) => Some(claim),
            Ok(_) => None,
            Err(refused) => {
                assert_eq!(refused, Refused::Full);
                None
            }
        })
        .collect();
    assert_eq!(held.len(), 7, "with one that was in flight, one more and the unknown one there is no room for another");
    assert!(book.memory() <= BOUNDS.memory);
    assert!(matches!(book.claim("unknown", 50), Ok(Claimed::Unknown(_))));
    drop((in_flight, more, held));
    assert_eq!(book.memory(), RECORD, "the unknown one is all that is left");
}

#[test]
fn an_answer_that_finds_no_room_leaves_its_key_unknown() {
    let book = Book::new();
    book.answer("old", "", 0);
    let (sent, other) = (book.new_claim("k", 1).send(book.at(1)), book.new_claim("other", 1));
    sent.answered(reply(&"x".repeat(BOUNDS.memory - RECORD)), book.at(1));
    assert!(matches!(book.claim("k", 1), Ok(Claimed::Unknown(_))));
    drop(other);
    drop(book.new_claim("old", 1));
    let Ok(Claimed::Unknown(claim)) = book.claim("k", 1) else { panic!() };
    let long = "x".repeat(BOUNDS.memory - RECORD - "application/json".len());
    claim.found(Arc::new(reply(&long)), book.at(1));
    book.assert_answered("k", &long, 1);
    assert_eq!(book.memory(), BOUNDS.memory);
}

#[test]
fn of_many_threads_with_one_key_one_sends() {
    let book = Book::new();
    let sent = std::thread::scope(|scope| {
        let claim = || {
            let first = |claimed| if let Ok(Claimed::New(claim)) = claimed { Some(claim) } else { None };
            let mine = (0..1000).filter_map(|_| first(book.claim("k", 0)));
            mine.map(|claim| claim.send(book.at(0)).answered(reply("one"), book.at(0))).count()
        };
        let threads = [scope.spawn(claim), scope.spawn(claim), scope.spawn(claim)];
        threads.map(|thread| thread.join().unwrap()).iter().sum::<usize>()
    });
    assert_eq!(sent, 1);
}
