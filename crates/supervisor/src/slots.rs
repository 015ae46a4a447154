//! Which range of uids belongs to which sandbox.

use std::collections::BTreeSet;

/// Above everything that distributions, login managers and container engines hand out, and below the
/// uids that some programs take for negative.
const FIRST_UID: u32 = 0x7000_0000;
const UIDS: u32 = 65_536;
/// Ranges there are; one more above them is for probes.
const SLOTS: u32 = 4094;

/// Sandboxes that one supervisor takes, running or not.
pub(crate) const MAX_SANDBOXES: usize = 4000;

/// A range of 65 536 uids of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct Slot(u32);

impl Slot {
    pub(crate) fn uid_base(self) -> u32 {
        FIRST_UID + (self.0 % SLOTS) * UIDS
    }
}

/// A free slot. `seed` is the installation's own: two on one host begin at different places, so that
/// they rarely hand out the same uids.
pub(crate) fn free(used: &BTreeSet<Slot>, seed: &str) -> Option<Slot> {
    let start = seed
        .bytes()
        .fold(0u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()))
        % SLOTS;
    (0..SLOTS)
        .map(|step| Slot((start + step) % SLOTS))
        .find(|slot| !used.contains(slot))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_never_overlap_and_never_run_out_before_sandboxes_do() {
        let mut used = BTreeSet::new();
        let mut bases = BTreeSet::new();
        for _ in 0..300 {
            let slot = free(&used, "/creel-1").expect("a free slot");
            used.insert(slot);
            bases.insert(slot.uid_base());
        }
        assert_eq!(bases.len(), 300);
        assert!(bases.iter().all(|base| base % UIDS == 0 && *base >= FIRST_UID));
        let last = Slot(SLOTS - 1);
        assert!(
            last.uid_base() + UIDS <= 0x7fff_0000 - 0x1_0000,
            "the probe's range stays free"
        );

        let mut all: BTreeSet<Slot> = (0..SLOTS).map(Slot).collect();
        assert!(all.len() >= MAX_SANDBOXES);
        assert_eq!(free(&all, "/creel-1"), None);
        all.remove(&Slot(7));
        assert_eq!(free(&all, "/creel-1"), Some(Slot(7)));
    }
}
