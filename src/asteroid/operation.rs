//! The operations that are served: one table of method, path and what each is.
//!
//! Paths are matched raw: nothing is decoded or normalised, so a path that is not exactly an operation's is none. Source
//! of the table: the vendor's specification, paths below `/agents/v2`.

use hyper::{Method, Uri};

/// Why a request is no call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No operation has this path.
    #[error(
        "no such operation here; this gateway serves POST /agents/{{agentId}}/execute, below / and below /agents/v2"
    )]
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
        allow: &'static str,
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
}

/// One operation, asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call<'a> {
    /// Which.
    pub operation: Operation,
    /// The agent's id, as sent.
    pub agent_id: &'a str,
}

impl Operation {
    /// The name that the log uses: the specification's `operationId`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Operation::AgentExecute => "AgentExecutePost",
        }
    }
}

impl Call<'_> {
    /// The path below the upstream's base, built anew; the id stays as it was sent.
    #[must_use]
    pub fn path(&self, base: &str) -> String {
        match self.operation {
            Operation::AgentExecute => [base, "/agents/", self.agent_id, "/execute"].concat(),
        }
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
    let mut segments = below_mount(path).ok_or(Error::Path)?.split('/');
    match (segments.next(), segments.next(), segments.next(), segments.next()) {
        (Some("agents"), Some(agent_id), Some("execute"), None) => {
            if *method != Method::POST {
                return Err(Error::Method { allow: "POST" });
            }
            if !is_uuid(agent_id) {
                return Err(Error::Id { name: "agentId" });
            }
            Ok(Call { operation: Operation::AgentExecute, agent_id })
        }
        _ => Err(Error::Path),
    }
}

/// The path below `/` or `/agents/v2/`, the bases of the two eras of the SDK.
///
/// Either may be followed by a second slash: the SDK of the specification's era makes one where its base URL ends in one.
fn below_mount(path: &str) -> Option<&str> {
    let path = path.strip_prefix("/agents/v2").filter(|rest| rest.starts_with('/')).unwrap_or(path);
    let path = path.strip_prefix('/')?;
    Some(path.strip_prefix('/').unwrap_or(path))
}

/// A hyphenated 36-character uuid, in any case.
fn is_uuid(text: &str) -> bool {
    let hyphen = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    let fits = |(at, byte): (usize, u8)| if hyphen(at) { byte == b'-' } else { byte.is_ascii_hexdigit() };
    text.len() == 36 && text.bytes().enumerate().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";

    fn selected(path: &str) -> Result<Call<'_>, Error> {
        find(&Method::POST, path)
    }

    #[test]
    fn an_execution_is_started_below_both_bases_also_with_the_second_slash_that_a_base_url_with_one_makes() {
        for base in ["", "/", "/agents/v2", "/agents/v2/"] {
            let path = format!("{base}/agents/{ID}/execute");
            assert_eq!(selected(&path).unwrap(), Call { operation: Operation::AgentExecute, agent_id: ID }, "{path}");
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
            format!("/workflows/{ID}/execute"),
        ];
        for path in refused {
            assert!(matches!(selected(&path), Err(Error::Path)), "{path}");
        }
    }

    #[test]
    fn an_id_that_is_no_hyphenated_uuid_is_named() {
        let refused =
            ["", "..", "x", &ID.replace('-', ""), &ID.replace('d', "g"), &format!("{ID}0"), &format!("{{{ID}}}")];
        for id in refused {
            let path = format!("/agents/{id}/execute");
            assert!(matches!(selected(&path), Err(Error::Id { name: "agentId" })), "{path}");
        }
    }

    #[test]
    fn another_method_is_told_which_one_is_taken() {
        let path = format!("/agents/{ID}/execute");
        for method in [Method::GET, Method::PUT, Method::HEAD, Method::OPTIONS, Method::CONNECT] {
            assert!(matches!(find(&method, &path), Err(Error::Method { allow: "POST" })), "{method}");
        }
    }
}
