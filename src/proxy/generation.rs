//! A generation of the configuration, prepared for the hot path: everything that a request needs is a reference away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use hyper::HeaderMap;
use hyper::header::{HeaderValue, InvalidHeaderValue};
use ipnet::IpNet;
use uuid::Uuid;

use crate::asteroid::era::Era;
use crate::asteroid::operation::Part;
use crate::asteroid::start::Tags;
use crate::caller::{Caller, Peer};
use crate::config::resolve::{self as config, BODY_TAG, Config, Idempotency, IdempotencyMode, TenantSource};
use crate::credential::CredentialMap;
use crate::identity::{self, Tenants};
use crate::metrics::OTHER;
use crate::state::{Limits, Share, State};
use crate::tenant::Tenant;

use super::guard::Hosts;
use super::rate_limit_headers;

/// The generation of a listener that is in use. A request loads it once and keeps to it, whatever replaces it meanwhile.
#[derive(Debug)]
pub struct ActiveGeneration(ArcSwap<ListenerGeneration>);

impl ActiveGeneration {
    /// Creates it with an initial generation.
    #[must_use]
    pub fn new(generation: ListenerGeneration) -> ActiveGeneration {
        ActiveGeneration(ArcSwap::from_pointee(generation))
    }

    /// Returns the generation for the next request.
    #[must_use]
    pub fn load(&self) -> Arc<ListenerGeneration> {
        self.0.load_full()
    }

    /// Replaces the generation, from the next request on.
    pub fn replace(&self, generation: ListenerGeneration) {
        self.0.store(Arc::new(generation));
    }
}

/// A listener's own part of a generation, and the part that all listeners share.
#[derive(Debug)]
pub struct ListenerGeneration {
    /// The listener's own part.
    pub listener: Listener,
    /// The part that all listeners share.
    pub generation: Arc<Generation>,
}

/// The part of a generation that all listeners share.
#[derive(Debug)]
pub struct Generation {
    /// The `Host` of requests to the upstream.
    pub authority: HeaderValue,
    /// The organisation whose executions are looked up, if the API key spans several.
    pub organization: Option<Uuid>,
    /// The prefix of every path at the upstream; empty or without a slash at its end.
    pub base_path: String,
    /// The same for v1 of the API, if the upstream has it.
    pub v1_base_path: Option<String>,
    /// The era of the upstream's API.
    pub era: Era,
    /// Further parameters of listings that are passed on.
    pub list_parameters: Vec<String>,
    /// The largest page of a listing.
    pub max_page_size: u32,
    /// The longest answer that is judged before it is passed on, in bytes.
    pub answer_limit: usize,
    /// Whether `triggerContext` is taken out of executions.
    pub redact_trigger_context: bool,
    /// The largest body of a request, in bytes.
    pub body_limit: usize,
    /// The longest upload, in bytes.
    pub upload_limit: u64,
    /// How long a body may take to arrive, and how long an upload may stall.
    pub body_timeout: Duration,
    /// How long the upstream may take to answer.
    pub response_timeout: Duration,
    /// How long a caller's connection is kept without a request.
    pub caller_idle: Duration,
    /// The settings of idempotency keys.
    pub idempotency: Idempotency,
    /// The share of `body_memory` for requests that belong to no tenant.
    pub unidentified_share: Arc<Share>,
}

/// The part of a generation that belongs to one listener.
#[derive(Debug)]
pub struct Listener {
    /// The names by which callers may address it.
    pub hosts: Hosts,
    /// How it identifies the tenant.
    pub identity: identity::Source,
    /// The networks of the callers that it trusts. If empty, it trusts all callers, which the configuration allows only if all
    /// of them are on this machine.
    pub trusted_peers: Vec<IpNet>,
}

impl Listener {
    /// Returns whether the listener trusts a peer to name its tenant.
    #[must_use]
    pub fn trusts(&self, peer: Peer) -> bool {
        let is_trusted = |ip| self.trusted_peers.iter().any(|network| network.contains(&ip));
        self.trusted_peers.is_empty() || peer.ip().is_some_and(is_trusted)
    }

    /// Returns the tenant of a caller's request.
    ///
    /// # Errors
    ///
    /// If the caller is not trusted, or its request names no tenant.
    pub fn identify(&self, caller: &Caller, headers: &HeaderMap) -> Result<&Arc<Tenant>, identity::Error> {
        // Checked when the connection was accepted, too; a reload may have changed the answer.
        if !self.trusts(caller.peer) {
            let peer = caller.peer.ip().map_or_else(|| caller.peer.to_string(), |ip| ip.to_string());
            return Err(identity::Error::Peer(peer));
        }
        self.identity.identify(headers)
    }
}

/// The reason why a resolved configuration cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name is not defined; `config::resolve` rules this out.
    #[error("{kind} {name} is not in the configuration")]
    Missing {
        /// What is missing.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The upstream's host cannot be a header.
    #[error("the host in `upstream.url` cannot be sent in the header Host")]
    Authority(#[from] InvalidHeaderValue),
}

impl Generation {
    /// Returns the prefix of every path in a part of the API, if the upstream has it.
    #[must_use]
    pub fn base(&self, part: Part) -> Option<&str> {
        match part {
            Part::Agents => Some(&self.base_path),
            Part::V1 => self.v1_base_path.as_deref(),
        }
    }

    /// Builds the generations of all listeners, in their order. `credentials` holds each credential by its name, and
    /// `state` what outlives a generation.
    ///
    /// # Errors
    ///
    /// If names do not match, which `config::resolve` has ruled out.
    pub fn build(
        config: &Config,
        credentials: &CredentialMap,
        state: &State,
    ) -> Result<Vec<ListenerGeneration>, Error> {
        let missing = |kind: &'static str, name: &str| Error::Missing { kind, name: name.to_owned() };
        let mut tenants = Tenants::new();
        let own_tag =
            |name: &str, tenant: &config::Tenant| tenant.tags.first().cloned().ok_or_else(|| missing("tag of", name));
        let tags: BTreeMap<&str, (String, String)> = config
            .tenants
            .iter()
            .map(|(name, tenant)| Ok((name.as_str(), own_tag(name, tenant)?)))
            .collect::<Result<_, Error>>()?;
        let upstream = format!("{}{}", config.upstream.endpoint.authority, config.upstream.base_path);
        let owned = state.owned_executions(&upstream, tags.values().map(|(_, tag)| tag.as_str()));
        let staged = state.staged_files(&upstream, tags.values().map(|(_, tag)| tag.as_str()));
        for (name, tenant) in &config.tenants {
            let credential = credentials.get(&tenant.credential);
            let (tag_name, tag) = tags.get(name.as_str()).ok_or_else(|| missing("tag of", name))?;
            let tenant = Tenant {
                name: name.as_str().into(),
                tag_name: tag_name.as_str().into(),
                tag: tag.as_str().into(),
                operations: tenant.operations,
                owned: Arc::clone(owned.get(tag).ok_or_else(|| missing("tag of", name))?),
                tags: Tags::new(tenant.tags.iter().cloned()).reserve(&[&config.idempotency.tag, BODY_TAG]),
                idempotency: tenant.idempotency,
                staged: Arc::clone(&staged),
                listing_check: state.listing_check(&tenant.credential),
                on_conflict: config.on_conflict,
                credential: Arc::clone(credential.ok_or_else(|| missing("credential", &tenant.credential))?),
                state: state.tenant(name, &tenant.limits, Instant::now()),
                rate_limit_policy: rate_limit_headers::policy(&tenant.limits),
                limits: tenant.limits.clone(),
                is_only: config.tenants.len() == 1,
            };
            tenants.insert(name.as_bytes().into(), Arc::new(tenant));
        }
        let tenants = Arc::new(tenants);
        let mut listeners = Vec::new();
        for listener in &config.listeners {
            let source = match &listener.tenant {
                TenantSource::Fixed(name) => {
                    let tenant = tenants.get(name.as_bytes()).ok_or_else(|| missing("tenant", name))?;
                    identity::Source::Fixed(identity::FixedTenant(Arc::clone(tenant)))
                }
                TenantSource::Header(name) => {
                    identity::Source::Header(identity::Header { name: name.clone(), tenants: Arc::clone(&tenants) })
                }
            };
            listeners.push(Listener {
                hosts: Hosts::new(&listener.address, &listener.hosts),
                identity: source,
                trusted_peers: listener.trusted_peers.clone(),
            });
        }
        let is_found = |name: &str| {
            let with_it = config.tenants.values().filter(|tenant| tenant.credential == name);
            config.idempotency.recovery && with_it.into_iter().any(|tenant| tenant.idempotency != IdempotencyMode::Off)
        };
        state.retain_listing_checks(is_found);
        let keyed = config.tenants.values().filter(|tenant| tenant.idempotency != IdempotencyMode::Off).count();
        let bounds = config.idempotency.bounds.shared_by(keyed);
        state.claims.set_bound(bounds);
        state.body_memory.resize(config.body_memory.bytes(state.available_memory, config.body_limit));
        let generation = Arc::new(Generation {
            authority: HeaderValue::try_from(config.upstream.endpoint.authority.as_str())?,
            organization: config.upstream.organization_id,
            base_path: config.upstream.base_path.clone(),
            v1_base_path: config.upstream.v1_base_path.clone(),
            era: config.upstream.era,
            list_parameters: config.upstream.list_parameters.clone(),
            max_page_size: config.max_page_size,
            answer_limit: config
                .answer_limit
                .min(config.body_memory.max_answer(state.available_memory, config.body_limit)),
            redact_trigger_context: config.redact_trigger_context,
            body_limit: config.body_limit,
            upload_limit: config.upload_limit,
            body_timeout: config.timeouts.body,
            response_timeout: config.timeouts.response,
            caller_idle: config.timeouts.caller_idle,
            idempotency: Idempotency { bounds, ..config.idempotency.clone() },
            unidentified_share: state.tenant(OTHER, &Limits::default(), Instant::now()).body_memory,
        });
        let of_listener = |listener| ListenerGeneration { listener, generation: Arc::clone(&generation) };
        Ok(listeners.into_iter().map(of_listener).collect())
    }
}
