//! The resources that calls create, as far as faults and fixes must recognize them in later calls.

use serde_json::Value;

use crate::{
    action::{Protocol, Request},
    answer::Answer,
    window::visit_json,
    xml::Element,
};

/// A kind of EC2 resource, by the prefix of its ids.
#[derive(Debug)]
pub(crate) struct Ec2Kind {
    pub(crate) prefix: &'static str,
    /// The element that contains its id in its own description.
    pub(crate) element: &'static str,
    /// The operations that create it.
    pub(crate) creates: &'static [&'static str],
    /// The operations that describe it.
    pub(crate) describes: &'static [&'static str],
    /// The error code if it does not exist.
    pub(crate) not_found: &'static str,
}

macro_rules! kinds {
    ($($prefix:literal $element:literal $creates:tt $describes:tt $not_found:literal)*) => {
        &[$(Ec2Kind { prefix: $prefix, element: $element, creates: &$creates, describes: &$describes, not_found: $not_found }),*]
    };
}

/// All kinds, sorted by prefix.
pub(crate) const EC2_KINDS: &[Ec2Kind] = kinds![
    "eipalloc" "allocationId" ["AllocateAddress"] ["DescribeAddresses"] "InvalidAllocationID.NotFound"
    "fl" "flowLogId" ["CreateFlowLogs"] ["DescribeFlowLogs"] "InvalidFlowLogId.NotFound"
    "igw" "internetGatewayId" ["CreateInternetGateway"] ["DescribeInternetGateways"] "InvalidInternetGatewayID.NotFound"
    "nat" "natGatewayId" ["CreateNatGateway"] ["DescribeNatGateways"] "NatGatewayNotFound"
    "pcx" "vpcPeeringConnectionId" ["CreateVpcPeeringConnection"] ["DescribeVpcPeeringConnections"]
        "InvalidVpcPeeringConnectionID.NotFound"
    "rtb" "routeTableId" ["CreateRouteTable"] ["DescribeRouteTables"] "InvalidRouteTableID.NotFound"
    "sg" "groupId" ["CreateSecurityGroup"] ["DescribeSecurityGroups"] "InvalidGroup.NotFound"
    "sgr" "securityGroupRuleId" ["AuthorizeSecurityGroupEgress", "AuthorizeSecurityGroupIngress"]
        ["DescribeSecurityGroupRules"] "InvalidSecurityGroupRuleId.NotFound"
    "subnet" "subnetId" ["CreateSubnet"] ["DescribeSubnets"] "InvalidSubnetID.NotFound"
    "tgw" "transitGatewayId" ["CreateTransitGateway"] ["DescribeTransitGateways"] "InvalidTransitGatewayID.NotFound"
    "tgw-attach" "transitGatewayAttachmentId"
        ["CreateTransitGatewayPeeringAttachment", "CreateTransitGatewayVpcAttachment"]
        ["DescribeTransitGatewayAttachments", "DescribeTransitGatewayPeeringAttachments",
         "DescribeTransitGatewayVpcAttachments"]
        "InvalidTransitGatewayAttachmentID.NotFound"
    "tgw-rtb" "transitGatewayRouteTableId" ["CreateTransitGatewayRouteTable"] ["DescribeTransitGatewayRouteTables"]
        "InvalidRouteTableID.NotFound"
    "vpc" "vpcId" ["CreateVpc"] ["DescribeVpcs"] "InvalidVpcID.NotFound"
    "vpce" "vpcEndpointId" ["CreateVpcEndpoint"] ["DescribeVpcEndpoints"] "InvalidVpcEndpointId.NotFound"
];

/// Resources of services whose ids do not show their kind: service, operation, the member of the request or the
/// response with the name that later calls use, and AWS's error code if the resource does not exist.
const NAMED: &[(&str, &str, &str, &str)] = &[
    ("acm", "RequestCertificate", "CertificateArn", "ResourceNotFoundException"),
    ("apigateway", "CreateApi", "apiId", "NotFoundException"),
    ("apigateway", "CreateApiKey", "id", "NotFoundException"),
    ("apigateway", "CreateDeployment", "id", "NotFoundException"),
    ("apigateway", "CreateDomainName", "domainName", "NotFoundException"),
    ("apigateway", "CreateIntegration", "integrationId", "NotFoundException"),
    ("apigateway", "CreateRequestValidator", "id", "NotFoundException"),
    ("apigateway", "CreateResource", "id", "NotFoundException"),
    ("apigateway", "CreateRestApi", "id", "NotFoundException"),
    ("apigateway", "CreateRoute", "routeId", "NotFoundException"),
    ("apigateway", "CreateUsagePlan", "id", "NotFoundException"),
    ("application-autoscaling", "RegisterScalableTarget", "ResourceId", "ObjectNotFoundException"),
    ("cloudtrail", "CreateTrail", "Name", "TrailNotFoundException"),
    ("dynamodb", "CreateTable", "TableName", "ResourceNotFoundException"),
    ("ecs", "CreateCluster", "clusterName", "ClusterNotFoundException"),
    ("ecs", "CreateService", "serviceName", "ServiceNotFoundException"),
    ("ecs", "RegisterTaskDefinition", "taskDefinitionArn", "ClientException"),
    ("elasticloadbalancing", "CreateListener", "ListenerArn", "ListenerNotFound"),
    ("elasticloadbalancing", "CreateLoadBalancer", "LoadBalancerArn", "LoadBalancerNotFound"),
    ("elasticloadbalancing", "CreateRule", "RuleArn", "RuleNotFound"),
    ("elasticloadbalancing", "CreateTargetGroup", "TargetGroupArn", "TargetGroupNotFound"),
    ("events", "PutRule", "Name", "ResourceNotFoundException"),
    ("iam", "CreateRole", "RoleName", "NoSuchEntity"),
    ("kms", "CreateAlias", "AliasName", "NotFoundException"),
    ("kms", "CreateKey", "KeyId", "NotFoundException"),
    ("lambda", "CreateEventSourceMapping", "UUID", "ResourceNotFoundException"),
    ("lambda", "CreateFunction", "FunctionName", "ResourceNotFoundException"),
    ("logs", "CreateLogGroup", "logGroupName", "ResourceNotFoundException"),
    ("monitoring", "PutCompositeAlarm", "AlarmName", "ResourceNotFound"),
    ("monitoring", "PutDashboard", "DashboardName", "ResourceNotFound"),
    ("monitoring", "PutMetricAlarm", "AlarmName", "ResourceNotFound"),
    ("rds", "CreateDBCluster", "DBClusterIdentifier", "DBClusterNotFoundFault"),
    ("rds", "CreateDBClusterParameterGroup", "DBClusterParameterGroupName", "DBParameterGroupNotFound"),
    ("rds", "CreateDBInstance", "DBInstanceIdentifier", "DBInstanceNotFound"),
    ("rds", "CreateDBParameterGroup", "DBParameterGroupName", "DBParameterGroupNotFound"),
    ("rds", "CreateDBSubnetGroup", "DBSubnetGroupName", "DBSubnetGroupNotFoundFault"),
    ("rds", "CreateGlobalCluster", "GlobalClusterIdentifier", "GlobalClusterNotFoundFault"),
    ("route53", "CreateHealthCheck", "Id", "NoSuchHealthCheck"),
    ("route53", "CreateHostedZone", "Id", "NoSuchHostedZone"),
    ("secretsmanager", "CreateSecret", "Name", "ResourceNotFoundException"),
    ("sns", "CreateTopic", "TopicArn", "NotFound"),
    ("wafv2", "CreateWebACL", "Id", "WAFNonexistentItemException"),
];

/// The kind of an EC2 id.
pub(crate) fn ec2_kind(id: &str) -> Option<&'static Ec2Kind> {
    let (prefix, _) = id.rsplit_once('-')?;
    EC2_KINDS.iter().find(|kind| kind.prefix == prefix)
}

/// A resource that a call created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Created {
    pub(crate) service: String,
    pub(crate) region: String,
    /// The id, name or ARN that later calls use.
    pub(crate) id: String,
    /// AWS's error code if it does not exist, unless it is the same for the whole service.
    pub(crate) not_found: Option<&'static str>,
}

impl Created {
    /// The resource that a call created, if it succeeded.
    pub(crate) fn by(request: &Request, answer: &Answer) -> Vec<Self> {
        if !answer.is_success() || !request.is_mutating() {
            return Vec::new();
        }
        let (service, region) = (&request.scope.service, &request.scope.region);
        let created = |id, not_found| Self { service: service.clone(), region: region.clone(), id, not_found };
        match NAMED.iter().find(|row| row.0 == service && row.1 == request.action) {
            Some((_, _, member, code)) => {
                let id = asked(request, member).or_else(|| answered(answer, member));
                id.map(|id| created(id.trim_start_matches("/hostedzone/").to_owned(), Some(*code)))
                    .into_iter()
                    .collect()
            }
            None => ids(request, answer).into_iter().map(|id| created(id, None)).collect(),
        }
    }

    /// Whether a request refers to this resource.
    pub(crate) fn is_in(&self, request: &Request, text: &str) -> bool {
        self.service == request.scope.service && self.region == request.scope.region && text.contains(&self.id)
    }
}

/// A member of a request.
fn asked(request: &Request, member: &str) -> Option<String> {
    match request.protocol {
        Protocol::Json | Protocol::RestJson => request.json().get(member)?.as_str().map(str::to_owned),
        _ => request.form(member),
    }
}

/// The first member with this name in a response, at any depth.
pub(crate) fn answered(answer: &Answer, member: &str) -> Option<String> {
    let mut found = None;
    if let Some(mut root) = Element::parse(&answer.text()) {
        root.visit(&mut |element| {
            if element.name.eq_ignore_ascii_case(member) && found.is_none() {
                found = Some(element.text());
            }
        });
    } else if let Ok(mut value) = serde_json::from_slice::<Value>(&answer.body) {
        visit_json(&mut value, &mut |value| {
            let text = value.get(member).and_then(Value::as_str);
            found = found.take().or_else(|| text.map(str::to_owned));
        });
    }
    found
}

fn ids(request: &Request, answer: &Answer) -> Vec<String> {
    match request.protocol {
        Protocol::Ec2 => {
            let kinds = EC2_KINDS.iter().filter(|kind| kind.creates.contains(&request.action.as_str()));
            let Some(mut root) = Element::parse(&answer.text()) else {
                return Vec::new();
            };
            let mut found = Vec::new();
            for kind in kinds {
                root.visit(&mut |element| {
                    let id = element.text();
                    // The id of a flow log is in a list of its own.
                    let own = element.name == kind.element || element.name == "item";
                    if own && ec2_kind(&id).is_some_and(|of| of.prefix == kind.prefix) && !found.contains(&id) {
                        found.push(id);
                    }
                });
            }
            found
        }
        Protocol::S3 if request.action == "CreateBucket" => {
            request.uri.path().split('/').find(|part| !part.is_empty()).map(str::to_owned).into_iter().collect()
        }
        Protocol::Query => {
            let name = |key: &str| key.ends_with("Identifier") || key == "Name" || key == "PolicyName";
            let creates = ["Create", "Put", "Register"].iter().any(|verb| request.action.starts_with(verb));
            request
                .parameters()
                .into_iter()
                .filter(|(key, _)| creates && name(key))
                .map(|(_, value)| value)
                .take(1)
                .collect()
        }
        Protocol::Json | Protocol::RestJson => {
            let asked = request.json();
            let string = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
            let id = ["Name", "name"].iter().find_map(|key| string(asked.get(key)));
            id.filter(|_| request.action.starts_with("Create") || request.action.starts_with("Put"))
                .into_iter()
                .collect()
        }
        Protocol::S3 | Protocol::RestXml | Protocol::Cbor => Vec::new(),
    }
}
