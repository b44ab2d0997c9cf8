//! What becomes of keys that are read, accepted and refused.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use hyper::header::{HeaderName, HeaderValue};

use crate::secret::{Environment, Error, Fetched, Salt, Secret, SecretRef};

use super::ring::Trial;
use super::*;

pub(super) fn held(key: &str) -> Arc<Held> {
    Held::new(Secret::placeholder(key).unwrap(), &Salt::new("salt"))
}

fn definition(max_stale: Option<u64>) -> Definition {
    let place = SecretRef::File { path: "/nowhere".into(), previous: None };
    let header = HeaderName::from_static("x-key");
    Definition { place, max_stale: max_stale.map(Duration::from_secs), header, verify: false }
}

fn key(max_stale: Option<u64>, before: Option<&Key>) -> Key {
    Key::new("main", definition(max_stale), &Environment::process(), &Arc::default(), before)
}

fn fetched(key: &str) -> Result<Fetched, Error> {
    Ok(Fetched { key: Secret::placeholder(key).unwrap(), previous: None })
}

fn missing() -> Result<Fetched, Error> {
    Err(Error::Missing { path: "/nowhere".into() })
}

fn first(key: &Key) -> String {
    match key.first() {
        Ok(held) => held.secret.header_value().to_str().unwrap().to_owned(),
        Err(unusable) => format!("{unusable:?}"),
    }
}

#[test]
fn what_holds_no_key_changes_no_key() {
    let (key, now) = (key(None, None), Instant::now());
    let condition = |key: &Key| key.shown(now).condition;
    key.take(missing(), now);
    assert_eq!((condition(&key), first(&key)), (Condition::Missing, "Missing".to_owned()));
    key.take(fetched("one"), now);
    assert_eq!((condition(&key), first(&key)), (Condition::Fresh, "one".to_owned()));
    key.take(missing(), now);
    assert_eq!((condition(&key), first(&key)), (Condition::Stale, "one".to_owned()));
    key.take(fetched("one"), now);
    assert_eq!(condition(&key), Condition::Fresh);
}

#[test]
fn a_key_that_was_away_for_longer_than_max_stale_is_sent_no_more_until_it_is_back() {
    let (old, start) = (key(Some(10), None), Instant::now());
    let at = |seconds| start + Duration::from_secs(seconds);
    old.take(fetched("one"), at(0));
    old.take(fetched("one"), at(100));
    old.take(missing(), at(109));
    assert_eq!(first(&old), "one", "it was there nine seconds ago");
    assert_eq!(old.until_expiry(at(109)), Duration::from_secs(1));
    let redefined = key(Some(10), Some(&old));
    redefined.take(missing(), at(110));
    assert_eq!(first(&redefined), "Expired", "what was seen before a reload counts on");
    old.take(missing(), at(110));
    assert_eq!((first(&old).as_str(), old.shown(at(110)).condition), ("Expired", Condition::Expired));
    let moved = key(Some(10), Some(&old));
    assert_eq!(first(&moved), "Expired", "a reload does not make it younger");
    moved.take(fetched("one"), at(111));
    assert_eq!((first(&moved).as_str(), moved.shown(at(111)).condition), ("one", Condition::Fresh));
    let patient = key(None, Some(&old));
    patient.take(missing(), at(1_000_000));
    assert_eq!(first(&patient), "one", "without max_stale there is no end");
}

#[test]
fn only_a_read_call_of_the_gateways_own_makes_a_key_a_rejected_one() {
    let (key, now) = (key(None, None), Instant::now());
    key.take(fetched("one"), now);
    let ring = key.ring.load_full().unwrap();
    for _ in 0..100 {
        key.refused(true);
    }
    assert_eq!(
        key.shown(now).condition,
        Condition::Fresh,
        "requests of one tenant may be refused for a reason of theirs"
    );
    key.judged(&ring, None, Judgement::Rejected);
    assert_eq!(key.shown(now).condition, Condition::Rejected);
    key.accepted(ring.newest(), false);
    assert_eq!(key.shown(now).condition, Condition::Fresh);
    key.judged(&ring, None, Judgement::Rejected);
    assert_eq!(
        key.shown(now).condition,
        Condition::Fresh,
        "what was asked before it was accepted says nothing any more"
    );
}

#[tokio::test]
async fn after_a_rejected_key_the_next_one_is_rejected_only_if_the_upstream_refuses_it_too() {
    for (verdict, condition) in
        [(Verdict::Accepted, Condition::Fresh), (Verdict::Refused, Condition::Rejected), (unclear(), Condition::Fresh)]
    {
        let (key, now) = (key(None, None), Instant::now());
        key.take(fetched("one"), now);
        let ring = key.ring.load_full().unwrap();
        key.refused(true);
        key.judged(&ring, None, Judgement::Rejected);
        key.take(fetched("two"), now);
        assert_eq!(key.shown(now).condition, Condition::Rejected, "until the upstream was asked");
        key.judged(&ring, None, Judgement::Accepted(Some(now)));
        assert_eq!(key.shown(now).condition, Condition::Rejected, "an answer about the key before comes too late");
        let ask = async |_: &Key, held: &Held| {
            if held.secret.header_value() == "two" { verdict.clone() } else { Verdict::Refused }
        };
        key.judge(&ask, now).await;
        assert_eq!(key.shown(now).condition, condition, "{verdict:?}");
    }
}

#[tokio::test]
async fn where_the_upstream_does_not_say_whether_a_key_is_valid_the_reason_is_shown_until_it_does() {
    let (key, now) = (key(None, None), Instant::now());
    key.take(fetched("one"), now);
    key.refused(true);
    key.judge(&async |_: &Key, _: &Held| unclear(), now).await;
    let shown = key.shown(now);
    assert_eq!((shown.condition, shown.error(), shown.unclear.as_deref()), (Condition::Fresh, "unclear", Some("403")));
    assert!(key.question_due(Some(now), 1).is_some(), "it is asked again");
    key.judge(&async |_: &Key, _: &Held| Verdict::Refused, now).await;
    let shown = key.shown(now);
    assert_eq!((shown.condition, shown.error(), shown.unclear), (Condition::Rejected, "refused", None));
}

fn unclear() -> Verdict {
    Verdict::Unclear("403".to_owned())
}

#[tokio::test]
async fn whatever_the_upstream_says_of_a_new_key_decides_which_goes_first() {
    for (verdict, expected) in [(Verdict::Accepted, "new"), (Verdict::Refused, "old"), (unclear(), "new")] {
        let (key, now) = (key(None, None), Instant::now());
        key.take(fetched("old"), now);
        key.accepted(&key.first().unwrap(), false);
        key.take(fetched("new"), now);
        assert_eq!(first(&key), "old", "as long as the upstream is being asked");
        key.judge(&async |_: &Key, _: &Held| verdict.clone(), now).await;
        assert_eq!(first(&key), expected, "{verdict:?}");
        assert_eq!(key.shown(now).before.is_none(), verdict == Verdict::Accepted, "{verdict:?}");
    }
}

#[tokio::test]
async fn with_two_keys_refused_both_are_asked_about() {
    let now = Instant::now();
    for (old, condition) in [(Verdict::Refused, Condition::Rejected), (Verdict::Accepted, Condition::Fresh)] {
        let key = key(None, None);
        key.take(fetched("old"), now);
        key.take(fetched("new"), now);
        key.refused(true);
        let ask = async |_: &Key, held: &Held| {
            if held.secret.header_value() == "old" { old.clone() } else { Verdict::Refused }
        };
        key.judge(&ask, now).await;
        assert_eq!((key.shown(now).condition, first(&key).as_str()), (condition, "old"), "{old:?}");
    }
}

#[test]
fn a_start_that_the_key_before_serves_after_a_refusal_puts_it_first_and_one_with_the_newest_forgets_it() {
    let (key, now) = (key(None, None), Instant::now());
    key.take(fetched("old"), now);
    let old = key.first().unwrap();
    key.take(fetched("new"), now);
    key.judged(&key.ring.load_full().unwrap(), Some(Trial::Unclear), Judgement::Open);
    let new = key.first().unwrap();
    key.refused(true);
    key.accepted(&old, false);
    assert_eq!(first(&key), "new", "it may have been sent before there was another");
    key.accepted(&old, true);
    assert_eq!(first(&key), "old");
    key.accepted(&new, true);
    assert_eq!((first(&key).as_str(), key.shown(now).before), ("new", None));
}

#[test]
fn the_key_before_may_come_from_the_store_as_long_as_the_newest_was_not_accepted() {
    let both = |previous: &str| {
        Ok(Fetched {
            key: Secret::placeholder("new").unwrap(),
            previous: Some(Ok(Secret::placeholder(previous).unwrap())),
        })
    };
    let (key, now) = (key(None, None), Instant::now());
    key.take(fetched("new"), now);
    key.take(both("new"), now);
    assert!(key.shown(now).before.is_none(), "it is the same");
    key.take(both("old"), now);
    assert_eq!((first(&key).as_str(), key.shown(now).before.is_some()), ("old", true), "until the upstream was asked");
    key.accepted(&key.ring.load_full().unwrap().newest().clone(), false);
    key.take(both("old"), now);
    assert!(key.shown(now).before.is_none());
}

#[test]
fn a_key_is_as_old_as_its_last_change_also_at_another_place() {
    let (old, now) = (key(None, None), Instant::now());
    old.take(fetched("one"), now);
    let since = old.first().unwrap().since;
    let moved = key(None, Some(&old));
    moved.take(fetched("one"), now);
    assert_eq!(moved.first().unwrap().since, since);
    moved.take(fetched("two"), now);
    moved.judged(&moved.ring.load_full().unwrap(), Some(Trial::Accepted), Judgement::Accepted(None));
    assert!(moved.first().unwrap().since > since);
}

#[tokio::test]
async fn a_request_waits_for_another_key_until_there_is_one_or_the_one_that_it_had_turns_out_to_be_good() {
    let (key, now) = (key(None, None), Instant::now());
    key.take(fetched("one"), now);
    let (ring, one) = (key.ring.load_full().unwrap(), key.first().unwrap());
    for good in [true, false] {
        let mut waiting = pin!(key.other_than(&one));
        assert!(poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context))).await.is_pending());
        let asked = poll_fn(|context| Poll::Ready(pin!(key.looks.asked()).poll(context))).await.is_ready();
        assert_eq!(asked, good, "the first refusal has the store looked at, at once");
        // What was asked before the refusal says nothing.
        key.judged(&ring, None, Judgement::Accepted(Some(now)));
        assert!(poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context))).await.is_pending());
        if good {
            key.judged(&ring, None, Judgement::Accepted(Some(Instant::now())));
        } else {
            key.take(fetched("two"), now);
        }
        let found = poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context))).await;
        let Poll::Ready(found) = found else { panic!("it waits for nothing") };
        assert_eq!(found.map(|held| held.secret.header_value()), (!good).then(|| HeaderValue::from_static("two")));
    }
}
