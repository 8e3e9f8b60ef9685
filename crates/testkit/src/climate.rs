//! AWS's times in the simulated cloud: answer times, durations and consistency windows.
//!
//! The numbers are those of AWS-FACTS §5. Everything that varies is derived from a seed and an address, so the
//! simulation and its lower bound know the same durations.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use payinfra_engine::{Address, Expected};

use crate::limits::service;

/// How long a conditional write or a read of the state takes in S3.
pub(crate) const STORE: Duration = Duration::from_millis(60);
/// The standard deviation of the logarithm of durations: the 95th percentile is twice the median.
const SPREAD: f64 = 0.42;
/// How long services other than IAM do not know a new role.
const UNKNOWN: Duration = Duration::from_secs(8);

/// The times of one simulated account.
#[derive(Clone, Copy, Debug)]
pub struct Climate {
    /// What everything that varies is derived from.
    pub seed: u64,
}

impl Climate {
    /// How long operations on `address` take, if they usually take `usual`.
    pub(crate) fn lasts(self, address: &Address, usual: Expected) -> Expected {
        let varied = |usual: Duration, what: &str| usual.mul_f64((SPREAD * self.normal(address, what)).exp());
        Expected { create: varied(usual.create, "create"), delete: varied(usual.delete, "delete") }
    }

    /// How long after its create no read shows the resource at `address`.
    pub(crate) fn invisible(self, address: &Address) -> Duration {
        let window = match service(&address.kind) {
            "ec2" => 2.0,
            "iam" => 1.0,
            _ => return Duration::ZERO,
        };
        Duration::from_secs_f64(window * self.fraction(address, "visible"))
    }

    /// A number between 0 and 1 for what happens to `address`.
    fn fraction(self, address: &Address, what: &str) -> f64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, address.to_string(), what).hash(&mut hasher);
        f64::from(u32::try_from(hasher.finish() >> 32).unwrap_or_default()) / f64::from(u32::MAX)
    }

    /// A normally distributed number (Box and Muller), within three standard deviations.
    fn normal(self, address: &Address, what: &str) -> f64 {
        let (one, two) = (self.fraction(address, what), self.fraction(address, &format!("{what}, too")));
        let radius = (-2.0 * one.max(1e-9).ln()).sqrt();
        (radius * (std::f64::consts::TAU * two).cos()).clamp(-3.0, 3.0)
    }
}

/// How long `service` takes to answer a call.
pub(crate) fn answer(service: &str) -> Duration {
    Duration::from_millis(match service {
        "" => return STORE,
        "iam" => 200,
        "kms" | "sns" | "ssm" | "logs" | "cloudwatch" => 150,
        "rds" => 1_500,
        "elbv2" => 700,
        _ => 300,
    })
}

/// How long after its create a resource of kind `of` is not known to one of kind `by`.
pub(crate) fn unknown(of: &str, by: &str) -> Duration {
    if of == "iam.role" && service(by) != "iam" { UNKNOWN } else { Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use payinfra_engine::{Region, Result};

    use super::*;

    #[test]
    fn durations_vary_by_address_and_seed_around_the_usual_one() -> Result<()> {
        let usual = Expected::millis(10_000, 1_000);
        let lasts = |seed, index| {
            let address = Address::new(&Region::new("east"), "ec2.vpc", &format!("n{index}"))?;
            Ok::<_, payinfra_engine::Error>(Climate { seed }.lasts(&address, usual).create)
        };
        let mut all = (0..1001).map(|index| lasts(7, index)).collect::<Result<Vec<_>>>()?;
        assert_ne!(lasts(7, 1)?, lasts(8, 1)?);
        all.sort();
        let (median, most) = (all[500].as_secs_f64(), all[950].as_secs_f64());
        assert!((9.0..11.0).contains(&median) && (17.0..23.0).contains(&most), "{median} {most}");
        Ok(())
    }
}
