//! Executions in answers: for any bytes, the reading of an item and of a page agrees with a second reading, which keeps repeated
//! names. What is passed on is the same answer without the trigger context of its items.

/// A second reading. The gateway's own tests compare it with the gateway, too.
#[path = "../../src/asteroid/item/oracle.rs"]
mod oracle;

use asteroid_gateway::asteroid::execution::Tag;
use std::ops::Range;

use asteroid_gateway::asteroid::item::{Item, cut, read_item, read_page};
use serde::de::IgnoredAny;

use oracle::{Judged, Tree};

const TAG: (&str, &str) = ("tenant", "billing");

pub(crate) fn check(body: &[u8]) {
    let tag = Tag { name: TAG.0, value: TAG.1 };
    let (item, page) = (read_item(body, tag).ok(), read_page(body, tag).ok());
    if item.is_some() || page.is_some() {
        let text = std::str::from_utf8(body).expect("it was read");
        assert!(serde_json::from_str::<IgnoredAny>(text).is_ok());
    }
    // A tree accepts no lone half of a surrogate pair, no huge exponent, and less depth than the gateway.
    let tree = serde_json::from_slice::<Tree>(body).ok();
    if let Some(tree) = &tree {
        let read = item.as_ref().map(judged);
        assert_eq!(read, oracle::item(tree, TAG));
        let read = page
            .as_ref()
            .map(|page| (page.items.iter().map(judged).collect(), [page.page, page.page_size, page.total]));
        assert_eq!(read, oracle::page(tree, TAG));
    }
    if let Some(item) = item {
        let passed = without(body, item.trigger_context.as_slice());
        let again = read_item(&passed, tag).expect("what is passed on is an item");
        assert_eq!(again, Item { trigger_context: None, ..item });
        assert_shown(tree.as_ref(), &passed, false);
    }
    if let Some(page) = page {
        let passed = without(body, &page.cuts());
        let again = read_page(&passed, tag).expect("what is passed on is a page");
        assert_eq!((again.cuts(), again.foreign(), again.total), (Vec::new(), page.foreign(), page.total));
        assert_shown(tree.as_ref(), &passed, true);
    }
}

/// Returns a body without these ranges.
fn without(body: &[u8], cuts: &[Range<usize>]) -> Vec<u8> {
    let mut body = body.to_vec();
    cut(&mut body, cuts);
    body
}

fn judged(item: &Item) -> Judged {
    (item.id.to_string(), item.is_owned, item.trigger_context.is_some())
}

fn assert_shown(received: Option<&Tree>, passed: &[u8], is_page: bool) {
    let Some(received) = received else { return };
    let passed: Tree = serde_json::from_slice(passed).expect("what is passed on is JSON");
    assert_eq!(passed, oracle::shown(received.clone(), is_page));
}
