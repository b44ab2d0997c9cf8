//! `tenant: { header: NAME }`: a header names the tenant, and is believed because its sender is trusted.

use std::collections::HashMap;
use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::HeaderName;

use crate::tenant::Tenant;

use super::Error;

/// The tenants by name.
pub type Tenants = HashMap<Box<[u8]>, Arc<Tenant>>;

/// The header of a listener, and the tenants that it can name.
#[derive(Debug)]
pub struct Header {
    /// Its name.
    pub name: HeaderName,
    /// All tenants.
    pub tenants: Arc<Tenants>,
}

impl Header {
    pub(super) fn identify(&self, headers: &HeaderMap) -> Result<&Arc<Tenant>, Error> {
        let mut values = headers.get_all(&self.name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => self.tenants.get(value.as_bytes()).ok_or_else(|| Error::Unknown(self.name.clone())),
            (None, _) => Err(Error::Missing(self.name.clone())),
            (Some(_), Some(_)) => Err(Error::Repeated(self.name.clone())),
        }
    }
}
