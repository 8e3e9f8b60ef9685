//! The region that owns a transaction.

use sha2::{Digest, Sha256};

use crate::payment::Record;

/// The regions that store payments.
///
/// In a table with eventual consistency, a condition on an item only holds within one region: DynamoDB replicates the
/// table asynchronously, and the last of two concurrent writes wins. So each transaction id has one home region. Its
/// payment and its audit record are written there, whichever region received the request.
///
/// In a table with multi-region strong consistency, a condition holds in all regions, so each region is the home of all
/// ids ([`Homes::strong`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Homes {
    first: String,
    others: Vec<String>,
    /// Whether the first region is the home of all ids.
    strong: bool,
}

impl Homes {
    /// A single region, which owns all ids.
    #[must_use]
    pub fn one(region: &str) -> Self {
        Self { first: region.to_owned(), others: Vec::new(), strong: false }
    }

    /// The regions of a table with eventual consistency, in any order; `None` if the list is empty.
    #[must_use]
    pub fn new<'a>(regions: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut regions = regions.into_iter().map(str::to_owned);
        Some(Self { first: regions.next()?, others: regions.collect(), strong: false })
    }

    /// The regions of a table with multi-region strong consistency, for requests in the region `here`.
    #[must_use]
    pub fn strong<'a>(here: &str, regions: impl IntoIterator<Item = &'a str>) -> Self {
        let others = regions.into_iter().filter(|region| *region != here).map(str::to_owned);
        Self { first: here.to_owned(), others: others.collect(), strong: true }
    }

    /// The regions.
    pub fn regions(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.first).chain(&self.others).map(String::as_str)
    }

    /// The home region of a transaction id: the region with the greatest hash of region and id (rendezvous hashing), so
    /// that adding or removing a region moves as few ids as possible.
    #[must_use]
    pub fn of(&self, id: &str) -> &str {
        if self.strong {
            return &self.first;
        }
        let weight = |region: &str| {
            let mut hash = Sha256::new();
            hash.update(region);
            hash.update([0]);
            hash.update(id);
            hash.finalize()
        };
        self.others.iter().fold(&self.first, |home, region| if weight(region) > weight(home) { region } else { home })
    }

    /// The region that stores the audit record of a payment: the region that stored the payment or, if that region no
    /// longer accepts payments, the home region of its id.
    #[must_use]
    pub fn of_audit<'a>(&'a self, record: &'a Record) -> &'a str {
        if self.regions().any(|region| region == record.region) {
            &record.region
        } else {
            self.of(&record.payment.transaction_id)
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_home_whatever_the_order_and_only_needed_ids_move() {
        let two = Homes::new(["us-east-1", "us-east-2"]).unwrap();
        let turned = Homes::new(["us-east-2", "us-east-1"]).unwrap();
        let three = Homes::new(["us-east-1", "us-east-2", "us-west-2"]).unwrap();
        let (mut first, mut moved) = (0, 0);
        for number in 0..10_000 {
            let id = format!("t-{number}");
            let home = two.of(&id);
            assert_eq!(home, turned.of(&id));
            first += i32::from(home == "us-east-1");
            let later = three.of(&id);
            assert!(later == home || later == "us-west-2", "{id} moved from {home} to {later}");
            moved += i32::from(later != home);
        }
        assert!((4_700..5_300).contains(&first), "{first} of 10,000 ids belong to the first region");
        assert!((3_000..3_700).contains(&moved), "{moved} of 10,000 ids moved to the new region");
        assert_eq!(Homes::new([]), None);
    }

    #[test]
    fn with_strong_consistency_every_region_is_the_home_of_all_ids() {
        for here in ["us-east-1", "us-east-2"] {
            let homes = Homes::strong(here, ["us-east-1", "us-east-2"]);
            assert!((0..1_000).all(|number| homes.of(&format!("t-{number}")) == here));
            assert_eq!(homes.regions().count(), 2);
        }
    }
}
