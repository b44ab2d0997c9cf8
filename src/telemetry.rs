//! What the gateway says about itself.

pub mod log;
pub mod record;
pub mod request_id;
