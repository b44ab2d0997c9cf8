//! The part of a configuration that only a restart can change.

use super::resolve::{Address, Config};

/// Returns the config paths that differ and take effect only at a restart. If there are none, `new` can replace `old`.
#[must_use]
pub fn needs_restart(old: &Config, new: &Config) -> Vec<String> {
    let mut config_paths = Vec::new();
    let mut differs = |path: &str, differs: bool| config_paths.extend(differs.then(|| path.to_owned()));
    let reloaded = |config: &Config| {
        let mut upstream = config.upstream.clone();
        // The header is a part of each credential, which a reload replaces.
        upstream.credential_header = old.upstream.credential_header.clone();
        // These are part of a generation; the header may decide the era.
        upstream.era = old.upstream.era;
        upstream.list_parameters = old.upstream.list_parameters.clone();
        upstream
    };
    differs("workers", old.workers != new.workers);
    differs("upstream", reloaded(old) != reloaded(new));
    differs("listeners", old.listeners.len() != new.listeners.len());
    for (at, (old, new)) in old.listeners.iter().zip(&new.listeners).enumerate() {
        let both_are_at_one_path = matches!(
            (&old.address, &new.address),
            (Address::Unix { path: old, .. }, Address::Unix { path: new, .. }) if old == new
        );
        let last = if both_are_at_one_path { "mode" } else { "address" };
        differs(&format!("listeners[{at}].{last}"), old.address != new.address);
        differs(&format!("listeners[{at}].tls"), old.tls != new.tls);
    }
    differs("fingerprint_salt", old.fingerprint_salt != new.fingerprint_salt);
    differs("admin.address", old.admin.address != new.admin.address);
    differs("admin.hosts", old.admin.hosts != new.admin.hosts);
    differs("timeouts.connect", old.timeouts.connect != new.timeouts.connect);
    differs("timeouts.idle", old.timeouts.idle != new.timeouts.idle);
    differs("drain", old.drain != new.drain);
    differs("traces", old.traces != new.traces);
    differs("audit", old.audit != new.audit);
    config_paths
}
