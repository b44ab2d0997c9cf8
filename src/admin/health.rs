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
    /// The time of the reload.
    pub at: SystemTime,
    /// The readiness that the new configuration asks for, or the reason why the previous configuration stays in use.
    pub result: Result<Readiness, String>,
}

/// The reason why callers should go elsewhere. Its text is the answer of `/readyz`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// The gateway is draining.
    #[error("draining")]
    Draining,
    /// No credential has an API key that may be sent.
    #[error("no API key can be used")]
    NoUsableApiKey,
    /// A credential has no API key that may be sent.
    #[error("an API key is missing")]
    ApiKeyMissing,
    /// The upstream has not accepted any API key that may be sent.
    #[error("no API key has been accepted by the upstream yet")]
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

/// The status of the configuration.
#[derive(Debug)]
struct ConfigurationStatus {
    /// When the configuration in use was loaded.
    loaded: SystemTime,
    /// The readiness that it asks for.
    readiness: Readiness,
    /// The time of the last reload since that was refused, and the reason.
    refused: Option<(SystemTime, String)>,
}

impl Health {
    /// Creates the health of a gateway whose configuration has just been loaded.
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

    /// Returns the reason why callers should go elsewhere, if there is one.
    #[must_use]
    pub fn obstacle(&self) -> Option<Obstacle> {
        if self.draining.is_draining() { Some(Obstacle::Draining) } else { self.credential_obstacle() }
    }

    /// Returns the obstacle that readiness waits for, if there is one.
    fn credential_obstacle(&self) -> Option<Obstacle> {
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

    /// Returns the report of `/readyz?verbose` for what keeps the gateway unready, one line for each part: `[+]` if it is healthy,
    /// `[!]` if it needs attention, and `[-]` if the gateway is not ready and the part cannot be used.
    #[must_use]
    pub fn report(&self, obstacle: Option<Obstacle>) -> String {
        let at = humantime::format_rfc3339_seconds;
        let serving = obstacle.map_or("[+]serving".to_owned(), |obstacle| format!("[-]{obstacle}"));
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
        let is_unready = self.credential_obstacle().is_some();
        let line = |(name, credential): (&String, &Arc<Credential>)| {
            credential_line(name, &credential.status(Instant::now()), is_unready)
        };
        let credentials: String = self.credentials.by_name().iter().map(line).collect();
        let recoveries: String =
            self.state.listing_checks().iter().map(|(name, state)| recovery_line(name, *state)).collect();
        format!("{serving}\n{loaded}\n{credentials}{upstream}\n{recoveries}{}", self.audit_line())
    }

    /// Returns the line about the slots of the audit, if there is one.
    fn audit_line(&self) -> String {
        let Some(audit) = &self.audit else { return String::new() };
        let taken = audit.taken();
        // So many starts are seldom in flight. More probably, records wait to be written.
        let mark = if taken > audit::SLOTS / 4 { "[!]" } else { "[+]" };
        format!("{mark}audit: {taken} of {} slots for records are taken\n", audit::SLOTS)
    }

    fn lock(&self) -> MutexGuard<'_, ConfigurationStatus> {
        self.configuration.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the line that says whether recovery is proven to find starts of a credential.
fn recovery_line(credential: &str, state: ListingCheckState) -> String {
    let (mark, text) = match state {
        ListingCheckState::Proven { filter, lag } => {
            let lag =
                humantime::format_duration(Duration::from_millis(u64::try_from(lag.as_millis()).unwrap_or(u64::MAX)));
            ("[+]", format!("proven by the filter {}; a start was listed {lag} after its answer", filter.name()))
        }
        ListingCheckState::Waiting => ("[!]", "unproven until a start with an Idempotency-Key is found".to_owned()),
        ListingCheckState::Looking { last } => (
            "[!]",
            format!("unproven; a start is being looked up, last result: {}", last.map_or("none yet", NotFound::code)),
        ),
        ListingCheckState::Failed { last, .. } => (
            "[!]",
            format!("unproven; a start was not found, last result: {}", last.map_or("none yet", NotFound::code)),
        ),
    };
    format!("{mark}recovery with credential {credential}: {text}\n")
}

/// Returns the line about a credential. `is_unready` says whether readiness waits for an API key.
fn credential_line(name: &str, report: &StatusReport, is_unready: bool) -> String {
    let mark = match report.status {
        CredentialStatus::Fresh if report.problem().is_none() => "[+]",
        CredentialStatus::Missing | CredentialStatus::Expired if is_unready => "[-]",
        CredentialStatus::Fresh
        | CredentialStatus::Stale
        | CredentialStatus::Rejected
        | CredentialStatus::Expired
        | CredentialStatus::Missing => "[!]",
    };
    let mut line = format!("{mark}credential {name}: {}", report.status.code());
    if let Some(current) = report.current {
        let age = humantime::format_duration(Duration::from_secs(current.age.as_secs()));
        line += &format!(", API key {} for {age}", current.fingerprint);
    }
    if let Some(previous) = report.previous {
        let order = if report.is_current_rejected {
            "is tried first, because the upstream refuses that API key"
        } else {
            "is kept as the previous one"
        };
        line += &format!("; {previous} {order}");
    }
    if let Some(reason) = &report.inconclusive {
        line += &format!("; it is unclear whether the upstream accepts it: {reason}");
    }
    if let Some(error) = &report.error {
        line += &format!("; {error}");
    }
    line + "\n"
}
