//! Faults: rules for single calls, and a random mix for all calls.

use std::time::Duration;

use payinfra_engine::{Class, Error};

/// A call to the cloud or to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// `Cloud::create`.
    Create,
    /// `Cloud::recover`.
    Recover,
    /// `Cloud::read`.
    Read,
    /// `Cloud::update`.
    Update,
    /// `Cloud::delete`.
    Delete,
    /// `Cloud::restore`.
    Restore,
    /// `Cloud::absent`.
    Absent,
    /// `Cloud::find`.
    Find,
    /// `Cloud::publish`.
    Publish,
    /// `Store::load`.
    Load,
    /// `Store::save`.
    Save,
}

impl Operation {
    /// Whether it changes the cloud.
    #[must_use]
    pub fn mutates(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Delete | Self::Restore)
    }
}

/// When a fault strikes: before or after the call takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The call never takes effect.
    Before,
    /// The call took effect; only the response is lost.
    After,
}

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The response is lost, so the result is unknown.
    Ambiguous,
    /// Throttling. Always before the effect.
    Throttled,
    /// A new resource has not propagated yet. Always before the effect.
    Eventual,
    /// A conflict. Always before the effect.
    Conflict,
    /// A permanent rejection. Always before the effect.
    Denied,
    /// No response for a minute, then as [`Fault::Ambiguous`].
    Hang,
    /// The created resource never becomes ready.
    Stillborn,
    /// The client is killed, as by SIGKILL.
    Crash,
}

impl Fault {
    /// The duration of [`Fault::Hang`].
    pub(crate) const HANG: Duration = Duration::from_mins(1);

    /// The error that the client gets.
    pub(crate) fn error(self) -> Error {
        match self {
            Self::Throttled => Error::new(Class::Throttled, "rate exceeded").code("Throttling"),
            Self::Eventual => Error::new(Class::Eventual, "not visible yet").code("InvalidParameterValue"),
            Self::Conflict => Error::new(Class::Conflict, "a change is in progress").code("OperationAborted"),
            Self::Denied => Error::new(Class::Denied, "access denied").code("AccessDenied"),
            Self::Ambiguous | Self::Hang | Self::Stillborn | Self::Crash => {
                Error::new(Class::Ambiguous, "the connection was reset")
            }
        }
    }

    /// When it strikes if `when` is requested.
    pub(crate) fn when(self, when: When) -> When {
        match self {
            Self::Ambiguous | Self::Hang | Self::Crash => when,
            _ => When::Before,
        }
    }
}

/// The calls that a rule applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The n-th call since the client started, from 0.
    Call(usize),
    /// The n-th call of this operation on this kind (empty: any), from 0.
    Nth(Operation, &'static str, usize),
    /// Every call of this operation on this kind (empty: any).
    Every(Operation, &'static str),
}

/// A rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The calls.
    pub point: Point,
    /// Before or after the effect.
    pub when: When,
    /// The fault.
    pub fault: Fault,
}

/// All faults.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    rules: Vec<(Rule, usize)>,
    mix: Option<Mix>,
}

#[derive(Clone, Debug)]
struct Mix {
    random: Random,
    /// The number of calls per thousand that fail.
    failing: u64,
    /// The number of calls per thousand that kill the client.
    killing: u64,
    kills: usize,
}

impl Faults {
    /// No faults.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// These faults.
    #[must_use]
    pub fn rules(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self { rules: rules.into_iter().map(|rule| (rule, 0)).collect(), mix: None }
    }

    /// One fault.
    #[must_use]
    pub fn one(point: Point, when: When, fault: Fault) -> Self {
        Self::rules([Rule { point, when, fault }])
    }

    /// Of a thousand calls, `failing` fail and `killing` kill the client, at most `kills` times, randomly with `seed`.
    #[must_use]
    pub fn mix(seed: u64, failing: u64, killing: u64, kills: usize) -> Self {
        Self { rules: Vec::new(), mix: Some(Mix { random: Random(seed), failing, killing, kills }) }
    }

    /// The fault of call number `index`, an `operation` on `kind`.
    pub(crate) fn draw(&mut self, index: usize, operation: Operation, kind: &str) -> Option<(When, Fault)> {
        let mut drawn = None;
        for (rule, seen) in &mut self.rules {
            let hit = match rule.point {
                Point::Call(nth) => nth == index,
                Point::Every(op, of) => op == operation && (of.is_empty() || of == kind),
                Point::Nth(op, of, nth) if op == operation && (of.is_empty() || of == kind) => {
                    *seen += 1;
                    *seen == nth + 1
                }
                Point::Nth(..) => false,
            };
            if hit && drawn.is_none() {
                drawn = Some((rule.fault.when(rule.when), rule.fault));
            }
        }
        let Some(mix) = &mut self.mix else { return drawn };
        let (roll, pick, side) = (mix.random.below(1000), mix.random.below(5), mix.random.below(2));
        let when = if side == 0 { When::Before } else { When::After };
        let fault = if roll < mix.killing {
            if mix.kills == 0 {
                return drawn;
            }
            mix.kills -= 1;
            Fault::Crash
        } else if roll < mix.killing + mix.failing {
            let faults = [Fault::Ambiguous, Fault::Throttled, Fault::Eventual, Fault::Conflict, Fault::Hang];
            *faults.get(usize::try_from(pick).unwrap_or_default())?
        } else {
            return drawn;
        };
        // Stores resolve uncertain results themselves, and have no conflicts.
        let stored = matches!(operation, Operation::Save | Operation::Load);
        if stored && matches!(fault, Fault::Eventual | Fault::Conflict) {
            return drawn;
        }
        drawn.or(Some((fault.when(when), fault)))
    }
}

/// Steele, Lea and Flood's splitmix64: sufficient for tests, and the same on every platform.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number less than `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
