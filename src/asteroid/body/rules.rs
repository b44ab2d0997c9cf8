//! Checks a body against the rules of its [`schema`](super::schema): one pass over the members that are read, which collects every
//! fault.

use super::alike::folded;
use super::schema::{Member, Rule};
use super::{Fault, Refusal, kind_name};
use crate::asteroid::is_uuid;
use crate::json::{Kind, Outline, Value};

/// More characters than any known name has.
const MAX_NAME: usize = 32;

/// Returns the faults of a body that must have these members, up to [`Refusal::MAX_FAULTS`].
pub(in crate::asteroid) fn faults(outline: &Outline<'_>, known: &'static [Member]) -> Vec<Fault> {
    let repeated = outline.duplicates().map(|member| Fault::of(member, "occurs more than once; keep one"));
    let mut faults: Vec<Fault> = repeated.take(Refusal::MAX_FAULTS).collect();
    check(outline.root(), &Rule::Members(known), &mut faults);
    faults.truncate(Refusal::MAX_FAULTS);
    faults
}

fn check(value: Value<'_>, rule: &Rule, faults: &mut Vec<Fault>) {
    if let Rule::Absent(reason) = rule {
        return faults.push(Fault::of(value, *reason));
    }
    let (kind, expected) = kind(rule);
    if value.kind() != kind {
        return faults.push(Fault::of(value, format!("must be {expected}, not {}", kind_name(value.kind()))));
    }
    match rule {
        Rule::Text | Rule::Boolean | Rule::Object | Rule::Absent(_) => {}
        Rule::Uuid => {
            if !value.text().is_some_and(|text| is_uuid(&text)) {
                faults.push(Fault::of(value, "must be a hyphenated 36-character uuid"));
            }
        }
        Rule::OneOf(allowed) => {
            if !allowed.iter().any(|text| value.is_text(text)) {
                faults.push(Fault::of(value, format!("must be {}", allowed.join(" or "))));
            }
        }
        Rule::Integer(min, max) => match value.as_i64() {
            Some(number) if (*min..=*max).contains(&number) => {}
            Some(_) if *max == i64::MAX => faults.push(Fault::of(value, format!("must be at least {min}"))),
            Some(_) => faults.push(Fault::of(value, format!("must be from {min} to {max}"))),
            None => faults.push(Fault::of(value, "must be an integer without fraction or exponent, within 64 bits")),
        },
        Rule::Texts => {
            for member in value.members().filter(|member| member.kind() != Kind::String).take(Refusal::MAX_FAULTS) {
                faults.push(Fault::of(member, format!("must be a string, not {}", kind_name(member.kind()))));
            }
        }
        Rule::Members(known) => members(value, known, faults),
        Rule::Each(known) => {
            for element in value.elements() {
                if faults.len() >= Refusal::MAX_FAULTS {
                    return;
                }
                check(element, &Rule::Members(known), faults);
            }
        }
    }
}

/// Returns the kind that a value must have before it is checked further, and its name for callers.
fn kind(rule: &Rule) -> (Kind, &'static str) {
    let kind = match rule {
        Rule::Uuid | Rule::Text | Rule::OneOf(_) => Kind::String,
        Rule::Boolean => Kind::Bool,
        Rule::Integer(..) => return (Kind::Number, "an integer"),
        Rule::Object | Rule::Texts | Rule::Members(_) | Rule::Absent(_) => Kind::Object,
        Rule::Each(_) => Kind::Array,
    };
    (kind, kind_name(kind))
}

fn members(object: Value<'_>, known: &[Member], faults: &mut Vec<Fault>) {
    let is_there = |name| object.get(name).is_some_and(|member| member.kind() != Kind::Null);
    for member in object.members() {
        // Repeated names are already listed, so that few of them are looked up below.
        if faults.len() >= Refusal::MAX_FAULTS {
            return;
        }
        let Some(name) = member.name() else { continue };
        let Some(rule) = known.iter().find(|known| known.name == name) else {
            // A parser that takes it for a known name would read unchecked values: other tags, another version.
            let folded = folded(&name, MAX_NAME);
            if let Some(alike) = known.iter().find(|known| folded.eq_ignore_ascii_case(known.name)) {
                faults.push(Fault::of(member, format!("must be spelled exactly: {}", alike.name)));
            }
            continue;
        };
        if member.kind() == Kind::Null && !rule.required {
            continue;
        }
        check(member, &rule.rule, faults);
        if let Some(other) = rule.excludes.filter(|other| is_there(other)) {
            faults.push(Fault::of(member, format!("cannot be combined with {other}; leave one out")));
        }
    }
    for missing in known.iter().filter(|known| known.required && object.get(known.name).is_none()) {
        faults.push(Fault::of(object, format!("must have the member {}", missing.name)));
    }
}
