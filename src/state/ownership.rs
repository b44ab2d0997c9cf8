//! The executions that are known to belong to a tenant.
//!
//! Tags of an execution never change, so a yes may be kept as long as there is memory. A no is kept for a second: the execution
//! may just have been started.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

/// How many executions are known for all tenants together. An entry takes about 60 bytes.
const MAX_EXECUTIONS: usize = 256 * 1024;

/// How many a tenant may have at least, however many tenants there are.
const MIN_SHARE: usize = 64;

/// How long it is remembered that an execution is not the tenant's.
const NO_RETENTION: Duration = Duration::from_secs(1);

/// How many executions are remembered that are not the tenant's. Each was looked up, and look-ups have a rate.
const MAX_NOS: usize = 256;

/// The executions of one tenant at one upstream.
#[derive(Debug)]
pub struct OwnedExecutions(Mutex<Known>);

#[derive(Debug)]
struct Known {
    owned: HashSet<Uuid>,
    /// The same, in the order in which they became known.
    order: VecDeque<Uuid>,
    max: usize,
    /// Whether every execution is taken for the tenant's own.
    assumes_all: bool,
    /// Those that are not the tenant's, and until when that is remembered.
    not_owned: HashMap<Uuid, Instant>,
}

impl OwnedExecutions {
    fn new() -> OwnedExecutions {
        OwnedExecutions(Mutex::new(Known {
            owned: HashSet::new(),
            order: VecDeque::new(),
            max: MIN_SHARE,
            assumes_all: false,
            not_owned: HashMap::new(),
        }))
    }

    /// Returns whether an execution is the tenant's, if that is known.
    #[must_use]
    pub fn get(&self, id: Uuid, now: Instant) -> Option<bool> {
        let known = self.lock();
        let is_not = || known.not_owned.get(&id).is_some_and(|until| now < *until);
        if known.assumes_all || known.owned.contains(&id) { Some(true) } else { is_not().then_some(false) }
    }

    /// Records that an execution is the tenant's. If there are too many, the one that has been known longest is forgotten.
    pub fn insert(&self, id: Uuid) {
        let mut known = self.lock();
        known.not_owned.remove(&id);
        if known.owned.insert(id) {
            known.order.push_back(id);
            known.shrink();
        }
    }

    /// Takes every execution for the tenant's own, for a dry run, in which nothing can be asked.
    pub fn assume_all(&self) {
        self.lock().assumes_all = true;
    }

    /// Records that an execution is not the tenant's now.
    pub fn insert_not_owned(&self, id: Uuid, now: Instant) {
        let mut known = self.lock();
        if known.not_owned.len() >= MAX_NOS {
            known.not_owned.retain(|_, until| now < *until);
        }
        if known.not_owned.len() < MAX_NOS {
            known.not_owned.insert(id, now + NO_RETENTION);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn shrink(&mut self) {
        while self.order.len() > self.max {
            let Some(oldest) = self.order.pop_front() else { return };
            self.owned.remove(&oldest);
        }
    }
}

/// The executions of all tenants.
#[derive(Debug, Default)]
pub(super) struct Owners(Mutex<OwnersByTag>);

#[derive(Debug, Default)]
struct OwnersByTag {
    upstream: String,
    by_tag: BTreeMap<String, Arc<OwnedExecutions>>,
}

impl Owners {
    /// Returns the executions for each tag at an upstream. Forgets those of all other tags, and all if the upstream is another
    /// one. Divides the memory equally.
    pub(super) fn divide<'a>(
        &self,
        upstream: &str,
        tags: impl IntoIterator<Item = &'a str>,
    ) -> BTreeMap<String, Arc<OwnedExecutions>> {
        let mut owners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if owners.upstream != upstream {
            *owners = OwnersByTag { upstream: upstream.to_owned(), by_tag: BTreeMap::new() };
        }
        let known = |tag: &str| owners.by_tag.get(tag).map_or_else(|| Arc::new(OwnedExecutions::new()), Arc::clone);
        let wanted: BTreeMap<_, _> = tags.into_iter().map(|tag| (tag.to_owned(), known(tag))).collect();
        let share = (MAX_EXECUTIONS / wanted.len().max(1)).max(MIN_SHARE);
        for known in wanted.values() {
            let mut known = known.lock();
            known.max = share;
            known.shrink();
        }
        owners.by_tag.clone_from(&wanted);
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(owners: &Owners, tags: &[&str]) -> Vec<Arc<OwnedExecutions>> {
        owners.divide("https://upstream", tags.iter().copied()).into_values().collect()
    }

    #[test]
    fn a_yes_is_kept_and_a_no_for_a_second() {
        let owned = OwnedExecutions::new();
        let (now, [yes, no]) = (Instant::now(), [1, 2].map(Uuid::from_u128));
        owned.insert(yes);
        owned.insert_not_owned(no, now);
        assert_eq!([yes, no, Uuid::nil()].map(|id| owned.get(id, now)), [Some(true), Some(false), None]);
        let later = now + NO_RETENTION;
        assert_eq!([yes, no].map(|id| owned.get(id, later)), [Some(true), None]);
        owned.insert(no);
        assert_eq!(owned.get(no, now), Some(true));
    }

    #[test]
    fn what_is_known_of_executions_has_a_bound_that_no_tenant_takes_from_another() {
        let owners = Owners::default();
        let [greedy, other] = of(&owners, &["a", "b"]).try_into().unwrap();
        let first = Uuid::from_u128(u128::MAX);
        other.insert(first);
        greedy.insert(first);
        let now = Instant::now();
        for n in 0..MAX_EXECUTIONS as u128 {
            greedy.insert(Uuid::from_u128(n));
            greedy.insert_not_owned(Uuid::from_u128(n << 64), now);
        }
        assert_eq!(greedy.lock().owned.len(), MAX_EXECUTIONS / 2);
        assert_eq!(greedy.lock().not_owned.len(), MAX_NOS);
        assert_eq!((greedy.get(first, now), other.get(first, now)), (None, Some(true)));
        let third = of(&owners, &["a", "b", "c"]);
        assert_eq!(greedy.lock().order.len(), MAX_EXECUTIONS / 3, "a reload divides anew");
        assert!(Arc::ptr_eq(third.first().unwrap(), &greedy));
    }

    #[test]
    fn another_upstream_or_another_tag_knows_nothing_and_what_is_not_configured_is_forgotten() {
        let owners = Owners::default();
        let [owned] = of(&owners, &["a"]).try_into().unwrap();
        let (id, now) = (Uuid::from_u128(1), Instant::now());
        owned.insert(id);
        let elsewhere = owners.divide("https://elsewhere", ["a"]);
        assert!(elsewhere.values().all(|known| known.get(id, now).is_none()));
        let [again] = of(&owners, &["a"]).try_into().unwrap();
        assert_eq!(again.get(id, now), None);
    }
}
