//! A second implementation of the rules for listings, in the words of the reference, and a second reading of what is sent. Tests
//! and the fuzz target compare the gateway with them. They share no code with it.

use std::collections::BTreeMap;

/// A gateway and its tenant, for this implementation.
pub(super) struct Gateway<'a> {
    pub(super) is_old: bool,
    pub(super) tag: (&'a str, &'a str),
    pub(super) max_page_size: u64,
    pub(super) organization: Option<&'a str>,
    pub(super) further: &'a [String],
    /// Whether a reader may take one name for the other.
    pub(super) is_alike: fn(&str, &str) -> bool,
}

const SINGLE: &str = "organizationId page pageSize executionId agentId workflowId outcomeLabel inputsKey inputsValue metadataKey \
                      metadataValue workflowVersion hasScriptFailures createdAfter createdBefore createdWithin sort batchId sortField \
                      sortDirection";
const REPEATED: &str = "agentProfileIds profileIds status phase humanLabels triggerSource metadata";
const ONLY_NEW: &str = "workflowId profileIds phase metadata createdWithin sort batchId";
const UUIDS: &str = "organizationId agentId workflowId agentProfileIds profileIds";

fn lists(list: &str, name: &str) -> bool {
    list.split_whitespace().any(|listed| listed == name)
}

/// Returns the parameters that the upstream must receive, sorted; `None` if the query must be refused.
pub(super) fn expected(query: &str, gateway: &Gateway<'_>) -> Option<Vec<(String, String)>> {
    let mut sent: Vec<(String, String)> = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let mut halves = part.splitn(2, '=');
        sent.push((decoded(halves.next()?)?, decoded(halves.next().unwrap_or(""))?));
    }
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    sent.iter().for_each(|(name, _)| *counts.entry(name).or_default() += 1);
    let is_right = |(name, value): &(String, String)| is_right(name, value, gateway);
    if query.len() > 8192 || sent.len() > 100 || !sent.iter().all(is_right) {
        return None;
    }
    if counts.iter().any(|(name, count)| lists(SINGLE, name) && *count > 1) {
        return None;
    }
    if counts.contains_key("metadataKey") != counts.contains_key("metadataValue") {
        return None;
    }
    let first = |name: &str| sent.iter().find(|(sent, _)| sent == name).map(|(_, value)| value.clone());
    let (key, value) = gateway.tag;
    if let (Some(sent_key), Some(sent_value)) = (first("metadataKey"), first("metadataValue")) {
        if sent_key == key && sent_value == value {
            sent.retain(|(name, _)| name != "metadataKey" && name != "metadataValue");
        } else if (gateway.is_alike)(&sent_key, key) {
            return None;
        }
    }
    let joined = format!("{key}={value}");
    sent.retain(|(name, value)| name != "metadata" || *value != joined);
    for (_, filter) in sent.iter().filter(|(name, _)| name == "metadata") {
        let words: Vec<&str> = filter.split('=').collect();
        let divided = |division: usize| words[..division].join("=");
        let is_alike = (gateway.is_alike)(words[0], key);
        if is_alike || (1..words.len()).any(|division| divided(division) == key) {
            return None;
        }
    }
    if sent.iter().any(|(name, _)| name == "metadata" || name == "metadataKey") {
        if gateway.is_old || key.contains('=') {
            return None;
        }
        sent.push(("metadata".to_owned(), joined));
    } else {
        sent.push(("metadataKey".to_owned(), key.to_owned()));
        sent.push(("metadataValue".to_owned(), value.to_owned()));
    }
    if !counts_name(&sent, "page") {
        sent.push(("page".to_owned(), "1".to_owned()));
    }
    if !counts_name(&sent, "pageSize") {
        sent.push(("pageSize".to_owned(), gateway.max_page_size.min(10).to_string()));
    }
    if let Some(own) = gateway.organization {
        if sent.iter().any(|(name, value)| name == "organizationId" && !value.eq_ignore_ascii_case(own)) {
            return None;
        }
        sent.retain(|(name, _)| name != "organizationId");
        sent.push(("organizationId".to_owned(), own.to_owned()));
    }
    sent.sort();
    Some(sent)
}

fn counts_name(sent: &[(String, String)], name: &str) -> bool {
    sent.iter().any(|(sent, _)| sent == name)
}

fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => return None,
            b'%' => {
                let digits = [char::from(rest.next()?).to_digit(16)?, char::from(rest.next()?).to_digit(16)?];
                u8::try_from(digits[0] * 16 + digits[1]).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
}

fn is_right(name: &str, value: &str, gateway: &Gateway<'_>) -> bool {
    let digits = |text: &str| {
        let plain = text.strip_prefix('-').filter(|plain| *plain != "0").unwrap_or(text);
        let canonical = plain == "0" || !plain.is_empty() && !plain.starts_with('0');
        canonical && plain.bytes().all(|byte| byte.is_ascii_digit())
    };
    let within = |max: u64| digits(value) && value.parse::<u64>().is_ok_and(|number| 1 <= number && number <= max);
    let known: Vec<&str> = SINGLE.split_whitespace().chain(REPEATED.split_whitespace()).collect();
    if !known.contains(&name) {
        let is_alike = known.iter().any(|known| (gateway.is_alike)(known, name));
        return !is_alike && gateway.further.iter().any(|further| further == name);
    }
    if gateway.is_old && lists(ONLY_NEW, name) {
        return false;
    }
    match name {
        "page" => within(2_147_483_647),
        "pageSize" => within(gateway.max_page_size),
        "workflowVersion" => digits(value) && value.parse::<i64>().is_ok(),
        "hasScriptFailures" => value == "true" || value == "false",
        "sortDirection" => value == "asc" || value == "desc",
        "metadataKey" => !value.is_empty(),
        "metadata" => value.find('=').is_some_and(|at| at > 0),
        _ if lists(UUIDS, name) => {
            let groups: Vec<usize> = value.split('-').map(str::len).collect();
            groups == [8, 4, 4, 4, 12] && value.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
        }
        _ => true,
    }
}

/// Asserts that whatever a caller wrote, what is sent lists only the tenant's executions, by a reader who takes a plus for a space.
pub(super) fn assert_confined(sent: &str, gateway: &Gateway<'_>) {
    let read: Vec<_> = form_urlencoded::parse(sent.as_bytes()).collect();
    assert!(sent.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%=&".contains(&byte)), "{sent}");
    let values =
        |name: &str| -> Vec<&str> { read.iter().filter(|(read, _)| read == name).map(|(_, value)| &**value).collect() };
    let (key, value) = gateway.tag;
    let by_pair = values("metadataKey") == [key] && values("metadataValue") == [value];
    let joined = format!("{key}={value}");
    let (own, others): (Vec<&str>, Vec<&str>) = values("metadata").into_iter().partition(|filter| *filter == joined);
    assert_eq!(usize::from(by_pair) + own.len(), 1, "one filter by the tag: {sent}");
    assert!(!others.iter().any(|filter| filter.starts_with(&format!("{key}="))), "no other by the tag: {sent}");
    assert!(by_pair || !values("metadataKey").contains(&key), "{sent}");
    assert!(!by_pair || values("metadata").is_empty(), "{sent}");
    assert!(!gateway.is_old || values("metadata").is_empty(), "{sent}");
    let [page] = values("page")[..] else { panic!("{sent}") };
    let [size] = values("pageSize")[..] else { panic!("{sent}") };
    assert!(page.parse::<u64>().unwrap() >= 1, "{sent}");
    assert!((1..=gateway.max_page_size).contains(&size.parse().unwrap()), "{sent}");
    if let Some(own) = gateway.organization {
        assert_eq!(values("organizationId"), [own], "{sent}");
    }
    for (name, _) in &read {
        let is_known = lists(SINGLE, name) || lists(REPEATED, name);
        assert!(is_known || gateway.further.iter().any(|further| further == name), "{sent}");
        assert!(!lists(SINGLE, name) || values(name).len() == 1, "{sent}");
    }
}
