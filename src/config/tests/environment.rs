//! Variables override the file, and a fault names the variable that it comes from.

use super::*;

#[test]
fn the_environment_overrides_the_file() {
    let LoadedConfig { config, .. } = with(
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
    assert_eq!(config.upstream.endpoint.authority, "other.example");
    assert_eq!(config.timeouts.response, Duration::from_secs(90));
    let tags: Vec<_> =
        config.tenants["billing"].tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(tags, [("tenant", "billing"), ("cost_center", "0047"), ("shape", "[x]"), ("urgent", "true")]);
    assert_eq!(config.listeners[0].address.to_string(), "[::1]:8081");
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
        "upstream.ulr: unknown setting; did you mean `url`? Known here: url, credential_header, ca_file, organization_id, api, list_parameters (set by ASTEROID_GATEWAY__UPSTREAM__ULR)",
        "timeouts.response: has no unit; write 90s for seconds or 90ms for milliseconds (set by \
         ASTEROID_GATEWAY__TIMEOUTS__RESPONSE)",
        "listeners[0].tennant: unknown setting; did you mean `tenant`? Known here: address, mode, tenant, hosts, tls (set by ASTEROID_GATEWAY__LISTENERS)",
        "tenants.billing.metadata.a: is written twice; keep one (set by ASTEROID_GATEWAY__TENANTS__BILLING__METADATA)",
        "body_limit: must be a number with its unit, not a section (set by ASTEROID_GATEWAY__BODY_LIMIT__MAX)",
    ] {
        assert!(lines(&all).iter().any(|line| line == expected), "{expected}\n--\n{all}");
    }
    for (path, variable) in [
        ("upstraem", "(set by ASTEROID_GATEWAY__UPSTRAEM__URL)"),
        ("drain: YAML, line 1", "(set by ASTEROID_GATEWAY__DRAIN)"),
        ("admin.\"\".address", "ASTEROID_GATEWAY__ADMIN____ADDRESS names no setting"),
        ("\"\"", "ASTEROID_GATEWAY__ names no setting"),
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
