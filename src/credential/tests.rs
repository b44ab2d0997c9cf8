//! What becomes of keys that are read, accepted and refused.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use hyper::header::{HeaderName, HeaderValue};

use crate::secret::{Content, Environment, Error, Problem, Salt, Secret, SecretRef};

use super::versions::Verification;
use super::*;

pub(super) fn held(key: &str) -> Arc<SecretVersion> {
    SecretVersion::new(Secret::placeholder(key).unwrap(), &Salt::new("salt"))
}

fn definition(max_stale: Option<u64>) -> Definition {
    let place = SecretRef::File { path: "/nowhere".into(), previous: None };
    let header = HeaderName::from_static("x-key");
    Definition { place, max_stale: max_stale.map(Duration::from_secs), header, verify: false }
}

fn key(max_stale: Option<u64>, before: Option<&Credential>) -> Credential {
    Credential::new("main", definition(max_stale), &Environment::process(), &Arc::default(), before)
}

fn fetched(key: &str) -> Result<Content, Error> {
    Ok(Content { current: Secret::placeholder(key).unwrap(), previous: None })
}

fn missing() -> Result<Content, Error> {
    Err(Error { place: "/nowhere".into(), problem: Problem::NoFile })
}

fn first(key: &Credential) -> String {
    match key.version_to_send() {
        Ok(held) => held.secret.header_value().to_str().unwrap().to_owned(),
        Err(unusable) => format!("{unusable:?}"),
    }
}

#[test]
fn what_holds_no_key_changes_no_key() {
    let (key, now) = (key(None, None), Instant::now());
    let status = |key: &Credential| key.status(now).status;
    key.take(missing(), now);
    assert_eq!((status(&key), first(&key)), (CredentialStatus::Missing, "Missing".to_owned()));
    key.take(fetched("one"), now);
    assert_eq!((status(&key), first(&key)), (CredentialStatus::Fresh, "one".to_owned()));
    key.take(missing(), now);
    assert_eq!((status(&key), first(&key)), (CredentialStatus::Stale, "one".to_owned()));
    key.take(fetched("one"), now);
    assert_eq!(status(&key), CredentialStatus::Fresh);
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
    assert_eq!((first(&old).as_str(), old.status(at(110)).status), ("Expired", CredentialStatus::Expired));
    let moved = key(Some(10), Some(&old));
    assert_eq!(first(&moved), "Expired", "a reload does not make it younger");
    moved.take(fetched("one"), at(111));
    assert_eq!((first(&moved).as_str(), moved.status(at(111)).status), ("one", CredentialStatus::Fresh));
    let patient = key(None, Some(&old));
    patient.take(missing(), at(1_000_000));
    assert_eq!(first(&patient), "one", "without max_stale there is no end");
}

#[test]
fn only_a_read_call_of_the_gateways_own_makes_a_key_a_rejected_one() {
    let (key, now) = (key(None, None), Instant::now());
    key.take(fetched("one"), now);
    let versions = key.versions.load_full().unwrap();
    for _ in 0..100 {
        key.note_refused(true);
    }
    assert_eq!(
        key.status(now).status,
        CredentialStatus::Fresh,
        "requests of one tenant may be refused for a reason of theirs"
    );
    key.judged(&versions, None, Judgement::Rejected);
    assert_eq!(key.status(now).status, CredentialStatus::Rejected);
    key.note_accepted(versions.current(), false);
    assert_eq!(key.status(now).status, CredentialStatus::Fresh);
    key.judged(&versions, None, Judgement::Rejected);
    assert_eq!(
        key.status(now).status,
        CredentialStatus::Fresh,
        "what was asked before it was accepted says nothing any more"
    );
}

#[tokio::test]
async fn after_a_rejected_key_the_next_one_is_rejected_only_if_the_upstream_refuses_it_too() {
    for (verdict, status) in [
        (ProbeResult::Accepted, CredentialStatus::Fresh),
        (ProbeResult::Rejected, CredentialStatus::Rejected),
        (unclear(), CredentialStatus::Fresh),
    ] {
        let (key, now) = (key(None, None), Instant::now());
        key.take(fetched("one"), now);
        let versions = key.versions.load_full().unwrap();
        key.note_refused(true);
        key.judged(&versions, None, Judgement::Rejected);
        key.take(fetched("two"), now);
        assert_eq!(key.status(now).status, CredentialStatus::Rejected, "until the upstream was asked");
        key.judged(&versions, None, Judgement::Accepted(Some(now)));
        assert_eq!(key.status(now).status, CredentialStatus::Rejected, "an answer about the key before comes too late");
        let ask = async |_: &Credential, held: &SecretVersion| {
            if held.secret.header_value() == "two" { verdict.clone() } else { ProbeResult::Rejected }
        };
        key.judge(&ask, now).await;
        assert_eq!(key.status(now).status, status, "{verdict:?}");
    }
}

#[tokio::test]
async fn where_the_upstream_does_not_say_whether_a_key_is_valid_the_reason_is_shown_until_it_does() {
    let (key, now) = (key(None, None), Instant::now());
    key.take(fetched("one"), now);
    key.note_refused(true);
    key.judge(&async |_: &Credential, _: &SecretVersion| unclear(), now).await;
    let shown = key.status(now);
    assert_eq!(
        (shown.status, shown.error(), shown.unclear.as_deref()),
        (CredentialStatus::Fresh, "unclear", Some("403"))
    );
    assert!(key.question_due(Some(now), 1).is_some(), "it is asked again");
    key.judge(&async |_: &Credential, _: &SecretVersion| ProbeResult::Rejected, now).await;
    let shown = key.status(now);
    assert_eq!((shown.status, shown.error(), shown.unclear), (CredentialStatus::Rejected, "refused", None));
}

fn unclear() -> ProbeResult {
    ProbeResult::Inconclusive("403".to_owned())
}

#[tokio::test]
async fn whatever_the_upstream_says_of_a_new_key_decides_which_goes_first() {
    for (verdict, expected) in [(ProbeResult::Accepted, "new"), (ProbeResult::Rejected, "old"), (unclear(), "new")] {
        let (key, now) = (key(None, None), Instant::now());
        key.take(fetched("old"), now);
        key.note_accepted(&key.version_to_send().unwrap(), false);
        key.take(fetched("new"), now);
        assert_eq!(first(&key), "old", "as long as the upstream is being asked");
        key.judge(&async |_: &Credential, _: &SecretVersion| verdict.clone(), now).await;
        assert_eq!(first(&key), expected, "{verdict:?}");
        assert_eq!(key.status(now).previous.is_none(), verdict == ProbeResult::Accepted, "{verdict:?}");
    }
}

#[tokio::test]
async fn with_two_keys_refused_both_are_asked_about() {
    let now = Instant::now();
    for (old, status) in
        [(ProbeResult::Rejected, CredentialStatus::Rejected), (ProbeResult::Accepted, CredentialStatus::Fresh)]
    {
        let key = key(None, None);
        key.take(fetched("old"), now);
        key.take(fetched("new"), now);
        key.note_refused(true);
        let ask = async |_: &Credential, held: &SecretVersion| {
            if held.secret.header_value() == "old" { old.clone() } else { ProbeResult::Rejected }
        };
        key.judge(&ask, now).await;
        assert_eq!((key.status(now).status, first(&key).as_str()), (status, "old"), "{old:?}");
    }
}

#[test]
fn a_start_that_the_key_before_serves_after_a_refusal_puts_it_first_and_one_with_the_newest_forgets_it() {
    let (key, now) = (key(None, None), Instant::now());
    key.take(fetched("old"), now);
    let old = key.version_to_send().unwrap();
    key.take(fetched("new"), now);
    key.judged(&key.versions.load_full().unwrap(), Some(Verification::Inconclusive), Judgement::Open);
    let new = key.version_to_send().unwrap();
    key.note_refused(true);
    key.note_accepted(&old, false);
    assert_eq!(first(&key), "new", "it may have been sent before there was another");
    key.note_accepted(&old, true);
    assert_eq!(first(&key), "old");
    key.note_accepted(&new, true);
    assert_eq!((first(&key).as_str(), key.status(now).previous), ("new", None));
}

#[test]
fn the_key_before_may_come_from_the_store_as_long_as_the_newest_was_not_accepted() {
    let both = |previous: &str| {
        Ok(Content {
            current: Secret::placeholder("new").unwrap(),
            previous: Some(Ok(Secret::placeholder(previous).unwrap())),
        })
    };
    let (key, now) = (key(None, None), Instant::now());
    key.take(fetched("new"), now);
    key.take(both("new"), now);
    assert!(key.status(now).previous.is_none(), "it is the same");
    key.take(both("old"), now);
    assert_eq!(
        (first(&key).as_str(), key.status(now).previous.is_some()),
        ("old", true),
        "until the upstream was asked"
    );
    key.note_accepted(&key.versions.load_full().unwrap().current().clone(), false);
    key.take(both("old"), now);
    assert!(key.status(now).previous.is_none());
}

#[test]
fn a_key_is_as_old_as_its_last_change_also_at_another_place() {
    let (old, now) = (key(None, None), Instant::now());
    old.take(fetched("one"), now);
    let since = old.version_to_send().unwrap().since;
    let moved = key(None, Some(&old));
    moved.take(fetched("one"), now);
    assert_eq!(moved.version_to_send().unwrap().since, since);
    moved.take(fetched("two"), now);
    moved.judged(&moved.versions.load_full().unwrap(), Some(Verification::Accepted), Judgement::Accepted(None));
    assert!(moved.version_to_send().unwrap().since > since);
}

#[tokio::test]
async fn a_request_waits_for_another_key_until_there_is_one_or_the_one_that_it_had_turns_out_to_be_good() {
    let (key, now) = (key(None, None), Instant::now());
    key.take(fetched("one"), now);
    let (versions, one) = (key.versions.load_full().unwrap(), key.version_to_send().unwrap());
    for good in [true, false] {
        let mut waiting = pin!(key.replacement_for(&one));
        assert!(poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context))).await.is_pending());
        let asked = poll_fn(|context| Poll::Ready(pin!(key.refresh_requests.asked()).poll(context))).await.is_ready();
        assert_eq!(asked, good, "the first refusal has the store looked at, at once");
        // What was asked before the refusal says nothing.
        key.judged(&versions, None, Judgement::Accepted(Some(now)));
        assert!(poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context))).await.is_pending());
        if good {
            key.judged(&versions, None, Judgement::Accepted(Some(Instant::now())));
        } else {
            key.take(fetched("two"), now);
        }
        let found = poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context))).await;
        let Poll::Ready(found) = found else { panic!("it waits for nothing") };
        assert_eq!(found.map(|held| held.secret.header_value()), (!good).then(|| HeaderValue::from_static("two")));
    }
}
