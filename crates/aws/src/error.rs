//! From the SDK's errors to the engine's: one table says what each code means.

use std::any::type_name;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::error::operation::BuildError;
use payinfra_engine::{Class, Error, Id, Owner, Result, Tags};

/// The failures of the SDK in the engine's words.
pub trait Explain<T> {
    /// The call, AWS's code and message, the request id, and the class by which the engine decides.
    ///
    /// # Errors
    /// If the call failed.
    fn explain(self) -> Result<T>;
}

impl<T, E> Explain<T> for std::result::Result<T, SdkError<E, HttpResponse>>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn explain(self) -> Result<T> {
        self.map_err(|error| explain(&error))
    }
}

impl<T> Explain<T> for std::result::Result<T, BuildError> {
    fn explain(self) -> Result<T> {
        self.map_err(|error| Error::invalid(error.to_string()))
    }
}

/// What an answer must have.
pub trait Need<T> {
    /// The value.
    ///
    /// # Errors
    /// If AWS's answer lacks `member`.
    fn need(self, member: &str) -> Result<T>;
}

impl<T> Need<T> for Option<T> {
    fn need(self, member: &str) -> Result<T> {
        self.ok_or_else(|| Error::failed(format!("AWS's answer has no {member}")))
    }
}

/// That `id`, the `what` of the name that ours should have, exists and is not ours.
pub(crate) fn foreign(what: &str, name: &str, id: &str) -> Error {
    Error::new(Class::Foreign, format!("the {what} `{name}` exists and is not ours")).taken(id)
}

/// `id`, the `what` of the name that ours should have, if its `tags` say that it is ours.
pub(crate) fn claim<R>(what: &str, name: &str, id: Id<R>, tags: &Tags, owner: &Owner) -> Result<Option<Id<R>>> {
    if owner.owns(tags) { Ok(Some(id)) } else { Err(foreign(what, name, id.as_str())) }
}

/// Failures that mean that the work is done already.
pub(crate) trait Unless<T> {
    /// `None` where the failure is of this class.
    fn unless(self, class: Class) -> Result<Option<T>>;
    /// `None` where the failure has one of these codes.
    fn unless_code(self, codes: &[&str]) -> Result<Option<T>>;
}

impl<T> Unless<T> for Result<T> {
    fn unless(self, class: Class) -> Result<Option<T>> {
        match self {
            Err(error) if error.is(class) => Ok(None),
            other => other.map(Some),
        }
    }

    fn unless_code(self, codes: &[&str]) -> Result<Option<T>> {
        match self {
            Err(error) if error.get_code().is_some_and(|code| codes.contains(&code)) => Ok(None),
            other => other.map(Some),
        }
    }
}

fn explain<E>(error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let call = call_of(type_name::<E>());
    if let Some(refusal) = refusal(error) {
        let explained = Error::new(refusal.class(), refusal.message()).call(call);
        return refusal.get_hint().into_iter().fold(explained, Error::hint);
    }
    let status = error.raw_response().map(|response| response.status().as_u16());
    let meta = error.as_service_error().map(ProvideErrorMetadata::meta);
    let code = meta.and_then(|meta| meta.code()).map(str::to_owned);
    let said = meta.and_then(|meta| meta.message()).map(str::to_owned);
    let request = meta.and_then(|meta| meta.extra("aws_request_id")).map(str::to_owned).or_else(|| {
        let headers = error.raw_response()?.headers();
        headers.get("x-amzn-requestid").or_else(|| headers.get("x-amz-request-id")).map(str::to_owned)
    });
    let class = match (error, &code) {
        (SdkError::ConstructionFailure(_), _) => Class::Invalid,
        (SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_), _) => Class::Ambiguous,
        (_, Some(code)) => class_of(&call, code, said.as_deref().unwrap_or_default(), status),
        (_, None) => by_status(status),
    };
    let message = said.unwrap_or_else(|| chain(error));
    let mut explained = Error::new(class, message).call(call);
    if let Some(code) = code {
        explained = explained.code(code);
    }
    if let Some(request) = request {
        explained = explained.request_id(request);
    }
    match hint(class) {
        Some(hint) => explained.hint(hint),
        None => explained,
    }
}

/// Our own refusal to send the request: nothing has happened then.
fn refusal<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    std::iter::successors(Some(error), |error| error.source()).find_map(<dyn std::error::Error>::downcast_ref)
}

/// All causes of `error` in one line; the SDK's own text is only "dispatch failure".
fn chain<E: std::error::Error>(error: &E) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// What IAM calls the services whose clients have another name.
const SERVICES: &[(&str, &str)] = &[
    ("applicationautoscaling", "application-autoscaling"),
    ("cloudwatchlogs", "logs"),
    ("elasticloadbalancingv2", "elasticloadbalancing"),
    ("eventbridge", "events"),
];

/// `ec2:CreateSubnet`, from `aws_sdk_ec2::operation::create_subnet::CreateSubnetError`.
fn call_of(type_name: &str) -> String {
    let service = type_name.split("::").next().unwrap_or_default().trim_start_matches("aws_sdk_");
    let operation = type_name.rsplit("::").next().unwrap_or_default().trim_end_matches("Error");
    let service = SERVICES.iter().find(|(sdk, _)| *sdk == service).map_or(service, |(_, service)| service);
    format!("{service}:{operation}")
}

fn hint(class: Class) -> Option<&'static str> {
    Some(match class {
        Class::Denied => "check the credentials, and what they may do",
        Class::Quota => "ask AWS for a higher quota, or remove what is not needed",
        Class::Foreign => "it is not ours: rename ours, or remove the other one",
        _ => return None,
    })
}

/// Code, part of the message, class: by AWS-FACTS §0.1. The first row that fits counts; an empty string fits all.
const CLASSES: &[(&str, &str, Class)] = &[
    // Roles, keys and principals that are seconds old.
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
    // Two buckets that replicate into each other cannot wait for each other: the other one is on its way.
    ("InvalidRequest", "Destination bucket must", Class::Eventual),
    ("CertificateNotFound", "", Class::Eventual),
    // The policy that lets a load balancer write into its bucket.
    ("InvalidConfigurationRequest", "Access Denied for bucket", Class::Eventual),
    // A new web ACL is not everywhere for seconds, at worst minutes.
    ("WAFUnavailableEntityException", "", Class::Eventual),
    ("WAFTagOperationException", "", Class::Eventual),
    // A load balancer that is seconds old; the same code says more below.
    ("InvalidChangeBatch", "that target was not found", Class::Eventual),
    // The policies of a bucket and a key that are seconds old: the trail's.
    ("InsufficientS3BucketPolicyException", "", Class::Eventual),
    ("InsufficientEncryptionPolicyException", "", Class::Eventual),
    ("S3BucketDoesNotExistException", "", Class::Eventual),
    ("KmsKeyNotFoundException", "", Class::Eventual),
    ("InvalidParameter", "PrincipalNotFound", Class::Eventual),
    ("ValidationException", "cannot be assumed by principal", Class::Eventual),
    ("KMSInvalidStateException", "is pending deletion", Class::NotFound),
    ("KMSInvalidStateException", "", Class::Eventual),
    // In the way for now.
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
    // A table of that name; of one that goes it says "Table is being deleted".
    ("ResourceInUseException", "Table already exists", Class::Foreign),
    ("ResourceInUseException", "", Class::Conflict),
    ("ContinuousBackupsUnavailableException", "", Class::Conflict),
    ("ReplicaAlreadyExistsException", "", Class::Conflict),
    // DynamoDB's limits on what changes at once, not quotas (AWS-FACTS §0.1).
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
    // Somebody changed the record since it was read.
    ("InvalidChangeBatch", "do not match the current values", Class::Conflict),
    // An alarm that a composite alarm names, and a rule that has targets.
    ("ResourceConflict", "", Class::Conflict),
    ("ValidationException", "has targets", Class::Conflict),
    ("InvalidDBClusterStateFault", "", Class::Conflict),
    ("InvalidDBInstanceState", "", Class::Conflict),
    ("InvalidDBParameterGroupState", "", Class::Conflict),
    ("InvalidDBSubnetGroupStateFault", "", Class::Conflict),
    ("InvalidGlobalClusterStateFault", "", Class::Conflict),
    ("InvalidParameterCombination", "previous storage change is being optimized", Class::Conflict),
    // The name of a secret that was deleted a moment ago is free only seconds later.
    ("InvalidRequestException", "scheduled for deletion", Class::Conflict),
    ("InvalidRequestException", "was deleted", Class::Conflict),
    ("TooManyUpdates", "", Class::Conflict),
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
    // Nobody knows whether it took effect.
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
    ("ExpiredToken", "", Class::Ambiguous),
    ("ExpiredTokenException", "", Class::Ambiguous),
    ("RequestExpired", "", Class::Ambiguous),
    ("WAFInternalErrorException", "", Class::Ambiguous),
    ("WAFTagOperationInternalErrorException", "", Class::Ambiguous),
    // Taken.
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
    // A replica is wanted where there is a table of that name.
    ("ValidationException", "already existed as tables", Class::Foreign),
    ("InvalidParameterException", "was not idempotent", Class::Foreign),
    ("HostedZoneAlreadyExists", "", Class::Foreign),
    ("HealthCheckAlreadyExists", "", Class::Foreign),
    ("InvalidChangeBatch", "already exists", Class::Foreign),
    // Not allowed.
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
    ("RequestTimeTooSkewed", "", Class::Denied),
    ("OptInRequired", "", Class::Denied),
    // Used up.
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
    // Gone, or not yet there.
    ("NoSuchEntity", "", Class::NotFound),
    ("NotFoundException", "", Class::NotFound),
    ("ResourceNotFoundException", "", Class::NotFound),
    ("TableNotFoundException", "", Class::NotFound),
    ("ReplicaNotFoundException", "", Class::NotFound),
    ("Gateway.NotAttached", "", Class::NotFound),
    ("InvalidChangeBatch", "not found", Class::NotFound),
    ("DashboardNotFoundError", "", Class::NotFound),
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

/// A failure that AWS reports inside of an answer that is a success otherwise (AWS-FACTS §0.10).
pub(crate) fn partial(call: &str, code: Option<&str>, message: Option<&str>) -> Error {
    let (code, message) = (code.unwrap_or_default(), message.unwrap_or("AWS does not say why"));
    let class = class_of(call, code, message, Some(400));
    let error = Error::new(class, message).call(call).code(code);
    match hint(class) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn class_of(call: &str, code: &str, message: &str, status: Option<u16>) -> Class {
    let row = CLASSES.iter().find(|(row, part, _)| *row == code && message.contains(part));
    match row {
        Some((_, _, class)) => *class,
        None if code.starts_with("NoSuch") || code.ends_with("NotFound") || code.ends_with(".NotFound") => {
            Class::NotFound
        }
        None if code.ends_with("NotFoundFault") => Class::NotFound,
        None if ["LimitExceeded", "QuotaExceeded", "QuotaExceededFault"].iter().any(|end| code.ends_with(end)) => {
            Class::Quota
        }
        None if call.starts_with("ec2:") && code.ends_with("AlreadyExists") => Class::Foreign,
        None => by_status(status),
    }
}

fn by_status(status: Option<u16>) -> Class {
    match status {
        Some(404) => Class::NotFound,
        Some(403) => Class::Denied,
        Some(429) => Class::Throttled,
        Some(500..) | None => Class::Ambiguous,
        Some(_) => Class::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_call_by_the_error_type() {
        assert_eq!(call_of("aws_sdk_ec2::operation::create_subnet::CreateSubnetError"), "ec2:CreateSubnet");
        assert_eq!(call_of("aws_sdk_cloudwatchlogs::operation::x::TagResourceError"), "logs:TagResource");
    }

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
