//! The operations on executions: which are open, how they are listed, and what of an answer is passed on.

use super::*;

/// Returns the smallest file with further settings of the tenant billing.
fn billing(setting: &str) -> String {
    format!("{SMALLEST}    {setting}\n")
}

fn upstream(settings: &str) -> String {
    format!("{SMALLEST}upstream: {{ {settings} }}\n")
}

fn warnings(text: &str) -> String {
    with(text, &[]).unwrap().warnings.to_string()
}

#[test]
fn a_group_is_as_its_tenant_says_else_as_all_tenants_have_it_else_as_by_default() {
    for group in Group::ALL {
        let (code, default) = (group.code(), group.is_open_by_default());
        for (general, own, is_open) in [
            (None, None, default),
            (Some(true), None, true),
            (Some(false), None, false),
            (None, Some(true), true),
            (None, Some(false), false),
            (Some(true), Some(false), false),
            (Some(false), Some(true), true),
        ] {
            let text =
                own.map_or_else(|| SMALLEST.to_owned(), |own| billing(&format!("operations: {{ {code}: {own} }}")));
            let general = general.map(|general| format!("operations: {{ {code}: {general} }}\n")).unwrap_or_default();
            let text = format!("{text}  sales: {{ credential: main, operations: {{}} }}\n{general}");
            let tenants = with(&text, &[]).unwrap().config.tenants;
            assert_eq!(tenants["billing"].operations, OpenGroups::default().with(group, is_open), "{text}");
            let sales = tenants["sales"].operations.contains(group);
            assert_eq!(sales, if general.is_empty() { default } else { general.contains("true") }, "{text}");
        }
    }
    let variables = [
        ("ASTEROID_GATEWAY__OPERATIONS__DELETE", "true"),
        ("ASTEROID_GATEWAY__TENANTS__BILLING__OPERATIONS__START", "false"),
    ];
    let open = with(SMALLEST, &variables).unwrap().config.tenants["billing"].operations;
    assert!(open.contains(Group::Delete) && !open.contains(Group::Start));
}

#[test]
fn every_fault_of_operations_is_reported() {
    let text = format!(
        "{}operations: {{ list: 'no', message: 'perhaps', read: 1, redo: true }}\n",
        billing("operations: { delete: always }")
    );
    assert_faults(
        &text,
        &[
            "operations.list: must be true or false",
            "operations.message: must be true or false",
            "operations.read: must be true or false, not a number",
            "operations.redo: unknown setting; known here: start, read, list, control, message, files, rerun, delete",
            "tenants.billing.operations.delete: must be true or false",
        ],
    );
}

#[test]
fn the_era_is_that_of_the_credential_s_header_unless_it_is_written() {
    for (settings, era) in [
        ("", Era::Old),
        ("credential_header: X-Asteroid-Agents-Api-Key", Era::Old),
        ("credential_header: x-api-key", Era::New),
        ("credential_header: X-Own-Key", Era::Old),
        ("api: new", Era::New),
        ("api: old, credential_header: X-Api-Key", Era::Old),
    ] {
        assert_eq!(with(&upstream(settings), &[]).unwrap().config.upstream.era, era, "{settings}");
    }
    assert_faults(&upstream("api: v1"), &["upstream.api: must be old or new"]);
    assert_faults(&upstream("api: odl"), &["upstream.api: must be old or new; did you mean `old`?"]);
}

#[test]
fn a_further_parameter_of_listings_has_a_plain_name_that_the_gateway_does_not_use() {
    let list = |names: &str| upstream(&format!("list_parameters: [{names}]"));
    let read = with(&list("orderBy, 'filter[status]', q, metadat"), &[]).unwrap().config.upstream.list_parameters;
    assert_eq!(read, ["orderBy", "filter[status]", "q", "metadat"]);
    let longest = "x_".repeat(32);
    assert_eq!(with(&list(&longest), &[]).unwrap().config.upstream.list_parameters, [longest.as_str()]);
    let name = "must be the name of a query parameter: 1 to 64 visible ASCII characters, without &, =, +, %, ; and #";
    let own = "the gateway judges this parameter itself; leave it out";
    let too_long = format!("{longest}x");
    for (wrong, message) in [
        ("''", name),
        ("'a b'", name),
        ("'a&b'", name),
        ("'a=b'", name),
        ("'a+b'", name),
        ("'a%62'", name),
        ("'a;b'", name),
        ("'a#'", name),
        ("gr\u{f6}\u{df}e", name),
        ("\"a\\tb\"", name),
        (too_long.as_str(), name),
        ("ak-canary-5f1c9d7e3b2a4680", name),
        ("metadata", own),
        ("metadataKey", own),
        ("metadataValue", own),
        ("page", own),
        ("pageSize", own),
        ("organizationId", own),
        ("PAGESIZE", own),
        ("'metadata[team]'", own),
        ("Metadata.team", own),
        ("status", own),
        ("orderBy", "is listed twice; keep one"),
    ] {
        let found = faults(&list(&format!("orderBy, {wrong}")));
        assert_eq!(found, [format!("upstream.list_parameters[1]: {message}")], "{wrong}");
    }
    let many = |count: usize| list(&(0..count).map(|n| format!("p{n}")).collect::<Vec<_>>().join(", "));
    assert_eq!(with(&many(50), &[]).unwrap().config.upstream.list_parameters.len(), 50);
    assert_faults(&many(60), &["upstream.list_parameters[50]: must be one of at most 50 names"]);
}

#[test]
fn a_page_has_at_least_one_execution_and_at_most_a_thousand() {
    let read =
        |size: &str| with(&format!("{SMALLEST}max_page_size: {size}\n"), &[]).map(|loaded| loaded.config.max_page_size);
    for (written, size) in [("1", 1), ("20", 20), ("'1000'", 1000)] {
        assert_eq!(read(written), Ok(size), "{written}");
    }
    for wrong in ["0", "1001", "-1", "1.5", "''", "many", "4294967297"] {
        let found = lines(&read(wrong).unwrap_err());
        assert_eq!(found, ["max_page_size: must be a whole number from 1 to 1000"], "{wrong}");
    }
}

#[test]
fn an_upload_has_a_limit_of_its_own_that_no_memory_bounds() {
    let read = |settings: &str| with(&format!("{SMALLEST}{settings}\n"), &[]).map(|loaded| loaded.config.upload_limit);
    for (settings, bytes) in [
        ("upload_limit: 1KiB", 1 << 10),
        ("upload_limit: 1.5 GiB", 3 << 29),
        ("upload_limit: 10GiB", 10 << 30),
        ("body_memory: 4MiB\nbody_limit: 1MiB\nupload_limit: 250MB", 250_000_000),
        ("body_memory: 4MiB", 100 << 20),
    ] {
        assert_eq!(read(settings), Ok(bytes), "{settings}");
    }
    for (written, message) in [
        ("1023B", "must be from 1KiB to 10240MiB"),
        ("11GiB", "must be from 1KiB to 10240MiB"),
        ("100", "has no unit; write 100B for bytes, or a size such as 512KiB or 1MiB"),
        ("none", "is not a size; write a number and its unit, such as 512KiB or 1MiB"),
    ] {
        let found = lines(&read(&format!("upload_limit: {written}")).unwrap_err());
        assert_eq!(found, [format!("upload_limit: {message}")], "{written}");
    }
}

#[test]
fn an_answer_that_is_judged_fits_a_third_of_the_memory_for_bodies() {
    let mib = |mib: usize| mib << 20;
    let loaded = |settings: &str| with(&format!("{SMALLEST}{settings}\n"), &[]);
    let read = |settings: &str| loaded(settings).map(|loaded| loaded.config.answer_limit);
    for (settings, bytes) in [
        ("answer_limit: 64KiB", 64 << 10),
        ("answer_limit: 256MiB", mib(256)),
        ("{ body_memory: 48MiB, answer_limit: 16MiB }", mib(16)),
        ("body_memory: 48MiB", mib(16)),
        ("body_memory: 6MiB", mib(2)),
        ("body_memory: 64MiB", mib(16)),
        ("body_limit: 64MiB", mib(16)),
    ] {
        let settings = settings.trim_matches(['{', '}', ' ']).replace(", ", "\n");
        assert_eq!(read(&settings), Ok(bytes), "{settings}");
    }
    for (settings, message) in [
        ("answer_limit: 63KiB", "must be from 64KiB to 256MiB"),
        ("answer_limit: 257MiB", "must be from 64KiB to 256MiB"),
        ("answer_limit: 16", "has no unit; write 16B for bytes, or a size such as 512KiB or 1MiB"),
        (
            "body_memory: 48MiB\nanswer_limit: 17MiB",
            "`body_memory` must hold three answers of this size; write a third of it at most, or raise it",
        ),
    ] {
        assert_eq!(lines(&read(settings).unwrap_err()), [format!("answer_limit: {message}")], "{settings}");
    }
    let (auto, written) = (BodyMemory::Auto, BodyMemory::Bytes(mib(48)));
    for (memory, available, body_limit, max) in [
        (auto, 120 << 20, mib(1), mib(10)),
        (auto, 1 << 20, mib(1), mib(1)),
        (auto, 1 << 40, mib(1), mib(1024) / 3),
        (written, 1 << 20, mib(1), mib(16)),
    ] {
        assert_eq!(memory.max_answer(available, body_limit), max, "{memory:?} of {available}");
    }
}

#[test]
fn what_says_whose_an_api_key_is_is_taken_out_unless_the_operator_wants_it_which_is_warned_of() {
    let text = |redacted: &str| format!("{SMALLEST}redact: {{ trigger_context: {redacted} }}\n");
    for (redacted, warning) in [
        ("true", ""),
        (
            "false",
            "redact.trigger_context: shows every caller with which API key an execution was started, and whose it is",
        ),
    ] {
        let LoadedConfig { config, warnings } = with(&text(redacted), &[]).unwrap();
        assert_eq!(
            (config.redact_trigger_context.to_string().as_str(), warnings.to_string().as_str()),
            (redacted, warning)
        );
    }
    assert_faults(&text("maybe"), &["redact.trigger_context: must be true or false"]);
}

#[test]
fn a_tenant_whose_tag_is_a_part_of_another_s_is_warned_of_if_it_may_list() {
    let tenants = |prefix: &str, names: &[&str]| {
        let mut text = "listeners: [{ address: 'unix:/a', mode: '0600', tenant: { header: X-Tenant } }]\n".to_owned();
        text +=
            &format!("credentials: {{ main: {{ file: /k }} }}\ntagging: {{ tenant_prefix: '{prefix}' }}\ntenants:\n");
        names.iter().for_each(|name| text += &format!("  '{name}': {{ credential: main }}\n"));
        text
    };
    let about_tags = |text: &str| {
        let warnings = warnings(text);
        warnings.lines().filter(|line| line.contains("its tag")).map(str::to_owned).collect::<Vec<_>>()
    };
    let says = "its tag is a part of another tenant's; if the upstream's filter matches parts, every listing of this tenant is \
                answered with 502. Rename it, or close `operations.list` for it";
    for (prefix, names, expected) in [
        ("", &["bill", "billing"][..], Some("tenants.bill: SAYS")),
        ("", &["ling", "billing"], Some("tenants.ling: SAYS")),
        ("", &["illi", "billing", "x"], Some("tenants.illi: SAYS")),
        ("", &["billing", "Bill", "sales"], None),
        ("prod/", &["bill", "billing"], Some("tenants.bill: SAYS")),
        ("prod/", &["ling", "billing"], None),
        ("a", &["b", "ab", "cb"], Some("tenants.b: SAYS")),
        ("aa", &["b", "ab"], Some("tenants.b: SAYS")),
        ("", &["a", "b", "ab"], Some("tenants.a: SAYS (the same is true of b)")),
        (
            "",
            &["a", "b", "c", "d", "e", "f", "abcdef"],
            Some("tenants.a: SAYS (the same is true of b, c, d and 2 more)"),
        ),
        (
            "",
            &["a", "ak-canary-5f1c9d7e3b2a4680", "ak-canary-5f1c9d7e3b2a46801"],
            Some("tenants.a: SAYS (the same is true of <hidden>)"),
        ),
    ] {
        let expected: Vec<String> = expected.into_iter().map(|line| line.replace("SAYS", says)).collect();
        assert_eq!(about_tags(&tenants(prefix, names)), expected, "{prefix} {names:?}");
    }
    let closed = tenants("", &["bill", "billing"]);
    let closed =
        closed.replace("'bill': { credential: main", "'bill': { credential: main, operations: { list: false }");
    assert_eq!(about_tags(&closed), [""; 0]);
    let for_all = format!("{}operations: {{ list: false }}\n", tenants("", &["bill", "billing"]));
    assert_eq!(about_tags(&for_all), [""; 0]);
}

#[test]
fn what_decides_about_operations_changes_by_a_reload() {
    let old = with(SMALLEST, &[]).unwrap().config;
    let changed = |text: &str| reload::needs_restart(&old, &with(text, &[]).unwrap().config);
    for text in [
        upstream("api: new"),
        upstream("credential_header: X-Api-Key"),
        upstream("list_parameters: [orderBy]"),
        billing("operations: { list: false }"),
        billing("limits: { reads: { rate: 1/s } }"),
        format!("{SMALLEST}redact: {{ trigger_context: false }}\n"),
        format!("{SMALLEST}answer_limit: 1MiB\n"),
        format!("{SMALLEST}max_page_size: 10\n"),
        format!("{SMALLEST}upload_limit: 10MiB\n"),
        format!("{SMALLEST}operations: {{ delete: true }}\n"),
    ] {
        assert_eq!(changed(&text), [""; 0], "{text}");
        assert_ne!(with(&text, &[]).unwrap().config, old, "{text}");
    }
    assert_eq!(changed(&upstream("url: 'https://a.example/agents/v2'")), ["upstream"]);
}
