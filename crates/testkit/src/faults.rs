//! What goes wrong, where: rules for single calls, and a seeded mix for all of them.

use std::time::Duration;

use payinfra_engine::{Class, Error};

/// A call of the cloud or of the store.
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

/// Before or after the call takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// It never takes effect.
    Before,
    /// It took effect; only the answer is lost.
    After,
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The answer is lost: nobody knows.
    Ambiguous,
    /// Too many calls. Always before the effect.
    Throttled,
    /// Something made a moment ago is not known here. Always before the effect.
    Eventual,
    /// Something is in the way. Always before the effect.
    Conflict,
    /// A final refusal. Always before the effect.
    Denied,
    /// No answer for a minute, then as [`Fault::Ambiguous`].
    Hang,
    /// What is created will never be ready.
    Stillborn,
    /// The client is killed, as by SIGKILL.
    Crash,
}

impl Fault {
    /// How long [`Fault::Hang`] hangs.
    pub(crate) const HANG: Duration = Duration::from_mins(1);

    /// What the client is told.
    pub(crate) fn error(self) -> Error {
        match self {
            Self::Throttled => Error::new(Class::Throttled, "too many calls").code("Throttling"),
            Self::Eventual => Error::new(Class::Eventual, "not yet known here").code("InvalidParameterValue"),
            Self::Conflict => Error::new(Class::Conflict, "a change is in progress").code("OperationAborted"),
            Self::Denied => Error::new(Class::Denied, "you may not do this").code("AccessDenied"),
            Self::Ambiguous | Self::Hang | Self::Stillborn | Self::Crash => {
                Error::new(Class::Ambiguous, "the connection was reset")
            }
        }
    }

    /// When it strikes if asked for at `when`.
    pub(crate) fn when(self, when: When) -> When {
        match self {
            Self::Ambiguous | Self::Hang | Self::Crash => when,
            _ => When::Before,
        }
    }
}

/// Which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The n-th of all calls since the client started, from 0.
    Call(usize),
    /// The n-th call of this operation on this kind (empty: any), from 0.
    Nth(Operation, &'static str, usize),
    /// Every call of this operation on this kind (empty: any).
    Every(Operation, &'static str),
}

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Which call.
    pub point: Point,
    /// Before or after its effect.
    pub when: When,
    /// What goes wrong.
    pub fault: Fault,
}

/// All that goes wrong.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    rules: Vec<(Rule, usize)>,
    mix: Option<Mix>,
}

#[derive(Clone, Debug)]
struct Mix {
    random: Random,
    /// Of a thousand calls, how many fail.
    failing: u64,
    /// Of a thousand calls, how many kill the client.
    killing: u64,
    kills: usize,
}

impl Faults {
    /// Nothing goes wrong.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// These go wrong.
    #[must_use]
    pub fn rules(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self { rules: rules.into_iter().map(|rule| (rule, 0)).collect(), mix: None }
    }

    /// One thing goes wrong.
    #[must_use]
    pub fn one(point: Point, when: When, fault: Fault) -> Self {
        Self::rules([Rule { point, when, fault }])
    }

    /// Of a thousand calls, `failing` fail and `killing` kill the client, at most `kills` times; decided by `seed`.
    #[must_use]
    pub fn mix(seed: u64, failing: u64, killing: u64, kills: usize) -> Self {
        Self { rules: Vec::new(), mix: Some(Mix { random: Random(seed), failing, killing, kills }) }
    }

    /// What goes wrong with call number `index`, an `operation` on `kind`.
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
        // The store's promise is to settle what is uncertain; conflicts are for the cloud.
        let stored = matches!(operation, Operation::Save | Operation::Load);
        if stored && matches!(fault, Fault::Eventual | Fault::Conflict) {
            return drawn;
        }
        drawn.or(Some((fault.when(when), fault)))
    }
}

/// Steele, Lea and Flood's splitmix64: enough for tests, and the same everywhere.
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
