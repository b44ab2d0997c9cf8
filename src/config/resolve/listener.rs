//! `listeners` and `admin`: where the gateway listens, and whom it takes a caller for.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Listener, ListenerTls, Tenant, TenantSource, upstream};
use crate::config::file;
use crate::config::finding::{Findings, Path};

const ADMIN: &str = "127.0.0.1:9090";
const ADDRESS: &str = "must be an IP address and a port, such as 127.0.0.1:8080";

pub(super) fn resolve(
    written: Option<file::List<file::Listener>>,
    tenants: &BTreeMap<String, file::Tenant>,
    findings: &mut Findings,
) -> Option<Vec<Listener>> {
    let section = Path::default().key("listeners");
    let Some(file::List(written)) = written else {
        return findings.missing(&section, "missing; write at least one listener");
    };
    if written.is_empty() && !findings.faults.any_within(&section) {
        return findings.missing(&section, "is empty; write at least one listener");
    }
    let mut listeners = Vec::<Listener>::new();
    let mut complete = true;
    for (index, listener) in written {
        let path = section.index(index);
        match one(listener, tenants, &path, findings) {
            Some(listener) => {
                if listeners.iter().any(|other| overlap(other.address, listener.address)) {
                    findings.fault::<()>(&path.key("address"), "another listener has this address already");
                }
                listeners.push(listener);
            }
            None => complete = false,
        }
    }
    complete.then_some(listeners)
}

fn one(
    written: file::Listener,
    tenants: &BTreeMap<String, file::Tenant>,
    path: &Path,
    findings: &mut Findings,
) -> Option<Listener> {
    let tenant = fixed(written.tenant, tenants, &path.key("tenant"), findings);
    let hosts = hosts(written.hosts, &path.key("hosts"), findings);
    let tls = tls(written.tls, &path.key("tls"), findings);
    let at = path.key("address");
    let address: SocketAddr = match written.address.map(|address| address.parse()) {
        Some(Ok(address)) => address,
        Some(Err(_)) => return findings.fault(&at, ADDRESS),
        None => return findings.missing(&at, format!("missing; it {ADDRESS}")),
    };
    if !address.ip().is_loopback() {
        // Anybody who reaches the port would be the tenant.
        return findings.fault(&at, "a listener with a fixed tenant must be on loopback (127.0.0.0/8 or [::1])");
    }
    Some(Listener { address, tenant: tenant?, hosts: hosts?, tls: tls? })
}

fn fixed(
    written: file::TenantSource,
    tenants: &BTreeMap<String, file::Tenant>,
    path: &Path,
    findings: &mut Findings,
) -> Option<TenantSource> {
    let at = path.key("fixed");
    let Some(name) = written.fixed else {
        return findings.missing(&at, "missing; write the name of a tenant");
    };
    if !tenants.contains_key(&name) && !findings.faults.cover(&Path::default().key("tenants").key(&name)) {
        return findings.fault(&at, "there is no such tenant under `tenants`");
    }
    Some(TenantSource::Fixed(name))
}

fn hosts(written: Option<file::List<String>>, path: &Path, findings: &mut Findings) -> Option<Vec<String>> {
    let mut hosts = Some(Vec::new());
    for (index, text) in written.map(|file::List(hosts)| hosts).unwrap_or_default() {
        match (upstream::host(&text), &mut hosts) {
            (Some(host), Some(hosts)) => hosts.push(host),
            (Some(_), None) => {}
            (None, _) => {
                hosts =
                    findings.fault(&path.index(index), "must be a DNS name or an IP address, without scheme and port");
            }
        }
    }
    hosts
}

/// Nothing is answered where a fault is recorded.
fn tls(written: Option<file::ListenerTls>, path: &Path, findings: &mut Findings) -> Option<Option<ListenerTls>> {
    let Some(written) = written else { return Some(None) };
    let mut pem = |key: &str, file: Option<String>| match file {
        Some(file) if file.is_empty() || file.contains('\0') => {
            findings.fault(&path.key(key), "must be the path of a PEM file")
        }
        Some(file) => Some(PathBuf::from(file)),
        None => findings.missing(&path.key(key), "missing; write the path of a PEM file"),
    };
    let (certificate_file, key_file) =
        (pem("certificate_file", written.certificate_file), pem("key_file", written.key_file));
    Some(Some(ListenerTls { certificate_file: certificate_file?, key_file: key_file? }))
}

pub(super) fn admin(written: file::Admin, listeners: &[Listener], findings: &mut Findings) -> Option<SocketAddr> {
    let path = Path::default().key("admin").key("address");
    let Ok(address) = written.address.as_deref().unwrap_or(ADMIN).parse() else {
        return findings.fault(&path, ADDRESS);
    };
    if listeners.iter().any(|listener| overlap(listener.address, address)) {
        return findings.fault(&path, "a listener has this address already; probes need one of their own");
    }
    Some(address)
}

pub(super) fn warn_of_idle_tenants(
    listeners: &[Listener],
    tenants: &BTreeMap<String, Tenant>,
    findings: &mut Findings,
) {
    let section = Path::default().key("tenants");
    for name in tenants.keys() {
        if !listeners.iter().any(|listener| matches!(&listener.tenant, TenantSource::Fixed(fixed) if fixed == name)) {
            findings.warnings.push(&section.key(name), "no listener is for this tenant");
        }
    }
}

/// Whether both cannot be bound at once: an unspecified address takes its port on every interface.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (one.ip() == other.ip() || everywhere)
}
