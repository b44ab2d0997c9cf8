//! The operations that are served: one table of method, path and what each is.
//!
//! Paths are matched raw: nothing is decoded or normalised, so a path that is not exactly an operation's is none. Sources
//! of the table: the vendor's specification, and the released SDK of the newer era for `/workflows`.

use hyper::{Method, Uri};

use super::is_uuid;

/// Why a request is no call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No operation has this path.
    #[error("no such operation here; this gateway serves {}, below / and below /agents/v2", served())]
    Path,
    /// The path is an operation's but for an id.
    #[error("{name} in the path must be a hyphenated 36-character uuid")]
    Id {
        /// The parameter's name in the specification.
        name: &'static str,
    },
    /// The operation's path, with another method.
    #[error("this operation takes {allow}")]
    Method {
        /// What `Allow` says.
        allow: String,
    },
    /// A query where the operation has none.
    #[error("this operation takes no query string")]
    Query,
}

/// Something a caller can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Start an execution of an agent; costs money.
    AgentExecute,
    /// Start an execution of a workflow, as the newer era calls an agent; costs money.
    WorkflowExecute,
}

/// One row of the table.
struct Row {
    method: Method,
    /// The path below the base.
    path: &'static [Segment],
    /// The same as one text.
    template: &'static str,
    /// The specification's `operationId`; where it has no such operation, made like those.
    name: &'static str,
    starts_execution: bool,
}

/// What stands between two slashes.
enum Segment {
    /// This word.
    Word(&'static str),
    /// An id, under its name in the specification.
    Id(&'static str),
}

/// More segments than any operation's path has.
const SEGMENTS: usize = 8;

impl Operation {
    /// Every one, in the order of their numbers.
    pub const ALL: [Operation; 2] = [Operation::AgentExecute, Operation::WorkflowExecute];

    fn row(self) -> Row {
        match self {
            Operation::AgentExecute => Row {
                method: Method::POST,
                path: &[Segment::Word("agents"), Segment::Id("agentId"), Segment::Word("execute")],
                template: "/agents/{agentId}/execute",
                name: "AgentExecutePost",
                starts_execution: true,
            },
            Operation::WorkflowExecute => Row {
                method: Method::POST,
                path: &[Segment::Word("workflows"), Segment::Id("workflowId"), Segment::Word("execute")],
                template: "/workflows/{workflowId}/execute",
                name: "WorkflowExecutePost",
                starts_execution: true,
            },
        }
    }

    /// The name that the log uses.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Returns the name of the operation that idempotency keys belong to. The two eras call the same thing an agent and a
    /// workflow, so a retry by the other path is a retry.
    #[must_use]
    pub fn idempotency_name(self) -> &'static str {
        match self {
            Operation::AgentExecute | Operation::WorkflowExecute => Operation::AgentExecute.name(),
        }
    }

    /// The operation of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Operation> {
        Operation::ALL.into_iter().find(|operation| operation.name() == name)
    }

    /// Its path below the base with the names of its ids, as the specification writes it.
    #[must_use]
    pub fn template(self) -> &'static str {
        self.row().template
    }

    /// Its method.
    #[must_use]
    pub fn method(self) -> Method {
        self.row().method
    }

    /// The target of a call, as a caller writes it below `/`.
    ///
    /// # Errors
    ///
    /// [`Error::Id`].
    pub fn target(self, id: &str) -> Result<Uri, Error> {
        let mut path = String::new();
        for segment in self.row().path {
            path.push('/');
            path.push_str(match segment {
                Segment::Word(word) => word,
                Segment::Id(_) if is_uuid(id) => id,
                Segment::Id(name) => return Err(Error::Id { name }),
            });
        }
        path.parse().map_err(|_| Error::Path)
    }

    /// Whether it starts an execution, which costs money.
    #[must_use]
    pub fn starts_execution(self) -> bool {
        self.row().starts_execution
    }
}

/// One operation, asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call<'a> {
    /// Which.
    pub operation: Operation,
    /// The first id in the path, as sent.
    pub id: &'a str,
    /// The path below the base, without the first slash: the operation's own words, and ids that are uuids.
    path: &'a str,
}

impl Call<'_> {
    /// Whether the path below the upstream's base is the caller's own, byte by byte.
    #[must_use]
    pub fn leaves_as(&self, base: &str, sent: &str) -> bool {
        sent.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')) == Some(self.path)
    }

    /// The path below the upstream's base, with its ids as they were sent.
    #[must_use]
    pub fn path(&self, base: &str) -> String {
        [base, "/", self.path].concat()
    }
}

/// Finds the operation of a request.
///
/// # Errors
///
/// [`Error::Path`], [`Error::Method`], [`Error::Id`], [`Error::Query`].
pub fn select<'a>(method: &Method, target: &'a Uri) -> Result<Call<'a>, Error> {
    let call = find(method, target.path())?;
    if target.query().is_some() { Err(Error::Query) } else { Ok(call) }
}

fn find<'a>(method: &Method, path: &'a str) -> Result<Call<'a>, Error> {
    let path = below_mount(path).ok_or(Error::Path)?;
    let mut segments = [""; SEGMENTS];
    let mut count = 0;
    for segment in path.split('/') {
        *segments.get_mut(count).ok_or(Error::Path)? = segment;
        count += 1;
    }
    let segments = segments.get(..count).unwrap_or_default();
    let at_path = || Operation::ALL.into_iter().filter(|operation| is_path_of(operation.row().path, segments));
    let Some(operation) = at_path().find(|operation| operation.row().method == *method) else {
        let allow: Vec<String> = at_path().map(|operation| operation.row().method.to_string()).collect();
        return Err(if allow.is_empty() { Error::Path } else { Error::Method { allow: allow.join(", ") } });
    };
    let mut first = None;
    for (segment, &id) in operation.row().path.iter().zip(segments) {
        let Segment::Id(name) = segment else { continue };
        if !is_uuid(id) {
            return Err(Error::Id { name });
        }
        first = first.or(Some(id));
    }
    Ok(Call { operation, id: first.unwrap_or_default(), path })
}

fn is_path_of(template: &[Segment], path: &[&str]) -> bool {
    let fits = |(segment, written): (&Segment, &&str)| match segment {
        Segment::Word(word) => word == written,
        Segment::Id(_) => true,
    };
    template.len() == path.len() && template.iter().zip(path).all(fits)
}

/// What is served, for those who asked for something else.
fn served() -> String {
    Operation::ALL.map(|operation| format!("{} {}", operation.method(), operation.template())).join(" and ")
}

/// The path below `/` or `/agents/v2/`, the bases of the two eras of the SDK.
///
/// Either may be followed by a second slash: the SDK of the specification's era makes one where its base URL ends in one.
fn below_mount(path: &str) -> Option<&str> {
    let path = path.strip_prefix("/agents/v2").filter(|rest| rest.starts_with('/')).unwrap_or(path);
    let path = path.strip_prefix('/')?;
    Some(path.strip_prefix('/').unwrap_or(path))
}

#[cfg(test)]
mod tests {
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
                assert_eq!((call.operation, call.id), (operation, ID), "{path}");
                assert_eq!(operation.target(ID).unwrap().to_string(), format!("/{kind}/{ID}/execute"));
                assert_eq!(call.path("/base"), format!("/base/{kind}/{ID}/execute"), "{path}");
            }
        }
    }

    #[test]
    fn an_operation_that_starts_an_execution_is_known_as_one() {
        for operation in Operation::ALL {
            let executes = matches!(operation.row().path.last(), Some(Segment::Word("execute")));
            assert_eq!(operation.starts_execution(), executes);
        }
    }

    #[test]
    fn each_template_is_its_path() {
        for (at, operation) in Operation::ALL.into_iter().enumerate() {
            let shown = |segment: &Segment| match segment {
                Segment::Word(word) => format!("/{word}"),
                Segment::Id(name) => format!("/{{{name}}}"),
            };
            assert_eq!(operation.template(), operation.row().path.iter().map(shown).collect::<String>());
            assert_eq!(operation as usize, at);
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
            format!("/agents/{ID}/execute/sync"),
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
            format!("/workflows/{ID}/execute/sync"),
            format!("/workflows/{ID}/versions/{ID}/execute"),
            format!("/agents/{ID}/workflows/{ID}/execute"),
            format!("/executions/{ID}/execute"),
        ];
        for path in refused {
            assert!(matches!(selected(&path), Err(Error::Path)), "{path}");
        }
        let message = Error::Path.to_string();
        let served = "POST /agents/{agentId}/execute and POST /workflows/{workflowId}/execute, below";
        assert!(message.contains(served), "{message}");
    }

    #[test]
    fn an_id_that_is_no_hyphenated_uuid_is_named() {
        let decorated = ["%00", "%20", ";v=1", "\\", "%2e", "%2Fx", "0"].map(|behind| format!("{ID}{behind}"));
        let refused = ["", ".", "..", "%2e%2e", "%252e%252e", "x", &ID.replace('-', ""), &ID.replace('d', "g")];
        let encoded = [ID.replace('8', "%38"), format!("{{{ID}}}"), format!("..\\{ID}")];
        for id in refused.into_iter().chain(decorated.iter().chain(&encoded).map(String::as_str)) {
            for (kind, parameter, initial) in [("agents", "agentId", 'A'), ("workflows", "workflowId", 'W')] {
                let path = format!("/{kind}/{id}/execute");
                assert!(matches!(selected(&path), Err(Error::Id { name }) if name == parameter), "{path}");
                let operation = Operation::ALL.into_iter().find(|known| known.name().starts_with(initial)).unwrap();
                assert!(matches!(operation.target(id), Err(Error::Id { name }) if name == parameter), "{id}");
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
}
