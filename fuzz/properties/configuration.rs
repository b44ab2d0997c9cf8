//! A configuration: for any text, no finding shows an API key. An accepted configuration keeps the promises of the resolved
//! model, and means the same as JSON and as environment variables.
//!
//! An input is the text of a file. Lines `ASTEROID_GATEWAY__…=…` before it are environment variables.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::time::Duration;

use asteroid_gateway::config::resolve::{Config, TenantSource};
use asteroid_gateway::config::{LoadedConfig, parse};
use asteroid_gateway::transport::endpoint::{Endpoint, Scheme};
use hyper::http::uri::{Authority, PathAndQuery};
use serde_json::{Map, Value};

const PREFIX: &str = "ASTEROID_GATEWAY__";

/// An API key that may be pasted anywhere.
const CANARY: &str = "ak-canary-5f1c9d7e3b2a4680";

/// API keys that look like words or a number. Below `credentials` they are hidden as well.
const DISGUISED: [&str; 2] = ["correct-horse-battery-staple", "4711081547110815"];

pub(crate) fn check(input: &[u8]) {
    let Ok(mut text) = str::from_utf8(input) else { return };
    let mut environment = Vec::new();
    while let Some((line, rest)) = text.split_once('\n').filter(|(line, _)| line.starts_with(PREFIX)) {
        environment.extend(line.split_once('='));
        text = rest;
    }
    let is_exact = environment.is_empty();
    let loaded = loaded(text, environment);
    assert!(!findings(&loaded).contains(CANARY), "a finding shows the API key");
    if let Ok(LoadedConfig { config, .. }) = &loaded {
        check_model(config);
    }
    let Ok(Value::Object(file)) = serde_saphyr::from_str::<Value>(text) else { return };
    check_credentials(&file);
    if let (true, Ok(loaded)) = (is_exact, loaded) {
        check_renderings(&file, &loaded);
    }
}

type Outcome = Result<LoadedConfig, asteroid_gateway::config::Faults>;

fn loaded<'v>(text: &str, environment: impl IntoIterator<Item = (&'v str, &'v str)>) -> Outcome {
    parse(text, environment.into_iter().map(|(name, value)| (OsString::from(name), OsString::from(value))))
}

/// Returns the text of all faults or warnings.
fn findings(loaded: &Outcome) -> String {
    match loaded {
        Ok(LoadedConfig { warnings, .. }) => format!("{warnings} {warnings:?}"),
        Err(faults) => format!("{faults} {faults:?}"),
    }
}

/// Checks that no finding shows a value from below `credentials`, by replacing all of them.
fn check_credentials(file: &Map<String, Value>) {
    let Some(credentials) = file.get("credentials") else { return };
    for api_key in DISGUISED {
        let mut file = file.clone();
        file.insert("credentials".to_owned(), with_values(credentials, api_key));
        let shown = findings(&loaded(&Value::Object(file).to_string(), []));
        assert!(!shown.contains(api_key), "a value from below `credentials` is shown: {shown}");
    }
}

fn with_values(value: &Value, new: &str) -> Value {
    match value {
        Value::Object(section) => section.iter().map(|(name, value)| (name.clone(), with_values(value, new))).collect(),
        Value::Array(list) => list.iter().map(|value| with_values(value, new)).collect(),
        _ => Value::from(new),
    }
}

/// Checks that a file means the same as JSON, and with its sections in variables.
fn check_renderings(file: &Map<String, Value>, expected: &LoadedConfig) {
    let json = Value::Object(file.clone()).to_string();
    // JSON may have these characters, YAML may not.
    if json.contains(|character: char| character.is_control() || ('\u{fffe}'..).contains(&character)) {
        return;
    }
    same(&loaded(&json, []), expected);
    let variables: Vec<(String, String)> = file
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (format!("{PREFIX}{}", name.to_ascii_uppercase()), as_variable(value)))
        .collect();
    let unset = || file.iter().filter(|(_, value)| value.is_null()).map(|(name, value)| (name.clone(), value.clone()));
    let rest = Value::Object(unset().collect()).to_string();
    same(&loaded(&rest, variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))), expected);
}

fn as_variable(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn same(found: &Outcome, expected: &LoadedConfig) {
    let Ok(LoadedConfig { config, warnings }) = found else {
        panic!("another rendering is refused: {}", findings(found))
    };
    assert_eq!(*config, expected.config);
    assert_eq!(*warnings, expected.warnings);
}

/// Checks the promises in the comments of `config/resolve`.
fn check_model(config: &Config) {
    const MILLISECOND: Duration = Duration::from_millis(1);
    const HOUR: Duration = Duration::from_secs(3600);
    let Config { upstream, listeners, tenants, credentials, timeouts, drain, .. } = config;

    let Endpoint { scheme, host, authority, .. } = &upstream.endpoint;
    authority.parse::<Authority>().expect("it is a Host");
    let base = upstream.base_path.as_str();
    assert!(base.is_empty() || base.starts_with('/') && !base.ends_with('/') && base.parse::<PathAndQuery>().is_ok());
    let is_here = host == "localhost" || host.starts_with("127.") || host == "::1";
    assert!(*scheme == Scheme::Https || is_here, "the API key is sent in cleartext to {host}");

    assert!(!listeners.is_empty());
    for listener in listeners {
        assert!(listener.address.is_local() || !listener.trusted_peers.is_empty());
        match &listener.tenant {
            TenantSource::Fixed(name) => assert!(tenants.contains_key(name)),
            TenantSource::Header(name) => assert_ne!(*name, upstream.credential_header),
        }
    }
    for tenant in tenants.values() {
        assert!(credentials.contains_key(&tenant.credential));
        let names: BTreeSet<&str> = tenant.tags.iter().map(|(name, _)| name.as_str()).collect();
        assert!(
            names.len() == tenant.tags.len() && !names.is_empty() && !names.contains(config.idempotency.tag.as_str())
        );
    }
    let within = |bounds: RangeInclusive<Duration>, times: &[Duration]| times.iter().all(|time| bounds.contains(time));
    let times = [timeouts.connect, timeouts.response, timeouts.body, timeouts.idle, timeouts.caller_idle];
    assert!(within(MILLISECOND..=HOUR, &times) && within(Duration::ZERO..=HOUR, &[drain.delay, drain.timeout]));
    assert!((1 << 10..=64 << 20).contains(&config.body_limit));
}
