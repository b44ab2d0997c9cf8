//! The query of a listing, which always filters by the tenant's tag.
//!
//! Where the tag is written depends on what the caller filters by:
//!
//! | caller's filter | to the newer era | to the older era |
//! |---|---|---|
//! | none, or the tag itself | the pair `metadataKey` and `metadataValue` | the pair |
//! | another pair | the caller's pair, and `metadata=tag=tenant` | refused: only one pair fits |
//! | `metadata` | the caller's, and one more | refused: it might be ignored |
//! | the tag with another value | refused | refused |
//!
//! Without a filter of the caller it is the pair in both eras. Servers of both know that, so the tenant's filter holds even if
//! the era is configured wrongly; `metadata` would then perhaps be ignored, and everyone be listed.

use uuid::Uuid;

use super::argument::{self, Argument, Writer};
use super::error::{Error, Excerpt};
use super::parameter::{
    self, Kind, LISTING, METADATA, METADATA_KEY, METADATA_VALUE, ORGANIZATION, PAGE, PAGE_SIZE, Parameter,
};
use crate::asteroid::body::is_alike;
use crate::asteroid::era::Era;
use crate::asteroid::execution::Tag;

/// The upstream's own default.
const DEFAULT_PAGE_SIZE: u32 = 10;

/// The scope of a tenant's listing, and the form in which the upstream takes it.
#[derive(Debug, Clone, Copy)]
pub struct ListingScope<'a> {
    /// The era of the upstream.
    pub era: Era,
    /// The tag that the tenant's executions carry.
    pub tag: Tag<'a>,
    /// The largest page; at least 1.
    pub max_page_size: u32,
    /// The organisation, if it is configured.
    pub organization: Option<Uuid>,
    /// Names of further parameters that pass unread, and may be repeated. None is [reserved](is_reserved).
    pub further: &'a [String],
}

/// Returns whether a name is, or looks like, that of a parameter that the gateway judges itself.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    alike(name).is_some()
}

fn alike(name: &str) -> Option<&'static Parameter> {
    LISTING.iter().find(|parameter| is_alike(parameter.name, name))
}

/// Returns the query to send for a caller's listing: the caller's parameters in their order, then the gateway's.
///
/// # Errors
///
/// If a parameter is not known, repeated or not right, or if the caller filters by metadata in a way that cannot be combined
/// with the tenant's filter.
pub fn listing(query: Option<&str>, scope: &ListingScope<'_>) -> Result<String, Error> {
    let arguments = argument::read(query)?;
    for argument in &arguments {
        check(argument, scope)?;
    }
    parameter::refuse_repeats(&arguments, &LISTING)?;

    let keeps_pair = keeps_pair(&arguments, scope.tag)?;
    let mut has_filter = keeps_pair;
    let mut sent = Writer::default();
    for Argument { name, value } in &arguments {
        let is_kept = match &**name {
            METADATA_KEY | METADATA_VALUE => keeps_pair,
            METADATA => keeps_filter(value, scope.tag)?,
            ORGANIZATION => keeps_organization(value, scope.organization)?,
            _ => true,
        };
        has_filter |= is_kept && name == METADATA;
        if is_kept {
            sent.push(name, value);
        }
    }

    let Tag { name, value } = scope.tag;
    if !has_filter {
        sent.push(METADATA_KEY, name);
        sent.push(METADATA_VALUE, value);
    } else if scope.era == Era::New && !name.contains('=') {
        sent.push(METADATA, &format!("{name}={value}"));
    } else {
        return Err(Error::OneFilter);
    }
    let is_absent = |name: &str| !arguments.iter().any(|argument| argument.name == name);
    if is_absent(PAGE) {
        sent.push(PAGE, "1");
    }
    if is_absent(PAGE_SIZE) {
        sent.push(PAGE_SIZE, &DEFAULT_PAGE_SIZE.min(max_page_size(scope)).to_string());
    }
    if let Some(organization) = scope.organization {
        sent.push(ORGANIZATION, &organization.to_string());
    }
    sent.finish()
}

fn max_page_size(scope: &ListingScope<'_>) -> u32 {
    scope.max_page_size.max(1)
}

fn check(Argument { name, value }: &Argument<'_>, scope: &ListingScope<'_>) -> Result<(), Error> {
    let Some(parameter) = parameter::find(&LISTING, name) else {
        return match alike(name) {
            Some(known) => Err(Error::Spelling { name: Excerpt::new(name), known: known.name }),
            None if scope.further.iter().any(|further| further == name) => Ok(()),
            None => Err(Error::Unknown(Excerpt::new(name))),
        };
    };
    if parameter.since == Era::New && scope.era == Era::Old {
        return Err(Error::Era(parameter.name));
    }
    if parameter.name == PAGE_SIZE {
        return parameter.check_kind(Kind::Integer(1, max_page_size(scope).into()), value);
    }
    parameter.check(value)
}

/// Returns whether the caller's pair is a filter beside the tenant's.
fn keeps_pair(arguments: &[Argument<'_>], tag: Tag<'_>) -> Result<bool, Error> {
    let find = |name: &str| arguments.iter().find(|argument| argument.name == name).map(|argument| &*argument.value);
    match (find(METADATA_KEY), find(METADATA_VALUE)) {
        (None, None) => Ok(false),
        (Some(key), Some(value)) if key == tag.name => {
            if value == tag.value {
                Ok(false)
            } else {
                Err(Error::Tag(Excerpt::new(key)))
            }
        }
        (Some(key), Some(_)) if is_alike(key, tag.name) => Err(Error::AlikeTag(Excerpt::new(key))),
        (Some(_), Some(_)) => Ok(true),
        (Some(_), None) | (None, Some(_)) => Err(Error::HalfPair),
    }
}

/// Returns whether a `key=value` of the caller is a filter beside the tenant's.
///
/// Where the upstream divides it, if there are several equals signs, is not known. A filter is only kept if the tag's name has
/// none, and then only the part before the first can be that name. That part must not even look like it.
fn keeps_filter(filter: &str, tag: Tag<'_>) -> Result<bool, Error> {
    if let Some(value) = filter.strip_prefix(tag.name).and_then(|rest| rest.strip_prefix('=')) {
        return if value == tag.value { Ok(false) } else { Err(Error::Tag(Excerpt::new(tag.name))) };
    }
    if filter.split_once('=').is_some_and(|(key, _)| is_alike(key, tag.name)) {
        return Err(Error::AlikeTag(Excerpt::new(filter)));
    }
    Ok(true)
}

/// Returns whether the caller's organisation is sent: if the gateway has one of its own, that is written instead.
fn keeps_organization(value: &str, own: Option<Uuid>) -> Result<bool, Error> {
    super::check_organization(value, own).map(|()| own.is_none())
}
