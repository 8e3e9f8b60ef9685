//! The regions of AWS.

use payinfra_engine::{Error, Region, Result};

/// The commercial regions, sorted.
const REGIONS: [&str; 34] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// The prefixes of regions in other partitions, whose ARNs begin differently.
const PARTITIONS: [(&str, &str); 4] =
    [("cn-", "aws-cn"), ("eusc-", "aws-eusc"), ("us-gov-", "aws-us-gov"), ("us-iso", "aws-iso")];

/// Whether a text is the name of a commercial region.
pub(crate) fn is_known(name: &str) -> bool {
    REGIONS.binary_search(&name).is_ok()
}

/// Checks that AWS has the region, in the partition `aws`.
///
/// # Errors
/// If it has not.
pub(crate) fn known(region: &Region) -> Result<()> {
    if is_known(region.as_str()) {
        return Ok(());
    }
    if let Some((_, partition)) = PARTITIONS.iter().find(|(prefix, _)| region.as_str().starts_with(prefix)) {
        return Err(Error::invalid(format!(
            "{region} is in the partition {partition}, which payinfra does not support"
        ))
        .hint("use regions of the partition aws, such as us-east-1"));
    }
    Err(Error::invalid(format!("`{region}` is not a region of AWS")).hint(format!("use one of {}", REGIONS.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_sorted() {
        assert!(REGIONS.is_sorted());
    }
}
