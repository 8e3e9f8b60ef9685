//! Random faults of networks and AWS.

use payinfra_localstack::{Fault, Match, Rule, When};

/// `SplitMix64`: the same numbers for the same seed, on every platform.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One of these, by their weights; `None` if there is none with a weight.
    pub(crate) fn weighted<T>(&mut self, all: Vec<(u32, T)>) -> Option<T> {
        let total: u64 = all.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let mut rest = self.between(0, total.max(1));
        for (weight, one) in all {
            match rest.checked_sub(weight.into()) {
                Some(less) => rest = less,
                None => return Some(one),
            }
        }
        None
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// One of `from..to`.
    pub(crate) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.roll() % (to - from)
    }

    /// A number of seconds.
    fn seconds(&mut self, from: u64, to: u64) -> f64 {
        f64::from(u32::try_from(self.between(from * 10, to * 10)).unwrap()) / 10.0
    }

    /// An index into a list of this length.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.roll() % length as u64).unwrap()
    }

    fn one<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.index(all.len())]
    }
}

/// A selection of all faults, the same for the same seed. Each of them occurs occasionally, as in AWS: the promise is to converge in the end, not
/// while AWS is down.
#[must_use]
pub fn mix(seed: u64) -> Vec<Rule> {
    let mut dice = Dice::new(seed);
    let services = [
        "ec2",
        "ec2",
        "kms",
        "s3",
        "iam",
        "logs",
        "rds",
        "ecs",
        "elasticloadbalancing",
        "route53",
        "dynamodb",
        "*",
        "*",
    ];
    let mut rules = Vec::new();
    for _ in 0..dice.between(4, 9) {
        let fault = match dice.between(0, 10) {
            0 => Fault::Error { status: dice.one(&[500, 503]) },
            1 => Fault::Throttle,
            2 => Fault::Reset { when: When::Before },
            3 => Fault::Reset { when: When::After },
            4 => Fault::Delay { seconds: dice.seconds(0, 2) },
            5 => Fault::Truncate,
            6 => Fault::Stale { seconds: dice.seconds(1, 3) },
            7 => Fault::NotFound { seconds: dice.seconds(1, 3), writes: dice.roll().is_multiple_of(2) },
            8 => Fault::HiddenTags { seconds: dice.seconds(1, 4) },
            _ => Fault::RoleNotAssumable { seconds: dice.seconds(1, 4) },
        };
        let action = match fault {
            Fault::NotFound { .. } | Fault::HiddenTags { .. } => Match::action(dice.one(&services), "Create*"),
            Fault::RoleNotAssumable { .. } => Match::action("iam", "CreateRole"),
            // Only for writes: a read makes nothing stale.
            Fault::Stale { .. } => Match { mutating: Some(true), ..Match::action(dice.one(&services), "*") },
            _ => Match::action(dice.one(&services), "*"),
        };
        let often = if action.service.as_deref() == Some("*") { 40 } else { 12 };
        rules.push(Rule { matches: action.every(dice.between(2, often)).times(dice.between(3, 12)), fault });
    }
    rules
}
