//! A gateway's configuration, which tests change member by member.

use std::fmt::{Display, Formatter};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::{API_KEY, json as parse};

/// A configuration before a gateway reads it.
///
/// A change that does not apply fails the test: a member that is set or removed must exist, and one that is added must
/// not. A path is a JSON pointer. Members are written as a YAML mapping, one a line: `"in_flight: 2"`. In every text,
/// `{dir}` is replaced with the gateway's directory.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Configuration(Value);

impl Configuration {
    /// Creates the smallest configuration, for a gateway that sends nothing upstream.
    pub(crate) fn smallest() -> Configuration {
        Configuration::for_upstream("http://127.0.0.1:1")
    }

    /// Creates the smallest configuration: one listener for the tenant `billing`, whose credential `main` is read from the
    /// file `key`.
    pub(crate) fn for_upstream(url: &str) -> Configuration {
        Configuration(json!({
            "upstream": { "url": url },
            "listeners": [{ "address": "127.0.0.1:0", "tenant": { "fixed": "billing" } }],
            "admin": { "address": "127.0.0.1:0" },
            "credentials": { "main": { "file": "{dir}/key" } },
            "tenants": { "billing": { "credential": "main", "metadata": { "team": "billing", "cost_center": "4711" } } },
        }))
    }

    /// Creates the smallest configuration for an upstream without TLS whose base URL has no path.
    pub(crate) fn for_address(upstream: SocketAddr) -> Configuration {
        Configuration::for_upstream(&format!("http://{upstream}"))
    }

    /// Adds sections at the top level.
    #[track_caller]
    pub(crate) fn with(self, sections: &str) -> Configuration {
        self.add("", sections)
    }

    /// Adds members to the mapping at this path.
    #[track_caller]
    pub(crate) fn add(self, path: &str, members: &str) -> Configuration {
        self.insert(path, mapping(members))
    }

    #[track_caller]
    fn insert(mut self, path: &str, members: Map<String, Value>) -> Configuration {
        let Value::Object(mapping) = self.at(path) else { panic!("{path} is no mapping") };
        for (name, value) in members {
            assert!(mapping.insert(name.clone(), value).is_none(), "{path}/{name} is there already");
        }
        self
    }

    /// Replaces the value at this path.
    #[track_caller]
    pub(crate) fn set(mut self, path: &str, value: impl Into<Value>) -> Configuration {
        let (current, value) = (self.at(path), value.into());
        assert_ne!(*current, value, "{path} has this value already");
        *current = value;
        self
    }

    /// Removes a member of a mapping.
    #[track_caller]
    pub(crate) fn remove(mut self, path: &str) -> Configuration {
        let (parent, name) = path.rsplit_once('/').unwrap_or_else(|| panic!("{path:?} names no member"));
        let Value::Object(mapping) = self.at(parent) else { panic!("{parent} is no mapping") };
        assert!(mapping.remove(name).is_some(), "{path} is not there");
        self
    }

    /// Adds members to `upstream`.
    #[track_caller]
    pub(crate) fn upstream(self, members: &str) -> Configuration {
        self.add("/upstream", members)
    }

    /// Adds members to the first listener.
    #[track_caller]
    pub(crate) fn listener(self, members: &str) -> Configuration {
        self.add("/listeners/0", members)
    }

    /// Adds a listener after the others.
    #[track_caller]
    pub(crate) fn another_listener(mut self, members: &str) -> Configuration {
        let Value::Array(listeners) = self.at("/listeners") else { panic!("/listeners is no list") };
        listeners.push(mapping(members).into());
        self
    }

    /// Lets callers of the first listener name their tenant in the header `X-Tenant-Id`.
    #[track_caller]
    pub(crate) fn by_header(self) -> Configuration {
        self.set("/listeners/0/tenant", json!({ "header": "X-Tenant-Id" }))
    }

    /// Lets the first listener speak TLS, with `cert.pem` and `key.pem` in this directory.
    #[track_caller]
    pub(crate) fn tls(self, certificates: &Path) -> Configuration {
        let file = |name: &str| certificates.join(name).display().to_string();
        self.listener(&format!("tls: {{ certificate_file: '{}', key_file: '{}' }}", file("cert.pem"), file("key.pem")))
    }

    /// Adds a credential.
    #[track_caller]
    pub(crate) fn credential(self, name: &str, members: &str) -> Configuration {
        self.insert("/credentials", Map::from_iter([(name.to_owned(), mapping(members).into())]))
    }

    /// Replaces the credential `main`.
    #[track_caller]
    pub(crate) fn main_credential(self, members: &str) -> Configuration {
        self.set("/credentials/main", mapping(members))
    }

    /// Adds a tenant whose credential is `main`.
    #[track_caller]
    pub(crate) fn tenant(self, name: &str) -> Configuration {
        self.insert("/tenants", Map::from_iter([(name.to_owned(), json!({ "credential": "main" }))]))
    }

    /// Adds members to the tenant `billing`.
    #[track_caller]
    pub(crate) fn billing(self, members: &str) -> Configuration {
        self.add("/tenants/billing", members)
    }

    #[track_caller]
    fn at(&mut self, path: &str) -> &mut Value {
        self.0.pointer_mut(path).unwrap_or_else(|| panic!("{path} is not there"))
    }
}

/// Writes JSON, which is also YAML. A configuration without `workers` gets the number in `ASTEROID_TEST_WORKERS`, if that
/// is set: by default, a gateway on loopback has one worker.
impl Display for Configuration {
    fn fmt(&self, out: &mut Formatter<'_>) -> std::fmt::Result {
        let mut written = self.0.clone();
        if let (Ok(workers), Value::Object(sections)) = (std::env::var("ASTEROID_TEST_WORKERS"), &mut written) {
            sections.entry("workers").or_insert(workers.into());
        }
        written.fmt(out)
    }
}

/// Reads a mapping; an empty text is an empty mapping.
#[track_caller]
fn mapping(text: &str) -> Map<String, Value> {
    match serde_saphyr::from_str(text) {
        Ok(Value::Object(members)) => members,
        Ok(Value::Null) => Map::new(),
        other => panic!("no mapping: {text}\n{other:?}"),
    }
}

/// Writes a configuration into this directory as `gateway.yaml`, in one step, so that a reload never reads a part of it.
pub(crate) fn configure(dir: &Path, configuration: impl Display) -> PathBuf {
    let [new, file] = ["gateway.yaml.new", "gateway.yaml"].map(|name| dir.join(name));
    std::fs::write(&new, configuration.to_string().replace("{dir}", dir.to_str().unwrap())).unwrap();
    std::fs::rename(new, &file).unwrap();
    file
}

/// Makes a directory with a configuration as `gateway.yaml` and the API key as `key`.
pub(crate) fn directory(configuration: impl Display) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("key"), format!("{API_KEY}\n")).unwrap();
    configure(dir.path(), configuration);
    dir
}

/// Replaces the only occurrence of `from`, in a file or an example that is itself under test.
#[track_caller]
pub(crate) fn replace_once(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from:?} is not there once:\n{text}");
    text.replacen(from, to, 1)
}

/// Asserts that a change fails the test with this message.
#[track_caller]
fn assert_fails(change: impl FnOnce(Configuration) -> Configuration + std::panic::UnwindSafe, says: &str) {
    let failed = std::panic::catch_unwind(|| change(Configuration::smallest())).unwrap_err();
    let said = failed.downcast_ref::<String>().unwrap();
    assert!(said.contains(says), "{said}");
}

#[test]
fn a_change_of_what_is_not_there_fails_the_test() {
    assert_fails(|of| of.set("/tenants/sales", "x"), "/tenants/sales is not there");
    assert_fails(|of| of.set("/listeners/1/address", "x"), "/listeners/1/address is not there");
    assert_fails(|of| of.remove("/tenants/billing/limits"), "/tenants/billing/limits is not there");
    assert_fails(|of| of.add("/timeouts", "response: 1s"), "/timeouts is not there");
    assert_fails(|of| of.add("/upstream/url", "x: y"), "/upstream/url is no mapping");
}

#[test]
fn an_addition_of_what_is_there_and_a_change_to_what_it_was_fail_the_test() {
    assert_fails(|of| of.with("admin: {}"), "/admin is there already");
    assert_fails(|of| of.tenant("billing"), "/tenants/billing is there already");
    assert_fails(|of| of.billing("metadata: {}"), "/tenants/billing/metadata is there already");
    assert_fails(|of| of.upstream("url: x"), "/upstream/url is there already");
    assert_fails(
        |of| of.set("/tenants/billing/credential", "main"),
        "/tenants/billing/credential has this value already",
    );
}

#[test]
fn members_that_are_no_mapping_fail_the_test() {
    for text in ["response", "connect: 1s, response: 2s", "[]", "x: {dir}/key", "a: 1\na: 2"] {
        assert_fails(|of| of.with(text), "no mapping: ");
    }
}

#[test]
fn what_a_configuration_says_is_what_was_set_added_and_removed() {
    let changed = Configuration::for_upstream("http://127.0.0.1:1/a")
        .with("timeouts: { connect: 1s }\nbody_limit: 1KiB")
        .tenant("sales")
        .billing("limits: { in_flight: 2 }")
        .remove("/tenants/billing/metadata")
        .credential("late", "file: '{dir}/late'")
        .main_credential("env: THE_KEY")
        .by_header()
        .listener("hosts: [a.example]")
        .another_listener("address: 127.0.0.1:1");
    let expected = json!({
        "upstream": { "url": "http://127.0.0.1:1/a" },
        "listeners": [
            { "address": "127.0.0.1:0", "tenant": { "header": "X-Tenant-Id" }, "hosts": ["a.example"] },
            { "address": "127.0.0.1:1" },
        ],
        "admin": { "address": "127.0.0.1:0" },
        "credentials": { "main": { "env": "THE_KEY" }, "late": { "file": "{dir}/late" } },
        "tenants": { "billing": { "credential": "main", "limits": { "in_flight": 2 } }, "sales": { "credential": "main" } },
        "timeouts": { "connect": "1s" },
        "body_limit": "1KiB",
    });
    assert_eq!(changed.0, expected);
}

#[test]
fn a_configuration_is_written_for_its_directory() {
    let dir = directory(Configuration::smallest());
    let key = dir.path().join("key");
    let written = std::fs::read_to_string(dir.path().join("gateway.yaml")).unwrap();
    assert_eq!(parse(written.as_bytes())["credentials"]["main"]["file"], key.to_str().unwrap());
    assert_eq!(std::fs::read_to_string(key).unwrap().trim(), API_KEY);
}

#[test]
fn a_text_that_is_not_there_once_is_not_replaced() {
    assert_eq!(replace_once("a: b", "b", "c"), "a: c");
    for text in ["a: c", "b: b"] {
        assert!(std::panic::catch_unwind(|| replace_once(text, "b", "x")).is_err(), "{text}");
    }
}
