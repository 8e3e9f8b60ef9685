//! Classifies failures in one table, by error code *and* message.

use payinfra_engine::Class;

/// Error code, part of the message, class: by AWS-FACTS §0.1. The first matching row applies; an empty string matches
/// all.
const CLASSES: &[(&str, &str, Class)] = &[
    // Eventual: roles, keys and principals that are seconds old.
    ("InvalidParameterValueException", "cannot be assumed", Class::Eventual),
    ("InvalidParameterValueException", "ensure the role can perform", Class::Eventual),
    ("InvalidParameterException", "Unable to assume the service linked role", Class::Eventual),
    ("InvalidParameterException", "verify that the ECS service role", Class::Eventual),
    ("InvalidParameterException", "does not have an associated load balancer", Class::Eventual),
    ("ClientException", "Role is not valid", Class::Eventual),
    ("ValidationException", "Unable to assume IAM role", Class::Eventual),
    ("ValidationException", "ECS service doesn't exist", Class::Eventual),
    ("FailedResourceAccessException", "", Class::Eventual),
    ("InvalidParameter", "Unable to assume given IAM role", Class::Eventual),
    ("MalformedPolicyDocumentException", "", Class::Eventual),
    ("MalformedPolicyDocument", "Invalid principal in policy", Class::Eventual),
    ("MalformedPolicy", "Invalid principal in policy", Class::Eventual),
    (
        "InvalidParameterValue",
        "IAM role ARN value is invalid or does not include the required permissions",
        Class::Eventual,
    ),
    ("InvalidParameterValue", "ENHANCED_MONITORING", Class::Eventual),
    ("KMSKeyNotAccessibleFault", "", Class::Eventual),
    ("InvalidRequest", "Versioning must be 'Enabled' on the bucket", Class::Eventual),
    // Two buckets that replicate to each other cannot depend on each other; the other one is still being set up.
    ("InvalidRequest", "Destination bucket must", Class::Eventual),
    ("CertificateNotFound", "", Class::Eventual),
    // The bucket policy that lets a load balancer write its logs.
    ("InvalidConfigurationRequest", "Access Denied for bucket", Class::Eventual),
    // A new web ACL takes seconds, at worst minutes, to propagate.
    ("WAFUnavailableEntityException", "", Class::Eventual),
    ("WAFTagOperationException", "", Class::Eventual),
    // A load balancer that is seconds old. Other messages of the same code follow below.
    ("InvalidChangeBatch", "that target was not found", Class::Eventual),
    // The policies of a trail's bucket and key that are seconds old.
    ("InsufficientS3BucketPolicyException", "", Class::Eventual),
    ("InsufficientEncryptionPolicyException", "", Class::Eventual),
    ("S3BucketDoesNotExistException", "", Class::Eventual),
    ("KmsKeyNotFoundException", "", Class::Eventual),
    ("InvalidParameter", "PrincipalNotFound", Class::Eventual),
    ("ValidationException", "cannot be assumed by principal", Class::Eventual),
    ("KMSInvalidStateException", "is pending deletion", Class::NotFound),
    ("KMSInvalidStateException", "", Class::Eventual),
    // Conflict: blocked for now.
    ("DependencyViolation", "", Class::Conflict),
    ("InvalidGroup.InUse", "", Class::Conflict),
    ("InvalidIPAddress.InUse", "", Class::Conflict),
    ("IncorrectState", "", Class::Conflict),
    ("IncorrectInstanceState", "", Class::Conflict),
    ("InvalidTransitGatewayAttachmentID.IncorrectState", "", Class::Conflict),
    ("OperationAborted", "", Class::Conflict),
    ("OperationAbortedException", "", Class::Conflict),
    ("ConditionalRequestConflict", "", Class::Conflict),
    ("DeleteConflict", "", Class::Conflict),
    ("ConcurrentModification", "", Class::Conflict),
    ("ConcurrentModificationException", "", Class::Conflict),
    ("ConflictException", "", Class::Conflict),
    // A table with this name exists. While one is being deleted, the message is "Table is being deleted".
    ("ResourceInUseException", "Table already exists", Class::Foreign),
    ("ResourceInUseException", "", Class::Conflict),
    ("ContinuousBackupsUnavailableException", "", Class::Conflict),
    ("ReplicaAlreadyExistsException", "", Class::Conflict),
    // DynamoDB's limits on concurrent changes, which are not quotas (AWS-FACTS §0.1).
    ("LimitExceededException", "simultaneously", Class::Conflict),
    ("LimitExceededException", "Subscriber limit exceeded", Class::Conflict),
    ("ResourceInUse", "", Class::Conflict),
    ("BucketNotEmpty", "", Class::Conflict),
    ("WAFAssociatedItemException", "", Class::Conflict),
    ("WAFOptimisticLockException", "", Class::Conflict),
    ("InvalidParameterException", "is still Draining", Class::Conflict),
    ("InvalidParameterException", "cannot be stopped while deployments are active", Class::Conflict),
    ("ClusterContainsServicesException", "", Class::Conflict),
    ("ClusterContainsTasksException", "", Class::Conflict),
    ("ClusterContainsContainerInstancesException", "", Class::Conflict),
    ("UpdateInProgressException", "", Class::Conflict),
    ("ConcurrentUpdateException", "", Class::Conflict),
    ("RequestInProgressException", "", Class::Conflict),
    // The record was changed since it was read.
    ("InvalidChangeBatch", "do not match the current values", Class::Conflict),
    // An alarm that a composite alarm refers to, and a rule that has targets.
    ("ResourceConflict", "", Class::Conflict),
    ("ValidationException", "has targets", Class::Conflict),
    ("InvalidDBClusterStateFault", "", Class::Conflict),
    ("InvalidDBInstanceState", "", Class::Conflict),
    ("InvalidDBParameterGroupState", "", Class::Conflict),
    ("InvalidDBSubnetGroupStateFault", "", Class::Conflict),
    ("InvalidGlobalClusterStateFault", "", Class::Conflict),
    ("InvalidParameterCombination", "previous storage change is being optimized", Class::Conflict),
    // The name of a deleted secret becomes available only seconds later.
    ("InvalidRequestException", "scheduled for deletion", Class::Conflict),
    ("InvalidRequestException", "was deleted", Class::Conflict),
    ("TooManyUpdates", "", Class::Conflict),
    ("ReplicatedWriteConflictException", "", Class::Conflict),
    ("TransactionConflictException", "", Class::Conflict),
    // Stale: written by somebody else.
    ("PreconditionFailed", "", Class::Stale),
    // Throttled.
    ("Throttling", "", Class::Throttled),
    ("ThrottlingException", "", Class::Throttled),
    ("ThrottledException", "", Class::Throttled),
    ("RequestThrottled", "", Class::Throttled),
    ("RequestThrottledException", "", Class::Throttled),
    ("RequestLimitExceeded", "", Class::Throttled),
    ("TooManyRequestsException", "", Class::Throttled),
    ("ProvisionedThroughputExceededException", "", Class::Throttled),
    ("PriorRequestNotComplete", "", Class::Throttled),
    ("SlowDown", "", Class::Throttled),
    ("Throttled", "", Class::Throttled),
    ("EC2ThrottledException", "", Class::Throttled),
    // Ambiguous: unknown whether the call took effect.
    ("InternalError", "", Class::Ambiguous),
    ("InternalFailure", "", Class::Ambiguous),
    ("InternalServerError", "", Class::Ambiguous),
    ("InternalServiceError", "", Class::Ambiguous),
    ("KMSInternalException", "", Class::Ambiguous),
    ("DependencyTimeoutException", "", Class::Ambiguous),
    ("ServiceUnavailable", "", Class::Ambiguous),
    ("ServiceUnavailableException", "", Class::Ambiguous),
    ("Unavailable", "", Class::Ambiguous),
    ("RequestTimeout", "", Class::Ambiguous),
    ("RequestTimeoutException", "", Class::Ambiguous),
    ("ExpiredToken", "", Class::Expired),
    ("ExpiredTokenException", "", Class::Expired),
    // Signed with a wrong clock: the SDK reads AWS's time from the response, and signs the next request with it.
    ("RequestExpired", "", Class::Expired),
    ("RequestTimeTooSkewed", "", Class::Expired),
    ("SignatureDoesNotMatch", "Signature expired", Class::Expired),
    ("SignatureDoesNotMatch", "Signature not yet current", Class::Expired),
    ("InvalidSignatureException", "Signature expired", Class::Expired),
    ("InvalidSignatureException", "Signature not yet current", Class::Expired),
    ("WAFInternalErrorException", "", Class::Ambiguous),
    ("WAFTagOperationInternalErrorException", "", Class::Ambiguous),
    // Foreign: the name exists.
    ("EntityAlreadyExists", "", Class::Foreign),
    ("BucketAlreadyExists", "", Class::Foreign),
    ("BucketAlreadyOwnedByYou", "", Class::Foreign),
    ("AlreadyExistsException", "", Class::Foreign),
    ("ResourceAlreadyExistsException", "", Class::Foreign),
    ("RouteAlreadyExists", "", Class::Foreign),
    ("FlowLogAlreadyExists", "", Class::Foreign),
    ("TrailAlreadyExistsException", "", Class::Foreign),
    ("InvalidParameter", "already exists with different", Class::Foreign),
    ("InvalidGroup.Duplicate", "", Class::Foreign),
    ("InvalidSubnet.Conflict", "", Class::Foreign),
    ("DuplicateTransitGatewayAttachment", "", Class::Foreign),
    ("DBClusterAlreadyExistsFault", "", Class::Foreign),
    ("DBInstanceAlreadyExists", "", Class::Foreign),
    ("DBParameterGroupAlreadyExists", "", Class::Foreign),
    ("DBSubnetGroupAlreadyExists", "", Class::Foreign),
    ("GlobalClusterAlreadyExistsFault", "", Class::Foreign),
    ("ParameterAlreadyExists", "", Class::Foreign),
    ("ResourceExistsException", "", Class::Foreign),
    ("Resource.AlreadyAssociated", "", Class::Foreign),
    ("DuplicateListener", "", Class::Foreign),
    ("DuplicateLoadBalancerName", "", Class::Foreign),
    ("DuplicateTargetGroupName", "", Class::Foreign),
    ("PriorityInUse", "", Class::Foreign),
    ("WAFDuplicateItemException", "", Class::Foreign),
    // A replica cannot be created because the region has a table with this name.
    ("ValidationException", "already existed as tables", Class::Foreign),
    ("InvalidParameterException", "was not idempotent", Class::Foreign),
    ("HostedZoneAlreadyExists", "", Class::Foreign),
    ("HealthCheckAlreadyExists", "", Class::Foreign),
    ("InvalidChangeBatch", "already exists", Class::Foreign),
    // Denied.
    ("UnauthorizedOperation", "", Class::Denied),
    ("AuthFailure", "does not belong to you", Class::Conflict),
    ("AuthFailure", "", Class::Denied),
    ("AccessDenied", "", Class::Denied),
    ("AccessDeniedException", "", Class::Denied),
    ("AuthorizationError", "no identity-based policy allows", Class::Eventual),
    ("AuthorizationError", "", Class::Denied),
    ("InvalidClientTokenId", "", Class::Denied),
    ("UnrecognizedClientException", "", Class::Denied),
    ("InvalidAccessKeyId", "", Class::Denied),
    ("SignatureDoesNotMatch", "", Class::Denied),
    ("InvalidSignatureException", "", Class::Denied),
    ("OptInRequired", "", Class::Denied),
    // Quota: exhausted.
    ("LimitExceeded", "", Class::Quota),
    ("LimitExceededException", "", Class::Quota),
    ("TooManyBuckets", "", Class::Quota),
    ("TooManyListeners", "", Class::Quota),
    ("TooManyLoadBalancers", "", Class::Quota),
    ("TooManyRules", "", Class::Quota),
    ("TooManyTargetGroups", "", Class::Quota),
    ("WAFLimitsExceededException", "", Class::Quota),
    ("TooManyHealthChecks", "", Class::Quota),
    ("TooManyHostedZones", "", Class::Quota),
    ("LimitsExceeded", "", Class::Quota),
    ("DelegationSetNotAvailable", "", Class::Quota),
    ("TooManyTagsException", "", Class::Quota),
    ("MaximumNumberOfTrailsExceededException", "", Class::Quota),
    ("InsufficientFreeAddressesInSubnet", "", Class::Quota),
    // Not found: deleted, or not visible yet.
    ("NoSuchEntity", "", Class::NotFound),
    ("NotFoundException", "", Class::NotFound),
    ("ResourceNotFoundException", "", Class::NotFound),
    ("TableNotFoundException", "", Class::NotFound),
    ("ReplicaNotFoundException", "", Class::NotFound),
    ("Gateway.NotAttached", "", Class::NotFound),
    ("InvalidChangeBatch", "not found", Class::NotFound),
    ("TrailNotFoundException", "", Class::NotFound),
    ("404", "", Class::NotFound),
    ("WAFNonexistentItemException", "", Class::NotFound),
    ("ClusterNotFoundException", "", Class::NotFound),
    ("ServiceNotFoundException", "", Class::NotFound),
    ("ServiceNotActiveException", "", Class::NotFound),
    ("ObjectNotFoundException", "", Class::NotFound),
    ("ClientException", "Unable to describe task definition", Class::NotFound),
    ("ClientException", "task definition does not exist", Class::NotFound),
];

/// The class of `code` with `message` in the response to `call`.
pub(crate) fn class_of(call: &str, code: &str, message: &str, status: Option<u16>) -> Class {
    let row = CLASSES.iter().find(|(row, part, _)| *row == code && message.contains(part));
    let ends = |ends: &[&str]| ends.iter().any(|end| code.ends_with(end));
    match row {
        Some((_, _, class)) => *class,
        None if code.starts_with("NoSuch") || ends(&["NotFound", "NotFoundError", "NotFoundFault"]) => Class::NotFound,
        None if ends(&["LimitExceeded", "QuotaExceeded", "QuotaExceededFault"]) => Class::Quota,
        None if call.starts_with("ec2:") && code.ends_with("AlreadyExists") => Class::Foreign,
        None => by_status(status),
    }
}

/// The class of a response without an error code.
pub(crate) fn by_status(status: Option<u16>) -> Class {
    match status {
        Some(404) => Class::NotFound,
        Some(403) => Class::Denied,
        Some(412) => Class::Stale,
        Some(429) => Class::Throttled,
        Some(500..) | None => Class::Ambiguous,
        Some(_) => Class::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_by_code_and_message() {
        for (code, message, status, class) in [
            ("InvalidVpcID.NotFound", "", 400, Class::NotFound),
            ("DependencyViolation", "has dependencies", 400, Class::Conflict),
            ("InvalidParameter", "Unable to assume given IAM role", 400, Class::Eventual),
            ("InvalidParameter", "something else", 400, Class::Failed),
            ("RequestLimitExceeded", "", 503, Class::Throttled),
            ("VpcLimitExceeded", "", 400, Class::Quota),
            ("DBClusterQuotaExceededFault", "", 400, Class::Quota),
            ("DBClusterNotFoundFault", "", 400, Class::NotFound),
            ("PreconditionFailed", "", 412, Class::Stale),
            ("ConditionalRequestConflict", "", 409, Class::Conflict),
            ("SlowDown", "", 503, Class::Throttled),
            ("ServerSideEncryptionConfigurationNotFoundError", "", 404, Class::NotFound),
            ("", "", 403, Class::Denied),
            ("", "", 412, Class::Stale),
            ("Unheard", "", 400, Class::Failed),
            ("ExpiredToken", "", 400, Class::Expired),
            ("SignatureDoesNotMatch", "Signature expired: 20261126T035738Z is now …", 403, Class::Expired),
            ("InvalidSignatureException", "Signature not yet current: 20261126T035738Z is …", 403, Class::Expired),
            ("SignatureDoesNotMatch", "Check your AWS Secret Access Key", 403, Class::Denied),
            ("Unheard", "", 500, Class::Ambiguous),
            ("NoSuchLifecycleConfiguration", "", 404, Class::NotFound),
            ("CertificateNotFound", "", 400, Class::Eventual),
            ("InvalidConfigurationRequest", "Access Denied for bucket: logs", 400, Class::Eventual),
            ("InvalidConfigurationRequest", "the subnets are of one zone", 400, Class::Failed),
            ("PriorityInUse", "", 400, Class::Foreign),
            ("WAFNonexistentItemException", "", 400, Class::NotFound),
            ("WAFOptimisticLockException", "", 400, Class::Conflict),
            ("WAFUnavailableEntityException", "", 400, Class::Eventual),
            ("InvalidChangeBatch", "[… but it already exists]", 400, Class::Foreign),
            ("InvalidChangeBatch", "[… but it was not found]", 400, Class::NotFound),
            ("InvalidChangeBatch", "[… but the values provided do not match the current values]", 400, Class::Conflict),
            ("InvalidChangeBatch", "[… targets a.example, but that target was not found]", 400, Class::Eventual),
            ("InvalidChangeBatch", "[… is not permitted in zone]", 400, Class::Failed),
        ] {
            assert_eq!(class_of("ec2:X", code, message, Some(status)), class, "{code}: {message}");
        }
    }
}
