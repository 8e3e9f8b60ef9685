//! Traffic weights by region, in percent, and the steps from one distribution to another.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use payinfra_engine::{Error, Result};

/// Percentages of the traffic by region.
pub(crate) type Weights = BTreeMap<String, u8>;

/// All traffic.
const ALL: u16 = 100;

/// One `REGION=N` on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Weight {
    region: String,
    percent: u8,
}

impl FromStr for Weight {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (region, percent) = text.split_once('=').ok_or("write REGION=N, such as us-east-1=75")?;
        let number: u8 =
            percent.trim().parse().map_err(|_| format!("`{percent}` is not a percentage from 0 to 100"))?;
        if u16::from(number) > ALL {
            return Err(format!("`{percent}` is not a percentage from 0 to 100"));
        }
        Ok(Self { region: region.trim().to_owned(), percent: number })
    }
}

/// The distribution that `given` describes for `regions`.
///
/// # Errors
/// If a region is unknown, missing or given twice, or the percentages do not add up to 100.
pub(crate) fn distribution(given: &[Weight], regions: &BTreeSet<String>) -> Result<Weights> {
    let named = |names: Vec<&str>| names.join(", ");
    let known = || named(regions.iter().map(String::as_str).collect());
    let mut weights = Weights::new();
    for Weight { region, percent } in given {
        if !regions.contains(region) {
            return Err(Error::invalid(format!("no record routes traffic to `{region}`"))
                .hint(format!("the regions with traffic weights are {}", known())));
        }
        if weights.insert(region.clone(), *percent).is_some() {
            return Err(Error::invalid(format!("{region} has two weights")).hint("write each region once"));
        }
    }
    let missing: Vec<_> = regions.iter().map(String::as_str).filter(|region| !weights.contains_key(*region)).collect();
    if !missing.is_empty() {
        return Err(Error::invalid(format!("{} has no weight", named(missing)))
            .hint(format!("write a weight for each of {}; 0 for no traffic", known())));
    }
    whole(&weights, "the weights")?;
    Ok(weights)
}

/// Checks that `weights` are percentages.
///
/// # Errors
/// If they do not add up to 100; the message begins with `what`.
pub(crate) fn whole(weights: &Weights, what: &str) -> Result<()> {
    let sum: u16 = weights.values().copied().map(u16::from).sum();
    if sum == ALL {
        return Ok(());
    }
    Err(Error::invalid(format!("{what} add up to {sum}: {}", shown(weights)))
        .hint("weights are percentages; they have to add up to 100"))
}

/// The distributions on the way from one to another, the last one included. No weight changes by more than `most` at once,
/// or in the wrong direction, and each distribution adds up to 100, as both ends do.
pub(crate) fn steps(from: &Weights, to: &Weights, most: u8) -> Vec<Weights> {
    let most = i32::from(most.max(1));
    let ends: Vec<(i32, i32)> = from
        .iter()
        .map(|(region, percent)| (i32::from(*percent), to.get(region).copied().map_or(0, i32::from)))
        .collect();
    let distances: Vec<i32> = ends.iter().map(|(from, to)| to - from).collect();
    let count = distances.iter().map(|distance| (distance.abs() + most - 1) / most).max().unwrap_or_default();
    let mut done = vec![0; distances.len()];
    let mut steps = Vec::new();
    let mut index = 0;
    while done != distances {
        index += 1;
        // Where each weight would be on a straight line, rounded; once the line has ended, as far as possible.
        let moves = distances.iter().zip(&done).map(|(distance, done)| {
            let line = (2 * distance.abs() * index.min(count) + count) / (2 * count);
            distance.signum() * (line - done.abs()).clamp(0, most)
        });
        let mut moves: Vec<i32> = moves.collect();
        balance(&mut moves);
        done.iter_mut().zip(&moves).for_each(|(done, moved)| *done += moved);
        // With steps of less than a point per region, rounding may leave nothing to move.
        if moves.iter().any(|moved| *moved != 0) {
            let now = ends.iter().zip(&done).map(|((from, _), done)| u8::try_from(from + done).unwrap_or_default());
            steps.push(from.keys().cloned().zip(now).collect());
        }
    }
    steps
}

/// Makes `moves` add up to 0 after rounding, by moving less.
fn balance(moves: &mut [i32]) {
    let mut surplus: i32 = moves.iter().sum();
    while surplus != 0 {
        let side = surplus.signum();
        let Some(largest) = moves.iter_mut().filter(|moved| moved.signum() == side).max_by_key(|moved| moved.abs())
        else {
            return;
        };
        *largest -= side;
        surplus -= side;
    }
}

/// `us-east-1 75, us-east-2 25`.
pub(crate) fn shown(weights: &Weights) -> String {
    weights.iter().map(|(region, percent)| format!("{region} {percent}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn weights(percents: &[u8]) -> Weights {
        percents.iter().enumerate().map(|(index, percent)| (format!("region-{index}"), *percent)).collect()
    }

    fn lines(from: &[u8], to: &[u8], most: u8) -> Vec<Vec<u8>> {
        steps(&weights(from), &weights(to), most).into_iter().map(|step| step.into_values().collect()).collect()
    }

    #[test]
    fn m26_a_shift_of_fifty_points_in_tens_takes_five_steps() {
        let expected = vec![vec![90, 10], vec![80, 20], vec![70, 30], vec![60, 40], vec![50, 50]];
        assert_eq!(lines(&[100, 0], &[50, 50], 10), expected);
        assert_eq!(lines(&[100, 0], &[50, 50], 100), [[50, 50]]);
        assert_eq!(lines(&[60, 40], &[60, 40], 10), Vec::<Vec<u8>>::new());
        assert_eq!(lines(&[100, 0, 0], &[34, 33, 33], 33), [[67, 17, 16], [34, 33, 33]]);
    }

    #[test]
    fn m26_wrong_weights_are_refused() {
        let regions = BTreeSet::from(["us-east-1", "us-east-2"].map(str::to_owned));
        let given = |text: &str| -> Result<Weights> {
            let weights: Result<Vec<Weight>, String> = text.split(',').map(str::parse).collect();
            distribution(&weights.map_err(Error::invalid)?, &regions)
        };
        assert_eq!(
            given("us-east-1=75,us-east-2=25").ok(),
            Some([("us-east-1".to_owned(), 75), ("us-east-2".to_owned(), 25)].into())
        );
        for (wrong, message) in [
            ("us-east-1=75,us-west-2=25", "no record routes traffic to `us-west-2`"),
            ("us-east-1=100", "us-east-2 has no weight"),
            ("us-east-1=75,us-east-2=35", "the weights add up to 110: us-east-1 75, us-east-2 35"),
            ("us-east-1=50,us-east-1=50", "us-east-1 has two weights"),
            ("us-east-1=300,us-east-2=0", "`300` is not a percentage from 0 to 100"),
            ("us-east-1=101,us-east-2=0", "`101` is not a percentage from 0 to 100"),
            ("us-east-1=-1,us-east-2=101", "`-1` is not a percentage from 0 to 100"),
            ("us-east-1", "write REGION=N, such as us-east-1=75"),
        ] {
            assert_eq!(given(wrong).err().map(|error| error.message().to_owned()).as_deref(), Some(message), "{wrong}");
        }
    }

    /// Percentages of `regions` that add up to 100.
    fn split(regions: usize) -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(0..=100_u8, regions - 1).prop_map(|mut cuts| {
            cuts.extend([0, 100]);
            cuts.sort_unstable();
            cuts.windows(2).map(|pair| pair[1] - pair[0]).collect()
        })
    }

    proptest! {
        #[test]
        fn m26_steps_are_small_whole_and_never_go_back(
            (from, to) in (1..=6_usize).prop_flat_map(|regions| (split(regions), split(regions))),
            most in 1..=100_u8,
        ) {
            let steps = lines(&from, &to, most);
            let mut before = from.clone();
            for step in &steps {
                prop_assert_eq!(step.iter().copied().map(u16::from).sum::<u16>(), 100);
                for ((was, is), end) in before.iter().zip(step).zip(&to) {
                    prop_assert!(was.abs_diff(*is) <= most, "{was} to {is}");
                    prop_assert!(is.abs_diff(*end) <= was.abs_diff(*end), "{was} to {is} is away from {end}");
                }
                prop_assert_ne!(&before, step);
                before.clone_from(step);
            }
            prop_assert_eq!(&before, &to);
            let longest = from.iter().zip(&to).map(|(from, to)| from.abs_diff(*to)).max().unwrap_or_default();
            // Small steps of many regions have to wait for each other, but each step moves at least a point.
            let few = if from.len() <= 3 { usize::from(longest.div_ceil(most)) } else { 0 };
            let points = from.iter().zip(&to).map(|(from, to)| usize::from(to.saturating_sub(*from))).sum::<usize>();
            prop_assert!(steps.len() <= if few > 0 { few } else { points }, "{} steps", steps.len());
        }
    }
}
