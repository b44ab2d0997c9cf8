//! JSON bodies, read in place and changed by insertion. [`scan()`] checks every byte and records the positions of the members
//! that a [`Shape`] lists. [`splice()`] turns the received body into the one that is sent. A [`Walk`] checks as much and records
//! nothing: it shows each value to a function when it is reached.
//!
//! Only listed values are decoded, and nothing is serialised again. So numbers of any size, the order of members, white
//! space and escapes stay as they are. The meaning of the members is not known here.

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
mod walk;

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod oracle;

pub use malformed::{Malformed, Reason};
pub use outline::{Kind, Outline};
pub use scan::{Shape, scan};
pub use splice::{Pieces, Splice, SpliceError, splice};
pub use value::Value;
pub use walk::{Name, Token, Walk};
