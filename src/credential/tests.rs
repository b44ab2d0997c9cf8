//! Versions that are read, accepted and refused, through the credential's own functions.

mod tables;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use hyper::header::{HeaderName, HeaderValue};

use crate::secret::{Environment, Error, Salt, Secret, SecretRef, StoreContent, StoreProblem};

use super::*;

fn version(secret: &str) -> Arc<SecretVersion> {
    SecretVersion::new(Secret::placeholder(secret).unwrap(), &Salt::new("salt"), Instant::now())
}

fn secret(version: &Arc<SecretVersion>) -> String {
    version.secret.header_value().to_str().unwrap().to_owned()
}

fn definition(max_stale: Option<u64>) -> Definition {
    let secret = SecretRef::File { path: "/nowhere".into(), previous: None };
    let header = HeaderName::from_static("x-key");
    Definition { secret, max_stale: max_stale.map(Duration::from_secs), header, verify: false }
}

fn credential(max_stale: Option<u64>, before: Option<&Credential>) -> Credential {
    Credential::new("main", definition(max_stale), &Environment::process(), &Arc::default(), before)
}

fn content(secret: &str) -> Result<StoreContent, Error> {
    Ok(StoreContent { current: Secret::placeholder(secret).unwrap(), previous: None })
}

fn missing() -> Result<StoreContent, Error> {
    Err(Error { location: "/nowhere".into(), problem: StoreProblem::NoFile })
}

fn sent(credential: &Credential) -> String {
    credential.version_to_send().map_or_else(|error| format!("{error:?}"), |version| secret(&version))
}

fn unclear() -> ProbeResult {
    ProbeResult::Inconclusive("403".to_owned())
}

#[test]
fn a_version_that_was_away_for_longer_than_max_stale_is_not_sent_until_it_is_back() {
    let (old, start) = (credential(Some(10), None), Instant::now());
    let at = |seconds| start + Duration::from_secs(seconds);
    old.update(content("one"), at(0));
    old.update(content("one"), at(100));
    old.update(missing(), at(109));
    assert_eq!(sent(&old), "one", "it was there nine seconds ago");
    assert_eq!(old.lifecycle.load().until_expiry(at(109), &old.definition), Duration::from_secs(1));
    let redefined = credential(Some(10), Some(&old));
    redefined.update(missing(), at(110));
    assert_eq!(sent(&redefined), "Expired", "what was seen before a reload counts on");
    old.update(missing(), at(110));
    assert_eq!((sent(&old).as_str(), old.status(at(110)).status), ("Expired", CredentialStatus::Expired));
    let moved = credential(Some(10), Some(&old));
    assert_eq!(sent(&moved), "Expired", "a reload does not make it younger");
    moved.update(content("one"), at(111));
    assert_eq!((sent(&moved).as_str(), moved.status(at(111)).status), ("one", CredentialStatus::Fresh));
    let patient = credential(None, Some(&old));
    patient.update(missing(), at(1_000_000));
    assert_eq!(sent(&patient), "one", "without max_stale there is no end");
}

#[tokio::test]
async fn only_a_read_call_of_the_gateways_own_makes_a_version_a_rejected_one() {
    let (credential, now) = (credential(None, None), Instant::now());
    let status = || credential.status(now).status;
    credential.update(content("one"), now);
    for _ in 0..100 {
        credential.note_refused(true);
    }
    assert_eq!(status(), CredentialStatus::Fresh, "requests of one tenant may be refused for a reason of theirs");
    credential.probe(&async |_: &Credential, _: &SecretVersion| ProbeResult::Rejected, now).await;
    assert_eq!(status(), CredentialStatus::Rejected);
    credential.note_accepted(&credential.version_to_send().unwrap(), None);
    assert_eq!(status(), CredentialStatus::Fresh);
    let accepted_meanwhile = async |credential: &Credential, version: &SecretVersion| {
        let sent = credential.version_to_send().unwrap();
        assert!(version.secret.is(&sent.secret));
        credential.note_accepted(&sent, None);
        ProbeResult::Rejected
    };
    credential.note_refused(true);
    credential.probe(&accepted_meanwhile, now).await;
    assert_eq!(status(), CredentialStatus::Fresh, "what was asked before it was accepted says nothing any more");
}

#[tokio::test]
async fn if_the_upstream_does_not_tell_whether_a_version_is_valid_the_reason_is_shown_until_it_does() {
    let (credential, now) = (credential(None, None), Instant::now());
    credential.update(content("one"), now);
    credential.note_refused(true);
    credential.probe(&async |_: &Credential, _: &SecretVersion| unclear(), now).await;
    let shown = credential.status(now);
    let code = |report: &StatusReport| report.problem().map(CredentialProblem::code);
    assert_eq!(
        (shown.status, code(&shown), shown.inconclusive.as_deref()),
        (CredentialStatus::Fresh, Some("unclear"), Some("403"))
    );
    credential.probe(&async |_: &Credential, _: &SecretVersion| ProbeResult::Rejected, now).await;
    let shown = credential.status(now);
    assert_eq!((shown.status, code(&shown), shown.inconclusive), (CredentialStatus::Rejected, Some("refused"), None));
}

#[tokio::test]
async fn the_previous_version_is_asked_about_only_if_the_upstream_may_refuse_both() {
    let now = Instant::now();
    for (old, is_suspect, asked, status) in [
        (ProbeResult::Rejected, false, 1, CredentialStatus::Fresh),
        (ProbeResult::Rejected, true, 2, CredentialStatus::Rejected),
        (ProbeResult::Accepted, true, 2, CredentialStatus::Fresh),
    ] {
        let credential = credential(None, None);
        credential.update(content("old"), now);
        credential.update(content("new"), now);
        credential.note_refused(is_suspect);
        let calls = std::cell::Cell::new(0);
        let ask = async |_: &Credential, version: &SecretVersion| {
            calls.set(calls.get() + 1);
            if version.secret.header_value() == "old" { old.clone() } else { ProbeResult::Rejected }
        };
        credential.probe(&ask, now).await;
        assert_eq!(calls.get(), asked, "{old:?}");
        assert_eq!((credential.status(now).status, sent(&credential).as_str()), (status, "old"), "{old:?}");
    }
}

#[tokio::test]
async fn a_version_is_as_old_as_its_last_change_also_at_another_place() {
    let (old, start) = (credential(None, None), Instant::now());
    let age = |credential: &Credential, seconds| {
        let report = credential.status(start + Duration::from_secs(seconds));
        report.current.unwrap().age.as_secs()
    };
    old.update(content("one"), start);
    let moved = credential(None, Some(&old));
    moved.update(content("one"), start + Duration::from_secs(5));
    assert_eq!(age(&moved, 7), 7);
    moved.update(content("two"), start + Duration::from_secs(10));
    assert_eq!(age(&moved, 12), 2);
}

#[tokio::test]
async fn a_request_waits_for_another_version_until_there_is_one_or_the_one_that_it_had_turns_out_to_be_good() {
    let (credential, now) = (credential(None, None), Instant::now());
    credential.update(content("one"), now);
    let one = credential.version_to_send().unwrap();
    let accept = async |_: &Credential, _: &SecretVersion| ProbeResult::Accepted;
    for good in [true, false] {
        let mut waiting = pin!(credential.replacement_for(&one));
        assert!(poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context))).await.is_pending());
        let next = poll_fn(|context| Poll::Ready(pin!(credential.refresh_requests.next()).poll(context)));
        assert_eq!(next.await.is_ready(), good, "the first refusal has the store read at once");
        credential.probe(&accept, now).await;
        assert!(
            poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context))).await.is_pending(),
            "what was asked before the refusal says nothing"
        );
        if good {
            credential.probe(&accept, Instant::now()).await;
        } else {
            credential.update(content("two"), now);
        }
        let found = poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context))).await;
        let Poll::Ready(found) = found else { panic!("it waits for nothing") };
        let found = found.map(|version| version.secret.header_value());
        assert_eq!(found, (!good).then(|| HeaderValue::from_static("two")));
    }
}
