//! `traceparent` and `tracestate`: a context is read as the specification says, and is the same when it is written and read
//! again. A gateway without traces forwards the caller's headers as they were received, or none.

use asteroid_gateway::facts::trace_context::{Context, PARENT};
use asteroid_gateway::trace::{QueryOrigin, Trace};
use asteroid_gateway::transport::endpoint::Scheme;
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Request};

use super::head;

pub(crate) fn check(input: &[u8]) {
    let Some(head) = head::parse(input) else { return };
    let context = Context::of(&head.headers);
    let mut parents = head.headers.get_all(PARENT).iter().map(HeaderValue::as_bytes);
    let expected = match (parents.next(), parents.next()) {
        (Some(parent), None) => read_again(parent),
        _ => None,
    };
    assert_eq!(context.as_ref().map(written), expected);

    let trace = Trace::of(None, Scheme::Http, &head);
    let mut request = Request::new(());
    trace.pass_on(&head.headers, QueryOrigin::Caller, &mut request);
    assert_eq!(trace.id().map(|id| id.to_string()), context.map(|context| context.trace_id.to_string()));
    if let Some(context) = context {
        assert_eq!(*request.headers(), Trace::context_of(&head.headers), "a valid context is forwarded as it came");
        assert_eq!(parsed(&context), Some(context));
        let sibling = context.sibling();
        assert_eq!(parsed(&sibling), Some(sibling));
        assert!(sibling.trace_id == context.trace_id && sibling.flags == context.flags);
        assert!(sibling.span_id != context.span_id);
    } else {
        assert!(request.headers().is_empty(), "no part of an invalid context is forwarded");
    }
    assert_eq!(Trace::context_of(&head.headers), only(&head.headers, &["traceparent", "tracestate"]));
}

fn written(context: &Context) -> String {
    context.header_value().to_str().expect("it is ASCII").to_owned()
}

fn parsed(context: &Context) -> Option<Context> {
    Context::of(&HeaderMap::from_iter([(PARENT, context.header_value())]))
}

/// Returns the value that the gateway writes for a `traceparent` (<https://www.w3.org/TR/trace-context-2/>, section 3.2):
/// version 00, with only the two known flags.
fn read_again(value: &[u8]) -> Option<String> {
    // A later version may have any further bytes.
    let value = String::from_utf8_lossy(value);
    let fields: Vec<&str> = value.split('-').collect();
    let [version, trace, span, flags, ref later @ ..] = fields[..] else { return None };
    let is_lower_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_zero = |text: &str| text.bytes().all(|byte| byte == b'0');
    let has_shape = [version, trace, span, flags].map(str::len) == [2, 32, 16, 2]
        && [version, trace, span, flags].into_iter().all(is_lower_hex)
        && !is_zero(trace)
        && !is_zero(span);
    let is_version = version != "ff" && (version != "00" || later.is_empty());
    let flags = u8::from_str_radix(flags, 16).ok()? & 3;
    (has_shape && is_version).then(|| format!("00-{trace}-{span}-{flags:02x}"))
}

fn only(headers: &HeaderMap, names: &[&str]) -> HeaderMap {
    let fields = headers.iter().filter(|(name, _)| names.contains(&name.as_str()));
    fields.map(|(name, value)| (name.clone(), value.clone())).collect()
}
