//! The query of a listing: whatever a caller writes, what is sent lists only the tenant's executions, and it is what a second
//! implementation of the rules expects.
//!
//! Format: a line with the words `old`, `organization` and `equals` (the tag's name has an equals sign), each or none, and the
//! query after it.

/// A second implementation. The gateway's own tests compare it with the gateway, too.
#[path = "../../src/asteroid/query/oracle.rs"]
mod oracle;

use asteroid_gateway::asteroid::body::is_alike;
use asteroid_gateway::asteroid::era::Era;
use asteroid_gateway::asteroid::execution::Tag;
use asteroid_gateway::asteroid::query::{Error, ListingScope, listing};
use uuid::Uuid;

const ORGANIZATION: &str = "8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11";

pub(crate) fn check(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let (words, query) = input.split_once('\n').unwrap_or_default();
    let is = |word| words.split(' ').any(|other| other == word);
    let further = ["later".to_owned(), "Metadata".to_owned()];
    let (name, value) = if is("equals") { ("te=nant", "billing") } else { ("tenant", "a/b=é&") };
    let scope = ListingScope {
        era: if is("old") { Era::Old } else { Era::New },
        tag: Tag { name, value },
        max_page_size: 50,
        organization: is("organization").then(|| Uuid::try_parse(ORGANIZATION).expect("it is a uuid")),
        further: &further,
    };
    let gateway = oracle::Gateway {
        is_old: is("old"),
        tag: (name, value),
        max_page_size: 50,
        organization: is("organization").then_some(ORGANIZATION),
        further: &further,
        is_alike,
    };
    let expected = oracle::expected(query, &gateway);
    match listing(Some(query), &scope) {
        Ok(sent) => {
            oracle::assert_confined(&sent, &gateway);
            let mut read: Vec<(String, String)> = form_urlencoded::parse(sent.as_bytes()).into_owned().collect();
            read.sort();
            assert_eq!(Some(read), expected, "{query}");
        }
        Err(Error::TooLong) => assert!(query.len() > 8192 / 3 - 512, "only encoding makes it longer"),
        Err(refusal) => {
            assert_eq!(expected, None, "{query}: {refusal}");
            assert!(refusal.to_string().len() < 1024);
        }
    }
}
