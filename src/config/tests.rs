//! What an operator meets: whole files in, all their faults out.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::Duration;

use super::resolve::{OnConflict, Scheme, TenantSource};
use super::*;
use crate::secret::SecretRef;

const SMALLEST: &str = include_str!("../../config/gateway.yaml");
const FULL: &str = include_str!("../../config/gateway.full.yaml");

fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect()
}

fn with(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Faults> {
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
    let Loaded { config, warnings } = with(SMALLEST, &[]).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    assert_eq!(config.upstream.scheme, Scheme::Https);
    assert_eq!(config.upstream.authority, "odyssey.asteroid.ai");
    assert_eq!(config.upstream.base_path, "/agents/v2");
    assert_eq!(config.upstream.credential_header, "x-asteroid-agents-api-key");
    assert_eq!(config.upstream.ca_file, None);
    assert_eq!(config.listeners[0].address, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(config.listeners[0].tenant, TenantSource::Fixed("billing".to_owned()));
    assert_eq!(config.admin, "127.0.0.1:9090".parse().unwrap());
    assert_eq!(config.credentials["main"], SecretRef::File("/var/run/secrets/asteroid/api-key".into()));
    assert_eq!(config.tenants["billing"].tags, [("tenant".to_owned(), "billing".to_owned())]);
    assert_eq!(config.on_conflict, OnConflict::Reject);
    assert_eq!(config.body_limit, 1 << 20);
    let seconds = Duration::from_secs;
    let (timeouts, drain) = (config.timeouts, config.drain);
    assert_eq!((timeouts.connect, timeouts.response), (seconds(5), seconds(60)));
    assert_eq!((timeouts.body, timeouts.idle), (seconds(30), seconds(50)));
    assert_eq!((drain.delay, drain.timeout), (seconds(0), seconds(30)));
}

#[test]
fn the_full_file_shows_the_defaults() {
    let full = with(FULL, &[]).unwrap();
    let smallest = with(SMALLEST, &[]).unwrap();
    let mut upstream = full.config.upstream;
    assert!(upstream.ca_file.take().is_some());
    assert_eq!(upstream, smallest.config.upstream);
    assert_eq!(full.config.admin, smallest.config.admin);
    assert_eq!(full.config.timeouts, smallest.config.timeouts);
    assert_eq!(full.config.drain, smallest.config.drain);
    assert_eq!(full.config.body_limit, smallest.config.body_limit);
    assert_eq!(full.config.on_conflict, smallest.config.on_conflict);
}

#[test]
fn the_full_file_names_every_key_there_is_and_no_other() {
    let mut model = BTreeSet::new();
    model::keys::<file::Gateway>(&mut model);
    let mut written = BTreeSet::new();
    model::written(&yaml::parse(FULL, &Path::default()).unwrap(), String::new(), &model, &mut written);
    assert_eq!(written, model);
    assert!(model.contains("listeners[].tenant.fixed") && model.contains("tenants.*.metadata"), "{model:?}");
}

#[test]
fn the_development_file_runs_in_front_of_any_loopback_url() {
    let Loaded { config, warnings } = development("http://127.0.0.1:4711/agents/v2").unwrap();
    assert_eq!((config.upstream.scheme, config.upstream.authority.as_str()), (Scheme::Http, "127.0.0.1:4711"));
    assert_eq!(config.listeners[0].address, "127.0.0.1:8080".parse().unwrap());
    let tenant = &config.tenants["billing"];
    let tags: Vec<_> = tenant.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(tags, [("tenant", "billing"), ("cost_center", "4711"), ("team", "billing")]);
    assert_eq!(config.credentials[&tenant.credential], SecretRef::Env(DEVELOPMENT_KEY.to_owned()));
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
tagging: { on_conflict: maybe }
body_limit: 1048576
timeouts: { response: 60, connect: 2h }
drain: [0s]
drain_delay: 5s
upstream:
  url: ftp://odyssey.asteroid.ai
"#;
    assert_faults(text, &["upstream: is written twice; keep one"]);
    let text = text.trim_end().trim_end_matches("upstream:\n  url: ftp://odyssey.asteroid.ai");
    assert_faults(
        text,
        &[
            "admin.address: must be an IP address and a port, such as 127.0.0.1:8080",
            "body_limit: has no unit; write 1048576B for bytes, or a size such as 512KiB or 1MiB",
            "credentials.main: names both `file` and `env`; keep one",
            "drain: must be a section of `key: value`, not a list",
            "drain_delay: unknown key; known here: upstream, listeners, admin, credentials, tenants, tagging, \
             body_limit, timeouts, drain",
            "listeners[0].hosts[1]: must be a DNS name or an IP address, without scheme and port",
            "listeners[0].hosts[2]: must be text, not a number; put it in quotes",
            "listeners[0].tenant.fixed: there is no such tenant under `tenants`",
            "listeners[1]: must be a section of `key: value`, not text",
            "listeners[2].address: a listener with a fixed tenant must be on loopback (127.0.0.0/8 or [::1])",
            "listeners[2].tenant.fixed: missing; write the name of a tenant",
            "listeners[2].tennant: unknown key; known here: address, tenant, hosts",
            "tagging.on_conflict: must be reject or overwrite",
            "tenants.billing.credental: unknown key; known here: credential, metadata",
            "tenants.billing.credential: missing; write the name of a credential",
            "tenants.billing.metadata.cost_center: must be text, not a number; put it in quotes",
            "tenants.billing.metadata.team: must not be empty, nor begin or end with white space",
            "tenants.billing.metadata.tenant: this key carries the tenant's name (`tagging.tenant_key`); choose another",
            "timeouts.connect: must be from 1ms to 1h",
            "timeouts.response: has no unit; write 60s for seconds or 60ms for milliseconds",
            "upstream.credential_header: this header has a meaning of its own; the key needs one for itself, such as \
             X-Api-Key",
            "upstream.url: must begin with https://, or with http:// for this machine",
        ],
    );
}

#[test]
fn unknown_keys_are_refused_at_every_level_also_those_of_later_features() {
    for (path, text) in [
        ("shared_state", format!("{SMALLEST}shared_state: {{}}\n")),
        ("upload_limit", format!("{SMALLEST}upload_limit: 1MiB\n")),
        ("upstream.proxy", format!("{SMALLEST}upstream: {{ proxy: x }}\n")),
        ("admin.port", format!("{SMALLEST}admin: {{ port: 1 }}\n")),
        ("tagging.key", format!("{SMALLEST}tagging: {{ key: x }}\n")),
        ("timeouts.read", format!("{SMALLEST}timeouts: {{ read: 1s }}\n")),
        ("drain.grace", format!("{SMALLEST}drain: {{ grace: 1s }}\n")),
        ("listeners[0].tls", smallest_with("tenant: {", "tls: {}\n    tenant: {")),
        ("listeners[0].mode", smallest_with("tenant: {", "mode: 0660\n    tenant: {")),
        ("listeners[0].tenant.header", smallest_with("{ fixed:", "{ header: X-Tenant-Id, fixed:")),
        ("credentials.main.vault", smallest_with("{ file:", "{ vault: {}, file:")),
        ("tenants.billing.limits", smallest_with("    credential: main", "    credential: main\n    limits: {}")),
        ("tenants.billing.agents", smallest_with("    credential: main", "    credential: main\n    agents: []")),
    ] {
        let found = faults(&text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&format!("{path}: unknown key; known here: ")), "{found:?}");
    }
}

#[test]
fn nothing_under_credentials_is_echoed_and_no_url_either() {
    for text in [
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "sk-CANARY"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "[sk-CANARY]"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "{ sk-CANARY }"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "{ key: sk-CANARY }"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "{ file: sk-CANARY }"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "{ env: sk-CANARY }"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "{ sk-CANARY: 1, sk-CANARY: 2 }"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "*sk-CANARY"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "!sk-CANARY x"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "\"sk-CANARY"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "%sk-CANARY"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "@sk-CANARY"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "sk: CANARY: x"),
        smallest_with("main: {", "sk-CANARY: {"),
        smallest_with("credential: main", "credential: sk-CANARY"),
        format!("{SMALLEST}upstream: {{ url: 'https://user:CANARY@odyssey.asteroid.ai' }}"),
        format!("{SMALLEST}upstream: {{ url: 'https://odyssey.asteroid.ai?key=CANARY' }}"),
        format!("{SMALLEST}upstream: {{ url: 'CANARY' }}"),
    ] {
        let all = with(&text, &[]).unwrap_err();
        assert!(!all.to_string().contains("CANARY"), "{all}");
        assert!(!all.is_empty(), "{text}");
    }
    let all = with(SMALLEST, &[("ASTEROID_GATEWAY__CREDENTIALS__MAIN", "sk-CANARY")]).unwrap_err();
    assert_eq!(
        all.to_string(),
        "credentials.main: must be a section of `key: value`, not text (set by ASTEROID_GATEWAY__CREDENTIALS__MAIN)"
    );
}

#[test]
fn a_syntax_error_names_its_line_and_column() {
    for (text, place) in [
        ("listeners:\n  - address: [\n", "YAML, line 2, column 14: unclosed bracket"),
        ("listeners: 'x\n", "YAML, line "),
        ("a: b: c\n", "YAML, line 1, column 5: "),
        ("a: 1\n---\nb: 2\n", "YAML, line 2, column 1: there must be one document"),
        ("a: *b\n", "YAML, line 1, column 4: an alias"),
        ("a: !b c\n", "YAML, line 1, column 4: a tag"),
        ("a: &a { b: c }\nd: { <<: *a }\n", "YAML, line 2, column 6: merge keys"),
        ("? [a]\n: b\n", "YAML, line 1, column 3: "),
    ] {
        let found = faults(text);
        assert!(found.len() == 1 && found[0].starts_with(place), "{text:?}: {found:?}");
    }
}

#[test]
fn duplicate_keys_are_faults_with_their_paths() {
    let text = format!("{SMALLEST}    credential: main\n    metadata: {{ a: b, a: b }}\nadmin: {{}}\nadmin: {{}}\n");
    assert_faults(
        &text,
        &[
            "admin: is written twice; keep one",
            "tenants.billing.credential: is written twice; keep one",
            "tenants.billing.metadata.a: is written twice; keep one",
        ],
    );
}

#[test]
fn a_file_that_is_no_configuration_says_so() {
    for (text, reason) in [
        ("", "the file is empty"),
        ("# only a comment\n", "the file is empty"),
        ("~", "the file is empty"),
        ("just text", "must be a section"),
        ("- a\n- b\n", "must be a section"),
    ] {
        let found = faults(text);
        assert!(found.len() == 1 && found[0].contains(reason), "{text:?}: {found:?}");
    }
    assert_faults(
        "body_limit: 1MiB",
        &["listeners: missing; write at least one listener", "tenants: missing; write at least one tenant"],
    );
    assert_faults(
        "listeners: []\ntenants: {}",
        &["listeners: is empty; write at least one listener", "tenants: missing; write at least one tenant"],
    );
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| load(&directory.path().join(name)).unwrap_err().to_string();
    std::fs::write(directory.path().join("latin.yaml"), b"tenants: { b\xfc: {} }").unwrap();
    std::fs::write(directory.path().join("empty.yaml"), b"").unwrap();
    assert!(at("absent.yaml").ends_with("absent.yaml: there is no such file"), "{}", at("absent.yaml"));
    assert!(at(".").contains("this is a directory"), "{}", at("."));
    assert!(at("latin.yaml").ends_with("latin.yaml: is not UTF-8 text"), "{}", at("latin.yaml"));
    assert!(at("empty.yaml").contains("the file is empty"), "{}", at("empty.yaml"));
    std::fs::write(directory.path().join("good.yaml"), SMALLEST).unwrap();
    assert!(load(&directory.path().join("good.yaml")).is_ok());
}

#[test]
fn a_section_with_nothing_in_it_is_its_defaults_but_a_key_needs_a_value() {
    assert!(with(&format!("{SMALLEST}upstream:\nadmin:\ntimeouts:\n"), &[]).is_ok());
    assert_faults(
        &format!("{SMALLEST}upstream: {{ url: }}\nbody_limit: ~\n"),
        &[
            "body_limit: must be a number with its unit, not nothing",
            "upstream.url: must be text, not nothing; give it a value or leave the key out",
        ],
    );
}

#[test]
fn the_environment_overrides_the_file() {
    let Loaded { config, .. } = with(
        SMALLEST,
        &[
            ("ASTEROID_GATEWAY__UPSTREAM__URL", "https://other.example"),
            ("ASTEROID_GATEWAY__TIMEOUTS__RESPONSE", "90s"),
            ("ASTEROID_GATEWAY__TENANTS__BILLING__METADATA__COST_CENTER", "0047"),
            ("ASTEROID_GATEWAY__TENANTS__BILLING__METADATA__URGENT", "true"),
            ("ASTEROID_GATEWAY__TENANTS__BILLING__METADATA__SHAPE", "[x]"),
            (
                "ASTEROID_GATEWAY__LISTENERS",
                "[{ address: '[::1]:8081', tenant: { fixed: billing }, hosts: [a.example] }]",
            ),
            ("ASTEROID_GATEWAY_SERVICE_HOST", "10.0.0.1"),
            ("ASTEROID_GATEWAY_PORT", "tcp://10.0.0.1:80"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.upstream.authority, "other.example");
    assert_eq!(config.timeouts.response, Duration::from_secs(90));
    let tags: Vec<_> =
        config.tenants["billing"].tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(tags, [("tenant", "billing"), ("cost_center", "0047"), ("shape", "[x]"), ("urgent", "true")]);
    assert_eq!(config.listeners[0].address, "[::1]:8081".parse().unwrap());
    assert_eq!(config.listeners[0].hosts, ["a.example"]);
}

#[test]
fn a_fault_of_the_environment_names_the_variable() {
    let all = with(
        SMALLEST,
        &[
            ("ASTEROID_GATEWAY__UPSTREAM__ULR", "https://other.example"),
            ("ASTEROID_GATEWAY__UPSTRAEM__URL", "https://other.example"),
            ("ASTEROID_GATEWAY__TIMEOUTS__RESPONSE", "90"),
            ("ASTEROID_GATEWAY__LISTENERS", "[{ address: '127.0.0.1:1', tennant: x, tenant: { fixed: billing } }]"),
            ("ASTEROID_GATEWAY__TENANTS__BILLING__METADATA", "{ a: 1, a: 2 }"),
            ("ASTEROID_GATEWAY__DRAIN", "{ delay"),
            ("ASTEROID_GATEWAY__BODY_LIMIT__MAX", "1MiB"),
            ("ASTEROID_GATEWAY__ADMIN____ADDRESS", "127.0.0.1:1"),
            ("ASTEROID_GATEWAY__", "x"),
        ],
    )
    .unwrap_err();
    for expected in [
        "upstream.ulr: unknown key; known here: url, credential_header, ca_file (set by ASTEROID_GATEWAY__UPSTREAM__ULR)",
        "timeouts.response: has no unit; write 90s for seconds or 90ms for milliseconds (set by \
         ASTEROID_GATEWAY__TIMEOUTS__RESPONSE)",
        "listeners[0].tennant: unknown key; known here: address, tenant, hosts (set by ASTEROID_GATEWAY__LISTENERS)",
        "tenants.billing.metadata.a: is written twice; keep one (set by ASTEROID_GATEWAY__TENANTS__BILLING__METADATA)",
        "body_limit: must be a number with its unit, not a section (set by ASTEROID_GATEWAY__BODY_LIMIT__MAX)",
    ] {
        assert!(lines(&all).iter().any(|line| line == expected), "{expected}\n--\n{all}");
    }
    for (path, variable) in [
        ("upstraem", "(set by ASTEROID_GATEWAY__UPSTRAEM__URL)"),
        ("drain: YAML, line 1", "(set by ASTEROID_GATEWAY__DRAIN)"),
        ("admin.\"\".address", "ASTEROID_GATEWAY__ADMIN____ADDRESS names no key"),
        ("\"\"", "ASTEROID_GATEWAY__ names no key"),
    ] {
        let found = lines(&all).iter().any(|line| line.starts_with(path) && line.contains(variable));
        assert!(found, "{path} {variable}\n--\n{all}");
    }
    assert_eq!(lines(&all).len(), 9, "{all}");
}

#[test]
fn variables_that_contradict_each_other_are_refused() {
    for (one, other) in [
        ("ASTEROID_GATEWAY__UPSTREAM", "ASTEROID_GATEWAY__UPSTREAM__URL"),
        ("ASTEROID_GATEWAY__UPSTREAM__URL", "asteroid_gateway__upstream__url"),
    ] {
        let all = with(SMALLEST, &[(one, "{ url: https://a.example }"), (other, "https://b.example")]).unwrap_err();
        assert!(all.to_string().contains(&format!("is set by both {one} and {other}")), "{all}");
    }
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_text_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let variable = ("ASTEROID_GATEWAY__UPSTREAM__URL".into(), OsString::from_vec(vec![0xff]));
    let all = parse(SMALLEST, [variable]).unwrap_err();
    assert!(all.to_string().starts_with("upstream.url: ASTEROID_GATEWAY__UPSTREAM__URL is not UTF-8"), "{all}");
}

#[test]
fn addresses_are_checked_against_each_other() {
    let second = |address: &str| {
        smallest_with(
            "credentials:",
            &format!("  - address: {address}\n    tenant: {{ fixed: billing }}\ncredentials:"),
        )
    };
    assert_faults(&second("127.0.0.1:8080"), &["listeners[1].address: another listener has this address already"]);
    assert!(with(&second("127.0.0.2:8080"), &[]).is_ok());
    assert!(with(&second("127.0.0.1:0").replace("127.0.0.1:8080", "127.0.0.1:0"), &[]).is_ok());
    for admin in ["127.0.0.1:8080", "0.0.0.0:8080", "'[::]:8080'"] {
        assert_faults(
            &format!("{SMALLEST}admin: {{ address: {admin} }}"),
            &["admin.address: a listener has this address already; probes need one of their own"],
        );
    }
    assert!(with(&format!("{SMALLEST}admin: {{ address: 0.0.0.0:9090 }}"), &[]).is_ok());
    for address in ["localhost:8080", "127.0.0.1", ":8080", "unix:/run/gateway.sock", "127.0.0.1:65536"] {
        let found = faults(&smallest_with("127.0.0.1:8080", address));
        assert!(found[0].starts_with("listeners[0].address: must be an IP address and a port"), "{found:?}");
    }
    for address in ["0.0.0.0:8080", "10.0.0.1:8080", "'[::]:8080'", "'[::ffff:127.0.0.1]:8080'"] {
        let found = faults(&smallest_with("127.0.0.1:8080", address));
        assert!(found[0].starts_with("listeners[0].address: a listener with a fixed tenant must be on"), "{found:?}");
    }
}

#[test]
fn hosts_are_names_in_lower_case_without_port() {
    let hosts = |hosts: &str| smallest_with("{ fixed: billing }", &format!("{{ fixed: billing }}\n    hosts: {hosts}"));
    let Loaded { config, .. } = with(&hosts("[Gateway.Test, gateway, '[::2]', '::2', 10.0.0.1]"), &[]).unwrap();
    assert_eq!(config.listeners[0].hosts, ["gateway.test", "gateway", "::2", "::2", "10.0.0.1"]);
    for host in ["gateway:80", "http://gateway", "''", "a b", "'*.test'", "[]"] {
        let found = faults(&hosts(&format!("[{host}]")));
        assert!(found[0].starts_with("listeners[0].hosts[0]: must be"), "{found:?}");
    }
}

#[test]
fn names_are_fit_for_logs_and_labels() {
    let long = "t".repeat(129);
    for name in ["a b", "b\u{fc}ro", "a/b", "\"a\\nb\"", "\"\"", long.as_str()] {
        let found = faults(&smallest_with("  billing:", &format!("  {name}:")).replace("fixed: billing", "fixed: x"));
        assert!(found.iter().any(|line| line.contains("a tenant's name is 1 to 128")), "{found:?}");
    }
    for name in ["team-a.prod_1", "Billing", "4711"] {
        let text =
            smallest_with("  billing:", &format!("  {name}:")).replace("fixed: billing", &format!("fixed: '{name}'"));
        assert!(with(&text, &[]).is_ok(), "{name}");
    }
    for name in ["Main", "a.b", "\"\"", "sk-CANARY"] {
        let found = faults(&SMALLEST.replace("main", name));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("credentials.<hidden>: a credential's name is"), "{found:?}");
    }
}

#[test]
fn a_credential_says_where_the_key_is_in_exactly_one_way() {
    let written = "{ file: /var/run/secrets/asteroid/api-key }";
    for (place, expected) in [
        ("", "credentials.main: says not where the key is; write `file: PATH` or `env: VARIABLE`"),
        ("{ file: /key, env: KEY }", "credentials.main: names both `file` and `env`; keep one"),
        ("{ file: 7 }", "credentials.main.file: must be text, not a number; put it in quotes"),
        ("{ file: key }", "credentials.main.file: must be a path with a directory, such as /run/secrets/key or ./key"),
        (
            "{ env: 'A B' }",
            "credentials.main.env: must be the name of an environment variable, such as ASTEROID_API_KEY",
        ),
        ("{ env: '' }", "credentials.main.env: must be the name of an environment variable, such as ASTEROID_API_KEY"),
        ("{ env: 1A }", "credentials.main.env: must be the name of an environment variable, such as ASTEROID_API_KEY"),
    ] {
        assert_faults(&smallest_with(written, place), &[expected]);
    }
    assert!(with(&smallest_with(written, "{ file: ./key }"), &[]).is_ok());
}

#[test]
fn a_reference_to_what_was_refused_is_not_reported_again() {
    assert_faults(
        &smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "7"),
        &["credentials.main: must be a section of `key: value`, not a number"],
    );
    assert_faults(
        &smallest_with("    credential: main", "    - credential"),
        &["tenants.billing: must be a section of `key: value`, not a list"],
    );
    assert_faults(
        &SMALLEST.replace("credential: main", "credential: 7"),
        &["tenants.billing.credential: must be text, not a number; put it in quotes"],
    );
}

#[test]
fn tags_are_made_of_the_prefix_the_tenant_and_its_metadata() {
    let text =
        smallest_with("    credential: main", "    credential: main\n    metadata: { tenant: x, team: billing }");
    let text = format!("{text}tagging: {{ tenant_key: owner, tenant_prefix: prod/, on_conflict: overwrite }}\n");
    let Loaded { config, .. } = with(&text, &[]).unwrap();
    let tags: Vec<_> =
        config.tenants["billing"].tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(tags, [("owner", "prod/billing"), ("team", "billing"), ("tenant", "x")]);
    assert_eq!(config.on_conflict, OnConflict::Overwrite);
    let long = "v".repeat(1025);
    for (tag, at) in [
        ("{ owner: x }", "tenants.billing.metadata.owner: this key"),
        ("{ a: yes }", "tenants.billing.metadata.a: must be text, not true or false"),
        ("{ a: 007 }", "tenants.billing.metadata.a: must be text, not a number"),
        ("{ a: 1.5 }", "tenants.billing.metadata.a: must be text, not a number"),
        ("{ a: .inf }", "tenants.billing.metadata.a: must be text, not a number"),
        ("{ a: }", "tenants.billing.metadata.a: must be text, not nothing"),
        ("{ a: [b] }", "tenants.billing.metadata.a: must be text, not a list"),
        ("{ a: \"b\\nc\" }", "tenants.billing.metadata.a: must not hold line breaks"),
        ("{ '': b }", "tenants.billing.metadata.\"\": the key must not be empty"),
        (&format!("{{ a: {long} }}"), "tenants.billing.metadata.a: must not be longer than 1024 bytes"),
    ] {
        let found = faults(&text.replace("{ tenant: x, team: billing }", tag));
        assert!(found.len() == 1 && found[0].starts_with(at), "{tag}: {found:?}");
    }
    let found = faults(&text.replace("owner", "''").replace("prod/", "\"a\\tb\""));
    assert!(found[0].starts_with("tagging.tenant_key: must not") && found[1].starts_with("tagging.tenant_prefix: "));
}

#[test]
fn what_is_risky_is_warned_of() {
    let text = "
upstream: { url: 'http://localhost:9000' }
listeners: [{ address: '127.0.0.1:0', tenant: { fixed: a } }]
credentials: { main: { env: KEY }, spare: { file: /run/key } }
tenants: { a: { credential: main }, b: { credential: main } }
";
    let Loaded { warnings, .. } = with(text, &[]).unwrap();
    assert_eq!(
        warnings.to_string(),
        "credentials.main.env: a key in the environment is for development; in production use `file`\n\
         credentials.spare: no tenant uses it\n\
         tenants.b: no listener is for this tenant\n\
         upstream.url: the key is sent in cleartext, though only on this machine"
    );
    assert_faults(
        &text.replace("upstream: {", "upstream: { ca_file: /ca.pem,"),
        &["upstream.ca_file: has no use with an http:// upstream; leave it out"],
    );
}

/// The keys of the file's model, asked of serde itself so that the list cannot drift.
mod model {
    use std::collections::BTreeSet;

    use figment::value::Value;
    use serde::de::value::{Error, MapAccessDeserializer, MapDeserializer, SeqDeserializer};
    use serde::de::{Deserialize, Deserializer, IntoDeserializer, Visitor};
    use serde::forward_to_deserialize_any;

    pub(super) fn keys<T: for<'de> Deserialize<'de>>(known: &mut BTreeSet<String>) {
        let known = std::cell::RefCell::new(known);
        T::deserialize(Walk { path: String::new(), known: &known }).expect("the model reads what it asks for");
    }

    /// The keys of a file, each name that the operator chose as `*`, as far as the model knows them as keys.
    pub(super) fn written(value: &Value, path: String, model: &BTreeSet<String>, found: &mut BTreeSet<String>) {
        match value {
            Value::Dict(_, section) => {
                for (key, value) in section {
                    let named = join(&path, key);
                    let chosen = join(&path, "*");
                    let chooses =
                        model.iter().any(|known| known == &chosen || known.starts_with(&format!("{chosen}.")));
                    if path.ends_with("metadata") {
                        continue;
                    }
                    let path = if chooses { chosen } else { named };
                    if !chooses {
                        found.insert(path.clone());
                    }
                    written(value, path, model, found);
                }
            }
            Value::Array(_, list) => list.iter().for_each(|value| written(value, format!("{path}[]"), model, found)),
            _ => {}
        }
    }

    fn join(path: &str, key: &str) -> String {
        if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
    }

    #[derive(Clone)]
    struct Walk<'a, 'k> {
        path: String,
        known: &'a std::cell::RefCell<&'k mut BTreeSet<String>>,
    }

    impl<'de> IntoDeserializer<'de, Error> for Walk<'_, '_> {
        type Deserializer = Self;

        fn into_deserializer(self) -> Self {
            self
        }
    }

    impl<'de> Deserializer<'de> for Walk<'_, '_> {
        type Error = Error;

        fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.visit_str("text")
        }

        fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.visit_some(self)
        }

        fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let element = Self { path: format!("{}[]", self.path), known: self.known };
            visitor.visit_seq(SeqDeserializer::new(std::iter::once(element)))
        }

        fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let value = Self { path: join(&self.path, "*"), known: self.known };
            visitor.visit_map(MapDeserializer::new(std::iter::once(("*", value))))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Error> {
            let fields = fields.iter().map(|field| {
                let path = join(&self.path, field);
                self.known.borrow_mut().insert(path.clone());
                (*field, Self { path, known: self.known })
            });
            let fields: Vec<_> = fields.collect();
            let entries = MapDeserializer::<_, Error>::new(fields.into_iter());
            MapAccessDeserializer::new(entries).deserialize_any(visitor)
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
            newtype_struct tuple tuple_struct enum identifier ignored_any
        }
    }
}
