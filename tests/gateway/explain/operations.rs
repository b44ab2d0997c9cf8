//! Every operation can be explained by its name and the ids of its path.

use std::io::ErrorKind;
use std::net::TcpListener;

use asteroid_gateway::asteroid::operation::{BodyRule, Operation};

use super::{explain, request, text};
use crate::harness::{AGENT, API_KEY, Configuration};

const OTHER: &str = "0b0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";

/// Files as a client sends them.
const FORM: &str =
    "--b1\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a.pdf\"\r\n\r\nhello\r\n--b1--\r\n";

/// Returns the options that name an operation with the ids of its path, and its path with these.
fn named(operation: Operation) -> (Vec<&'static str>, String) {
    let mut ids = [AGENT, OTHER].into_iter();
    let (mut options, mut path) = (vec!["--operation", operation.name()], operation.rules().part.mount().to_owned());
    for segment in operation.template().split('/').skip(1) {
        path.push('/');
        if segment.starts_with('{') {
            let id = ids.next().unwrap();
            options.extend(["--id", id]);
            path.push_str(id);
        } else {
            path.push_str(segment);
        }
    }
    (options, path)
}

fn all_open() -> Configuration {
    Configuration::for_upstream("http://127.0.0.1:1/agents/v2").with("operations: { rerun: true, delete: true }")
}

#[test]
fn every_operation_is_explained_by_its_name_and_its_ids_as_it_would_be_sent() {
    for operation in Operation::ALL {
        let (options, path) = named(operation);
        let body = match operation.rules().body {
            BodyRule::None => "",
            BodyRule::Files => FORM,
            BodyRule::Status => r#"{"status":"paused"}"#,
            BodyRule::Message => r#"{"message":"Skip page 2"}"#,
            BodyRule::Start | BodyRule::SyncStart | BodyRule::VersionStart | BodyRule::Rerun => "{}",
        };
        let (head, sent) = request(&explain(all_open(), &options, body.as_bytes()));
        let base = if path.starts_with("/api/v1/") { "" } else { "/agents/v2" };
        let line = format!("{} {base}{path}", operation.rules().method);
        assert!(head.starts_with(&line), "{line}: {head}");
        match operation.rules().body {
            BodyRule::Start | BodyRule::SyncStart | BodyRule::VersionStart => {
                assert!(text(&sent).starts_with(r#"{"metadata":{"tenant":"billing""#), "{operation:?}");
            }
            _ => assert_eq!(text(&sent), body, "{operation:?}"),
        }
    }
}

#[test]
fn an_upload_from_standard_input_is_sent_with_the_boundary_of_its_form() {
    let options = ["--operation", "executioncontextfilesupload", "--id", AGENT];
    let (head, body) = request(&explain(all_open(), &options, FORM.as_bytes()));
    assert!(head.contains("content-type: multipart/form-data; boundary=\"b1\""), "{head}");
    assert_eq!(text(&body), FORM);
    for broken in ["no form", "", &FORM[..FORM.len() - 4], &FORM.replace("\"files\"", "\"other\"")] {
        let refused = explain(all_open(), &options, broken.as_bytes());
        assert_eq!(refused.status.code(), Some(1), "{broken:?}");
        assert!(text(&refused.stderr).contains("refused with 400"), "{broken:?}: {}", text(&refused.stderr));
    }
}

#[test]
fn a_start_with_two_ids_is_explained_with_both_and_its_parent_is_taken_for_the_tenant_s_own() {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    upstream.set_nonblocking(true).unwrap();
    let configuration = Configuration::for_upstream(&format!("http://{}", upstream.local_addr().unwrap()));
    for name in ["AgentWorkflowsExecute", "WorkflowVersionsExecute"] {
        let options = ["--operation", name, "--id", AGENT, "--id", OTHER];
        let body = format!(r#"{{"parentExecutionId":"{OTHER}"}}"#);
        let output = explain(&configuration, &options, body.as_bytes());
        assert!(text(&request(&output).1).contains(&body[1..]));
        assert!(text(&output.stdout).contains(&format!("{name} of {AGENT}, {OTHER}")), "{}", text(&output.stdout));
        assert_eq!(upstream.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nothing is asked");
    }
}

#[test]
fn a_rerun_is_explained_without_tags_and_without_a_look_up_by_them() {
    let options = ["--operation", "ExecutionRerun", "--id", AGENT, "--idempotency-key", "k"];
    let recovery = all_open().with("idempotency: { recovery: true }");
    for body in ["", r#"{"inputs":{"n":1.0}}"#] {
        let output = explain(&recovery, &options, body.as_bytes());
        let (head, sent) = request(&output);
        assert_eq!(text(&sent), body);
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        let said = text(&output.stdout);
        assert!(said.contains(&format!("ExecutionRerun of {AGENT}")) && said.contains("taken for the tenant's own"));
        assert!(said.contains("tags          none are written") && !said.contains("tenant=billing"), "{said}");
        assert!(said.contains("a rerun is not looked up") && !said.contains(API_KEY), "{said}");
    }
    let closed = explain(Configuration::smallest(), &options, b"");
    assert_eq!(closed.status.code(), Some(1));
    assert!(text(&closed.stderr).contains("operations.rerun: true"), "{}", text(&closed.stderr));
}
