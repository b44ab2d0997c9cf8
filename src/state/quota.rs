//! A quota that all tenants share, so that no tenant takes the part of the others.
//!
//! A tenant may hold as much as it leaves free: alone half of the quota, two greedy tenants a third each. So any number
//! of tenants leaves a part for the next one, and nothing is reserved for tenants that do not call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::counter::Counter;

/// An amount that tenants share, and how much of it is held.
#[derive(Debug)]
pub struct Quota {
    max: AtomicUsize,
    held: AtomicUsize,
    refused: Counter,
}

/// The part of a [`Quota`] that one tenant holds.
#[derive(Debug)]
pub struct Share {
    quota: Arc<Quota>,
    held: AtomicUsize,
}

/// An amount that a tenant holds until this is dropped.
#[derive(Debug)]
pub struct Hold {
    share: Arc<Share>,
    amount: usize,
    /// Whether there are no other tenants to leave a part for.
    is_only: bool,
}

/// The reason why an amount cannot be held: it is not left, or not for this tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverQuota;

impl Quota {
    /// Creates a quota of which nothing is held yet.
    #[must_use]
    pub fn new(max: usize) -> Quota {
        Quota { max: AtomicUsize::new(max), held: AtomicUsize::new(0), refused: Counter::default() }
    }

    /// Returns the whole amount.
    #[must_use]
    pub fn max(&self) -> usize {
        self.max.load(Ordering::Relaxed)
    }

    /// Changes the whole amount. If more than that is held, nothing further can be held until enough is released.
    pub fn resize(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// Returns how much is held by all tenants together.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Returns how often an amount was refused.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.count()
    }
}

impl Share {
    /// Creates the share of a tenant that holds nothing yet.
    #[must_use]
    pub fn new(quota: Arc<Quota>) -> Share {
        Share { quota, held: AtomicUsize::new(0) }
    }

    /// Holds an amount for this tenant. The only tenant may hold the whole quota.
    ///
    /// # Errors
    ///
    /// [`OverQuota`]; nothing was held.
    pub fn hold(self: &Arc<Self>, amount: usize, is_only: bool) -> Result<Hold, OverQuota> {
        let mut hold = Hold { share: Arc::clone(self), amount: 0, is_only };
        hold.grow(amount)?;
        Ok(hold)
    }

    fn release(&self, amount: usize) {
        self.held.fetch_sub(amount, Ordering::Relaxed);
        self.quota.held.fetch_sub(amount, Ordering::Relaxed);
    }
}

impl Hold {
    /// Holds a further amount.
    ///
    /// # Errors
    ///
    /// [`OverQuota`]; the earlier amount is still held.
    pub fn grow(&mut self, amount: usize) -> Result<(), OverQuota> {
        let Share { quota, held } = &*self.share;
        // Added first, then checked. Two concurrent requests may both be refused, but they never both get the last part.
        let own = held.fetch_add(amount, Ordering::Relaxed).saturating_add(amount);
        let all = quota.held.fetch_add(amount, Ordering::Relaxed).saturating_add(amount);
        let fits = quota.max().checked_sub(all).is_some_and(|free| self.is_only || own <= free);
        if !fits {
            self.share.release(amount);
            quota.refused.add();
            return Err(OverQuota);
        }
        self.amount += amount;
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.share.release(self.amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares<const N: usize>(max: usize) -> (Arc<Quota>, [Arc<Share>; N]) {
        let quota = Arc::new(Quota::new(max));
        let shares = [(); N].map(|()| Arc::new(Share::new(Arc::clone(&quota))));
        (quota, shares)
    }

    /// Holds as much as there is for a tenant, one by one.
    fn take_all(share: &Arc<Share>) -> Vec<Hold> {
        std::iter::from_fn(|| share.hold(1, false).ok()).take(1000).collect()
    }

    #[test]
    fn a_greedy_tenant_leaves_as_much_free_as_it_holds_and_so_do_several() {
        let (quota, [greedy, second, third]) = shares(120);
        let held = [take_all(&greedy), take_all(&second), take_all(&third)];
        assert_eq!(held.each_ref().map(Vec::len), [60, 30, 15], "each at once and one after the other");
        assert_eq!(quota.held(), 105);
        drop(held);
        assert_eq!((quota.held(), quota.refused()), (0, 3));
    }

    #[test]
    fn the_only_tenant_may_hold_everything_and_not_more() {
        let (quota, [only]) = shares(100);
        let mut hold = only.hold(60, true).unwrap();
        hold.grow(40).unwrap();
        assert_eq!(hold.grow(1), Err(OverQuota));
        assert_eq!(quota.held(), 100);
        drop(hold);
        assert_eq!(quota.held(), 0);
        assert!(only.hold(101, true).is_err());
    }

    #[test]
    fn a_refusal_changes_nothing_and_an_absurd_amount_is_refused() {
        let (quota, [one, other]) = shares(100);
        let mut hold = one.hold(50, false).unwrap();
        assert_eq!(hold.grow(1), Err(OverQuota));
        assert!(other.hold(usize::MAX, false).is_err());
        assert!(other.hold(25, false).is_ok(), "the part of the other tenant is still there");
        assert_eq!(quota.held(), 50);
        hold.grow(0).unwrap();
    }

    #[test]
    fn tenants_that_come_at_once_never_hold_more_than_there_is() {
        let (quota, shares) = shares::<4>(1000);
        std::thread::scope(|scope| {
            for share in &shares {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let hold = share.hold(300, false);
                        assert!(hold.is_err() || quota.held() <= 1000 + 3 * 300, "what is being looked at counts, too");
                    }
                });
            }
        });
        assert_eq!(quota.held(), 0);
    }
}
