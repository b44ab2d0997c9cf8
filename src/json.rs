//! A caller's JSON body, read where it lies and changed by insertion: [`scan()`] checks every byte and records where
//! the members are that a [`Shape`] asks for, [`splice()`] makes the body that is sent of the one that came.
//!
//! Nothing is decoded that nobody asks for and nothing is written anew, so numbers of any size, key order, white
//! space and escapes leave as they came. What the members mean is for others to know.

mod cursor;
mod escape;
mod malformed;
mod nesting;
mod outline;
mod run;
mod scan;
mod skip;
mod splice;
mod value;

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod oracle;

pub use malformed::{Malformed, Reason};
pub use outline::Outline;
pub use scan::{Shape, scan};
pub use splice::{Misplaced, Pieces, Splice, splice};
pub use value::{Kind, Value};
