//! A second reading of uploads, over the whole body. Tests and the fuzz target compare the gateway with it. They share no code with
//! it.

/// Returns the content of each part of a body; `None` if it must be refused.
pub(super) fn contents<'b>(boundary: &str, body: &'b [u8]) -> Option<Vec<&'b [u8]>> {
    let delimiter = format!("--{boundary}").into_bytes();
    let body = body.strip_prefix(b"\r\n").unwrap_or(body);
    let starts_line = |at: usize| at == 0 || matches!(body[at - 1], b'\r' | b'\n');
    let starts: Vec<usize> =
        (0..body.len()).filter(|at| starts_line(*at) && body[*at..].starts_with(&delimiter)).collect();
    let (last, others) = starts.split_last()?;
    let end = body[last + delimiter.len()..].strip_prefix(b"--")?;
    let padding = end.strip_suffix(b"\r\n").unwrap_or(end);
    if starts[0] != 0 || others.is_empty() || others.len() > 1000 || !padding.iter().all(|byte| b" \t".contains(byte)) {
        return None;
    }
    starts.windows(2).map(|pair| content(body[pair[0] + delimiter.len()..pair[1]].strip_suffix(b"\r\n")?)).collect()
}

/// Returns the content of a part, which is what follows a boundary up to the next.
fn content(part: &[u8]) -> Option<&[u8]> {
    let padding = part.iter().take_while(|byte| b" \t".contains(byte)).count();
    let part = &part[padding..];
    if !part.starts_with(b"\r\n") {
        return None;
    }
    let end = part.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, content) = (part.get(2..end)?, &part[end + 4..]);
    let head = std::str::from_utf8(head).ok()?;
    if head.len() + 4 > 8192 || head.chars().any(|c| c.is_ascii_control() && !"\r\n\t".contains(c)) {
        return None;
    }
    let lines: Vec<&str> = head.split("\r\n").collect();
    if lines.len() > 16 || lines.iter().any(|line| line.contains(['\r', '\n'])) {
        return None;
    }
    let headers: Vec<(String, &str)> = lines
        .into_iter()
        .map(|line| line.split_once(':').filter(|(name, _)| is_token(name)))
        .map(|header| header.map(|(name, value)| (name.to_lowercase(), value.trim_matches([' ', '\t']))))
        .collect::<Option<_>>()?;
    let values = |name| headers.iter().filter(|(other, _)| other == name).map(|(_, value)| *value).collect::<Vec<_>>();
    let [disposition] = values("content-disposition")[..] else { return None };
    let encoding_is_known = match values("content-transfer-encoding")[..] {
        [] => true,
        [one] => ["binary", "8bit", "7bit"].contains(&one.to_lowercase().as_str()),
        _ => false,
    };
    let is_upload = encoding_is_known && values("content-type").len() < 2 && is_file(disposition);
    is_upload.then_some(content)
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}

/// Returns whether a disposition is that of a part of an upload.
fn is_file(disposition: &str) -> bool {
    let mut quotes = 0;
    let parts: Vec<&str> = disposition
        .split(|c| {
            quotes += usize::from(c == '"');
            c == ';' && quotes % 2 == 0
        })
        .collect();
    let Some((kind, parameters)) = parts.split_first() else { return false };
    let mut names = Vec::new();
    let mut field = None;
    for parameter in parameters {
        let Some((name, value)) = parameter.trim_matches([' ', '\t']).split_once('=') else { return false };
        let inner =
            value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).filter(|inner| !inner.contains('"'));
        let inner = inner.filter(|inner| (inner.len() - inner.trim_end_matches('\\').len()).is_multiple_of(2));
        let Some(value) = inner.or_else(|| is_token(value).then_some(value)) else { return false };
        let name = name.to_lowercase();
        if name == "name" {
            field = Some(value);
        }
        names.push(name);
    }
    let count = names.len();
    names.sort();
    names.dedup();
    let are_known = names.iter().all(|name| ["name", "filename", "filename*"].contains(&name.as_str()));
    kind.trim_matches([' ', '\t']).eq_ignore_ascii_case("form-data")
        && count == names.len()
        && are_known
        && field == Some("files")
}
