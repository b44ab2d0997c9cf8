//! What the operator writes. Every key is optional here: absence is judged in `resolve`, where it can be told apart
//! from a key that was refused.
//!
//! Values are kept as text, because a value that does not parse must be reported beside all others; serde would stop
//! at the first. A key that is not here is refused: no feature is configured before it exists.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Gateway {
    pub(crate) upstream: Upstream,
    pub(crate) listeners: Option<List<Listener>>,
    pub(crate) admin: Admin,
    pub(crate) credentials: BTreeMap<String, Credential>,
    pub(crate) tenants: BTreeMap<String, Tenant>,
    pub(crate) tagging: Tagging,
    pub(crate) idempotency: Idempotency,
    pub(crate) body_limit: Option<Quantity>,
    pub(crate) timeouts: Timeouts,
    pub(crate) drain: Drain,
}

/// `upstream`: where requests go.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upstream {
    pub(crate) url: Option<String>,
    pub(crate) credential_header: Option<String>,
    pub(crate) ca_file: Option<String>,
}

/// One of `listeners`: where requests arrive.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Listener {
    pub(crate) address: Option<String>,
    pub(crate) tenant: TenantSource,
    pub(crate) hosts: Option<List<String>>,
    pub(crate) tls: Option<ListenerTls>,
}

/// `listeners[].tls`: where a listener's certificate is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenerTls {
    pub(crate) certificate_file: Option<String>,
    pub(crate) key_file: Option<String>,
}

/// `listeners[].tenant`: how the tenant of a request is known.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantSource {
    pub(crate) fixed: Option<String>,
    pub(crate) header: Option<String>,
    pub(crate) trusted_peers: Option<List<String>>,
}

/// `admin`: the listener for probes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Admin {
    pub(crate) address: Option<String>,
}

/// One of `credentials`: where a key is kept, never the key.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credential {
    pub(crate) file: Option<String>,
    pub(crate) env: Option<String>,
}

/// One of `tenants`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tenant {
    pub(crate) credential: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) limits: Limits,
    pub(crate) idempotency: Option<Mode>,
}

/// `tenants.*.limits`: what a tenant may do; an absent limit is no limit.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) executions: Option<Rate>,
    pub(crate) requests: Option<Rate>,
    pub(crate) in_flight: Option<Quantity>,
    pub(crate) budget: Option<Budget>,
}

/// `tenants.*.limits.executions` and `requests`: how many in which span of time.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rate {
    pub(crate) rate: Option<Quantity>,
    pub(crate) burst: Option<Quantity>,
}

/// `tenants.*.limits.budget`: how many starts in a day.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budget {
    pub(crate) executions: Option<Quantity>,
    pub(crate) per: Option<String>,
    pub(crate) local: Option<Flag>,
}

/// `tagging`: what is written into a request's `metadata`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tagging {
    pub(crate) tenant_key: Option<String>,
    pub(crate) tenant_prefix: Option<String>,
    pub(crate) on_conflict: Option<String>,
    pub(crate) idempotency_key: Option<String>,
}

/// `idempotency`: what is remembered of idempotency keys.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Idempotency {
    pub(crate) retention: Option<Quantity>,
    pub(crate) memory: Option<Quantity>,
    pub(crate) recovery: Option<Flag>,
}

/// `timeouts`: how long each part of an exchange may take.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Timeouts {
    pub(crate) connect: Option<Quantity>,
    pub(crate) response: Option<Quantity>,
    pub(crate) body: Option<Quantity>,
    pub(crate) idle: Option<Quantity>,
}

/// `drain`: how the gateway ends.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Drain {
    pub(crate) delay: Option<Quantity>,
    pub(crate) timeout: Option<Quantity>,
}

/// A number with its unit. A bare number is taken too, so that `resolve` can say which unit to write.
#[derive(Debug)]
pub(crate) struct Quantity(pub(crate) String);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bare;
        impl Visitor<'_> for Bare {
            type Value = Quantity;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a number with its unit")
            }

            fn visit_str<E>(self, text: &str) -> Result<Quantity, E> {
                Ok(Quantity(text.to_owned()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }
        }
        deserializer.deserialize_any(Bare)
    }
}

/// `true` or `false`, as text, because a variable of the environment is text.
#[derive(Debug)]
pub(crate) struct Flag(pub(crate) String);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Word("true or false")).map(Flag)
    }
}

/// `off`, which YAML takes for a flag, `optional` or `required`.
#[derive(Debug)]
pub(crate) struct Mode(pub(crate) String);

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Word("off, optional or required")).map(Mode)
    }
}

/// One of these words, as text also where YAML takes it for a flag.
struct Word(&'static str);

impl Visitor<'_> for Word {
    type Value = String;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.0)
    }

    fn visit_bool<E>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

/// A list whose elements know their position, because a refused one leaves a gap.
#[derive(Debug)]
pub(crate) struct List<T>(pub(crate) Vec<(usize, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
            type Value = List<T>;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<List<T>, A::Error> {
                let mut list = Vec::new();
                let mut index = 0;
                while let Some(element) = elements.next_element::<Option<T>>()? {
                    list.extend(element.map(|element| (index, element)));
                    index += 1;
                }
                Ok(List(list))
            }
        }
        deserializer.deserialize_seq(Elements(std::marker::PhantomData))
    }
}
