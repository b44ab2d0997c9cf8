//! The open arrays and objects as one bit each, so that deep nesting needs no stack.

const BITS: usize = u64::BITS as usize;

/// The open arrays and objects, outermost first. Levels beyond 64 are on the heap, 8 bytes for each 64.
#[derive(Default)]
pub(super) struct Nesting {
    /// The innermost container is the lowest bit, which is set for an object.
    innermost: u64,
    outer: Vec<u64>,
    levels: usize,
}

impl Nesting {
    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.levels == 0
    }

    /// Returns whether the innermost container is an object.
    #[inline(always)]
    pub(super) fn in_object(&self) -> bool {
        self.innermost & 1 == 1
    }

    #[inline(always)]
    pub(super) fn open(&mut self, object: bool) {
        if self.levels.is_multiple_of(BITS) && self.levels > 0 {
            self.outer.push(self.innermost);
        }
        self.innermost = self.innermost << 1 | u64::from(object);
        self.levels += 1;
    }

    #[inline(always)]
    pub(super) fn close(&mut self) {
        self.levels = self.levels.saturating_sub(1);
        self.innermost =
            if self.levels.is_multiple_of(BITS) { self.outer.pop().unwrap_or_default() } else { self.innermost >> 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_levels_come_back_in_the_order_they_were_opened() {
        let kinds: Vec<bool> = (0..1000_usize).map(|level| (level * level / 3).is_multiple_of(2)).collect();
        let mut nesting = Nesting::default();
        for &object in &kinds {
            nesting.open(object);
            assert_eq!(nesting.in_object(), object);
        }
        for &object in kinds.iter().rev() {
            assert_eq!(nesting.in_object(), object);
            nesting.close();
        }
        assert!(nesting.is_empty());
    }
}
