//! The bytes of a JSON text: what is where in it, and changing a part of it while all other bytes stay.
//!
//! Knows no API. serde_json reads everything else; a caller's body is read here because a typed parse stops at the first
//! fault and forgets offsets, and a value tree changes big integers, the order of members and escapes.

pub mod outline;
pub mod scan;
pub mod splice;

pub use outline::{Kind, Outline, Value};
pub use scan::{Malformed, Shape, scan};
pub use splice::Splice;
