//! A real Prometheus scrapes the gateway, evaluates the alert rules, and finds data for every query of the dashboard.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::caller::TIMEOUT;
use crate::harness::{AGENT, Caller, EXECUTE, Pair, Program};
use crate::simulated::form::{TYPE, form};

const ALERTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/prometheus/alerts.yaml");
const ALERTS_TEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/prometheus/alerts.test.yaml");
const DASHBOARD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/grafana/dashboard.json");
const OPERATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/OPERATIONS.md");

/// Returns a command for a program that `tests/run` installs; if it is absent, the test fails with its name.
fn command(name: &str) -> Command {
    let found = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(found.is_ok_and(|status| status.success()), "{name} is needed: Debian's package prometheus, or tests/run");
    Command::new(name)
}

fn promtool(arguments: &[&str]) {
    let output = command("promtool").args(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap()
}

/// Returns the alert rules.
fn rules() -> Vec<Value> {
    yaml(ALERTS)["groups"][0]["rules"].as_array().unwrap().clone()
}

/// Returns the names of the gateway's series in a query.
fn series(query: &str) -> BTreeSet<String> {
    let words = query.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let named = ["asteroid_gateway_", "http_server_request_duration", "http_client_request_duration"];
    words.filter(|word| named.iter().any(|prefix| word.starts_with(prefix))).map(str::to_owned).collect()
}

/// Starts a gateway and causes every kind of event.
fn busy() -> Pair {
    let limits = "limits: { executions: { rate: 9/d }, budget: { executions: 7, per: day }, reads: { rate: 6/d } }";
    let pair = Pair::configured(|smallest| smallest.billing(limits));
    let post = |key: &str| pair.caller().post(EXECUTE, &[("Idempotency-Key", key)], b"{}").status;
    assert_eq!([post("a"), post("a"), post("b")], [202, 202, 202]);
    assert_eq!(pair.execute("[]").status, 400);
    for (fault, status) in [
        (json!({"run": true, "then": "close"}), 504),
        (json!({"then": {"answer": {"status": 503, "body": "{}"}}}), 503),
    ] {
        pair.asteroid.fail_next(fault);
        assert_eq!(pair.execute("{}").status, status);
    }
    while pair.execute("{}").status != 429 {}
    let get = |path: &str| pair.caller().request("GET", path).status;
    let id = &pair.asteroid.executions()[0].id;
    assert_eq!(get(&format!("/executions/{id}")), 200);
    assert_eq!(get(&format!("/executions/{AGENT}")), 404, "it is the id of no execution");
    pair.asteroid.fail_next(json!({"then": {"answer": {"status": 503, "body": "{}"}}}));
    assert_eq!(get(&format!("/executions/{}/activities", AGENT.replace("8d", "9d"))), 503, "it cannot be looked up");
    for (body, status) in [(form(&[("invoice.pdf", b"%PDF")]), 200), (b"no form".to_vec(), 400)] {
        let path = format!("/executions/{id}/context-files");
        assert_eq!(pair.caller().post(&path, &[("Content-Type", TYPE)], &body).status, status);
    }
    assert_eq!(get(&format!("/executions/{id}/recording")), 307);
    while get(&format!("/executions/{id}")) != 429 {}
    pair
}

/// A Prometheus that scrapes one gateway and evaluates the alert rules.
struct Prometheus {
    address: SocketAddr,
    program: Program,
}

impl Prometheus {
    fn start(gateway: SocketAddr) -> Prometheus {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("prometheus.yml");
        let configuration = format!(
            "global: {{ scrape_interval: 500ms, evaluation_interval: 500ms }}
rule_files: [{ALERTS}]
scrape_configs: [{{ job_name: asteroid-gateway, static_configs: [{{ targets: [\"{gateway}\"] }}] }}]
"
        );
        std::fs::write(&file, configuration).unwrap();
        let mut prometheus = command("prometheus");
        prometheus.arg("--web.listen-address=127.0.0.1:0").arg(format!("--config.file={}", file.display()));
        prometheus.arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()));
        let program = Program::start(prometheus, dir);
        let address = program.wait_for(|text| {
            text.contains("Server is ready").then_some(())?;
            let line = text.lines().find(|line| line.contains("Listening on"))?;
            line.split_once("address=")?.1.split_whitespace().next()?.parse().ok()
        });
        let prometheus = Prometheus { address, program };
        prometheus.wait_for("up == 1");
        prometheus
    }

    fn get(&self, path: &str) -> Value {
        let answer = Caller::connect(self.address).request("GET", path);
        let json = answer.json();
        assert_eq!(json["status"], "success", "{path}: {json}");
        json["data"].clone()
    }

    /// Returns the current result of a query.
    fn query(&self, query: &str) -> Vec<Value> {
        let query: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
        self.get(&format!("/api/v1/query?query={query}"))["result"].as_array().unwrap().clone()
    }

    /// Waits until a query has a result.
    #[track_caller]
    fn wait_for(&self, query: &str) {
        let begun = Instant::now();
        while self.query(query).is_empty() {
            assert!(begun.elapsed() < TIMEOUT, "{query} finds nothing\n{}", self.program.output());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn promtool_finds_nothing_to_complain_of_in_metrics_and_rules() {
    let pair = busy();
    let metrics = pair.gateway.admin("/metrics").body;
    let mut check =
        command("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    check.stdin.take().unwrap().write_all(&metrics).unwrap();
    let output = check.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    promtool(&["check", "rules", ALERTS]);
}

#[test]
fn each_alert_fires_on_what_it_is_for() {
    promtool(&["test", "rules", ALERTS_TEST]);
    let tests = yaml(ALERTS_TEST);
    let tests = tests["tests"].as_array().unwrap().iter().flat_map(|test| test["alert_rule_test"].as_array().unwrap());
    let tests: Vec<(&str, bool)> = tests
        .map(|test| (test["alertname"].as_str().unwrap(), test["exp_alerts"].as_array().unwrap().is_empty()))
        .collect();
    for rule in rules() {
        let alert = rule["alert"].as_str().unwrap();
        assert!(tests.contains(&(alert, false)), "{alert} is not seen to fire");
        assert!(tests.contains(&(alert, true)), "{alert} is not seen to be silent");
    }
}

#[test]
fn prometheus_finds_data_for_every_query_of_the_dashboard_and_every_series_of_the_alerts() {
    let pair = busy();
    let prometheus = Prometheus::start(pair.gateway.probe().address());
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let queries: Vec<String> = targets
        .map(|target| {
            let query = target["expr"].as_str().unwrap().replace("$__rate_interval", "20s").replace("$__range", "1m");
            query.replace("$job", "asteroid-gateway").replace("$tenant", ".*")
        })
        .collect();
    assert!(queries.len() > 30);
    for query in &queries {
        assert!(!query.contains('$'), "{query}");
        prometheus.wait_for(query);
    }
    let rules = rules();
    let alerts = rules.iter().map(|rule| rule["expr"].as_str().unwrap());
    let named: BTreeSet<String> = queries.iter().map(String::as_str).chain(alerts).flat_map(series).collect();
    for name in &named {
        assert!(!prometheus.query(name).is_empty(), "{name} is none of the gateway's");
    }
    let started = prometheus.query("sum(asteroid_gateway_executions_started_total) > 0");
    let executions = pair.asteroid.executions().len() - 1;
    assert_eq!(started[0]["value"][1], executions.to_string(), "but for the one whose answer was lost");
    let groups = prometheus.get("/api/v1/rules?type=alert");
    let loaded = groups["groups"][0]["rules"].as_array().unwrap();
    assert_eq!(loaded.len(), rules.len());
    assert!(loaded.iter().all(|rule| rule["lastError"].is_null()), "{loaded:?}");
}

#[test]
fn each_alert_says_what_it_is_and_has_its_runbook_and_each_series_is_explained() {
    let operations = read(OPERATIONS);
    let headings = operations.lines().filter_map(|line| line.strip_prefix("### "));
    let anchors: Vec<String> = headings.map(str::to_lowercase).collect();
    let rules = rules();
    for rule in &rules {
        let alert = rule["alert"].as_str().unwrap();
        let annotation =
            |name: &str| rule["annotations"][name].as_str().unwrap_or_else(|| panic!("{alert}: {name}")).to_owned();
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{alert}");
        assert!(!annotation("summary").is_empty() && !annotation("description").is_empty(), "{alert}");
        assert_eq!(annotation("runbook_url"), format!("docs/OPERATIONS.md#{}", alert.to_lowercase()));
        assert!(anchors.contains(&alert.to_lowercase()), "{alert} has no section");
    }
    assert_eq!(anchors.len(), rules.len(), "a section of an alert that is not there");
    let metrics = Pair::start().gateway.admin("/metrics").body;
    let shown: BTreeSet<String> = String::from_utf8(metrics)
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::to_owned))
        .collect();
    for name in &shown {
        assert!(operations.contains(&format!("`{name}`")), "{name} is not explained");
    }
    let ends = ["_bucket", "_count", "_sum"];
    for name in series(&operations) {
        let base = ends.iter().find_map(|end| name.strip_suffix(end)).filter(|base| base.starts_with("http_"));
        assert!(shown.contains(base.unwrap_or(&name)), "{name} is none of the gateway's");
    }
}
