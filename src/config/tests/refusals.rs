//! The values that each setting accepts and refuses, the checks of references, and the warnings.

use super::*;

#[test]
fn addresses_are_checked_against_each_other() {
    let second = |address: &str| {
        smallest_with(
            "credentials:",
            &format!("  - address: {address}\n    tenant: {{ fixed: billing }}\ncredentials:"),
        )
    };
    assert_faults(
        &second("127.0.0.1:8080"),
        &["listeners[1].address: another listener already has this address; choose another"],
    );
    assert!(with(&second("127.0.0.2:8080"), &[]).is_ok());
    assert!(with(&second("127.0.0.1:0").replace("127.0.0.1:8080", "127.0.0.1:0"), &[]).is_ok());
    for admin in ["127.0.0.1:8080", "0.0.0.0:8080", "'[::]:8080'"] {
        assert_faults(
            &format!("{SMALLEST}admin: {{ address: {admin} }}"),
            &["admin.address: a listener already has this address; choose another for probes"],
        );
    }
    assert!(with(&format!("{SMALLEST}admin: {{ address: 0.0.0.0:9090 }}"), &[]).is_ok());
    for address in ["localhost:8080", "127.0.0.1", ":8080", "unix:gateway.sock", "127.0.0.1:65536"] {
        let found = faults(&smallest_with("127.0.0.1:8080", address));
        assert!(found[0].starts_with("listeners[0].address: must be an IP address and a port"), "{found:?}");
    }
    for address in ["0.0.0.0:8080", "10.0.0.1:8080", "'[::]:8080'", "'[::ffff:127.0.0.1]:8080'"] {
        let found = faults(&smallest_with("127.0.0.1:8080", address));
        assert!(found[0].starts_with("listeners[0].address: must be on loopback"), "{found:?}");
    }
}

/// Returns a file whose listener has this address and further settings.
fn unix(address: &str, more: &str) -> String {
    smallest_with("127.0.0.1:8080", &format!("{address}\n    {more}"))
}

#[test]
fn a_unix_socket_has_a_path_with_a_directory_and_permissions_that_are_read_as_they_are_written() {
    let address =
        |address: &str, more: &str| with(&unix(address, more), &[]).unwrap().config.listeners[0].address.clone();
    let at = |path: &str, mode| Address::Unix { path: path.into(), mode };
    assert_eq!(address("unix:/run/a.sock", ""), at("/run/a.sock", 0o660));
    assert_eq!(address("unix:./a.sock", ""), at("./a.sock", 0o660));
    assert_eq!(address("unix:/run//a/./b.sock/", ""), at("/run/a/b.sock", 0o660));
    for (written, mode) in [("0660", 0o660), ("660", 0o660), ("'0600'", 0o600), ("0777", 0o777), ("\"0640\"", 0o640)] {
        assert_eq!(address("unix:/run/a.sock", &format!("mode: {written}")), at("/run/a.sock", mode), "{written}");
    }
    for wrong in ["0o660", "432", "0400", "0060", "0680", "'00660'", "1660", "rw", "-660", "6.60", "''", "0x1b0"] {
        assert_faults(
            &unix("unix:/run/a.sock", &format!("mode: {wrong}")),
            &["listeners[0].mode: must be octal digits from 0600 to 0777, such as 0660"],
        );
    }
    for wrong in ["unix:", "unix:a.sock", "unix:@a", "unix:/", "unix:/run/..", "unix:/run/\\n", "Unix:/run/a", "/run/a"]
    {
        let found = faults(&unix(&format!("\"{wrong}\""), ""));
        assert!(found[0].starts_with("listeners[0].address: must be an IP"), "{wrong}: {found:?}");
    }
    let long = format!("unix:/{}", "x".repeat(99));
    assert_faults(
        &unix(&long, ""),
        &["listeners[0].address: is too long: the system allows 99 bytes for the path of a Unix socket"],
    );
    assert!(with(&unix(long.strip_suffix('x').unwrap(), ""), &[]).is_ok());
}

#[test]
fn a_setting_that_has_no_meaning_at_a_unix_socket_or_at_a_port_is_refused_there() {
    assert_faults(
        &unix("127.0.0.1:8080", "mode: 0660"),
        &["listeners[0].mode: is only for a Unix socket; leave it out"],
    );
    assert_faults(
        &unix("unix:/run/a.sock", "tls: { certificate_file: c, key_file: k }"),
        &["listeners[0].tls: has no use at a Unix socket, which only this machine can reach; leave it out"],
    );
    let trusting = "{ fixed: billing, trusted_peers: [127.0.0.1] }";
    assert_faults(
        &unix("unix:/run/a.sock", "").replace("{ fixed: billing }", trusting),
        &[
            "listeners[0].tenant.trusted_peers: callers at a Unix socket have no address; leave it out, and use `mode` instead",
        ],
    );
    assert_faults(
        &format!("{SMALLEST}admin: {{ address: 'unix:/run/admin.sock' }}"),
        &[
            "admin.address: must be an IP address and a port, such as 127.0.0.1:9090, that probes and Prometheus can reach",
        ],
    );
    let twice = "  - address: unix:/run/./a.sock\n    tenant: { fixed: billing }\ncredentials:";
    assert_faults(
        &unix("unix:/run/a.sock", "").replace("credentials:", twice),
        &["listeners[1].address: another listener already has this address; choose another"],
    );
}

#[test]
fn a_unix_socket_needs_no_trusted_peers_and_one_that_every_user_can_reach_is_warned_of() {
    let warnings = |text: &str| with(text, &[]).unwrap().warnings.to_string();
    assert_eq!(warnings(&unix("unix:/run/a.sock", "mode: 0660")), "");
    assert_eq!(
        warnings(&unix("unix:/run/a.sock", "mode: 0666").replace("{ fixed: billing }", "{ header: X-Tenant-Id }")),
        "listeners[0].mode: every user of this machine who can enter the socket's directory may call\n\
         listeners[0].tenant: any process that may connect can name any tenant"
    );
}

#[test]
fn a_header_may_be_named_by_words_that_are_written_together() {
    let text = SMALLEST.replace("{ fixed: billing }", "{ header: X-ServiceAccountName }");
    let text = format!("upstream: {{ credential_header: X-OrganizationApiKey }}\n{text}");
    assert_eq!(with(&text, &[]).unwrap().config.upstream.credential_header, "x-organizationapikey");
}

#[test]
fn hosts_are_names_in_lower_case_without_port() {
    let hosts = |hosts: &str| smallest_with("{ fixed: billing }", &format!("{{ fixed: billing }}\n    hosts: {hosts}"));
    let LoadedConfig { config, .. } = with(&hosts("[Gateway.Test, gateway, '[::2]', '::2', 10.0.0.1]"), &[]).unwrap();
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
fn a_credential_refers_to_its_api_key_in_exactly_one_way() {
    let written = "{ file: /var/run/secrets/asteroid/api-key }";
    for (place, expected) in [
        ("", "credentials.main: does not say where the API key is; write `file: PATH` or `env: VARIABLE`"),
        ("{ file: /key, env: KEY }", "credentials.main: names both `file` and `env`; keep one"),
        ("{ file: 7 }", "credentials.main.file: must be text, not a number; put it in quotes"),
        ("{ file: key }", "credentials.main.file: must be a path with a directory, such as /run/secrets/key or ./key"),
        (
            "{ env: 'A B' }",
            "credentials.main.env: must be the name of an environment variable, made of words, such as ASTEROID_API_KEY",
        ),
        (
            "{ env: '' }",
            "credentials.main.env: must be the name of an environment variable, made of words, such as ASTEROID_API_KEY",
        ),
        (
            "{ env: 1A }",
            "credentials.main.env: must be the name of an environment variable, made of words, such as ASTEROID_API_KEY",
        ),
    ] {
        assert_faults(&smallest_with(written, place), &[expected]);
    }
    assert!(with(&smallest_with(written, "{ file: ./key }"), &[]).is_ok());
}

#[test]
fn a_reference_to_a_section_that_was_refused_is_not_reported_again() {
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
    let LoadedConfig { config, .. } = with(&text, &[]).unwrap();
    let tags: Vec<_> =
        config.tenants["billing"].tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(tags, [("owner", "prod/billing"), ("team", "billing"), ("tenant", "x")]);
    assert_eq!(config.on_conflict, OnConflict::Overwrite);
    let long = "v".repeat(1025);
    for (tag, at) in [
        ("{ owner: x }", "tenants.billing.metadata.owner: this tag"),
        ("{ Owner: x }", "tenants.billing.metadata.Owner: this name looks like another one"),
        ("{ \"ow\\u200bner\": x }", "tenants.billing.metadata.\"ow"),
        ("{ team: x, ＴEAM: z }", "tenants.billing.metadata.\"ＴEAM\": this name looks like another one"),
        ("{ Idempotency Digest: x, idempotency_Digest: z }", "tenants.billing.metadata.idempotency_Digest: this name"),
        ("{ a: yes }", "tenants.billing.metadata.a: must be text, not true or false"),
        ("{ a: 007 }", "tenants.billing.metadata.a: must be text, not a number"),
        ("{ a: 1.5 }", "tenants.billing.metadata.a: must be text, not a number"),
        ("{ a: .inf }", "tenants.billing.metadata.a: must be text, not a number"),
        ("{ a: }", "tenants.billing.metadata.a: must be text, not nothing"),
        ("{ a: [b] }", "tenants.billing.metadata.a: must be text, not a list"),
        ("{ a: \"b\\nc\" }", "tenants.billing.metadata.a: must not contain line breaks"),
        ("{ '': b }", "tenants.billing.metadata.\"\": the name must not be empty"),
        (&format!("{{ a: {long} }}"), "tenants.billing.metadata.a: must not be longer than 1024 bytes"),
    ] {
        let found = faults(&text.replace("{ tenant: x, team: billing }", tag));
        assert!(found.len() == 1 && found[0].starts_with(at), "{tag}: {found:?}");
    }
    let found = faults(&text.replace("owner", "''").replace("prod/", "\"a\\tb\""));
    assert!(found[0].starts_with("tagging.tenant_key: must not") && found[1].starts_with("tagging.tenant_prefix: "));
}

#[test]
fn a_recovery_that_no_start_can_need_is_warned_of() {
    let one = "a: { credential: main, idempotency: off }";
    let tenants = |more: &str| {
        format!(
            "idempotency: {{ recovery: true }}
listeners: [{{ address: '127.0.0.1:0', tenant: {{ fixed: a }} }}, {{ address: '127.0.0.1:0', tenant: {{ fixed: b }} }}]
credentials: {{ main: {{ file: /run/key }} }}
tenants: {{ {one}, {more} }}"
        )
    };
    let warnings = |more: &str| with(&tenants(more), &[]).unwrap().warnings.to_string();
    assert_eq!(
        warnings("b: { credential: main, idempotency: off }"),
        "idempotency.recovery: has no effect: `idempotency` is off for every tenant"
    );
    assert_eq!(warnings("b: { credential: main }"), "");
}

#[test]
fn risky_settings_are_warned_of() {
    let text = "
timeouts: { response: 90s }
upstream: { url: 'http://localhost:9000' }
listeners: [{ address: '127.0.0.1:0', tenant: { fixed: a } }]
credentials: { main: { env: KEY }, spare: { file: /run/key } }
tenants: { a: { credential: main }, b: { credential: main } }
";
    let LoadedConfig { warnings, .. } = with(text, &[]).unwrap();
    assert_eq!(
        warnings.to_string(),
        "credentials.main.env: an API key in the environment is for development; in production use `file`\n\
         credentials.spare: no tenant uses it\n\
         drain.timeout: is less than `timeouts.response` plus 5s: paid starts could be cut off at a shutdown; write 1m 35s\n\
         tenants.b: no listener serves this tenant\n\
         upstream.url: the API key is sent in cleartext, though only on this machine"
    );
    assert_faults(
        &text.replace("upstream: {", "upstream: { ca_file: /ca.pem,"),
        &["upstream.ca_file: has no use with an http:// upstream; leave it out"],
    );
}

#[test]
fn spans_go_to_a_collector_whose_url_is_whole_and_a_ratio_is_one() {
    let traces = |traces: &str| format!("{SMALLEST}traces: {{ {traces} }}");
    let otlp = "otlp: http://127.0.0.1:4318/v1/traces";
    let LoadedConfig { config, .. } = with(&traces(otlp), &[]).unwrap();
    let read = config.traces.unwrap();
    assert_eq!((read.sample, read.service_name.as_str()), (Ratio::ALL, "asteroid-gateway"));
    for (sample, ratio) in [("0.25", 0.25), ("0", 0.0), ("1", 1.0), ("1.0", 1.0), ("'0.5'", 0.5), ("1e-3", 0.001)] {
        let LoadedConfig { config, .. } = with(&traces(&format!("{otlp}, sample: {sample}")), &[]).unwrap();
        assert_eq!(config.traces.unwrap().sample, Ratio::new(ratio).unwrap(), "{sample}");
    }
    let variables = [("ASTEROID_GATEWAY__TRACES__SAMPLE", "0.5"), ("ASTEROID_GATEWAY__TRACES__SERVICE_NAME", "other")];
    let LoadedConfig { config, .. } = with(&traces(otlp), &variables).unwrap();
    let read = config.traces.unwrap();
    assert_eq!((read.sample, read.service_name.as_str()), (Ratio::new(0.5).unwrap(), "other"));
    for sample in ["-1", "-0.1", "1.01", "2", "10%", "true", "''", ".nan", ".inf"] {
        let found = faults(&traces(&format!("{otlp}, sample: {sample}")));
        assert!(found.len() == 1 && found[0].starts_with("traces.sample: must be"), "{found:?}");
    }
    for otlp in ["", "otlp: http://CANARY.example:4318/v1/traces", "otlp: https://CANARY@a.example/v1/traces"] {
        let found = faults(&traces(otlp));
        assert!(found.len() == 1 && found[0].starts_with("traces.otlp: ") && !found[0].contains("CANARY"), "{found:?}");
    }
    for name in ["''", "\"a\\nb\""] {
        let found = faults(&traces(&format!("{otlp}, service_name: {name}")));
        assert!(found.len() == 1 && found[0].starts_with("traces.service_name: must be"), "{found:?}");
    }
    assert!(faults(&traces(&format!("{otlp}, headers: x")))[0].starts_with("traces.headers: unknown setting"));
}

#[test]
fn an_organisation_is_a_uuid_and_another_value_is_not_shown() {
    let with_id = |id: &str| smallest_with("tenants:", &format!("upstream: {{ organization_id: {id} }}\ntenants:"));
    let id = "5a3c1f0e-6f0b-4d57-8f1c-0d1b6a0c9e21";
    let resolved = |text: &str| with(text, &[]).unwrap().config.upstream.organization_id;
    assert_eq!(resolved(&with_id(id)).unwrap().to_string(), id);
    assert_eq!(resolved(SMALLEST), None);
    for wrong in ["''", "ak-secret", &id.replace('-', ""), &format!("'{{{id}}}'"), &id.replace('5', "g")] {
        let said = "upstream.organization_id: must be a hyphenated 36-character uuid";
        assert_faults(&with_id(wrong), &[said]);
    }
}

#[test]
fn the_tag_of_a_body_is_the_gateways_alone() {
    let tagging = |key: &str| smallest_with("tenants:", &format!("tagging: {{ {key}: idempotency_body }}\ntenants:"));
    for key in ["tenant_key", "idempotency_key"] {
        let said = format!("tagging.{key}: this tag carries the digest of the body; choose another name");
        assert_faults(&tagging(key), &[&said]);
    }
    let found = faults(&format!("{SMALLEST}    metadata: {{ idempotency_body: x }}\n"));
    let path = "tenants.billing.metadata.idempotency_body: this tag carries";
    assert!(found[0].starts_with(path) && found.len() == 1, "{found:?}");
}

#[test]
fn workers_are_counted_or_left_to_the_gateway() {
    let read = |text: &str| with(&format!("{SMALLEST}workers: {text}\n"), &[]).map(|loaded| loaded.config.workers);
    let count = |count| Workers::Count(NonZero::new(count).unwrap());
    for (text, workers) in [
        ("auto", Workers::Auto),
        ("' auto '", Workers::Auto),
        ("1", count(1)),
        ("'3'", count(3)),
        ("256", count(MAX_WORKERS)),
    ] {
        assert_eq!(read(text).unwrap(), workers, "{text}");
    }
    for text in ["0", "257", "-1", "1.5", "2 cores", "Auto", "''"] {
        assert_faults(
            &format!("{SMALLEST}workers: {text}\n"),
            &["workers: must be auto or a whole number from 1 to 256"],
        );
    }
    assert_faults(&format!("{SMALLEST}workers: [1]\n"), &["workers: must be a number, not a list"]);
}
