//! Sessions: what is stored about an object.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::event::Created;
use crate::function::Metadata;

/// What is stored about a version of an object. Everything in it follows from the event and the object, so a repeat writes the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Session {
    /// The key: 32 hexadecimal digits, derived from bucket, key and version.
    pub session_id: String,
    /// The bucket.
    pub bucket: String,
    /// The key of the object.
    pub key: String,
    /// The version of the object, or its entity tag if the bucket has no versions.
    pub version: String,
    /// The size in bytes.
    pub size: i64,
    /// The content type.
    pub content_type: String,
    /// The region that processed it.
    pub region: String,
    /// The time of the event.
    pub created_at: Timestamp,
    /// When it expires, in seconds since 1970.
    pub expires_at: i64,
}

impl Session {
    /// The session of `created`, which has this `metadata`, in `region`. It expires after `days`.
    #[must_use]
    pub fn new(created: &Created, metadata: Metadata, region: &str, days: u32) -> Self {
        let version = created.version.as_ref().unwrap_or(&created.etag);
        let lifetime = SignedDuration::from_hours(24 * i64::from(days));
        Self {
            session_id: id(&created.bucket, &created.key, version),
            bucket: created.bucket.clone(),
            key: created.key.clone(),
            version: version.clone(),
            size: metadata.size,
            content_type: metadata.content_type,
            region: region.to_owned(),
            created_at: created.time,
            expires_at: created.time.as_second().saturating_add(lifetime.as_secs()),
        }
    }
}

/// The lengths keep apart what would otherwise be the same text.
fn id(bucket: &str, key: &str, version: &str) -> String {
    let text = format!("{}:{bucket}{}:{key}{}:{version}", bucket.len(), key.len(), version.len());
    let digest = Sha256::digest(text);
    digest[..16].iter().fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t04_each_version_has_its_own_session() {
        let one = id("b", "k", "v1");
        assert_eq!(one.len(), 32);
        assert_eq!(one, id("b", "k", "v1"));
        for (bucket, key, version) in [("b", "k", "v2"), ("b", "kv", "1"), ("bk", "", "v1"), ("c", "k", "v1")] {
            assert_ne!(one, id(bucket, key, version), "{bucket} {key} {version}");
        }
    }
}
