//! Findings: what is wrong, or risky, in a configuration, each with the path of the key it is about.
//!
//! Somebody may paste the key itself as a value or as a name. So a path hides every step that may be one (`pasted`), below
//! `credentials` also what is long or does not look like a name, and no message quotes a value.

use std::fmt;

use super::pasted;

/// Where in the configuration: `listeners[1].tenant`, or nothing for the file as a whole.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(Vec<Step>);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Key(String),
    Index(usize),
}

impl Path {
    /// The path of `key` in the section that this path names.
    pub(crate) fn key(&self, key: impl Into<String>) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Key(key.into()));
        Self(steps)
    }

    /// The path of an element of the list that this path names, counted from 0.
    pub(crate) fn index(&self, index: usize) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Index(index));
        Self(steps)
    }

    /// Whether this path names `ancestor` or something inside it.
    pub(crate) fn is_within(&self, ancestor: &Self) -> bool {
        self.0.starts_with(&ancestor.0)
    }

    /// The keys on the way, or nothing where the path leads through a list.
    pub(crate) fn keys(&self) -> Option<Vec<&str>> {
        self.0.iter().map(|step| if let Step::Key(key) = step { Some(key.as_str()) } else { None }).collect()
    }

    /// Whether a key that stands at this depth is not shown.
    pub(crate) fn hides(&self, depth: usize, key: &str) -> bool {
        let below_credentials = matches!(self.0.first(), Some(Step::Key(first)) if first == "credentials");
        let is_no_name = match depth {
            0 => false,
            1 => key.len() > 20 || !is_credential_name(key),
            _ => key.len() > 24 || !key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
        };
        pasted::may_be_a_key(key) || below_credentials && is_no_name
    }
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(out, "[{index}]")?,
                Step::Key(key) => {
                    if depth > 0 {
                        out.write_str(".")?;
                    }
                    if self.hides(depth, key) {
                        out.write_str("<hidden>")?;
                    } else if is_plain(key) {
                        out.write_str(key)?;
                    } else {
                        write!(out, "{key:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// As displayed: a derived one would show what the path hides.
impl fmt::Debug for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Whether `name` may name a credential: 1 to 63 of `a-z`, `0-9`, `_` and `-`.
pub(crate) fn is_credential_name(name: &str) -> bool {
    (1..=63).contains(&name.len()) && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

/// One thing to say about one key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The key; displayed as nothing where the file as a whole is meant.
    pub path: Path,
    /// What is wrong and what to do, without the value.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path == Path::default() {
            out.write_str(&self.message)
        } else {
            write!(out, "{}: {}", self.path, self.message)
        }
    }
}

/// Everything that keeps a configuration from running, in the order of the paths; displayed one a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(Vec<Finding>);

/// What is allowed but risky, in the order of the paths; displayed one a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Warnings(Vec<Finding>);

macro_rules! list_of_findings {
    ($list:ident) => {
        impl $list {
            /// The findings, in the order of their paths.
            pub fn iter(&self) -> impl Iterator<Item = &Finding> {
                self.0.iter()
            }

            /// Whether there is nothing to say.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }

            pub(crate) fn push(&mut self, path: &Path, message: impl Into<String>) {
                let finding = Finding { path: path.clone(), message: message.into() };
                let place = self.0.partition_point(|other| other.path <= finding.path);
                self.0.insert(place, finding);
            }
        }

        impl fmt::Display for $list {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                for (line, finding) in self.0.iter().enumerate() {
                    if line > 0 {
                        out.write_str("\n")?;
                    }
                    finding.fmt(out)?;
                }
                Ok(())
            }
        }
    };
}

list_of_findings!(Faults);
list_of_findings!(Warnings);

impl std::error::Error for Faults {}

impl Faults {
    /// A single fault of the file as a whole.
    pub(crate) fn whole(message: impl Into<String>) -> Self {
        Self(vec![Finding { path: Path::default(), message: message.into() }])
    }

    /// Whether something was already said about this key or about a section that holds it.
    pub(crate) fn cover(&self, path: &Path) -> bool {
        self.0.iter().any(|fault| path.is_within(&fault.path))
    }

    /// Whether something was already said about this key or about anything in it.
    pub(crate) fn any_within(&self, path: &Path) -> bool {
        self.0.iter().any(|fault| fault.path.is_within(path))
    }

    /// Adds to each message what `note` has to say about the path.
    pub(crate) fn annotate(&mut self, note: impl Fn(&Path) -> Option<String>) {
        for fault in &mut self.0 {
            if let Some(note) = note(&fault.path) {
                fault.message.push_str(&note);
            }
        }
    }
}

/// What `resolve` finds on its way.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) faults: Faults,
    pub(crate) warnings: Warnings,
}

impl Findings {
    /// Records a fault; answers nothing, so that a check can end with it.
    pub(crate) fn fault<T>(&mut self, path: &Path, message: impl Into<String>) -> Option<T> {
        self.faults.push(path, message);
        None
    }

    /// Records that a key is missing, unless what was written there has already been refused.
    pub(crate) fn missing<T>(&mut self, path: &Path, message: impl Into<String>) -> Option<T> {
        if !self.faults.cover(path) {
            self.faults.push(path, message);
        }
        None
    }
}
