//! The health of the gateway, for probes and engineers: `/readyz` and `/readyz?verbose`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::audit::{self, Audit};
use crate::config::resolve::Readiness;
use crate::credential::{Credential, CredentialStatus, Credentials, StatusReport};
use crate::drain::DrainSignal;
use crate::state::{ListingCheckState, NotFound, State};
use crate::upstream::health::UpstreamHealth;

/// The result of a reload.
#[derive(Debug, Clone)]
pub struct ReloadResult {
    /// When it ended.
    pub at: SystemTime,
    /// The keys that the new configuration waits for, or the reason why the previous one stays in use.
    pub result: Result<Readiness, String>,
}

/// The reason why the gateway is not ready, as `/readyz` gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// The drain has begun.
    #[error("draining")]
    Draining,
    /// No credential has an API key that may be sent.
    #[error("no key can be used")]
    NoUsableApiKey,
    /// At least one credential has none.
    #[error("a key is missing")]
    ApiKeyMissing,
    /// The upstream has accepted no API key that may be sent.
    #[error("no key was accepted by the upstream yet")]
    NoAcceptedApiKey,
}

/// The health of the gateway.
#[derive(Debug)]
pub struct Health {
    draining: DrainSignal,
    upstream_health: Arc<UpstreamHealth>,
    credentials: Arc<Credentials>,
    audit: Option<Arc<Audit>>,
    state: Arc<State>,
    configuration: Mutex<ConfigurationStatus>,
}

#[derive(Debug)]
struct ConfigurationStatus {
    /// When the configuration in use was loaded.
    loaded: SystemTime,
    /// The keys that it waits for.
    readiness: Readiness,
    /// The last reload that was refused since.
    refused: Option<(SystemTime, String)>,
}

impl Health {
    /// Creates the health of a gateway whose configuration was loaded now.
    #[must_use]
    pub fn new(
        draining: DrainSignal,
        upstream_health: Arc<UpstreamHealth>,
        credentials: Arc<Credentials>,
        audit: Option<Arc<Audit>>,
        readiness: Readiness,
        state: Arc<State>,
    ) -> Health {
        let configuration = ConfigurationStatus { loaded: SystemTime::now(), readiness, refused: None };
        Health { draining, upstream_health, credentials, audit, state, configuration: Mutex::new(configuration) }
    }

    /// Records the result of a reload.
    pub fn record_reload(&self, ReloadResult { at, result }: ReloadResult) {
        let mut configuration = self.lock();
        match result {
            Ok(readiness) => *configuration = ConfigurationStatus { loaded: at, readiness, refused: None },
            Err(reason) => configuration.refused = Some((at, reason)),
        }
    }

    /// Returns why the gateway is not ready; nothing if it is.
    #[must_use]
    pub fn obstacle(&self) -> Option<Obstacle> {
        if self.draining.is_draining() { Some(Obstacle::Draining) } else { self.unready_credential() }
    }

    /// Returns what readiness waits for in the credentials, if it waits.
    fn unready_credential(&self) -> Option<Obstacle> {
        let readiness = self.lock().readiness;
        let credentials = self.credentials.by_name();
        let mut credentials = credentials.values();
        match readiness {
            Readiness::Any => {
                let usable = credentials.any(|credential| credential.check_usable().is_ok());
                (!usable).then_some(Obstacle::NoUsableApiKey)
            }
            Readiness::All => {
                credentials.any(|credential| credential.check_usable().is_err()).then_some(Obstacle::ApiKeyMissing)
            }
            Readiness::Verified => {
                let accepted =
                    credentials.any(|credential| credential.check_usable().is_ok() && credential.has_been_accepted());
                (!accepted).then_some(Obstacle::NoAcceptedApiKey)
            }
        }
    }

    /// Returns a line for each part: `[+]` if it is well, `[-]` if the gateway is not ready because of it, `[!]` if an operator should
    /// look at it.
    #[must_use]
    pub fn report(&self) -> String {
        let at = humantime::format_rfc3339_seconds;
        let serving = self.obstacle().map_or("[+]serving".to_owned(), |obstacle| format!("[-]{obstacle}"));
        let configuration = self.lock();
        let loaded = format!("configuration loaded {}", at(configuration.loaded));
        let loaded = match &configuration.refused {
            None => format!("[+]{loaded}"),
            Some((when, reason)) => format!("[!]{loaded}; the reload of {} was refused: {reason}", at(*when)),
        };
        drop(configuration);
        let (answered, failed) = (self.upstream_health.answered(), self.upstream_health.failed());
        let mark = if failed > answered { "[!]" } else { "[+]" };
        let when = |time: Option<SystemTime>| time.map_or("never".to_owned(), |time| at(time).to_string());
        let upstream = format!("{mark}upstream last answered: {}; last failed: {}", when(answered), when(failed));
        let lacking = self.unready_credential().is_some();
        let line =
            |(name, key): (&String, &Arc<Credential>)| credential_line(name, &key.status(Instant::now()), lacking);
        let keys: String = self.credentials.by_name().iter().map(line).collect();
        let controls: String =
            self.state.listing_checks().iter().map(|(name, state)| recovery_line(name, *state)).collect();
        format!("{serving}\n{loaded}\n{keys}{upstream}\n{controls}{}", self.audit_line())
    }

    /// Returns the line of the audit, if there is one.
    fn audit_line(&self) -> String {
        let Some(audit) = &self.audit else { return String::new() };
        let taken = audit.taken();
        // So many starts are seldom in flight: records wait to be written.
        let mark = if taken > audit::SLOTS / 4 { "[!]" } else { "[+]" };
        format!("{mark}audit: {taken} of {} slots for records are taken\n", audit::SLOTS)
    }

    fn lock(&self) -> MutexGuard<'_, ConfigurationStatus> {
        self.configuration.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the line that says whether recovery is known to find starts that were made with a credential.
fn recovery_line(credential: &str, state: ListingCheckState) -> String {
    let (mark, says) = match state {
        ListingCheckState::Proven { filter, lag } => {
            let lag =
                humantime::format_duration(Duration::from_millis(u64::try_from(lag.as_millis()).unwrap_or(u64::MAX)));
            ("[+]", format!("proven by the filter {}; a start was listed {lag} after its answer", filter.name()))
        }
        ListingCheckState::Waiting => ("[!]", "unproven until a start with an Idempotency-Key is found".to_owned()),
        ListingCheckState::Looking { last } => {
            ("[!]", format!("unproven; a start is being looked for, last: {}", last.map_or("not yet", NotFound::code)))
        }
        ListingCheckState::Failed { last, .. } => {
            ("[!]", format!("unproven; a start was not found, last: {}", last.map_or("not yet", NotFound::code)))
        }
    };
    format!("{mark}recovery with credential {credential}: {says}\n")
}

/// Returns the line about a credential. `lacking` says whether readiness waits for one.
fn credential_line(name: &str, report: &StatusReport, lacking: bool) -> String {
    let mark = match report.status {
        CredentialStatus::Fresh if report.problem().is_none() => "[+]",
        CredentialStatus::Missing | CredentialStatus::Expired if lacking => "[-]",
        CredentialStatus::Fresh
        | CredentialStatus::Stale
        | CredentialStatus::Rejected
        | CredentialStatus::Expired
        | CredentialStatus::Missing => "[!]",
    };
    let mut line = format!("{mark}credential {name}: {}", report.status.code());
    if let Some(current) = report.current {
        let age = humantime::format_duration(Duration::from_secs(current.age.as_secs()));
        line += &format!(", key {} for {age}", current.fingerprint);
    }
    if let Some(previous) = report.previous {
        let order =
            if report.is_current_rejected { "goes first, as the upstream refuses that key" } else { "is held, too" };
        line += &format!("; {previous} {order}");
    }
    if let Some(reason) = &report.inconclusive {
        line += &format!("; the upstream did not say whether it is valid: {reason}");
    }
    if let Some(error) = &report.error {
        line += &format!("; {error}");
    }
    line + "\n"
}
