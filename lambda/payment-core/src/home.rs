//! The region that a transaction belongs to.

use sha2::{Digest, Sha256};

use crate::payment::Record;

/// The regions that keep payments.
///
/// A condition on an item holds in one region only, because DynamoDB copies a global table to the other regions a
/// moment later and of two writes at once the last one wins. So each transaction id has one home, the region in whose
/// table its payment is written and in whose bucket its audit record is, whichever region the request came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Homes {
    first: String,
    others: Vec<String>,
}

impl Homes {
    /// One region, which is the home of everything.
    #[must_use]
    pub fn one(region: &str) -> Self {
        Self { first: region.to_owned(), others: Vec::new() }
    }

    /// These regions, in any order; none if there is none.
    #[must_use]
    pub fn new<'a>(regions: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut regions = regions.into_iter().map(str::to_owned);
        Some(Self { first: regions.next()?, others: regions.collect() })
    }

    /// The regions.
    pub fn regions(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.first).chain(&self.others).map(String::as_str)
    }

    /// The home of a transaction id: the region with the greatest hash of region and id (rendezvous hashing), so that
    /// a region more or less moves only the ids that must move.
    #[must_use]
    pub fn of(&self, id: &str) -> &str {
        let weight = |region: &str| {
            let mut hash = Sha256::new();
            hash.update(region);
            hash.update([0]);
            hash.update(id);
            hash.finalize()
        };
        self.others.iter().fold(&self.first, |home, region| if weight(region) > weight(home) { region } else { home })
    }

    /// The region that keeps the audit record of a payment: the one that stored the payment, or its id's home where
    /// that one takes no payments any more.
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
}
