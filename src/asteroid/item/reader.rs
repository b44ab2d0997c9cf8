//! Reads the members of items and pages that are judged, and skips the others.

use std::ops::Range;

use uuid::Uuid;

use super::{Item, Page, Unreadable};
use crate::asteroid::execution::Tag;
use crate::asteroid::is_uuid;
use crate::json::{Token, Walk};

const ID: &str = "id";
const METADATA: &str = "metadata";
const TRIGGER_CONTEXT: &str = "triggerContext";
const ITEMS: &str = "items";
const PAGE: &str = "page";
const PAGE_SIZE: &str = "pageSize";
const TOTAL: &str = "total";

/// A member that must not occur twice.
struct Member<T> {
    name: &'static str,
    value: Option<T>,
}

impl<T> Member<T> {
    fn new(name: &'static str) -> Self {
        Self { name, value: None }
    }

    fn set(&mut self, value: T) -> Result<(), Unreadable> {
        if self.value.replace(value).is_some() { Err(Unreadable::Repeated(self.name)) } else { Ok(()) }
    }

    fn required(self) -> Result<T, Unreadable> {
        self.value.ok_or(Unreadable::Missing(self.name))
    }
}

/// Reads the page that begins here.
pub(super) fn page(walk: &mut Walk<'_>, body: &[u8], tag: Tag<'_>) -> Result<Page, Unreadable> {
    if !walk.is_object() {
        return Err(Unreadable::Kind("the page", "an object"));
    }
    let mut listed = Member::new(ITEMS);
    let [mut page, mut page_size, mut total] = [PAGE, PAGE_SIZE, TOTAL].map(Member::new);
    walk.object(|walk, name| match name.text() {
        ITEMS => listed.set(items(walk, body, tag)?),
        PAGE => page.set(count(PAGE, &walk.skip()?)?),
        PAGE_SIZE => page_size.set(count(PAGE_SIZE, &walk.skip()?)?),
        TOTAL => total.set(count(TOTAL, &walk.skip()?)?),
        _ => Ok(walk.skip().map(drop)?),
    })?;
    Ok(Page {
        items: listed.required()?,
        page: page.required()?,
        page_size: page_size.required()?,
        total: total.required()?,
    })
}

fn items(walk: &mut Walk<'_>, body: &[u8], tag: Tag<'_>) -> Result<Vec<Item>, Unreadable> {
    if !walk.is_array() {
        return Err(Unreadable::Kind(ITEMS, "an array"));
    }
    let mut items = Vec::new();
    walk.array(|walk| {
        items.push(item(walk, body, tag)?);
        Ok::<_, Unreadable>(())
    })?;
    Ok(items)
}

/// Returns an integer that is not negative, written without fraction and exponent.
fn count(name: &'static str, token: &Token<'_>) -> Result<u64, Unreadable> {
    // Of all values of JSON, only such an integer is one for Rust, too: a string has quotes, and no number a leading plus.
    token.raw().parse().map_err(|_| Unreadable::Kind(name, "an integer of at least 0"))
}

/// Reads the item that begins here.
pub(super) fn item(walk: &mut Walk<'_>, body: &[u8], tag: Tag<'_>) -> Result<Item, Unreadable> {
    if !walk.is_object() {
        return Err(Unreadable::Kind("an item", "an object"));
    }
    let (mut id, mut is_owned, mut trigger_context) =
        (Member::new(ID), Member::new(METADATA), Member::new(TRIGGER_CONTEXT));
    walk.object(|walk, name| match name.text() {
        ID => id.set(uuid(&walk.skip()?)?),
        METADATA => is_owned.set(carries(walk, tag)?),
        TRIGGER_CONTEXT => trigger_context.set(cut(body, name.start()..walk.skip()?.span().end)),
        _ => Ok(walk.skip().map(drop)?),
    })?;
    Ok(Item { id: id.required()?, is_owned: is_owned.value.unwrap_or(false), trigger_context: trigger_context.value })
}

fn uuid(token: &Token<'_>) -> Result<Uuid, Unreadable> {
    let text = token.exact_text().filter(|text| is_uuid(text));
    text.and_then(|text| Uuid::try_parse(&text).ok()).ok_or(Unreadable::Kind(ID, "a hyphenated 36-character uuid"))
}

/// Returns whether the metadata that begins here carries the tag.
fn carries(walk: &mut Walk<'_>, tag: Tag<'_>) -> Result<bool, Unreadable> {
    if !walk.is_object() {
        walk.skip()?;
        return Ok(false);
    }
    let mut carries = Member::new("the tag");
    walk.object(|walk, name| {
        let token = walk.skip()?;
        if name.text() == tag.name { carries.set(token.is_text(tag.value)) } else { Ok(()) }
    })?;
    Ok(carries.value.unwrap_or(false))
}

/// Returns the bytes to cut for a member: with the comma before it, or that after it if it is the first, and all white space
/// between.
fn cut(body: &[u8], member: Range<usize>) -> Range<usize> {
    let (before, rest) = body.split_at_checked(member.start).unwrap_or_default();
    let behind = rest.get(member.len()..).unwrap_or_default();
    if let Some(before) = before.trim_ascii_end().strip_suffix(b",") {
        return before.len()..member.end;
    }
    let comma = behind.trim_ascii_start().strip_prefix(b",");
    member.start..comma.map_or(member.end, |behind| body.len() - behind.len())
}
