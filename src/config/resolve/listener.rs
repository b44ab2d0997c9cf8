//! `listeners` and `admin`: the addresses of listeners, and how they identify the tenant.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

use hyper::header::HeaderName;
use ipnet::{IpNet, Ipv4Net};

use crate::config::finding::{Findings, Path};
use crate::config::{file, pasted, suggestion};

use super::{Address, Admin, Listener, ListenerTls, Tenant, TenantSource, address, header, upstream};

const ADMIN: &str = "127.0.0.1:9090";
const ADMIN_ADDRESS: &str =
    "must be an IP address and a port, such as 127.0.0.1:9090, that probes and Prometheus can reach";

pub(super) fn resolve(
    written: Option<file::List<file::Listener>>,
    tenants: &BTreeMap<String, file::Tenant>,
    credential_header: Option<&HeaderName>,
    findings: &mut Findings,
) -> Option<Vec<Listener>> {
    let section = Path::default().join("listeners");
    let Some(file::List(written)) = written else {
        return findings.report_missing(&section, "missing; write at least one listener");
    };
    if written.is_empty() && !findings.faults.any_within(&section) {
        return findings.report_missing(&section, "is empty; write at least one listener");
    }
    let mut listeners = Vec::<Listener>::new();
    let mut complete = true;
    for (index, listener) in written {
        let path = section.index(index);
        match resolve_listener(listener, tenants, credential_header, &path, findings) {
            Some(listener) => {
                if listeners.iter().any(|other| other.address.overlaps(&listener.address)) {
                    findings.refuse::<()>(
                        &path.join("address"),
                        "another listener already has this address; choose another",
                    );
                }
                listeners.push(listener);
            }
            None => complete = false,
        }
    }
    complete.then_some(listeners)
}

fn resolve_listener(
    written: file::Listener,
    tenants: &BTreeMap<String, file::Tenant>,
    credential_header: Option<&HeaderName>,
    path: &Path,
    findings: &mut Findings,
) -> Option<Listener> {
    let at = path.join("tenant");
    let trusted_peers = trusted_peers(written.tenant.trusted_peers, &at.join("trusted_peers"), findings);
    let tenant = match (written.tenant.fixed, written.tenant.header) {
        (Some(name), None) => fixed(name, tenants, &at.join("fixed"), findings),
        (None, Some(name)) => named_by(&name, credential_header, &at.join("header"), findings),
        (Some(_), Some(_)) => findings.refuse(&at, "names both `fixed` and `header`; keep one"),
        (None, None) if findings.faults.any_within(&at) => None,
        (None, None) => {
            findings.report_missing(&at, "missing; write `fixed: TENANT`, or `header: NAME` with `trusted_peers`")
        }
    };
    let hosts = hosts(written.hosts, &path.join("hosts"), findings);
    let tls = tls(written.tls, &path.join("tls"), findings);
    let address = address::resolve(written.address, written.mode.as_ref(), path, findings)?;
    let (trusted_peers, tls) = (trusted_peers?, tls?);
    let names_any = matches!(tenant, Some(TenantSource::Header(_)));
    check_peers(&address, trusted_peers.is_empty(), names_any, path, findings)?;
    if tls.is_some() && matches!(address, Address::Unix { .. }) {
        return findings
            .refuse(&path.join("tls"), "has no use at a Unix socket, which only this machine can reach; leave it out");
    }
    Some(Listener { address, tenant: tenant?, trusted_peers, hosts: hosts?, tls })
}

/// Checks that only peers that may call can reach the address. Returns `None` after recording a fault.
fn check_peers(
    address: &Address,
    trusts_all: bool,
    names_any: bool,
    path: &Path,
    findings: &mut Findings,
) -> Option<()> {
    let warning = match address {
        // Every peer that reaches the port would be the tenant, or any tenant.
        Address::Tcp(address) if !address.ip().is_loopback() && trusts_all => {
            return findings.refuse(
                &path.join("address"),
                "must be on loopback (127.0.0.0/8 or [::1]), or `tenant.trusted_peers` must list the networks that may call",
            );
        }
        Address::Unix { .. } if !trusts_all => {
            return findings.refuse(
                &path.join("tenant").join("trusted_peers"),
                "callers at a Unix socket have no address; leave it out, and use `mode` instead",
            );
        }
        Address::Tcp(_) => "any process on this machine can name any tenant",
        Address::Unix { .. } => "any process that may connect can name any tenant",
    };
    if trusts_all && names_any {
        findings.warnings.push(&path.join("tenant"), warning);
    }
    Some(())
}

fn fixed(
    name: String,
    tenants: &BTreeMap<String, file::Tenant>,
    path: &Path,
    findings: &mut Findings,
) -> Option<TenantSource> {
    if !tenants.contains_key(&name) && !findings.faults.covers(&Path::default().join("tenants").join(&name)) {
        let question = suggestion::question(&name, tenants.keys().map(String::as_str));
        return findings.refuse(path, format!("there is no such tenant under `tenants`{question}"));
    }
    Some(TenantSource::Fixed(name))
}

fn named_by(
    name: &str,
    credential_header: Option<&HeaderName>,
    path: &Path,
    findings: &mut Findings,
) -> Option<TenantSource> {
    let Some(name) = header::name(name) else {
        return findings.refuse(path, "must be the name of a header, made of words, such as X-Tenant-Id");
    };
    if header::is_taken(&name) {
        return findings.refuse(path, "this header has another meaning; choose one such as X-Tenant-Id");
    }
    // Callers' API keys would be looked up as names of tenants.
    if header::may_carry_api_key(&name) || Some(&name) == credential_header {
        return findings.refuse(path, "this header carries API keys; choose one such as X-Tenant-Id");
    }
    Some(TenantSource::Header(name))
}

fn trusted_peers(written: Option<file::List<String>>, path: &Path, findings: &mut Findings) -> Option<Vec<IpNet>> {
    let mut peers = Vec::new();
    let mut complete = true;
    let Some(file::List(written)) = written else { return Some(peers) };
    if written.is_empty() && !findings.faults.any_within(path) {
        return findings
            .refuse(path, "is empty, so that no caller is accepted; list networks, or leave it out on loopback");
    }
    for (index, text) in written {
        let address = |ip: IpAddr| IpNet::from(ip.to_canonical());
        let Ok(peer) = text.parse::<IpNet>().or_else(|_| text.parse().map(address)) else {
            findings.refuse::<()>(&path.index(index), "must be a network such as 10.0.12.0/24, or an address");
            complete = false;
            continue;
        };
        let peer = canonical(peer);
        if peer.prefix_len() == 0 {
            findings
                .warnings
                .push(&path.index(index), "trusts every address: any caller that reaches the listener is accepted");
        }
        peers.push(peer);
    }
    complete.then_some(peers)
}

/// Returns the IPv4 network for a network of mapped addresses, since IPv4 callers have IPv4 addresses.
fn canonical(network: IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V6(network) => network.addr().to_ipv4_mapped().zip(network.prefix_len().checked_sub(96)),
        IpNet::V4(_) => None,
    };
    mapped.and_then(|(address, length)| Ipv4Net::new(address, length).ok()).map_or(network, IpNet::V4)
}

fn hosts(written: Option<file::List<String>>, path: &Path, findings: &mut Findings) -> Option<Vec<String>> {
    let mut hosts = Some(Vec::new());
    for (index, text) in written.map(|file::List(hosts)| hosts).unwrap_or_default() {
        // As in `Host`, a final dot makes no difference.
        match (upstream::host(text.strip_suffix('.').unwrap_or(&text)), &mut hosts) {
            (Some(host), Some(hosts)) => hosts.push(host),
            (Some(_), None) => {}
            (None, _) => {
                hosts =
                    findings.refuse(&path.index(index), "must be a DNS name or an IP address, without scheme and port");
            }
        }
    }
    hosts
}

/// Reads the certificate's files. Returns `None` if a fault is recorded.
fn tls(written: Option<file::ListenerTls>, path: &Path, findings: &mut Findings) -> Option<Option<ListenerTls>> {
    let Some(written) = written else { return Some(None) };
    let mut pem = |name: &str, file: Option<String>| match file {
        Some(file) if pasted::is_not_a_path(&file) => findings.refuse(
            &path.join(name),
            "must be the path of a PEM file, such as /etc/tls/file.pem or ./file.pem, not its content",
        ),
        Some(file) => Some(PathBuf::from(file)),
        None => findings.report_missing(&path.join(name), "missing; write the path of a PEM file"),
    };
    let (certificate_file, key_file) =
        (pem("certificate_file", written.certificate_file), pem("key_file", written.key_file));
    Some(Some(ListenerTls { certificate_file: certificate_file?, key_file: key_file? }))
}

pub(super) fn admin(written: file::Admin, listeners: &[Listener], findings: &mut Findings) -> Option<Admin> {
    let section = Path::default().join("admin");
    let hosts = hosts(written.hosts, &section.join("hosts"), findings);
    let path = section.join("address");
    let Ok(address) = written.address.as_deref().unwrap_or(ADMIN).parse() else {
        return findings.refuse(&path, ADMIN_ADDRESS);
    };
    if listeners.iter().any(|listener| listener.address.overlaps(&Address::Tcp(address))) {
        return findings.refuse(&path, "a listener already has this address; choose another for probes");
    }
    Some(Admin { address, hosts: hosts? })
}

pub(super) fn warn_of_idle_tenants(
    listeners: &[Listener],
    tenants: &BTreeMap<String, Tenant>,
    findings: &mut Findings,
) {
    let mut fixed = BTreeSet::new();
    for listener in listeners {
        match &listener.tenant {
            TenantSource::Fixed(name) => fixed.insert(name),
            // Every tenant can be named.
            TenantSource::Header(_) => return,
        };
    }
    let section = Path::default().join("tenants");
    for name in tenants.keys().filter(|name| !fixed.contains(name)) {
        findings.warnings.push(&section.join(name), "no listener serves this tenant");
    }
}
