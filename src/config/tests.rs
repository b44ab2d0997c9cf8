//! Whole files in, all their faults out.

mod environment;
mod limits;
mod model;
mod operations;
mod reference;
mod refusals;
mod unreadable;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::num::NonZero;
use std::time::Duration;

use crate::asteroid::era::Era;
use crate::asteroid::group::{Group, OpenGroups};
use crate::asteroid::start::OnConflict;
use crate::audit::WhenFull;
use crate::secret::SecretRef;
use crate::trace::Ratio;
use crate::transport::endpoint::Scheme;

use super::resolve::{Address, Audit, BodyMemory, Idempotency, IdempotencyMode, MAX_WORKERS, TenantSource, Workers};
use super::*;

const SMALLEST: &str = include_str!("../../config/gateway.yaml");
const FULL: &str = include_str!("../../config/gateway.full.yaml");

fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect()
}

fn with(text: &str, variables: &[(&str, &str)]) -> Result<LoadedConfig, Faults> {
    parse(text, environment(variables))
}

fn faults(text: &str) -> Vec<String> {
    lines(&with(text, &[]).expect_err("the file should be refused"))
}

fn lines(faults: &Faults) -> Vec<String> {
    faults.to_string().lines().map(str::to_owned).collect()
}

/// The smallest file, with the first occurrence of `from` replaced.
fn smallest_with(from: &str, to: &str) -> String {
    assert!(SMALLEST.contains(from), "{from}");
    SMALLEST.replacen(from, to, 1)
}

#[track_caller]
fn assert_faults(text: &str, expected: &[&str]) {
    assert_eq!(faults(text), expected, "{text}");
}

#[test]
fn the_smallest_file_runs_with_the_documented_defaults() {
    let LoadedConfig { config, warnings } = with(SMALLEST, &[]).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    assert_eq!(config.upstream.endpoint.scheme, Scheme::Https);
    assert_eq!(config.upstream.endpoint.authority, "odyssey.asteroid.ai");
    assert_eq!(config.upstream.base_path, "/agents/v2");
    assert_eq!(config.upstream.credential_header, "x-asteroid-agents-api-key");
    assert_eq!(config.upstream.ca_file, None);
    assert_eq!(config.listeners[0].address.to_string(), "127.0.0.1:8080");
    assert_eq!(config.listeners[0].tenant, TenantSource::Fixed("billing".to_owned()));
    assert_eq!(config.admin.address, "127.0.0.1:9090".parse().unwrap());
    assert!(config.admin.hosts.is_empty());
    assert_eq!(
        config.credentials["main"].secret,
        SecretRef::File { path: "/var/run/secrets/asteroid/api-key".into(), previous: None }
    );
    assert_eq!(config.tenants["billing"].tags, [("tenant".to_owned(), "billing".to_owned())]);
    assert_eq!(config.on_conflict, OnConflict::Reject);
    let Idempotency { bounds, recovery, tag } = config.idempotency;
    assert_eq!((bounds.retention, bounds.memory), (Duration::from_secs(24 * 60 * 60), 64 << 20));
    assert_eq!((recovery, tag.as_str()), (false, "idempotency_digest"));
    assert_eq!(config.body_limit, 1 << 20);
    assert_eq!(config.body_memory, BodyMemory::Auto);
    assert_eq!((config.redact_trigger_context, config.answer_limit, config.max_page_size), (true, 16 << 20, 100));
    assert_eq!(config.upload_limit, 100 << 20);
    assert_eq!(config.tenants["billing"].operations, OpenGroups::default());
    assert_eq!((config.upstream.era, config.upstream.v1_base_path.as_deref()), (Era::Old, Some("/api/v1")));
    assert!(config.upstream.list_parameters.is_empty());
    let seconds = Duration::from_secs;
    let (timeouts, drain) = (config.timeouts, config.drain);
    assert_eq!((timeouts.connect, timeouts.response), (seconds(5), seconds(60)));
    assert_eq!((timeouts.body, timeouts.idle, timeouts.caller_idle), (seconds(30), seconds(50), seconds(75)));
    assert_eq!((drain.delay, drain.timeout), (seconds(0), seconds(65)));
}

#[test]
fn the_full_file_shows_the_defaults() {
    let full = with(FULL, &[]).unwrap();
    let smallest = with(SMALLEST, &[]).unwrap();
    let mut upstream = full.config.upstream;
    assert!(upstream.ca_file.take().is_some() && upstream.organization_id.take().is_some());
    assert_eq!(std::mem::take(&mut upstream.list_parameters), ["orderBy"]);
    assert_eq!(upstream, smallest.config.upstream);
    assert_eq!(full.config.admin.address, smallest.config.admin.address);
    assert_eq!(full.config.timeouts, smallest.config.timeouts);
    assert_eq!(full.config.drain, smallest.config.drain);
    assert_eq!(full.config.workers, smallest.config.workers);
    assert_eq!(full.config.body_limit, smallest.config.body_limit);
    assert_eq!(full.config.body_memory, smallest.config.body_memory);
    assert_eq!(full.config.redact_trigger_context, smallest.config.redact_trigger_context);
    assert_eq!(full.config.answer_limit, smallest.config.answer_limit);
    assert_eq!(full.config.max_page_size, smallest.config.max_page_size);
    assert_eq!(full.config.upload_limit, smallest.config.upload_limit);
    assert_eq!(full.config.tenants["research"].operations, smallest.config.tenants["billing"].operations);
    assert_eq!(full.config.on_conflict, smallest.config.on_conflict);
    assert_eq!(full.config.idempotency, smallest.config.idempotency);
    assert_eq!(full.config.tenants["billing"].idempotency, smallest.config.tenants["billing"].idempotency);
}

#[test]
fn the_full_file_names_every_setting_there_is_and_no_other() {
    let mut model = BTreeSet::new();
    model::add_known::<file::Gateway>(&mut model);
    let mut written = BTreeSet::new();
    model::add_written(
        &yaml::parse(FULL, &Path::default(), &mut Faults::default()).unwrap(),
        String::new(),
        &model,
        &mut written,
    );
    assert_eq!(written, model);
    assert!(model.contains("listeners[].tenant.fixed") && model.contains("tenants.*.metadata"), "{model:?}");
}

#[test]
fn the_development_file_runs_in_front_of_any_loopback_url() {
    let LoadedConfig { config, warnings } = development("http://127.0.0.1:4711/agents/v2").unwrap();
    assert_eq!(
        (config.upstream.endpoint.scheme, config.upstream.endpoint.authority.as_str()),
        (Scheme::Http, "127.0.0.1:4711")
    );
    assert_eq!(config.listeners[0].address.to_string(), "127.0.0.1:8080");
    let tenant = &config.tenants["billing"];
    let tags: Vec<_> = tenant.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(tags, [("tenant", "billing"), ("cost_center", "4711"), ("team", "billing")]);
    assert_eq!(config.credentials[&tenant.credential].secret, SecretRef::Env(DEVELOPMENT_API_KEY.to_owned()));
    assert_eq!(warnings.iter().count(), 2, "{warnings}");
}

#[test]
fn all_faults_of_a_file_are_reported_in_one_go() {
    let text = r#"
upstream:
  url: ftp://odyssey.asteroid.ai
  credential_header: Host
listeners:
  - address: 127.0.0.1:8080
    tenant: { fixed: bling }
    hosts: [good.example, "bad:80", 7]
  - nonsense
  - address: 0.0.0.0:8081
    tennant: { fixed: billing }
admin: { address: localhost:9090 }
credentials:
  main: { file: /run/key, env: KEY }
tenants:
  billing:
    credental: main
    metadata: { cost_center: 4711, tenant: other, team: "" }
    idempotency: 1
tagging: { on_conflict: overwite, idempotency_key: "a b" }
idempotency: { retention: 59s, memory: 1KiB, recovery: maybe }
body_limit: 1048576
timeouts: { response: 60, connect: 2h }
drain: [0s]
drain_delay: 5s
audit: { file: audit.jsonl, stdout: maybe, when_full: drop, fsync: true }
upstream:
  url: ftp://odyssey.asteroid.ai
  credential_header: Host
"#;
    assert_faults(
        text,
        &[
            "admin.address: must be an IP address and a port, such as 127.0.0.1:9090, that probes and Prometheus can reach",
            "audit.file: must be a path with a directory, such as /var/log/asteroid-gateway/audit.jsonl or ./audit.jsonl",
            "audit.fsync: unknown setting; known here: file, stdout, when_full",
            "audit.stdout: must be true or false",
            "audit.when_full: must be wait or refuse",
            "body_limit: has no unit; write 1048576B for bytes, or a size such as 512KiB or 1MiB",
            "credentials.main: names both `file` and `env`; keep one",
            "drain: must be a section of `key: value`, not a list",
            "drain_delay: unknown setting; known here: workers, upstream, listeners, admin, fingerprint_salt, credentials, readiness, operations, \
             tenants, tagging, idempotency, redact, body_limit, body_memory, answer_limit, max_page_size, upload_limit, timeouts, drain, traces, audit",
            "idempotency.memory: must be from 1MiB to 16384MiB",
            "idempotency.recovery: must be true or false",
            "idempotency.retention: must be from 1m to 30days",
            "listeners[0].hosts[1]: must be a DNS name or an IP address, without scheme and port",
            "listeners[0].hosts[2]: must be text, not a number; put it in quotes",
            "listeners[0].tenant.fixed: there is no such tenant under `tenants`; did you mean `billing`?",
            "listeners[1]: must be a section of `key: value`, not text",
            "listeners[2].address: must be on loopback (127.0.0.0/8 or [::1]), or `tenant.trusted_peers` must list the networks that may call",
            "listeners[2].tenant: missing; write `fixed: TENANT`, or `header: NAME` with `trusted_peers`",
            "listeners[2].tennant: unknown setting; did you mean `tenant`? Known here: address, mode, tenant, hosts, tls",
            "tagging.idempotency_key: must be 1 to 128 of A-Z, a-z, 0-9, ., _ and -",
            "tagging.on_conflict: must be reject or overwrite; did you mean `overwrite`?",
            "tenants.billing.credental: unknown setting; did you mean `credential`? Known here: credential, metadata, operations, \
             limits, idempotency",
            "tenants.billing.credential: missing; write the name of a credential",
            "tenants.billing.idempotency: must be off, optional or required, not a number",
            "tenants.billing.metadata.cost_center: must be text, not a number; put it in quotes",
            "tenants.billing.metadata.team: must not be empty, nor begin or end with white space",
            "tenants.billing.metadata.tenant: this tag carries the tenant's name (`tagging.tenant_key`); choose another name",
            "timeouts.connect: must be from 1ms to 1h",
            "timeouts.response: has no unit; write 60s for seconds or 60ms for milliseconds",
            "upstream: is written twice; keep one",
            "upstream.credential_header: this header has another meaning; choose one such as X-Api-Key",
            "upstream.url: must begin with https://, or with http:// for this machine",
        ],
    );
}

#[test]
fn each_tenant_has_its_own_idempotency_mode() {
    let mode = |written: &str| {
        let line = format!("    credential: main\n    idempotency: {written}");
        with(&smallest_with("    credential: main", &line), &[]).unwrap().config.tenants["billing"].idempotency
    };
    assert_eq!(
        ["optional", "required", "off", "\"off\""].map(mode),
        [IdempotencyMode::Optional, IdempotencyMode::Required, IdempotencyMode::Off, IdempotencyMode::Off]
    );
    let line = "    credential: main\n    idempotency: always";
    assert_faults(
        &smallest_with("    credential: main", line),
        &["tenants.billing.idempotency: must be off, optional or required"],
    );
    let variable = [("ASTEROID_GATEWAY__TENANTS__BILLING__IDEMPOTENCY", "off")];
    assert_eq!(with(SMALLEST, &variable).unwrap().config.tenants["billing"].idempotency, IdempotencyMode::Off);
}

#[test]
fn records_of_starts_go_to_the_outputs_of_the_file_and_an_audit_without_an_output_is_refused() {
    let audit = |written: &str| with(&format!("{SMALLEST}audit: {written}\n"), &[]).map(|loaded| loaded.config.audit);
    assert_eq!(with(SMALLEST, &[]).unwrap().config.audit, None);
    let (file, stdout, when_full) = (Some("/a/b".into()), false, WhenFull::Wait);
    assert_eq!(audit("{ file: /a/b }").unwrap(), Some(Audit { file, stdout, when_full }));
    let (file, stdout, when_full) = (None, true, WhenFull::Refuse);
    assert_eq!(audit("{ stdout: true, when_full: refuse }").unwrap(), Some(Audit { file, stdout, when_full }));
    for nowhere in ["{}", "{ stdout: false }", "{ when_full: wait }"] {
        assert_faults(
            &format!("{SMALLEST}audit: {nowhere}\n"),
            &["audit: does not say where records go; write `file: PATH`, `stdout: true` or both"],
        );
    }
    let variable = [("ASTEROID_GATEWAY__AUDIT__FILE", "./audit.jsonl"), ("ASTEROID_GATEWAY__AUDIT__STDOUT", "true")];
    let set = with(SMALLEST, &variable).unwrap().config.audit.unwrap();
    assert_eq!((set.file, set.stdout), (Some("./audit.jsonl".into()), true));
}

#[test]
fn the_name_of_the_digests_tag_is_that_of_no_other_tag() {
    let own = "    credential: main\n    metadata: { idempotency_digest: x }";
    assert_faults(
        &smallest_with("    credential: main", own),
        &[
            "tenants.billing.metadata.idempotency_digest: this tag carries idempotency digests (`tagging.idempotency_key`); choose another name",
        ],
    );
    assert_faults(
        &format!("{SMALLEST}tagging: {{ idempotency_key: tenant }}\n"),
        &["tagging.idempotency_key: must differ from `tenant_key`"],
    );
}

#[test]
fn unknown_settings_are_refused_at_every_level_also_those_of_later_features() {
    for (path, text) in [
        ("shared_state", format!("{SMALLEST}shared_state: {{}}\n")),
        ("upstream.proxy", format!("{SMALLEST}upstream: {{ proxy: x }}\n")),
        ("admin.port", format!("{SMALLEST}admin: {{ port: 1 }}\n")),
        ("tagging.key", format!("{SMALLEST}tagging: {{ key: x }}\n")),
        ("timeouts.read", format!("{SMALLEST}timeouts: {{ read: 1s }}\n")),
        ("drain.grace", format!("{SMALLEST}drain: {{ grace: 1s }}\n")),
        (
            "listeners[0].tls.client_ca_file",
            smallest_with("tenant: {", "tls: { certificate_file: c, key_file: k, client_ca_file: a }\n    tenant: {"),
        ),
        ("listeners[0].tenant.spiffe", smallest_with("{ fixed:", "{ spiffe: {}, fixed:")),
        ("listeners[0].tenant.service_account", smallest_with("{ fixed:", "{ service_account: {}, fixed:")),
        ("credentials.main.vault", smallest_with("{ file:", "{ vault: {}, file:")),
        (
            "tenants.billing.identities",
            smallest_with("    credential: main", "    credential: main\n    identities: []"),
        ),
        ("tenants.billing.agents", smallest_with("    credential: main", "    credential: main\n    agents: []")),
    ] {
        let found = faults(&text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&format!("{path}: unknown setting; known here: ")), "{found:?}");
    }
}
