//! The messages of OTLP that are spoken, with the field numbers of opentelemetry-proto 1.x, which are stable. What the
//! gateway never says is left out.

use bytes::Bytes;
use prost::Message;

/// A batch.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Request {
    /// One: the gateway's.
    #[prost(message, repeated, tag = "1")]
    pub(super) resource_spans: Vec<ResourceSpans>,
}

/// Who says it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ResourceSpans {
    /// The service.
    #[prost(message, optional, tag = "1")]
    pub(super) resource: Option<Resource>,
    /// One: the gateway's.
    #[prost(message, repeated, tag = "2")]
    pub(super) scope_spans: Vec<ScopeSpans>,
}

/// A service.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Resource {
    /// `service.name` and the like.
    #[prost(message, repeated, tag = "1")]
    pub(super) attributes: Vec<KeyValue>,
}

/// What made the spans.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ScopeSpans {
    /// The gateway.
    #[prost(message, optional, tag = "1")]
    pub(super) scope: Option<Scope>,
    /// The spans, each encoded already: on the wire, that is the same.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(super) spans: Vec<Bytes>,
    /// Which semantic conventions the attributes follow.
    #[prost(string, tag = "3")]
    pub(super) schema_url: String,
}

/// A library, here the program.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Scope {
    /// Its name.
    #[prost(string, tag = "1")]
    pub(super) name: String,
    /// Its version.
    #[prost(string, tag = "2")]
    pub(super) version: String,
}

/// One span.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Span {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub(super) trace_id: Vec<u8>,
    /// 8 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub(super) span_id: Vec<u8>,
    /// `tracestate`.
    #[prost(string, tag = "3")]
    pub(super) trace_state: String,
    /// 8 bytes, or none for the first span of a trace.
    #[prost(bytes = "vec", tag = "4")]
    pub(super) parent_span_id: Vec<u8>,
    /// Of few different values.
    #[prost(string, tag = "5")]
    pub(super) name: String,
    /// Which side of an exchange.
    #[prost(enumeration = "Kind", tag = "6")]
    pub(super) kind: i32,
    /// In nanoseconds since 1970.
    #[prost(fixed64, tag = "7")]
    pub(super) start_time_unix_nano: u64,
    /// In nanoseconds since 1970.
    #[prost(fixed64, tag = "8")]
    pub(super) end_time_unix_nano: u64,
    /// What is known.
    #[prost(message, repeated, tag = "9")]
    pub(super) attributes: Vec<KeyValue>,
    /// Whether it failed.
    #[prost(message, optional, tag = "15")]
    pub(super) status: Option<Status>,
    /// The flags of the trace context, and [`HAS_IS_REMOTE`], [`IS_REMOTE`].
    #[prost(fixed32, tag = "16")]
    pub(super) flags: u32,
}

/// It is said whether the parent is another process's.
pub(super) const HAS_IS_REMOTE: u32 = 0x100;
/// The parent is another process's.
pub(super) const IS_REMOTE: u32 = 0x200;

/// Which side of an exchange a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(super) enum Kind {
    /// Not said; never sent.
    Unspecified = 0,
    /// Answers.
    Server = 2,
    /// Asks.
    Client = 3,
}

/// Whether a span failed.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    /// Nothing, or an error.
    #[prost(enumeration = "Code", tag = "3")]
    pub(super) code: i32,
}

/// Whether a span failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(super) enum Code {
    /// Nothing is said.
    Unset = 0,
    /// It failed.
    Error = 2,
}

/// An attribute.
#[derive(Clone, PartialEq, Message)]
pub(super) struct KeyValue {
    /// Its name.
    #[prost(string, tag = "1")]
    pub(super) key: String,
    /// Its value.
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<AnyValue>,
}

/// An attribute's value.
#[derive(Clone, PartialEq, Message)]
pub(super) struct AnyValue {
    /// Its value, which has a type.
    #[prost(oneof = "Value", tags = "1, 2, 3")]
    pub(super) value: Option<Value>,
}

/// The types of values that the gateway has.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Value {
    /// Text.
    #[prost(string, tag = "1")]
    Text(String),
    /// Yes or no.
    #[prost(bool, tag = "2")]
    Flag(bool),
    /// A number.
    #[prost(int64, tag = "3")]
    Number(i64),
}

/// What the collector answers with 200.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Response {
    /// Absent where all was taken.
    #[prost(message, optional, tag = "1")]
    pub(super) partial_success: Option<PartialSuccess>,
}

/// What it did not take.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PartialSuccess {
    /// How many spans.
    #[prost(int64, tag = "1")]
    pub(super) rejected_spans: i64,
    /// Why; or a warning, where none was rejected.
    #[prost(string, tag = "2")]
    pub(super) error_message: String,
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Flag(flag)
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Value {
        Value::Number(number.into())
    }
}

/// An attribute.
#[must_use]
pub(super) fn attribute(key: &str, value: impl Into<Value>) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value.into()) }) }
}
