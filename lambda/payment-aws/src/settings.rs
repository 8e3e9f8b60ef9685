//! Settings of the service and the function.

use std::collections::BTreeMap;

use crate::item;

/// The regions and their buckets, from the form `us-east-1=a,us-east-2=b`; `None` if a region is duplicated or lacks its bucket.
#[must_use]
pub fn regions(text: &str) -> Option<BTreeMap<String, String>> {
    let mut regions = BTreeMap::new();
    for pair in text.split(',') {
        let (region, bucket) =
            pair.split_once('=').filter(|(region, bucket)| !region.is_empty() && !bucket.is_empty())?;
        if regions.insert(region.to_owned(), bucket.to_owned()).is_some() {
            return None;
        }
    }
    Some(regions)
}

/// The attributes of a table's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The partition key: the payment's id, a string.
    pub id: String,
    /// The sort key, if there is one: a time, a number.
    pub timestamp: Option<String>,
}

impl Key {
    /// A key from the form `payment_id` or `payment_id,timestamp`; `None` if it has another form, or an attribute of a
    /// payment.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, timestamp) = match text.split_once(',') {
            Some((id, timestamp)) => (id, Some(timestamp)),
            None => (text, None),
        };
        let fits = |name: &str| !name.is_empty() && !name.contains([',', ' ']) && !item::ALL.contains(&name);
        let fits = fits(id) && timestamp.is_none_or(|timestamp| fits(timestamp) && timestamp != id);
        fits.then(|| Self { id: id.to_owned(), timestamp: timestamp.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_or_two_attributes_that_are_not_those_of_a_payment() {
        let key = |text: &str| Key::parse(text).map(|key| (key.id, key.timestamp));
        assert_eq!(key("payment_id"), Some(("payment_id".into(), None)));
        assert_eq!(key("transactionId,timestamp"), Some(("transactionId".into(), Some("timestamp".into()))));
        for wrong in ["", "a,", ",b", "a,a", "a,b,c", "a, b", "amount", "payment_id,accepted_at"] {
            assert_eq!(key(wrong), None, "{wrong}");
        }
    }
}
