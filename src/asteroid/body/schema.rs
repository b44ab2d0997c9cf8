//! Rules for the members of a body, as data.

/// The rule for a value.
#[derive(Debug, Clone, Copy)]
pub(in crate::asteroid) enum Rule {
    /// A string: a hyphenated uuid of 36 characters, in any case.
    Uuid,
    /// A string.
    Text,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// `true` or `false`.
    Boolean,
    /// An integer without fraction or exponent, from the first to the second bound.
    Integer(i64, i64),
    /// A member that must be absent, as this sentence says.
    Absent(&'static str),
    /// An object whose members only the upstream judges.
    Object,
    /// An object whose values are strings.
    Texts,
    /// An object with these members, among others.
    Members(&'static [Member]),
    /// An array of such objects.
    Each(&'static [Member]),
}

/// A known member.
#[derive(Debug, Clone, Copy)]
pub(in crate::asteroid) struct Member {
    pub(in crate::asteroid) name: &'static str,
    pub(in crate::asteroid) rule: Rule,
    /// For an optional member, `null` means absent.
    pub(in crate::asteroid) required: bool,
    /// The member that must be absent if this one is present.
    pub(in crate::asteroid) excludes: Option<&'static str>,
}

pub(in crate::asteroid) const fn optional(name: &'static str, rule: Rule) -> Member {
    Member { name, rule, required: false, excludes: None }
}

pub(in crate::asteroid) const fn required(name: &'static str, rule: Rule) -> Member {
    Member { name, rule, required: true, excludes: None }
}

/// Only one of two members that exclude each other has this rule, since the caller made one mistake.
pub(in crate::asteroid) const fn exclusive(name: &'static str, rule: Rule, excludes: &'static str) -> Member {
    Member { name, rule, required: false, excludes: Some(excludes) }
}
