//! Tests of the table of operations, and of the paths that are none of theirs.

use super::*;

const ID: &str = "8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";

fn selected(path: &str) -> Result<Call<'_>, Error> {
    find(&Method::POST, path)
}

#[test]
fn each_operation_is_found_below_both_bases_also_with_the_second_slash_that_a_base_url_with_one_makes() {
    for (kind, operation) in [("agents", Operation::AgentExecute), ("workflows", Operation::WorkflowExecute)] {
        for base in ["", "/", "/agents/v2", "/agents/v2/"] {
            let path = format!("{base}/{kind}/{ID}/execute");
            let call = selected(&path).unwrap();
            assert_eq!((call.operation, call.ids[0].unwrap().text), (operation, ID), "{path}");
            assert_eq!(operation.target(&[ID]).unwrap().to_string(), format!("/{kind}/{ID}/execute"));
            assert_eq!(call.path("/base"), format!("/base/{kind}/{ID}/execute"), "{path}");
        }
    }
}

#[test]
fn each_operation_has_its_number_and_is_found_at_its_template() {
    for (at, operation) in Operation::ALL.into_iter().enumerate() {
        assert_eq!(operation as usize, at);
        let Rules { method, template, name, effect, part, .. } = operation.rules();
        let names = Operation::ALL.into_iter().filter(|other| other.name() == *name);
        assert_eq!(names.count(), 1, "{name}");
        let starts = ["/execute", "/execute/sync", "/rerun"].iter().any(|end| template.ends_with(end));
        assert_eq!(*effect == Effect::Start, starts, "{name}");
        assert_eq!(*effect == Effect::Read, *method == Method::GET, "{name}");
        let path = template.split('/').map(|segment| if segment.starts_with('{') { ID } else { segment });
        let plain = path.collect::<Vec<_>>().join("/");
        let bases: &[&str] = if *part == Part::V1 { &["/api/v1"] } else { &["", "/", "/agents/v2", "/agents/v2/"] };
        for base in bases {
            let path = format!("{base}{plain}");
            let call = find(method, &path).unwrap();
            assert_eq!((call.operation, call.path("/base")), (operation, format!("/base{plain}")), "{path}");
        }
        let ids: Vec<&str> = template.split('/').filter_map(IdName::of_parameter).map(|_| ID).collect();
        assert_eq!(operation.target(&ids).unwrap(), format!("{}{plain}", part.mount()).as_str(), "{name}");
        assert!(operation.target(&[ID; 3]).is_err() && (ids.is_empty() || operation.target(&[]).is_err()), "{name}");
    }
}

#[test]
fn an_id_is_taken_in_any_case_and_goes_out_as_it_was_sent() {
    let id = "8D0F7A52-1c5e-4b8e-9f59-2F6F1F0A7C11";
    let path = format!("/agents/{id}/execute");
    assert_eq!(selected(&path).unwrap().path("/base"), format!("/base/agents/{id}/execute"));
}

#[test]
fn a_path_that_is_not_exactly_an_operations_is_none() {
    let refused = [
        "*".to_owned(),
        "/".to_owned(),
        String::new(),
        format!("agents/{ID}/execute"),
        format!("///agents/{ID}/execute"),
        format!("/agents/{ID}/execute/"),
        format!("/agents/{ID}//execute"),
        format!("/agents/{ID}/Execute"),
        format!("/agents/{ID}/%65xecute"),
        format!("/agents/{ID}/x/../execute"),
        format!("/agents/{ID}/execute;v=1"),
        format!("/agents/v2x/agents/{ID}/execute"),
        format!("/agents/v2/../agents/{ID}/execute"),
        format!("/agents/v2/agents/v2/agents/{ID}/execute"),
        format!("/agents\\{ID}\\execute"),
        format!("/team-a/agents/v2/agents/{ID}/execute"),
        format!("/agents/{ID}/..%2fexecute"),
        format!("/agents/{ID}/%2e%2e/{ID}/execute"),
        format!("/agents/{ID}/%252e%252e/execute"),
        format!("/agents/{ID}%2Fexecute"),
        format!("/agents/{ID}/execute%00"),
        format!("/agents/{ID}/execute%20"),
        format!("/agents%2f{ID}/execute"),
        format!("/agents/./{ID}/execute"),
        format!("/%61gents/{ID}/execute"),
        format!("/agents/v2/%2e%2e/v2/agents/{ID}/execute"),
        format!("/agents;v=2/{ID}/execute"),
        format!("/Agents/{ID}/execute"),
        format!("/workflows/{ID}/execute/"),
        format!("/executions/{ID}/execute"),
        format!("/workflows/{ID}/execute/async"),
        format!("/workflows/{ID}/workflows/{ID}/execute"),
        format!("/agents/{ID}/versions/{ID}/execute"),
        format!("/agents/{ID}/workflows/{ID}/execute/sync"),
        format!("/executions/{ID}/files/{ID}"),
        format!("/executions/{ID}/trace-files/{ID}/download"),
        "/temp-files/".to_owned(),
        format!("/executions/{ID}/cancel/"),
        format!("/executions/{ID}/Cancel"),
        format!("/execution/{ID}/status"),
        format!("/agents/v2/api/v1/execution/{ID}/status"),
        format!("/api/v1//execution/{ID}/status"),
        format!("/api/v1/agent/{ID}"),
        format!("/api/v1/executions/{ID}/cancel"),
    ];
    for path in refused {
        assert!(matches!(selected(&path), Err(Error::NotServed { .. } | Error::Id(_))), "{path}");
    }
}

#[test]
fn what_is_not_served_is_named_and_not_taken_for_an_execution_that_is_gone() {
    let path = format!("/executions/{}\n{}", "x".repeat(300), "y/z");
    let message = find(&Method::PATCH, &path).unwrap_err().to_string();
    assert!(message.starts_with("this gateway does not serve PATCH \"/executions/xxx"), "{message}");
    assert!(message.len() < 600 && !message.contains("not found") && !message.contains('\n'), "{message}");
    let message = find(&Method::POST, "/a\nb").unwrap_err().to_string();
    assert!(message.contains(r#""/a\nb""#), "{message}");
}

#[test]
fn an_id_that_is_no_hyphenated_uuid_is_named() {
    let decorated = ["%00", "%20", ";v=1", "\\", "%2e", "%2Fx", "0"].map(|behind| format!("{ID}{behind}"));
    let refused = ["", ".", "..", "%2e%2e", "%252e%252e", "x", &ID.replace('-', ""), &ID.replace('d', "g")];
    let encoded = [ID.replace('8', "%38"), format!("{{{ID}}}"), format!("..\\{ID}")];
    for id in refused.into_iter().chain(decorated.iter().chain(&encoded).map(String::as_str)) {
        for (kind, parameter, initial) in [("agents", "agentId", 'A'), ("workflows", "workflowId", 'W')] {
            let path = format!("/{kind}/{id}/execute");
            assert!(matches!(selected(&path), Err(Error::Id(name)) if name.name() == parameter), "{path}");
            let operation = Operation::ALL.into_iter().find(|known| known.name().starts_with(initial)).unwrap();
            assert!(matches!(operation.target(&[id]), Err(Error::Id(name)) if name.name() == parameter), "{id}");
        }
    }
}

#[test]
fn another_method_is_told_which_one_is_taken() {
    let path = format!("/agents/{ID}/execute");
    for method in [Method::GET, Method::PUT, Method::HEAD, Method::OPTIONS, Method::CONNECT] {
        let refused = find(&method, &path);
        assert!(matches!(refused, Err(Error::Method { allow }) if allow == "POST"), "{method}");
    }
}
