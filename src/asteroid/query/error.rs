//! The refusals of a query string.

use std::fmt;

use super::{MAX_LENGTH, MAX_PARAMETERS};

/// The beginning of a text that a caller sent; displayed in quotes and escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    /// The most bytes that are kept.
    const MAX: usize = 80;

    pub(super) fn new(text: &str) -> Excerpt {
        Excerpt(text.get(..text.floor_char_boundary(Self::MAX)).unwrap_or_default().to_owned())
    }
}

impl Error {
    /// Returns its text for the log: with the names of parameters, and without a value that a caller sent.
    #[must_use]
    pub fn logged(&self) -> String {
        let hidden = || Excerpt("...".to_owned());
        let shown = match self {
            // The excerpt may be a name or a value.
            Error::Plus(_) => Error::Plus(hidden()),
            Error::Percent(_) => Error::Percent(hidden()),
            Error::Utf8(_) => Error::Utf8(hidden()),
            Error::Control(_) => Error::Control(hidden()),
            Error::Value { name, rule, .. } => Error::Value { name, rule: rule.clone(), found: hidden() },
            Error::AlikeTag(_) => Error::AlikeTag(hidden()),
            Error::Organization(_) => Error::Organization(hidden()),
            Error::NoneTaken
            | Error::TooLong
            | Error::TooMany
            | Error::NotTaken { .. }
            | Error::Unknown(_)
            | Error::Spelling { .. }
            | Error::Era(_)
            | Error::Repeated(_)
            | Error::HalfPair
            | Error::OneFilter
            | Error::Tag(_) => return self.to_string(),
        };
        shown.to_string()
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}", self.0)
    }
}

/// The reason why a query string is refused. Its text is for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The operation takes no query string.
    #[error("this operation takes no query string; leave it out")]
    NoneTaken,
    /// It is too long, as received or as it would be sent.
    #[error("the query string has more than {MAX_LENGTH} bytes, encoded; send fewer or shorter parameters")]
    TooLong,
    /// It has too many parameters.
    #[error("the query string has more than {MAX_PARAMETERS} parameters; send fewer")]
    TooMany,
    /// A name or a value has a plus that is not encoded.
    #[error(
        "the query string has a plus in {0}, which some read as a plus and some as a space; write %2B for a plus, %20 for a space"
    )]
    Plus(Excerpt),
    /// A percent sign begins no escape.
    #[error("the query string has a % without two hexadecimal digits after it in {0}; write %25 for a percent sign")]
    Percent(Excerpt),
    /// A name or a value is not UTF-8.
    #[error("the query string has bytes that are not UTF-8 in {0}; percent-encode the bytes of UTF-8")]
    Utf8(Excerpt),
    /// A name or a value has a control character.
    #[error("the query string has a control character in {0}; leave it out")]
    Control(Excerpt),
    /// The operation takes other parameters.
    #[error("the query parameter {name} does not belong to this operation, which takes only {taken}; leave {name} out")]
    NotTaken {
        /// The name that came.
        name: Excerpt,
        /// The names that the operation takes.
        taken: String,
    },
    /// A listing has a parameter that is not known.
    #[error(
        "the query parameter {0} is not known, so it might be ignored; leave it out, or have the operator of this gateway add it to \
         `list_parameters`"
    )]
    Unknown(Excerpt),
    /// A name looks like that of a known parameter.
    #[error("the query parameter {name} must be spelled exactly: {known}")]
    Spelling {
        /// The name that came.
        name: Excerpt,
        /// The name that it looks like.
        known: &'static str,
    },
    /// The upstream is of the older era, and the parameter of the newer one.
    #[error(
        "the query parameter {0} belongs to the newer era of the API, and the upstream of this gateway is of the older one, which might \
         ignore it; leave it out. If the upstream is of the newer era, have the operator of this gateway set `upstream.api: new`"
    )]
    Era(&'static str),
    /// A parameter that may be there once is repeated.
    #[error("the query parameter {0} occurs more than once; keep one")]
    Repeated(&'static str),
    /// A value is not what its parameter takes.
    #[error("the query parameter {name} must be {rule}, and is {found}; correct it or leave it out")]
    Value {
        /// The parameter.
        name: &'static str,
        /// The rule for its value.
        rule: String,
        /// The value that came.
        found: Excerpt,
    },
    /// Only one of `metadataKey` and `metadataValue` is there.
    #[error(
        "the query parameters metadataKey and metadataValue must be used together; add the other one, or leave both out"
    )]
    HalfPair,
    /// The caller filters by metadata, and the upstream takes only the gateway's own filter.
    #[error(
        "the upstream of this gateway takes one filter by metadata, and the gateway needs that to list only executions of this \
         tenant; leave metadataKey, metadataValue and metadata out"
    )]
    OneFilter,
    /// The caller filters by the gateway's tag, with another value than its own. The text is the same for all such values.
    #[error(
        "the query filters by {0}, a metadata key that the gateway sets to the tenant of the request, with another value; leave that \
         filter out"
    )]
    Tag(Excerpt),
    /// The caller filters by a metadata key that looks like the gateway's tag.
    #[error(
        "the query filters by metadata in {0}, whose key looks like one that only the gateway sets; leave that filter out"
    )]
    AlikeTag(Excerpt),
    /// The caller names another organisation than the gateway's.
    #[error(
        "organizationId is not the organisation of this gateway, and is {0}; leave it out of the query, or send that of the gateway in the path"
    )]
    Organization(Excerpt),
}
