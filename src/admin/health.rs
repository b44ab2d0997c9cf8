//! How the gateway is, for probes and for the engineer who looks: `/readyz` and `/readyz?verbose`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::drain::Draining;
use crate::telemetry::audit::{self, Audit};
use crate::upstream::reach::Reach;

/// How a try to reload ended.
#[derive(Debug, Clone)]
pub struct Tried {
    /// When.
    pub at: SystemTime,
    /// Why the configuration before goes on, for a person; nothing where the new one was taken over.
    pub refused: Option<String>,
}

/// What is known of the gateway's state.
#[derive(Debug)]
pub struct Health {
    draining: Draining,
    reach: Arc<Reach>,
    audit: Option<Arc<Audit>>,
    configuration: Mutex<Configuration>,
}

#[derive(Debug)]
struct Configuration {
    /// When the one that serves was loaded, its keys with it.
    loaded: SystemTime,
    /// The last try since.
    refused: Option<(SystemTime, String)>,
}

impl Health {
    /// Of a gateway whose configuration was loaded now.
    #[must_use]
    pub fn new(draining: Draining, reach: Arc<Reach>, audit: Option<Arc<Audit>>) -> Health {
        let configuration = Configuration { loaded: SystemTime::now(), refused: None };
        Health { draining, reach, audit, configuration: Mutex::new(configuration) }
    }

    /// A reload was tried.
    pub fn tried(&self, Tried { at, refused }: Tried) {
        let mut configuration = self.lock();
        match refused {
            None => *configuration = Configuration { loaded: at, refused: None },
            Some(reason) => configuration.refused = Some((at, reason)),
        }
    }

    /// Whether callers may come.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.draining.is_leaving()
    }

    /// A line for each part, `[+]` where it is well, `[-]` where it keeps callers away, `[!]` where somebody should look.
    #[must_use]
    pub fn report(&self) -> String {
        let at = humantime::format_rfc3339_seconds;
        let serving = if self.is_ready() { "[+]serving" } else { "[-]draining" };
        let configuration = self.lock();
        let loaded = format!("configuration and keys loaded {}", at(configuration.loaded));
        let loaded = match &configuration.refused {
            None => format!("[+]{loaded}"),
            Some((when, reason)) => format!("[!]{loaded}; the reload of {} was refused: {reason}", at(*when)),
        };
        drop(configuration);
        let (answered, failed) = (self.reach.answered(), self.reach.failed());
        let mark = if failed > answered { "[!]" } else { "[+]" };
        let when = |time: Option<SystemTime>| time.map_or("never".to_owned(), |time| at(time).to_string());
        let upstream = format!("{mark}upstream last answered: {}; last failed: {}", when(answered), when(failed));
        format!("{serving}\n{loaded}\n{upstream}\n{}", self.audited())
    }

    /// How full the audit is, where there is one.
    fn audited(&self) -> String {
        let Some(audit) = &self.audit else { return String::new() };
        let waiting = audit.waiting();
        // As many starts are seldom under way: records wait to be written.
        let mark = if waiting > audit::PLACES / 4 { "[!]" } else { "[+]" };
        format!("{mark}audit: {waiting} of {} places for records are taken\n", audit::PLACES)
    }

    fn lock(&self) -> MutexGuard<'_, Configuration> {
        self.configuration.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
