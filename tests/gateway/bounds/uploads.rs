//! Uploads that are held back.

use crate::harness::metrics::Metrics;
use crate::harness::{Caller, Pair};
use crate::simulated::form::{TYPE, form};

/// How many uploads fit into 3 MiB, each with its head and 512 KiB.
const FIT: usize = 5;

/// Sends the head of an upload of 50 MiB, and its first part without an end.
fn begin(pair: &Pair) -> Caller {
    let (mut caller, body) = (pair.caller(), form(&[("invoice.pdf", b"%PDF")]));
    let head = format!(
        "POST /temp-files HTTP/1.1\r\nHost: {}\r\nContent-Type: {TYPE}\r\nContent-Length: {}\r\n\r\n",
        caller.address(),
        50 << 20
    );
    caller.send(&[head.as_bytes(), &body[..body.len() - 16]].concat());
    caller
}

fn memory(metrics: &Metrics) -> Option<f64> {
    metrics.find("asteroid_gateway_body_memory_bytes", &[])
}

#[test]
fn an_upload_takes_the_same_memory_of_its_tenant_whatever_its_length_and_gives_it_back() {
    let pair = Pair::with("body_memory: 3MiB");
    let held: Vec<Caller> = (0..FIT).map(|_| begin(&pair)).collect();
    let all = 5.0 * 512.0 * 1024.0;
    pair.gateway.wait_for_metrics(|metrics| memory(metrics).is_some_and(|held| held > all), &true);
    let refused = begin(&pair).answer();
    refused.assert_error(503, "body-memory", "not_started");
    assert_eq!(refused.header("retry-after"), Some("1"));
    drop(held);
    pair.gateway.wait_for_metrics(memory, &Some(0.0));
    let upload = form(&[("invoice.pdf", b"%PDF")]);
    assert_eq!(pair.caller().post("/temp-files", &[("Content-Type", TYPE)], &upload).status, 200);
}
