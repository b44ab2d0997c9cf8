//! W3C Trace Context: reads and writes `traceparent`. `tracestate` is passed on unread.
//!
//! A later version of <https://www.w3.org/TR/trace-context/> is read as if it were version 00.

use std::fmt;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use uuid::Uuid;

/// `traceparent`: the caller's place in a trace.
pub const PARENT: HeaderName = HeaderName::from_static("traceparent");
/// `tracestate`: what vendors add to it; means nothing without one.
pub const STATE: HeaderName = HeaderName::from_static("tracestate");

/// The length of version 00, in bytes.
const LENGTH: usize = 55;
const SAMPLED: u8 = 1;
/// Level 2 of the specification: the trace's id is random. Passed on; all other flags are not to be.
const RANDOM: u8 = 2;

/// The id of a trace: not all zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

/// The id of a span: not all zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SpanId([u8; 8]);

/// A span's place in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// Whether the trace is sampled, and whether its id is random.
    pub flags: u8,
}

impl Context {
    /// Returns the context that a caller sent; none if it is absent, invalid or came more than once.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Context> {
        let mut values = headers.get_all(PARENT).iter();
        let value = values.next()?;
        if values.next().is_some() { None } else { Context::parse(value.as_bytes()) }
    }

    fn parse(value: &[u8]) -> Option<Context> {
        let (known, rest) = value.split_at_checked(LENGTH)?;
        let mut fields = known.split(|byte| *byte == b'-');
        let [version] = bytes(fields.next()?)?;
        let context = Context {
            trace_id: TraceId(bytes(fields.next()?)?),
            span_id: SpanId(bytes(fields.next()?)?),
            flags: bytes::<1>(fields.next()?)?[0] & (SAMPLED | RANDOM),
        };
        let ends = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest.starts_with(b"-"),
        };
        let valid = ends && context.trace_id.0 != [0; 16] && context.span_id.0 != [0; 8];
        valid.then_some(context)
    }

    /// Returns the first span of a new trace. It is sampled if `chosen` returns true for the 56 random bits of the trace's id.
    #[must_use]
    pub fn begin(chosen: impl FnOnce(u64) -> bool) -> Context {
        // The last seven bytes of a uuid are random throughout, as level 2 of the specification asks.
        let trace_id = Uuid::new_v4();
        let random = random_part(trace_id);
        let flags = RANDOM | if chosen(random) { SAMPLED } else { 0 };
        Context { trace_id: TraceId(trace_id.into_bytes()), span_id: SpanId::new(), flags }
    }

    /// Returns what `chosen` says of 56 bits that the gateway draws itself, since a caller chooses its trace's id.
    #[must_use]
    pub fn draw(chosen: impl FnOnce(u64) -> bool) -> bool {
        chosen(random_part(Uuid::new_v4()))
    }

    /// Returns a new span of the same trace.
    #[must_use]
    pub fn sibling(&self) -> Context {
        Context { span_id: SpanId::new(), ..*self }
    }

    /// Returns whether the trace is to be recorded.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Returns the value of `traceparent`.
    #[must_use]
    pub fn header_value(&self) -> HeaderValue {
        let mut value = Vec::with_capacity(LENGTH);
        for field in [&[0][..], &self.trace_id.0, &self.span_id.0, &[self.flags]] {
            value.extend(field.iter().flat_map(|byte| digits(*byte)));
            value.push(b'-');
        }
        value.truncate(LENGTH);
        // Digits and hyphens: the fallback is never seen.
        HeaderValue::from_maybe_shared(Bytes::from(value)).unwrap_or(HeaderValue::from_static(""))
    }
}

impl TraceId {
    /// Returns the id in lower-case hexadecimal. Without `fmt`, as this is on the hot path.
    #[must_use]
    pub fn text(&self) -> [u8; 32] {
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&digits(byte));
        }
        text
    }

    /// Returns the id as OTLP carries it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl SpanId {
    fn new() -> SpanId {
        // The bits that are fixed in one half of a uuid are random in the other.
        let (high, low) = Uuid::new_v4().as_u64_pair();
        SpanId((high ^ low).max(1).to_be_bytes())
    }

    /// Returns the id as OTLP carries it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

/// Returns the last seven bytes.
fn random_part(id: Uuid) -> u64 {
    id.as_u64_pair().1 << 8 >> 8
}

fn digits(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|nibble| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 })
}

/// Reads exactly `N` bytes in lower-case hexadecimal. Upper case is invalid here.
fn bytes<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let &[high, low] = pair else { return None };
        *byte = nibble(high)? << 4 | nibble(low)?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn of(values: &[&str]) -> Option<String> {
        let headers = values.iter().map(|value| (PARENT, HeaderValue::from_str(value).unwrap()));
        let context = Context::of(&headers.collect())?;
        Some(context.header_value().to_str().unwrap().to_owned())
    }

    #[test]
    fn a_valid_context_is_read_and_written_as_it_was_but_for_flags_that_nobody_knows() {
        assert_eq!(of(&[VALID]).as_deref(), Some(VALID));
        for (sent, flags) in [("00", "00"), ("02", "02"), ("03", "03"), ("ff", "03"), ("fd", "01"), ("08", "00")] {
            let other = |flags| VALID.replace("-01", &format!("-{flags}"));
            assert_eq!(of(&[&other(sent)]), Some(other(flags)));
        }
        let context = Context::parse(VALID.as_bytes()).unwrap();
        assert_eq!(std::str::from_utf8(&context.trace_id.text()), Ok(context.trace_id.to_string().as_str()));
    }

    #[test]
    fn a_later_version_is_read_as_the_first() {
        for later in [VALID.replacen("00", "01", 1), format!("{}-what-comes", VALID.replacen("00", "fe", 1))] {
            assert_eq!(of(&[&later]).as_deref(), Some(VALID));
        }
    }

    #[test]
    fn what_is_invalid_or_comes_twice_is_none() {
        for invalid in [
            "",
            "00",
            VALID.strip_prefix('0').unwrap(),
            &VALID.to_uppercase(),
            &VALID.replacen("00", "ff", 1),
            &VALID.replacen("00", "0g", 1),
            &VALID.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &VALID.replace("b7ad6b7169203331", &"0".repeat(16)),
            &VALID.replace('-', "_"),
            &VALID.replace("-b7", "b-7"),
            &VALID.replace("-01", "-0x"),
            &format!("{VALID}-"),
            &format!("{VALID}0"),
            &format!("{}0", VALID.replacen("00", "01", 1)),
            &format!(" {VALID}"),
        ] {
            assert_eq!(of(&[invalid]), None, "{invalid}");
        }
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[VALID, VALID]), None);
    }

    #[test]
    fn new_ids_are_new_and_the_random_part_decides() {
        let (one, two) = (Context::begin(|_| true), Context::begin(|random| random >> 56 != 0));
        assert!(one.is_sampled() && !two.is_sampled());
        assert!(one.trace_id != two.trace_id && one.span_id != two.span_id);
        let next = one.sibling();
        assert!(next.trace_id == one.trace_id && next.span_id != one.span_id && next.flags == one.flags);
        assert_eq!(Context::parse(one.header_value().as_bytes()), Some(one));
    }
}
