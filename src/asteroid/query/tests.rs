//! Tests of the queries of each operation, as they come and as they are sent.

use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::asteroid::era::Era;
use crate::asteroid::execution::Tag;

const ORGANIZATION: Uuid = Uuid::from_u128(0x8d0f_7a52_1c5e_4b8e_9f59_2f6f_1f0a_7c11);
const OTHER: &str = "8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c12";

fn scope(era: Era) -> ListingScope<'static> {
    ListingScope {
        era,
        tag: Tag { name: "tenant", value: "billing" },
        max_page_size: 50,
        organization: None,
        further: &[],
    }
}

fn sent(query: &str, era: Era) -> String {
    listing(Some(query), &scope(era)).unwrap()
}

fn refused(query: &str, era: Era) -> Error {
    listing(Some(query), &scope(era)).expect_err(query)
}

#[test]
fn a_wait_is_25_seconds_or_what_the_caller_says_and_what_is_sent_says_so() {
    for (query, seconds) in [
        (None, 25),
        (Some(""), 25),
        (Some("&"), 25),
        (Some("timeoutSeconds=1"), 1),
        (Some("timeoutSeconds=25&"), 25),
        (Some("timeout%53econds=%37"), 7),
    ] {
        let expected = LongPoll { timeout: Duration::from_secs(seconds), query: format!("timeoutSeconds={seconds}") };
        assert_eq!(sync(query), Ok(expected), "{query:?}");
    }
    for query in ["0", "26", "-1", "1.0", "%2B1", "01", "", "x", "1e1"].map(|value| format!("timeoutSeconds={value}")) {
        let text = sync(Some(&query)).unwrap_err().to_string();
        assert!(text.contains("timeoutSeconds must be an integer from 1 to 25"), "{text}");
    }
    assert_eq!(sync(Some("timeoutSeconds=1&timeoutSeconds=1")), Err(Error::Repeated("timeoutSeconds")));
    let text = sync(Some("token=x")).unwrap_err().to_string();
    assert_eq!(
        text,
        r#"the query parameter "token" does not belong to this operation, which takes only timeoutSeconds; leave "token" out"#
    );
}

#[test]
fn activities_have_an_order_and_a_limit() {
    for (query, sent) in [
        (None, ""),
        (Some(""), ""),
        (Some("order=asc"), "order=asc"),
        (Some("limit=2147483647&%6Frder=%64esc"), "limit=2147483647&order=desc"),
    ] {
        assert_eq!(activities(query).as_deref(), Ok(sent), "{query:?}");
    }
    for query in [
        "order=",
        "order=ASC",
        "order=asc&order=asc",
        "limit=0",
        "limit=2147483648",
        "limit=%201",
        "Order=asc",
        "page=1",
    ] {
        assert!(activities(Some(query)).is_err(), "{query}");
    }
}

#[test]
fn a_listing_without_a_filter_is_filtered_by_the_pair_and_gets_page_and_size() {
    for era in [Era::Old, Era::New] {
        let plain = "metadataKey=tenant&metadataValue=billing&page=1&pageSize=10";
        assert_eq!(listing(None, &scope(era)).unwrap(), plain);
        assert_eq!(sent("", era), plain);
        assert_eq!(sent("metadataValue=billing&metadataKey=tenant", era), plain, "the tag itself");
        let paged = sent("pageSize=50&status=failed&status=completed&page=3", era);
        assert_eq!(paged, "pageSize=50&status=failed&status=completed&page=3&metadataKey=tenant&metadataValue=billing");
    }
    let small = ListingScope { max_page_size: 5, ..scope(Era::New) };
    assert!(listing(None, &small).unwrap().ends_with("&page=1&pageSize=5"));
    let none = ListingScope { max_page_size: 0, ..scope(Era::New) };
    assert!(listing(None, &none).unwrap().ends_with("&page=1&pageSize=1"));
}

#[test]
fn a_filter_of_the_caller_stays_beside_the_tenants_if_the_upstream_takes_both() {
    let pages = "&page=1&pageSize=10";
    for (query, expected) in [
        ("metadataKey=team&metadataValue=a%20b", "metadataKey=team&metadataValue=a%20b&metadata=tenant%3Dbilling"),
        ("metadata=team%3Da&metadata=x=", "metadata=team%3Da&metadata=x%3D&metadata=tenant%3Dbilling"),
        ("metadata=tenant%3Dbilling", "metadataKey=tenant&metadataValue=billing"),
        ("metadata=tenant%3Dbilling&metadata=a=b=c", "metadata=a%3Db%3Dc&metadata=tenant%3Dbilling"),
        ("metadataKey=tenant&metadataValue=billing&metadata=a=b", "metadata=a%3Db&metadata=tenant%3Dbilling"),
        (
            "metadataKey=a&metadataValue=&metadata=b=c",
            "metadataKey=a&metadataValue=&metadata=b%3Dc&metadata=tenant%3Dbilling",
        ),
    ] {
        assert_eq!(sent(query, Era::New), expected.to_owned() + pages, "{query}");
    }
    assert_eq!(refused("metadataKey=team&metadataValue=a", Era::Old), Error::OneFilter);
    assert_eq!(refused("metadata=team%3Da", Era::Old), Error::Era("metadata"));
    assert_eq!(refused("metadata=tenant%3Dbilling", Era::Old), Error::Era("metadata"), "it might be ignored");
    let unclear = ListingScope { tag: Tag { name: "a=b", value: "c" }, ..scope(Era::New) };
    assert_eq!(listing(Some("metadata=x=y"), &unclear), Err(Error::OneFilter), "where it is divided is not known");
    assert_eq!(
        listing(Some("metadata=a=b=c"), &unclear).unwrap(),
        "metadataKey=a%3Db&metadataValue=c".to_owned() + pages
    );
}

#[test]
fn no_spelling_of_a_filter_by_the_tag_with_another_value_passes() {
    for query in [
        "metadataKey=tenant&metadataValue=other",
        "metadataKey=tenant&metadataValue=",
        "metadataKey=tenant&metadataValue=Billing",
        "%6detadataKey=t%65nant&metadata%56alue=other",
        "metadata=tenant=other",
        "metadata=tenant%3Dother",
        "metadata=tenant=x=y",
        "metadata=tenant=billing=",
        "metadata=tenant==billing",
        "metadata=tenant=",
        "metadata=a=b&metadata=t%65nant%3dx&metadata=c=d",
    ] {
        assert_eq!(refused(query, Era::New), Error::Tag(Excerpt::new("tenant")), "{query}");
    }
    for query in [
        "metadataKey=Tenant&metadataValue=billing",
        "metadataKey=tenant%20&metadataValue=other",
        "metadataKey=%EF%BD%94enant&metadataValue=other",
        "metadata=TENANT=other",
        "metadata=%20tenant=other",
        "metadata=tenant%20=x=y",
        "metadata=ten%E2%80%8Bant=billing",
    ] {
        assert!(matches!(refused(query, Era::New), Error::AlikeTag(_)), "{query}");
    }
    let one = refused("metadata=tenant=shipping", Era::New).to_string();
    assert_eq!(one, refused("metadataKey=tenant&metadataValue=no-such", Era::New).to_string());
    assert!(!one.contains("billing") && !one.contains("shipping"), "{one}");
    for half in ["metadataKey=tenant", "metadataValue=billing", "metadataKey=a&metadata=b=c"] {
        assert_eq!(refused(half, Era::New), Error::HalfPair, "{half}");
    }
}

#[test]
fn a_tag_of_any_text_is_written_so_that_every_reader_finds_it() {
    let tag = Tag { name: "te nant/é", value: "a/b=c&d é+%?#\"" };
    let scope = ListingScope { tag, ..scope(Era::New) };
    let pair = listing(None, &scope).unwrap();
    assert!(
        pair.starts_with("metadataKey=te%20nant%2F%C3%A9&metadataValue=a%2Fb%3Dc%26d%20%C3%A9%2B%25%3F%23%22&"),
        "{pair}"
    );
    let joined = listing(Some("metadata=a=b"), &scope).unwrap();
    assert!(joined.contains("metadata=te%20nant%2F%C3%A9%3Da%2Fb%3Dc%26d%20%C3%A9%2B%25%3F%23%22&"), "{joined}");
    let own = joined.split('&').nth(1).unwrap();
    assert!(listing(Some(own), &scope).unwrap().starts_with("metadataKey="), "the caller may write it, too");
}

#[test]
fn parameters_of_the_newer_era_are_refused_for_an_upstream_of_the_older_one() {
    for query in [
        "phase=active",
        "createdWithin=1d",
        "sort=x",
        "batchId=b",
        &format!("profileIds={OTHER}"),
        &format!("workflowId={OTHER}"),
    ] {
        assert!(matches!(refused(query, Era::Old), Error::Era(name) if query.starts_with(name)), "{query}");
        assert!(sent(query, Era::New).starts_with(query.split('=').next().unwrap()), "{query}");
    }
}

#[test]
fn what_two_readers_may_take_differently_is_refused() {
    for query in [
        "outcomeLabel=a+b",
        "a+b=1",
        "createdAfter=2026-11-01T00:00:00+0000",
        "outcomeLabel=%",
        "outcomeLabel=%2",
        "outcomeLabel=%zz",
        "outcomeLabel=%%32",
        "outcomeLabel=%FF",
        "outcomeLabel=%C3",
        "outcomeLabel=%00",
        "outcomeLabel=a%0Ab",
        "%00page=1",
        "outcomeLabel=%C2%85",
        "metadatakey=a&metadataValue=b",
        "MetadataKey=a&metadataValue=b",
        "metadataKey%20=a",
        "pagesize=5",
        "page[]=1",
        "status[]=x",
        "=1",
        "agentVersion=1",
        "tenant=billing",
        "page=1;pageSize=5",
        "page=1&page=1",
        "page=0",
        "page=+1",
        "page=%2B1",
        "page=01",
        "page=",
        "page",
        "page=2147483648",
        "pageSize=51",
        "pageSize=0",
        "pageSize=9e9",
        "executionId=a&executionId=b",
        "metadataKey=a&metadataKey=tenant&metadataValue=b",
        "agentId=x",
        "hasScriptFailures=True",
        "hasScriptFailures",
        "sortDirection=up",
        "workflowVersion=1.0",
        "metadata=a",
        "metadata==a",
        "metadata=",
        "metadataKey=&metadataValue=b",
        "agentProfileIds=8d0f7a521c5e4b8e9f592f6f1f0a7c11",
    ] {
        for era in [Era::Old, Era::New] {
            refused(query, era);
        }
    }
}

#[test]
fn what_is_logged_of_a_refusal_names_parameters_and_shows_no_value() {
    let refused = |query: &str| listing(Some(query), &scope(Era::New)).unwrap_err();
    let canary = "ann%40example.test";
    for query in [
        format!("inputsValue={canary}+1"),
        format!("inputsValue={canary}%"),
        format!("inputsValue={canary}%ff"),
        format!("inputsValue={canary}%00"),
        format!("pageSize={canary}"),
        format!("metadata=Tenant%3D{canary}"),
        format!("organizationId={canary}"),
    ] {
        let (error, ann) = (refused(&query), "ann");
        assert!(error.to_string().contains(ann), "its caller sees what it sent: {error}");
        assert!(!error.logged().contains(ann) && error.logged().contains("\"...\""), "{}", error.logged());
    }
    assert!(refused("archived=true").logged().contains(r#""archived" is not known"#));
}

#[test]
fn a_refusal_says_what_came_and_what_to_do_and_quotes_little() {
    let text = |query: &str| refused(query, Era::New).to_string();
    assert!(
        text("outcomeLabel=a+b").contains(r#"in "a+b""#)
            && text("outcomeLabel=a+b").contains("write %2B for a plus, %20")
    );
    assert!(
        text("pageSize=51").contains(r#"pageSize must be an integer from 1 to 50, in digits"#),
        "{}",
        text("pageSize=51")
    );
    assert!(text("metadatakey=a").contains("must be spelled exactly: metadataKey"));
    assert!(text("x%22=1").starts_with(r#"the query parameter "x\"" is not known"#));
    assert!(text("x=1").contains("`list_parameters`"));
    let long = text(&format!("{}=1", "é".repeat(1000)));
    assert!(long.contains(&format!("\"{}\"", "é".repeat(40))) && long.len() < 300, "{long}");
    for query in [
        "x=1",
        "page=",
        "metadata=tenant=a",
        "page=1&page=1",
        "metadataKey=a",
        "%=",
        "%ff=",
        "%00=",
        "%2B=+",
        "sort=1&phase=%0a",
    ] {
        let text = text(query);
        assert!(["leave", "keep", "write", "encode", "add"].iter().any(|advice| text.contains(advice)), "{text}");
    }
}

#[test]
fn further_parameters_of_the_operator_pass_but_none_that_the_gateway_judges() {
    let names = ["later", "agentVersion", "Metadata", "METADATAKEY", "a b&c"].map(str::to_owned);
    let scope = ListingScope { further: &names, ..scope(Era::Old) };
    let sent = listing(Some("later=1&agentVersion=2&later=%3D&a%20b%26c=x"), &scope).unwrap();
    assert!(sent.starts_with("later=1&agentVersion=2&later=%3D&a%20b%26c=x&metadataKey=tenant&"), "{sent}");
    for query in ["Metadata=tenant=other", "METADATAKEY=tenant", "Later=1", "phase=active", "metadata=a=b"] {
        assert!(listing(Some(query), &scope).is_err(), "{query}");
    }
    assert!(
        is_reserved("metadata") && is_reserved("PageSize") && is_reserved("organization id") && !is_reserved("later")
    );
}

#[test]
fn the_organisation_is_the_gateways() {
    let own = ListingScope { organization: Some(ORGANIZATION), ..scope(Era::New) };
    let written = format!("&organizationId={ORGANIZATION}");
    assert!(listing(None, &own).unwrap().ends_with(&written));
    let upper = format!("page=2&organizationId={}", ORGANIZATION.to_string().to_uppercase());
    let sent_by_own = listing(Some(&upper), &own).unwrap();
    assert!(sent_by_own.starts_with("page=2&metadataKey=") && sent_by_own.ends_with(&written), "{sent_by_own}");
    assert!(sent(&upper, Era::Old).starts_with(&upper), "without one, a caller's passes");
    for other in [OTHER, "x", "", &ORGANIZATION.simple().to_string()] {
        assert!(listing(Some(&format!("organizationId={other}")), &own).is_err(), "{other}");
    }
}

#[test]
fn a_query_is_bounded() {
    let many = |count: usize| vec!["status=x"; count].join("&");
    assert!(sent(&many(MAX_PARAMETERS), Era::New).len() < MAX_LENGTH);
    assert_eq!(refused(&many(MAX_PARAMETERS + 1), Era::New), Error::TooMany);
    assert_eq!(refused(&format!("outcomeLabel={}", "a".repeat(MAX_LENGTH)), Era::New), Error::TooLong);
    assert_eq!(refused(&format!("outcomeLabel={}", "é".repeat(2000)), Era::New), Error::TooLong, "once it is encoded");
}

#[test]
fn an_upload_goes_to_the_organisation_of_the_gateway_and_a_recording_keeps_the_callers_token_here() {
    let [own, other] = [1, 2].map(Uuid::from_u128);
    let named = |id: Uuid| format!("organizationId={id}");
    assert_eq!(organization(None, None), Ok(None));
    assert_eq!(organization(None, Some(own)), Ok(Some(named(own))));
    assert_eq!(organization(Some(&named(other)), None), Ok(Some(named(other))));
    assert_eq!(
        organization(Some(&named(own).to_uppercase().replace("ORGANIZATIONID", "organizationId")), Some(own)),
        Ok(Some(named(own)))
    );
    let refused = organization(Some(&named(other)), Some(own)).unwrap_err();
    assert!(refused.to_string().starts_with("organizationId is not the organisation of this gateway"), "{refused}");
    assert!(!refused.logged().contains(&other.to_string()), "{refused}");
    assert!(check_organization(&own.to_string(), Some(own)).is_ok() && check_organization("x", Some(own)).is_err());
    for query in ["organizationId=x", "organizationId", "tenant=a", &format!("{0}&{0}", named(own))] {
        assert!(organization(Some(query), Some(own)).is_err(), "{query}");
    }
    assert_eq!((recording(None), recording(Some("token=secret"))), (Ok(()), Ok(())));
    let refused = recording(Some("tokens=secret")).unwrap_err().to_string();
    assert!(refused.contains("takes only token") && !refused.contains("secret"), "{refused}");
}
