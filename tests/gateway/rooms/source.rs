//! The sources of the gateway as tokens, without their tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The path of a module in the crate.
pub(super) type Module = Vec<String>;

/// A file of `src/`.
pub(super) struct Source {
    pub(super) module: Module,
    /// Its tokens in order, without those of tests. A delimiter and `::` are one token each.
    pub(super) tokens: Vec<String>,
}

impl Source {
    /// Returns whether these tokens follow each other somewhere.
    pub(super) fn contains(&self, tokens: &[&str]) -> bool {
        self.tokens.windows(tokens.len()).any(|window| window == tokens)
    }

    /// Returns the paths in its code that lead to modules of the crate, from the crate's root.
    pub(super) fn paths(&self) -> Vec<Module> {
        let mut paths = Vec::new();
        for at in 0..self.tokens.len() {
            let parents = &self.module[..self.module.len() - 1];
            let base = match self.tokens[at].as_str() {
                "crate" | "asteroid_gateway" => &[],
                // Of several in a row, the first begins the path, and `follow` shortens it for the others.
                "super" if at < 2 || self.tokens[at - 2] != "super" => parents,
                "self" => self.module.as_slice(),
                _ => continue,
            };
            if self.tokens.get(at + 1).is_some_and(|next| next == "::") {
                follow(&self.tokens, at + 2, base.to_vec(), &mut paths);
            }
        }
        paths
    }
}

/// Adds the paths that continue `base` at this token, and returns the index of the token after them.
fn follow(tokens: &[String], mut at: usize, mut base: Module, paths: &mut Vec<Module>) -> usize {
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("{") => {
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at = follow(tokens, at + 1, base.clone(), paths);
                }
                return at + 1;
            }
            Some("super") => drop(base.pop()),
            Some("self") => {}
            Some(name) if name.starts_with(|c: char| c.is_alphabetic() || c == '_') => base.push(name.to_owned()),
            _ => break,
        }
        at += 1;
        if tokens.get(at).is_none_or(|token| token != "::") {
            break;
        }
        at += 1;
    }
    paths.push(base);
    // A name may be followed by its new name; then comes the next path of a group, or the group's end.
    at + tokens[at..].iter().take_while(|token| ![",", "}", ";"].contains(&token.as_str())).count()
}

/// Returns the files of Rust in a folder and below it.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let nested = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    nested.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// Returns the files of `src/` that are more than tests.
pub(super) fn sources() -> Vec<Source> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut sources, mut tests) = (Vec::new(), BTreeSet::new());
    for path in files(&folder) {
        let below = path.strip_prefix(&folder).unwrap().with_extension("");
        let module: Module = below.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        let stream: TokenStream = fs::read_to_string(&path).unwrap().parse().expect("tokens of Rust");
        let mut tokens = Vec::new();
        flatten(stream, &mut tokens, &mut |name| {
            tests.insert([module.as_slice(), &[name]].concat());
        });
        sources.push(Source { module, tokens });
    }
    let is_test = |module: &Module| (1..=module.len()).any(|length| tests.contains(&module[..length]));
    sources.retain(|source| !is_test(&source.module));
    sources
}

/// Adds the tokens, except those of items for tests, and calls `test` with the names of modules for tests.
fn flatten(stream: TokenStream, tokens: &mut Vec<String>, test: &mut impl FnMut(String)) {
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        match tree {
            TokenTree::Punct(sign) if sign.as_char() == '#' && is_for_tests(trees.peek()) => {
                let item = trees.by_ref().skip(1);
                let mut is_module = false;
                for tree in item {
                    match tree {
                        TokenTree::Ident(name) if is_module => test(name.to_string()),
                        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => break,
                        TokenTree::Punct(sign) if sign.as_char() == ';' => break,
                        other => is_module = other.to_string() == "mod",
                    }
                }
            }
            TokenTree::Punct(sign) if sign.as_char() == ':' => {
                let is_second = tokens.last().is_some_and(|last| last == ":");
                if is_second {
                    tokens.pop()
                } else {
                    None
                };
                tokens.push(if is_second { "::" } else { ":" }.to_owned());
            }
            TokenTree::Group(group) => {
                let (open, close) = signs(&group);
                tokens.push(open.to_owned());
                flatten(group.stream(), tokens, test);
                tokens.push(close.to_owned());
            }
            other => tokens.push(other.to_string()),
        }
    }
}

fn is_for_tests(tree: Option<&TokenTree>) -> bool {
    tree.is_some_and(|tree| tree.to_string().replace(' ', "") == "[cfg(test)]")
}

fn signs(group: &Group) -> (&'static str, &'static str) {
    match group.delimiter() {
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::None => ("", ""),
    }
}
