//! The names of S3's operations, which follow from method, path and query.

use hyper::{HeaderMap, Method};

use crate::route::pairs;

/// Sub-resources of a bucket, by their names in queries and in operations.
const BUCKET: &[(&str, &str)] = &[
    ("accelerate", "BucketAccelerateConfiguration"),
    ("acl", "BucketAcl"),
    ("analytics", "BucketAnalyticsConfiguration"),
    ("cors", "BucketCors"),
    ("encryption", "BucketEncryption"),
    ("intelligent-tiering", "BucketIntelligentTieringConfiguration"),
    ("inventory", "BucketInventoryConfiguration"),
    ("lifecycle", "BucketLifecycleConfiguration"),
    ("location", "BucketLocation"),
    ("logging", "BucketLogging"),
    ("metrics", "BucketMetricsConfiguration"),
    ("notification", "BucketNotificationConfiguration"),
    ("object-lock", "ObjectLockConfiguration"),
    ("ownershipControls", "BucketOwnershipControls"),
    ("policy", "BucketPolicy"),
    ("policyStatus", "BucketPolicyStatus"),
    ("publicAccessBlock", "PublicAccessBlock"),
    ("replication", "BucketReplication"),
    ("requestPayment", "BucketRequestPayment"),
    ("tagging", "BucketTagging"),
    ("versioning", "BucketVersioning"),
    ("website", "BucketWebsite"),
];

/// Sub-resources of an object.
const OBJECT: &[(&str, &str)] = &[
    ("acl", "ObjectAcl"),
    ("attributes", "ObjectAttributes"),
    ("legal-hold", "ObjectLegalHold"),
    ("retention", "ObjectRetention"),
    ("tagging", "ObjectTagging"),
];

/// The name of an S3 operation.
pub(super) fn action(method: &Method, path: &str, query_text: &str, headers: &HeaderMap) -> String {
    let (bucket, key) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
    let has = |name: &str| pairs(query_text).any(|(key, _)| key == name);
    let verb = match method.as_str() {
        "PUT" => "Put",
        "DELETE" => "Delete",
        "HEAD" => "Head",
        _ => "Get",
    };
    let subresource =
        |table: &[(&str, &str)]| table.iter().find(|(name, _)| has(name)).map(|(_, noun)| (*noun).to_owned());
    let list = |noun: &str| format!("List{noun}");
    match (method.as_str(), bucket.is_empty(), key.is_empty()) {
        (_, true, _) => list("Buckets"),
        ("POST", false, true) if has("delete") => "DeleteObjects".to_owned(),
        ("GET", false, true) if has("versions") => list("ObjectVersions"),
        ("GET", false, true) if has("uploads") => list("MultipartUploads"),
        (_, false, true) => match (subresource(BUCKET), method.as_str()) {
            // Exceptions from the pattern.
            (Some(noun), "DELETE") if noun == "BucketLifecycleConfiguration" => "DeleteBucketLifecycle".to_owned(),
            (Some(noun), _) => format!("{verb}{noun}"),
            (None, "PUT") => "CreateBucket".to_owned(),
            (None, "GET") => list(if has("list-type") { "ObjectsV2" } else { "Objects" }),
            (None, _) => format!("{verb}Bucket"),
        },
        ("POST", ..) if has("uploads") => "CreateMultipartUpload".to_owned(),
        ("POST", ..) if has("uploadId") => "CompleteMultipartUpload".to_owned(),
        ("POST", ..) if has("restore") => "RestoreObject".to_owned(),
        ("POST", ..) if has("select") => "SelectObjectContent".to_owned(),
        ("PUT", ..) if has("partNumber") => "UploadPart".to_owned(),
        ("GET", ..) if has("uploadId") => list("Parts"),
        ("DELETE", ..) if has("uploadId") => "AbortMultipartUpload".to_owned(),
        ("PUT", ..) if headers.contains_key("x-amz-copy-source") => "CopyObject".to_owned(),
        _ => format!("{verb}{}", subresource(OBJECT).unwrap_or_else(|| "Object".to_owned())),
    }
}
