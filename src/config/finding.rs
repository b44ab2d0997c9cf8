//! The faults and risks of a configuration, each with its config path.
//!
//! An API key may have been pasted as a value or as a name. So a path hides every step that may be one (`pasted`);
//! below `credentials`, it also hides long steps and those that do not look like names. No message quotes a value.

use std::fmt;

use super::pasted;

/// A path in the configuration, such as `listeners[1].tenant`; empty for the file as a whole.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(Vec<Step>);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Name(String),
    Index(usize),
}

impl Path {
    /// Returns the path of the setting `name` in the section at this path.
    pub(crate) fn join(&self, name: impl Into<String>) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Name(name.into()));
        Self(steps)
    }

    /// Returns the path of an element, counted from 0, of the list at this path.
    pub(crate) fn index(&self, index: usize) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Index(index));
        Self(steps)
    }

    /// Returns whether this path is `ancestor` or inside it.
    pub(crate) fn is_within(&self, ancestor: &Self) -> bool {
        self.0.starts_with(&ancestor.0)
    }

    /// Returns the names of the steps, or `None` if the path leads through a list.
    pub(crate) fn names(&self) -> Option<Vec<&str>> {
        self.0.iter().map(|step| if let Step::Name(name) = step { Some(name.as_str()) } else { None }).collect()
    }

    /// Returns whether the name of a step at this depth is hidden.
    pub(crate) fn hides(&self, depth: usize, name: &str) -> bool {
        let below_credentials = matches!(self.0.first(), Some(Step::Name(first)) if first == "credentials");
        let is_no_name = match depth {
            0 => false,
            1 => name.len() > 20 || !is_credential_name(name),
            _ => name.len() > 24 || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
        };
        pasted::may_be_api_key(name) || below_credentials && is_no_name
    }
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(out, "[{index}]")?,
                Step::Name(name) => {
                    if depth > 0 {
                        out.write_str(".")?;
                    }
                    if self.hides(depth, name) {
                        out.write_str("<hidden>")?;
                    } else if is_plain(name) {
                        out.write_str(name)?;
                    } else {
                        write!(out, "{name:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Same as `Display`: a derived implementation would show hidden steps.
impl fmt::Debug for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Returns whether `name` is valid for a credential: 1 to 63 of `a-z`, `0-9`, `_` and `-`.
pub(crate) fn is_credential_name(name: &str) -> bool {
    (1..=63).contains(&name.len()) && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

/// One fault or risk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The config path; not displayed if it is empty.
    pub path: Path,
    /// The fault and its remedy, without the value.
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

/// All faults of a configuration, in the order of their paths. Displayed one per line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(Vec<Finding>);

/// All risks of a configuration, in the order of their paths. Displayed one per line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Warnings(Vec<Finding>);

macro_rules! list_of_findings {
    ($list:ident) => {
        impl $list {
            /// Returns the findings in the order of their paths.
            pub fn iter(&self) -> impl Iterator<Item = &Finding> {
                self.0.iter()
            }

            /// Returns whether there are no findings.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }

            pub(crate) fn push(&mut self, path: &Path, message: impl Into<String>) {
                let finding = Finding { path: path.clone(), message: message.into() };
                let index = self.0.partition_point(|other| other.path <= finding.path);
                self.0.insert(index, finding);
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
    /// Creates a single fault of the file as a whole.
    pub(crate) fn of_file(message: impl Into<String>) -> Self {
        Self(vec![Finding { path: Path::default(), message: message.into() }])
    }

    /// Returns whether there is a fault at this path or at a section that contains it.
    pub(crate) fn covers(&self, path: &Path) -> bool {
        self.0.iter().any(|fault| path.is_within(&fault.path))
    }

    /// Returns whether there is a fault at this path or inside it.
    pub(crate) fn any_within(&self, path: &Path) -> bool {
        self.0.iter().any(|fault| fault.path.is_within(path))
    }

    /// Appends to each message the note for its path.
    pub(crate) fn annotate(&mut self, note: impl Fn(&Path) -> Option<String>) {
        for fault in &mut self.0 {
            if let Some(note) = note(&fault.path) {
                fault.message.push_str(&note);
            }
        }
    }
}

/// The faults and risks that `resolve` collects.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) faults: Faults,
    pub(crate) warnings: Warnings,
}

impl Findings {
    /// Records a fault. Returns `None`, so that a check can end with this call.
    pub(crate) fn refuse<T>(&mut self, path: &Path, message: impl Into<String>) -> Option<T> {
        self.faults.push(path, message);
        None
    }

    /// Records that a setting is missing, unless its value has already been refused.
    pub(crate) fn report_missing<T>(&mut self, path: &Path, message: impl Into<String>) -> Option<T> {
        if !self.faults.covers(path) {
            self.faults.push(path, message);
        }
        None
    }
}
