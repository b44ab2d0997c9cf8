//! What the gateway says about itself.

mod line;
pub mod log;
pub mod record;
pub mod request_id;
