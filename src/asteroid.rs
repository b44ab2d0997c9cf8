//! asteroid
