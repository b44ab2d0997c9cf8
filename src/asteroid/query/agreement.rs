//! Asserts that the rules of listings and their [`oracle`] agree on generated queries, and that what is sent lists only the
//! tenant's executions.

use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

use super::{ListingScope, listing, oracle};
use crate::asteroid::body::is_alike;
use crate::asteroid::era::Era;
use crate::asteroid::execution::Tag;

const ORGANIZATION: Uuid = Uuid::from_u128(0x8d0f_7a52_1c5e_4b8e_9f59_2f6f_1f0a_7c11);

/// Names of parameters, divided by white space.
const NAMES: &str = "organizationId page pageSize executionId agentId workflowId agentProfileIds profileIds status phase humanLabels \
    triggerSource outcomeLabel inputsKey inputsValue workflowVersion hasScriptFailures createdAfter createdBefore createdWithin \
    sort batchId sortField sortDirection metadata metadata metadata metadata %6Detadata metadataKey metadataValue \
    metadataKey&metadataValue=billing&metadataKey Metadata METADATAKEY metadata%20 later Later x page%00 page+ %7";

/// Values of parameters, divided by white space.
const VALUES: &str = "1 10 50 51 0 -1 01 %31 2147483647 2147483648 true false asc desc tenant billing tenant=billing \
    tenant%3Dbilling tenant=other tenant=billing= TENANT=x tenant%20=x=y team=a team%3da=b = ==a a=tenant=b a%26metadata=b a;b %FF \
    %00 + %2B %C3%A9 é % a%20b 8D0F7A52-1c5e-4b8e-9f59-2f6f1f0a7c11 8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c12";

/// Queries that are right in one era at least.
const RIGHT: &str = "metadataKey=team&metadataValue=a metadataKey=tenant&metadataValue=billing metadata=team=a metadata=a%3Db=c \
    metadata=tenant=billing metadata=te=nant=billing metadata=team%3Da page=2 pageSize=7 status=failed status=running later=%26 && \
    phase=active organizationId=8D0F7A52-1c5e-4b8e-9f59-2f6f1f0a7c11 outcomeLabel= sortDirection=asc";

fn word(words: &'static str) -> impl Strategy<Value = &'static str> {
    select(words.split_whitespace().collect::<Vec<_>>())
}

const TAGS: [(&str, &str); 5] =
    [("tenant", "billing"), ("tenant", "a=b"), ("ten ant", "é&/ \""), ("te=nant", "billing"), ("team", "a")];

fn parameter() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => word(RIGHT).prop_map(str::to_owned),
        4 => (word(NAMES), word(VALUES)).prop_map(|(name, value)| format!("{name}={value}")),
        1 => (select(&TAGS[..]), word(VALUES)).prop_map(|((key, _), value)| format!("metadataKey={key}&metadataValue={value}")),
        1 => word(NAMES).prop_map(str::to_owned),
        1 => "[a-zA-Z0-9%=+é ]{0,12}",
    ]
}

fn query() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::collection::vec(parameter(), 0..5).prop_map(|parameters| parameters.join("&")),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_caller_writes_only_the_tenants_executions_are_listed(
        query in query(),
        (name, value) in select(&TAGS[..]),
        is_old in any::<bool>(),
        has_organization in any::<bool>(),
        max_page_size in select(vec![1_u32, 7, 50]),
    ) {
        let further = ["later".to_owned(), "Metadata".to_owned()];
        let scope = ListingScope {
            era: if is_old { Era::Old } else { Era::New },
            tag: Tag { name, value },
            max_page_size,
            organization: has_organization.then_some(ORGANIZATION),
            further: &further,
        };
        let organization = ORGANIZATION.to_string();
        let gateway = oracle::Gateway {
            is_old,
            tag: (name, value),
            max_page_size: max_page_size.into(),
            organization: has_organization.then_some(&*organization),
            further: &further,
            is_alike,
        };
        let sent = listing(Some(&query), &scope);
        let read = sent.as_ref().ok().map(|sent| {
            oracle::assert_confined(sent, &gateway);
            let mut read: Vec<(String, String)> = form_urlencoded::parse(sent.as_bytes()).into_owned().collect();
            read.sort();
            read
        });
        prop_assert_eq!(read, oracle::expected(&query, &gateway), "{} {:?}", query, sent);
        if let Ok(sent) = sent {
            let again = ListingScope { organization: None, ..scope };
            prop_assert!(listing(Some(&sent), &again).is_ok(), "what is sent is a listing, too: {}", sent);
        }
    }
}
