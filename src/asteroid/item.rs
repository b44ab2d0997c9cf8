//! Executions in answers that are judged before they are passed on: one execution, or a page of a listing.
//!
//! An answer says itself whose it is, by the tag in an item's `metadata`; no other answer of the API does. An item's
//! `triggerContext` names the API key and the e-mail of its owner, so it is cut. Nothing else of an answer changes.
//!
//! What is judged must be what a caller reads. Of two members with one name, readers differ in which they take, so an answer that
//! repeats one of those that are judged is not readable.

mod reader;

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

use std::ops::Range;

use uuid::Uuid;

use super::execution::Tag;
use crate::json::{Malformed, Walk};

/// The most nested arrays and objects. An execution holds free JSON, such as the result that an agent wrote.
pub const MAX_DEPTH: usize = 512;

/// An execution in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its id.
    pub id: Uuid,
    /// Whether its metadata carries the tag, exactly.
    pub is_owned: bool,
    /// The bytes of its `triggerContext`, if it has one, with one comma. Without them, the rest is JSON.
    pub trigger_context: Option<Range<usize>>,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its items, in their order.
    pub items: Vec<Item>,
    /// The number of the page.
    pub page: u64,
    /// The size of a full page.
    pub page_size: u64,
    /// The number of items of all pages.
    pub total: u64,
}

/// The reason why an answer cannot be judged. It holds no byte of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is not JSON, or is nested too deep.
    #[error("the answer is not JSON {0}")]
    Malformed(#[from] Malformed),
    /// A value is not of the kind that it must have.
    #[error("{0} in the answer must be {1}, and is not")]
    Kind(&'static str, &'static str),
    /// A member is not there.
    #[error("{0} is not in the answer")]
    Missing(&'static str),
    /// A member that is judged occurs twice.
    #[error("{0} is in the answer more than once")]
    Repeated(&'static str),
    /// There are more items than the answer says that there are.
    #[error("total in the answer is less than the number of its items")]
    Total,
    /// There are more of something than are read.
    #[error("{0} in the answer are more than {1}")]
    TooMany(&'static str, usize),
}

impl Unreadable {
    /// Returns its code in the log.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Unreadable::Malformed(_) => "malformed",
            Unreadable::Kind(..) => "kind",
            Unreadable::Missing(_) => "missing",
            Unreadable::Repeated(_) => "repeated",
            Unreadable::Total => "total",
            Unreadable::TooMany(..) => "too_many",
        }
    }
}

impl Page {
    /// Returns how many items do not carry the tag. A listing that was filtered by it has none.
    #[must_use]
    pub fn foreign(&self) -> usize {
        self.items.iter().filter(|item| !item.is_owned).count()
    }

    /// Returns the bytes to cut, in the order of the body.
    #[must_use]
    pub fn cuts(&self) -> Vec<Range<usize>> {
        self.items.iter().filter_map(|item| item.trigger_context.clone()).collect()
    }
}

/// Reads an answer that is one execution.
///
/// # Errors
///
/// If it is not one, or if one of the members that are judged occurs twice.
pub fn read_item(body: &[u8], tag: Tag<'_>) -> Result<Item, Unreadable> {
    let mut walk = Walk::new(body, MAX_DEPTH)?;
    let item = reader::item(&mut walk, body, tag)?;
    walk.finish()?;
    Ok(item)
}

/// Reads an answer that is a page of a listing.
///
/// # Errors
///
/// If it is not one, if one of the members that are judged occurs twice, or if `total` is less than the number of items.
pub fn read_page(body: &[u8], tag: Tag<'_>) -> Result<Page, Unreadable> {
    let mut walk = Walk::new(body, MAX_DEPTH)?;
    let page = reader::page(&mut walk, body, tag)?;
    walk.finish()?;
    if u64::try_from(page.items.len()).is_ok_and(|items| items <= page.total) {
        Ok(page)
    } else {
        Err(Unreadable::Total)
    }
}

/// Cuts ranges out of a body, in its order. All other bytes stay.
pub fn cut(body: &mut Vec<u8>, cuts: &[Range<usize>]) {
    let (length, mut read, mut written) = (body.len(), 0, 0);
    for cut in cuts {
        let kept = read..cut.start.clamp(read, length);
        body.copy_within(kept.clone(), written);
        written += kept.len();
        read = cut.end.clamp(kept.end, length);
    }
    body.copy_within(read.., written);
    body.truncate(written + length - read);
}
