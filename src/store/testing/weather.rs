//! What a store does to any of its calls by chance, for runs in which nobody scripts them one by one.
use std::time::Duration;

use super::{Call, Fault};
use crate::base::Random;

/// Faults and pauses by chance; see [`Faulty::weather`](super::Faulty::weather).
#[derive(Clone, Debug)]
pub struct Weather {
    /// Decides.
    pub random: Random,
    /// One call in so many meets a fault; none does where it is 0.
    pub one_in: u64,
    /// What it may meet, by its kind.
    pub faults: fn(Call) -> &'static [Fault],
    /// The longest pause before a call is applied, and the longest before it is answered.
    pub pause: Duration,
}

impl Weather {
    /// Faults after which nobody knows whether a call was applied, or that another attempt does not meet.
    pub fn ambiguous(call: Call) -> &'static [Fault] {
        use Fault::{AppliedAndDropped, AppliedAndFailed, Conflict, Failed, Late, Missing, Stale};
        match call {
            Call::Get => &[Failed],
            Call::Create => {
                &[Failed, AppliedAndFailed, AppliedAndDropped, Conflict, Missing, Late(1), Late(10), Late(100)]
            }
            Call::Put | Call::Delete | Call::Upload => &[Failed, AppliedAndFailed, AppliedAndDropped],
            Call::List => &[Failed, Stale(1), Stale(20), Stale(200)],
        }
    }

    /// Listings as they were.
    pub fn stale(call: Call) -> &'static [Fault] {
        if call == Call::List { &[Fault::Stale(1), Fault::Stale(20), Fault::Stale(200)] } else { &[] }
    }

    /// The store refuses everything.
    pub fn denied(_: Call) -> &'static [Fault] {
        &[Fault::Denied]
    }

    /// What the next call of this kind meets.
    pub(super) fn fault(&self, call: Call) -> Option<Fault> {
        let faults = (self.faults)(call);
        let meets = self.one_in > 0 && !faults.is_empty() && self.random.below(self.one_in) == 0;
        meets.then(|| faults[usize::try_from(self.random.below(faults.len() as u64)).unwrap_or(0)])
    }

    pub(super) fn pause(&self) -> Duration {
        let longest = u64::try_from(self.pause.as_millis()).unwrap_or(u64::MAX - 1);
        Duration::from_millis(self.random.below(longest + 1))
    }
}
