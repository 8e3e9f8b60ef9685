//! The IAM action that AWS checks for an operation.

/// The IAM action of `operation` of the service with this signing name, both as [`Call`](crate::Call) names them: the Service
/// Authorization Reference gives some actions other names than those of the operations. What AWS checks besides, because of the
/// request, is left out: a role that is passed, tags of a new resource.
#[must_use]
pub fn iam_action(service: &str, operation: &str) -> String {
    match service {
        "apigateway" => format!("apigateway:{}", verb(operation)),
        "lambda" => format!("lambda:{}", lambda(operation)),
        "monitoring" => format!("cloudwatch:{operation}"),
        "s3" => format!("s3:{}", s3(operation)),
        other => format!("{other}:{operation}"),
    }
}

/// API Gateway's actions are HTTP methods.
fn verb(operation: &str) -> &'static str {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| operation.starts_with(prefix));
    match operation {
        _ if starts(&["Delete", "Untag"]) => "DELETE",
        _ if starts(&["Update"]) => "PATCH",
        _ if starts(&["Put", "Tag"]) => "PUT",
        _ if starts(&["Create", "Post"]) => "POST",
        _ => "GET",
    }
}

/// Some operations of Lambda are named by their paths.
fn lambda(operation: &str) -> &str {
    match operation {
        "Invoke" | "InvokeAsync" => "InvokeFunction",
        "Get /functions/{}/event-invoke-config" => "GetFunctionEventInvokeConfig",
        "Put /functions/{}/event-invoke-config" => "PutFunctionEventInvokeConfig",
        "Delete /functions/{}/event-invoke-config" => "DeleteFunctionEventInvokeConfig",
        other => match other.split_once(" /tags") {
            Some(("Get", _)) => "ListTags",
            Some(("Post", _)) => "TagResource",
            Some(("Delete", _)) => "UntagResource",
            _ => other,
        },
    }
}

/// Some actions of S3 have other names than the operations.
fn s3(operation: &str) -> &str {
    match operation {
        "DeleteBucketEncryption" | "PutBucketEncryption" => "PutEncryptionConfiguration",
        "DeleteBucketLifecycle" | "PutBucketLifecycleConfiguration" => "PutLifecycleConfiguration",
        "DeleteBucketOwnershipControls" => "PutBucketOwnershipControls",
        "DeleteBucketReplication" | "PutBucketReplication" => "PutReplicationConfiguration",
        "DeleteBucketTagging" => "PutBucketTagging",
        "DeleteObjects" => "DeleteObject",
        "DeletePublicAccessBlock" | "PutPublicAccessBlock" => "PutBucketPublicAccessBlock",
        "GetBucketEncryption" => "GetEncryptionConfiguration",
        "GetBucketLifecycleConfiguration" => "GetLifecycleConfiguration",
        "GetBucketNotificationConfiguration" => "GetBucketNotification",
        "GetBucketReplication" => "GetReplicationConfiguration",
        "GetPublicAccessBlock" => "GetBucketPublicAccessBlock",
        "HeadBucket" | "ListObjects" | "ListObjectsV2" => "ListBucket",
        "HeadObject" => "GetObject",
        "ListBuckets" => "ListAllMyBuckets",
        "ListMultipartUploads" => "ListBucketMultipartUploads",
        "ListObjectVersions" => "ListBucketVersions",
        "PutBucketNotificationConfiguration" => "PutBucketNotification",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_have_the_names_of_the_service_authorization_reference() {
        for (service, operation, action) in [
            ("apigateway", "CreateRestApi", "apigateway:POST"),
            ("apigateway", "Get /v2/{}/api/{}", "apigateway:GET"),
            ("ec2", "CreateVpc", "ec2:CreateVpc"),
            ("lambda", "Invoke", "lambda:InvokeFunction"),
            ("lambda", "Post /tags/arn", "lambda:TagResource"),
            ("monitoring", "PutMetricAlarm", "cloudwatch:PutMetricAlarm"),
            ("s3", "HeadBucket", "s3:ListBucket"),
            ("s3", "GetBucketPolicy", "s3:GetBucketPolicy"),
        ] {
            assert_eq!(iam_action(service, operation), action);
        }
    }
}
