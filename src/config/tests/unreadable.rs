//! Files that cannot be read: their faults say where, and never quote the file.

use super::*;

#[test]
fn no_error_quotes_a_value_under_credentials_or_a_url() {
    for text in [
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "sk-CANARY"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "[sk-CANARY]"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "{ sk-CANARY }"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "{ key: sk-CANARY }"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "{ file: sk-CANARY }"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "{ env: sk-CANARY }"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "{ sk-CANARY: 1, sk-CANARY: 2 }"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "*sk-CANARY"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "!sk-CANARY x"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "\"sk-CANARY"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "%sk-CANARY"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "@sk-CANARY"),
        smallest_with("{ file: /var/run/secrets/asteroid/api-key }", "sk: CANARY: x"),
        smallest_with("main: {", "sk-CANARY: {"),
        smallest_with("credential: main", "credential: sk-CANARY"),
        format!("{SMALLEST}upstream: {{ url: 'https://user:CANARY@odyssey.asteroid.ai' }}"),
        format!("{SMALLEST}upstream: {{ url: 'https://odyssey.asteroid.ai?key=CANARY' }}"),
        format!("{SMALLEST}upstream: {{ url: 'CANARY' }}"),
    ] {
        let all = with(&text, &[]).unwrap_err();
        assert!(!format!("{all} {all:?}").contains("CANARY"), "{all:?}");
        assert!(!all.is_empty(), "{text}");
    }
    // The name is shown only if it could be a misspelt setting.
    for (key, shown, hint) in [
        ("flie", "flie", "did you mean `file`? Known"),
        ("canarycanarycanarycanary0", "<hidden>", "known"),
        ("canaries".repeat(4).as_str(), "<hidden>", "known"),
    ] {
        let found = faults(&smallest_with("{ file:", &format!("{{ {key}: x, file:")));
        assert_eq!(
            found,
            [format!("credentials.main.{shown}: unknown setting; {hint} here: file, previous_file, max_stale, env")]
        );
    }
    let all = with(SMALLEST, &[("ASTEROID_GATEWAY__CREDENTIALS__MAIN", "sk-CANARY")]).unwrap_err();
    assert_eq!(
        all.to_string(),
        "credentials.main: must be a section of `key: value`, not text (set by ASTEROID_GATEWAY__CREDENTIALS__MAIN)"
    );
}

#[test]
fn a_syntax_error_names_its_line_and_column() {
    for (text, place) in [
        ("listeners:\n  - address: [\n", "YAML, line 2, column 14: unclosed bracket"),
        ("listeners: 'x\n", "YAML, line "),
        ("a: b: c\n", "YAML, line 1, column 5: "),
        ("a: 1\n---\nb: 2\n", "YAML, line 3, column 1: there must be one document"),
        ("a: *b\n", "YAML, line 1, column 4: an alias"),
        ("a: !b c\n", "YAML, line 1, column 7: a tag"),
        ("a: &a { b: c }\nd: { <<: *a }\n", "YAML, line 2, column 6: merge keys"),
        ("? [a]\n: b\n", "YAML, line 1, column 3: "),
    ] {
        let found = faults(text);
        assert!(found.len() == 1 && found[0].starts_with(place), "{text:?}: {found:?}");
    }
}

#[test]
fn duplicate_keys_are_faults_with_their_paths() {
    let text = format!("{SMALLEST}    credential: main\n    metadata: {{ a: b, a: b }}\nadmin: {{}}\nadmin: {{}}\n");
    assert_faults(
        &text,
        &[
            "admin: is written twice; keep one",
            "tenants.billing.credential: is written twice; keep one",
            "tenants.billing.metadata.a: is written twice; keep one",
        ],
    );
}

#[test]
fn a_file_that_is_no_configuration_says_so() {
    for (text, reason) in [
        ("", "the file is empty"),
        ("# only a comment\n", "the file is empty"),
        ("~", "the file is empty"),
        ("just text", "must be a section"),
        ("- a\n- b\n", "must be a section"),
    ] {
        let found = faults(text);
        assert!(found.len() == 1 && found[0].contains(reason), "{text:?}: {found:?}");
    }
    assert_faults(
        "body_limit: 1MiB",
        &["listeners: missing; write at least one listener", "tenants: missing; write at least one tenant"],
    );
    assert_faults(
        "listeners: []\ntenants: {}",
        &["listeners: is empty; write at least one listener", "tenants: missing; write at least one tenant"],
    );
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let load = |name: &str| runtime.block_on(load(&directory.path().join(name)));
    let at = |name: &str| load(name).unwrap_err().to_string();
    std::fs::write(directory.path().join("latin.yaml"), b"tenants: { b\xfc: {} }").unwrap();
    std::fs::write(directory.path().join("empty.yaml"), b"").unwrap();
    assert!(at("absent.yaml").ends_with("absent.yaml: there is no such file"), "{}", at("absent.yaml"));
    assert!(at(".").contains("this is a directory"), "{}", at("."));
    assert!(at("latin.yaml").ends_with("latin.yaml: is not UTF-8 text"), "{}", at("latin.yaml"));
    assert!(at("empty.yaml").contains("the file is empty"), "{}", at("empty.yaml"));
    std::fs::write(directory.path().join("good.yaml"), SMALLEST).unwrap();
    assert!(load("good.yaml").is_ok());
}

#[test]
fn an_empty_section_has_its_defaults_but_a_setting_needs_a_value() {
    assert!(with(&format!("{SMALLEST}upstream:\nadmin:\ntimeouts:\n"), &[]).is_ok());
    assert_faults(
        &format!("{SMALLEST}upstream: {{ url: }}\nbody_limit: ~\n"),
        &[
            "body_limit: must be a number with its unit, not nothing; give it a value or remove it",
            "upstream.url: must be text, not nothing; give it a value or remove it",
        ],
    );
}

#[test]
fn a_file_full_of_mistakes_is_given_up_after_a_hundred() {
    let tenants: String = (0..1000).map(|number| format!("  t{number}: []\n")).collect();
    let found = faults(&format!("{SMALLEST}{tenants}"));
    assert_eq!(found.len(), 101, "{found:?}");
    assert_eq!(found[0], "more faults of this kind exist than are listed; correct these first");
    assert!(found[1..].iter().all(|fault| fault.contains("must be a section")), "{found:?}");
}
