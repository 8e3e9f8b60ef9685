//! CIDR blocks: validation, and the split of a region's block into subnets.

use ipnet::Ipv4Net;
use payinfra_engine::{Error, Result};

/// The number of availability zones that a region's network spans (M-07).
pub const ZONES: usize = 3;

/// The shortest prefix of a VPC (AWS's limit), and the longest whose public subnets (/27) still fit a load balancer.
const PREFIXES: std::ops::RangeInclusive<u8> = 16..=21;

/// The prefixes of VPCs (AWS's limits).
const VPC: std::ops::RangeInclusive<u8> = 16..=28;

/// The private address space (RFC 1918).
const PRIVATE: [&str; 3] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];

/// Parses a private network: RFC 1918, no host bits.
///
/// # Errors
/// If `text` is not one.
pub fn private(text: &str) -> Result<Ipv4Net> {
    let block: Ipv4Net = text.parse().map_err(|_| {
        Error::invalid(format!("`{text}` is not a CIDR block")).hint("write ADDRESS/LENGTH, such as 10.0.0.0/16")
    })?;
    if block.trunc() != block {
        return Err(
            Error::invalid(format!("`{text}` has bits set after its prefix")).hint(format!("use {}", block.trunc()))
        );
    }
    let known = PRIVATE.iter().filter_map(|text| text.parse::<Ipv4Net>().ok());
    if !known.into_iter().any(|private| private.contains(&block)) {
        return Err(Error::invalid(format!("`{text}` is not a private block"))
            .hint(format!("use a block inside {} (RFC 1918)", PRIVATE.join(", "))));
    }
    Ok(block)
}

/// Parses the network of a region: private, and large enough for the subnets of [`Subnets`].
///
/// # Errors
/// If `text` is not one.
pub fn network(text: &str) -> Result<Ipv4Net> {
    let block = private(text)?;
    if PREFIXES.contains(&block.prefix_len()) {
        return Ok(block);
    }
    let (largest, smallest) = (PREFIXES.start(), PREFIXES.end());
    Err(Error::invalid(format!("`{text}` has an unsupported size for subnets in {ZONES} zones")).hint(format!(
        "use a block between /{largest} (the largest that AWS accepts) and /{smallest} (the smallest with room for \
         load balancers)"
    )))
}

/// Parses the block of a VPC: private, and of a size that AWS accepts.
///
/// # Errors
/// If `text` is not one.
pub fn vpc(text: &str) -> Result<Ipv4Net> {
    let block = private(text)?;
    if VPC.contains(&block.prefix_len()) {
        return Ok(block);
    }
    Err(Error::invalid(format!("`{text}` has an unsupported size for a VPC")).hint(format!(
        "AWS accepts blocks between /{} and /{}",
        VPC.start(),
        VPC.end()
    )))
}

/// Whether two blocks overlap: one of them contains the other.
#[must_use]
pub fn overlap(one: &Ipv4Net, other: &Ipv4Net) -> bool {
    one.contains(other) || other.contains(one)
}

/// The split of a region's block: private subnets from its start, public ones from its middle, free space after both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnets {
    /// One private subnet per zone, each a sixteenth of the block.
    pub private: Vec<Ipv4Net>,
    /// One public subnet per zone, each a sixty-fourth of the block.
    pub public: Vec<Ipv4Net>,
}

impl Subnets {
    /// The subnets of `network`.
    ///
    /// # Errors
    /// If the block is too small.
    pub fn of(network: &Ipv4Net) -> Result<Self> {
        let split = |longer: u8, skip: usize| {
            let subnets = network
                .subnets(network.prefix_len() + longer)
                .map_err(|_| Error::invalid(format!("{network} is too small for subnets in {ZONES} zones")))?;
            Ok::<_, Error>(subnets.skip(skip).take(ZONES).collect())
        };
        Ok(Self { private: split(4, 0)?, public: split(6, 32)? })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn x08_a_block_becomes_subnets_inside_it_that_share_nothing() -> Result<()> {
        for text in ["10.0.0.0/16", "172.16.0.0/18", "192.168.8.0/21"] {
            let network = network(text)?;
            let Subnets { private, public } = Subnets::of(&network)?;
            let all: Vec<_> = private.into_iter().chain(public).collect();
            assert_eq!(all.len(), 2 * ZONES);
            for (index, subnet) in all.iter().enumerate() {
                assert!(network.contains(subnet), "{subnet} is not in {network}");
                assert!(subnet.prefix_len() <= 27, "{subnet} is too small");
                assert!(!all[..index].iter().any(|other| overlap(subnet, other)), "{subnet} overlaps");
            }
        }
        Ok(())
    }

    #[test]
    fn x08_what_is_not_a_private_network_is_refused() {
        for (text, message) in [
            ("10.0.0.0", "`10.0.0.0` is not a CIDR block"),
            ("10.0.0.0/33", "`10.0.0.0/33` is not a CIDR block"),
            ("10.0.0.1/16", "`10.0.0.1/16` has bits set after its prefix"),
            ("11.0.0.0/16", "`11.0.0.0/16` is not a private block"),
            ("172.32.0.0/16", "`172.32.0.0/16` is not a private block"),
            ("192.0.0.0/8", "`192.0.0.0/8` is not a private block"),
            ("10.0.0.0/8", "`10.0.0.0/8` has an unsupported size for subnets in 3 zones"),
            ("10.0.0.0/22", "`10.0.0.0/22` has an unsupported size for subnets in 3 zones"),
        ] {
            assert_eq!(network(text).unwrap_err().message(), message);
        }
        assert!(vpc("10.0.0.0/28").is_ok());
        let message = "`10.0.0.0/29` has an unsupported size for a VPC";
        assert_eq!(vpc("10.0.0.0/29").unwrap_err().message(), message);
    }
}
