//! The operation of a request: for any method and target, `select` agrees with a second implementation, which splits the
//! templates. The outgoing path is the template with the ids as they were received.

use asteroid_gateway::asteroid::operation::{Error, Operation, Part, select};
use hyper::{Method, Uri};
use uuid::Uuid;

use super::head;

/// The bases under which callers find the operations, the longest first: those of both eras, each also with the second slash
/// that a client adds to a base URL which ends in one.
const BASES: [&str; 4] = ["/agents/v2//", "/agents/v2/", "//", "/"];

/// The base of v1.
const V1: &str = "/api/v1/";

pub(crate) fn check(input: &[u8]) {
    let Some(head) = head::parse(input) else { return };
    let (method, uri) = (&head.method, &head.uri);
    match (select(method, uri), read_again(method, uri)) {
        (Ok(call), Ok((operation, ids))) => {
            let found: Vec<&str> = call.ids.iter().flatten().map(|id| id.text).collect();
            assert_eq!((call.operation, &found), (operation, &ids));
            assert_eq!(call.query, uri.query());
            for base in ["", "/base"] {
                let sent = format!("{base}{}", filled(operation.template(), &ids));
                assert_eq!(call.path(base), sent);
                assert_eq!(call.matches_target(base, uri.path()), sent == uri.path());
            }
            let base = if operation.rules().part == Part::V1 { V1 } else { "" };
            let again = call.path(base.trim_end_matches('/')).parse().expect("a path of words and uuids is one");
            assert_eq!(select(method, &again).expect("what leaves is a call").operation, operation);
        }
        (Err(Error::NotServed { .. }), Err(Refusal::Path)) | (Err(Error::Id(_)), Err(Refusal::Id)) => {}
        (Err(Error::Method { allow }), Err(Refusal::Method(methods))) => assert_eq!(allow, methods.join(", ")),
        (selected, expected) => panic!("{method} {uri} is {selected:?}, and should be {expected:?}"),
    }
}

#[derive(Debug)]
enum Refusal {
    Path,
    Method(Vec<String>),
    Id,
}

fn read_again<'u>(method: &Method, uri: &'u Uri) -> Result<(Operation, Vec<&'u str>), Refusal> {
    let is_v1 = uri.path().starts_with(V1);
    let bases = if is_v1 { &[V1][..] } else { &BASES };
    let path = bases.iter().find_map(|base| uri.path().strip_prefix(base)).ok_or(Refusal::Path)?;
    let in_part = Operation::ALL.into_iter().filter(|operation| (operation.rules().part == Part::V1) == is_v1);
    let ids_of = |operation: Operation| Some((operation, ids(operation.template(), path)?));
    let found: Vec<_> = in_part.filter_map(ids_of).collect();
    if found.is_empty() {
        return Err(Refusal::Path);
    }
    let methods = found.iter().map(|(operation, _)| operation.rules().method.to_string()).collect();
    let call =
        found.into_iter().find(|(operation, _)| operation.rules().method == *method).ok_or(Refusal::Method(methods))?;
    if !call.1.iter().all(|id| id.len() == 36 && Uuid::try_parse(id).is_ok()) { Err(Refusal::Id) } else { Ok(call) }
}

/// Returns the segments of a path in place of a template's ids, if the path has the template's words.
fn ids<'p>(template: &str, path: &'p str) -> Option<Vec<&'p str>> {
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').skip(1).collect(), path.split('/').collect());
    if template.len() != path.len() {
        return None;
    }
    let (ids, words): (Vec<_>, Vec<_>) = template.into_iter().zip(path).partition(|(name, _)| name.starts_with('{'));
    words.iter().all(|(word, sent)| word == sent).then(|| ids.into_iter().map(|(_, id)| id).collect())
}

/// Returns the template with these ids.
fn filled(template: &str, ids: &[&str]) -> String {
    let mut ids = ids.iter();
    let segments = template.split('/').map(|name| match name.starts_with('{') {
        true => *ids.next().expect("there is an id for each name"),
        false => name,
    });
    segments.collect::<Vec<_>>().join("/")
}
