//! The API key in every encoding in which it could leak unnoticed.

use std::sync::LazyLock;

use crate::harness::API_KEY;

const STANDARD: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const FOR_URLS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static FORMS: LazyLock<Vec<String>> = LazyLock::new(forms);

/// Asserts that an output contains the API key in no encoding.
#[track_caller]
pub(crate) fn assert_clean(what: &str, output: &str) {
    for form in &*FORMS {
        assert!(!output.contains(form), "{what} shows the key as {form}:\n{output}");
    }
}

fn forms() -> Vec<String> {
    let each = |form: &dyn Fn(u8) -> String| API_KEY.bytes().map(form).collect::<String>();
    let unusual = |escape: &str| API_KEY.replace('-', escape);
    let list = format!("{:?}", API_KEY.as_bytes());
    let mut forms = vec![
        API_KEY.to_owned(),
        API_KEY.to_uppercase(),
        list.trim_matches(['[', ']']).to_owned(),
        list.trim_matches(['[', ']']).replace(' ', ""),
        each(&|byte| format!("{byte:02x}")),
        each(&|byte| format!("{byte:02X}")),
        each(&|byte| format!("{byte:02x}:")).trim_end_matches(':').to_owned(),
        each(&|byte| format!("{byte:02x} ")).trim_end().to_owned(),
        each(&|byte| format!("\\x{byte:02x}")),
        each(&|byte| format!("%{byte:02x}")),
        each(&|byte| format!("%{byte:02X}")),
        each(&|byte| format!("\\u{byte:04x}")),
        each(&|byte| format!("\\u{byte:04X}")),
    ];
    forms.extend(["%2D", "%2d", "\\u002d", "\\u002D", "\\-", "&#45;", "&#x2d;"].map(unusual));
    for before in 0..3 {
        forms.extend([STANDARD, FOR_URLS].map(|digits| base64(API_KEY.as_bytes(), before, digits)));
    }
    forms
}

/// Returns the base64 of a text after `before` other bytes, without the ends that depend on the bytes around it.
fn base64(text: &[u8], before: usize, digits: &str) -> String {
    let triples = text[(3 - before) % 3..].chunks_exact(3);
    let encoded = triples.flat_map(|triple| {
        let bits = triple.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(digits.as_bytes()[bits >> shift & 63]))
    });
    encoded.collect()
}

#[test]
fn the_search_knows_what_others_make_of_the_key() {
    // Output of the program `base64`, for each position of the API key in the input.
    for (encoded, before) in [
        ("YWstY2FuYXJ5LTVmMWM5ZDdlM2IyYTQ2ODA=", ""),
        ("eGFrLWNhbmFyeS01ZjFjOWQ3ZTNiMmE0Njgw", "x"),
        ("eHlhay1jYW5hcnktNWYxYzlkN2UzYjJhNDY4MA==", "xy"),
    ] {
        assert!(FORMS.iter().any(|form| encoded.contains(form)), "{encoded} is {before}{API_KEY}");
    }
    for shown in [
        "{\"key\":\"ak-canary-5f1c9d7e3b2a4680\"}",
        "616b2d63616e6172792d35663163396437653362326134363830",
        "616B2D63616E6172792D35663163396437653362326134363830",
        "[97, 107, 45, 99, 97, 110, 97, 114, 121, 45, 53, 102, 49, 99, 57, 100, 55, 101, 51, 98, 50, 97, 52, 54, 56, 48]",
        "?key=ak%2Dcanary%2D5f1c9d7e3b2a4680",
        "ak\\u002dcanary\\u002d5f1c9d7e3b2a4680",
        "X-API-KEY: AK-CANARY-5F1C9D7E3B2A4680",
        "%61%6b%2d%63%61%6e%61%72%79%2d%35%66%31%63%39%64%37%65%33%62%32%61%34%36%38%30",
        "%61%6B%2D%63%61%6E%61%72%79%2D%35%66%31%63%39%64%37%65%33%62%32%61%34%36%38%30",
        "\\u0061\\u006b\\u002d\\u0063\\u0061\\u006e\\u0061\\u0072\\u0079\\u002d\
         \\u0035\\u0066\\u0031\\u0063\\u0039\\u0064\\u0037\\u0065\\u0033\\u0062\\u0032\\u0061\\u0034\\u0036\\u0038\\u0030",
        "61:6b:2d:63:61:6e:61:72:79:2d:35:66:31:63:39:64:37:65:33:62:32:61:34:36:38:30",
    ] {
        assert!(FORMS.iter().any(|form| shown.contains(form)), "{shown}");
    }
}
