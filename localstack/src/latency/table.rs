//! AWS's latencies as data: median seconds (AWS-FACTS §5), and the status meanwhile.

use crate::action::Request;

/// Median seconds until AWS responds: service, operations, seconds. The first matching row counts.
pub(super) const ANSWERS: &[(&str, &str, f64)] = &[
    ("acm", "*", 0.3),
    ("apigateway", "*", 0.4),
    ("application-autoscaling", "*", 0.4),
    ("cloudtrail", "CreateTrail", 2.0),
    ("cloudtrail", "DeleteTrail", 1.0),
    ("dynamodb", "*Item*", 0.01),
    ("ec2", "CreateVpc", 1.0),
    ("ec2", "CreateSubnet", 1.0),
    ("ec2", "Describe*", 0.3),
    ("ec2", "*", 0.5),
    ("ecs", "CreateCluster", 1.5),
    ("ecs", "CreateService", 0.8),
    ("ecs", "*", 0.4),
    ("elasticloadbalancing", "CreateLoadBalancer", 0.8),
    ("elasticloadbalancing", "Describe*", 0.3),
    ("elasticloadbalancing", "*", 0.5),
    ("events", "*", 0.4),
    ("iam", "CreateRole", 0.7),
    ("iam", "*", 0.2),
    ("kms", "CreateKey", 2.0),
    ("kms", "CreateAlias", 1.0),
    ("kms", "*", 0.1),
    ("lambda", "CreateFunction", 2.0),
    ("rds", "CreateDBClusterParameterGroup", 1.5),
    ("rds", "CreateDBParameterGroup", 1.5),
    ("rds", "CreateDBSubnetGroup", 1.0),
    ("rds", "Describe*", 0.5),
    ("rds", "*", 2.0),
    ("route53", "*", 0.4),
    ("s3", "CreateBucket", 1.2),
    ("s3", "*Object*", 0.05),
    ("s3", "*", 0.4),
    ("wafv2", "AssociateWebACL", 2.0),
    ("wafv2", "CreateWebACL", 1.5),
    ("wafv2", "D*", 1.0),
];

/// The default for all other calls.
pub(super) const ANSWER: f64 = 0.3;

/// The time until other services can assume a role with a new name.
pub(super) const ROLE: f64 = 8.0;

/// The time until a new web ACL can be associated.
pub(super) const WEB_ACL: f64 = 15.0;

/// A kind of resource whose changes have latency.
pub(super) struct Life {
    pub(super) service: &'static str,
    /// The member that contains its id, in requests and in descriptions; case-insensitive.
    pub(super) id: &'static str,
    /// The operations that describe it, each with the names of its list and of the list's items.
    pub(super) describes: &'static [(&'static str, &'static str, &'static str)],
    /// The member that contains its status. ECS shows the progress of a deployment instead.
    pub(super) status: &'static str,
    pub(super) changes: &'static [Change],
}

/// A change that is not complete when the call returns. The first matching one counts.
pub(super) struct Change {
    pub(super) action: &'static str,
    /// Whether a call makes this change, by the request and the earlier description.
    pub(super) when: fn(&Request, &str) -> bool,
    pub(super) becomes: Becomes,
    /// The status until it is complete.
    pub(super) meanwhile: &'static str,
    pub(super) seconds: f64,
}

/// The end of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Becomes {
    /// The resource can be used.
    Ready,
    /// The resource can be used; the time starts with the first description that shows it as done.
    ReadySinceSeen,
    /// The resource is gone. Until then it is visible, and the resources that it uses cannot be deleted.
    Gone,
    /// The resource is gone immediately, but its network interfaces are not.
    GoneButHolding,
}

use Becomes::{Gone, GoneButHolding, Ready, ReadySinceSeen};

macro_rules! change {
    ($action:literal $becomes:ident $meanwhile:literal $seconds:literal) => {
        change!($action $becomes $meanwhile $seconds, |_, _| true)
    };
    ($action:literal $becomes:ident $meanwhile:literal $seconds:literal, $when:expr) => {
        Change { action: $action, when: $when, becomes: $becomes, meanwhile: $meanwhile, seconds: $seconds }
    };
}

/// All kinds with latency, by service.
pub(super) const LIVES: &[Life] = &[
    Life {
        service: "acm",
        id: "CertificateArn",
        describes: &[("DescribeCertificate", "", "Certificate")],
        status: "Status",
        changes: &[change!("RequestCertificate" ReadySinceSeen "PENDING_VALIDATION" 150.0)],
    },
    Life {
        service: "dynamodb",
        id: "TableName",
        describes: &[("DescribeTable", "", "Table")],
        status: "TableStatus",
        changes: &[
            change!("CreateTable" Ready "CREATING" 8.0),
            change!("DeleteTable" Gone "DELETING" 8.0),
            change!("UpdateTable" Ready "UPDATING" 150.0, |request, _| replica(request, "Create").is_some()),
            change!("UpdateTable" Ready "UPDATING" 120.0, |request, _| replica(request, "Delete").is_some()),
            change!("UpdateTable" Ready "UPDATING" 5.0),
        ],
    },
    Life {
        service: "ec2",
        id: "natGatewayId",
        describes: &[("DescribeNatGateways", "natGatewaySet", "item")],
        status: "state",
        changes: &[change!("CreateNatGateway" Ready "pending" 105.0), change!("DeleteNatGateway" Gone "deleting" 60.0)],
    },
    Life {
        service: "ec2",
        id: "subnetId",
        describes: &[("DescribeSubnets", "subnetSet", "item")],
        status: "state",
        changes: &[change!("CreateSubnet" Ready "pending" 1.5)],
    },
    Life {
        service: "ec2",
        id: "transitGatewayId",
        describes: &[("DescribeTransitGateways", "transitGatewaySet", "item")],
        status: "state",
        changes: &[
            change!("CreateTransitGateway" Ready "pending" 120.0),
            change!("DeleteTransitGateway" Gone "deleting" 90.0),
        ],
    },
    Life {
        service: "ec2",
        id: "transitGatewayAttachmentId",
        describes: &[
            ("DescribeTransitGatewayVpcAttachments", "transitGatewayVpcAttachments", "item"),
            ("DescribeTransitGatewayPeeringAttachments", "transitGatewayPeeringAttachments", "item"),
            ("DescribeTransitGatewayAttachments", "transitGatewayAttachments", "item"),
        ],
        status: "state",
        changes: &[
            change!("AcceptTransitGatewayPeeringAttachment" Ready "pending" 90.0),
            change!("CreateTransitGatewayPeeringAttachment" Ready "initiatingRequest" 30.0),
            change!("CreateTransitGatewayVpcAttachment" Ready "pending" 75.0),
            change!("DeleteTransitGatewayPeeringAttachment" Gone "deleting" 60.0),
            change!("DeleteTransitGatewayVpcAttachment" Gone "deleting" 75.0),
        ],
    },
    Life {
        service: "ec2",
        id: "transitGatewayRouteTableId",
        describes: &[("DescribeTransitGatewayRouteTables", "transitGatewayRouteTables", "item")],
        status: "state",
        changes: &[change!("CreateTransitGatewayRouteTable" Ready "pending" 10.0)],
    },
    Life {
        service: "ec2",
        id: "vpcId",
        describes: &[("DescribeVpcs", "vpcSet", "item")],
        status: "state",
        changes: &[change!("CreateVpc" Ready "pending" 2.0)],
    },
    Life {
        service: "ec2",
        id: "vpcEndpointId",
        describes: &[("DescribeVpcEndpoints", "vpcEndpointSet", "item")],
        status: "state",
        changes: &[
            change!("CreateVpcEndpoint" Ready "pending" 75.0, |request, _| is(request, "VpcEndpointType", "Interface")),
            change!("CreateVpcEndpoint" Ready "pending" 8.0),
            change!("DeleteVpcEndpoints" Gone "deleting" 120.0, |_, before| before.contains(">Interface<")),
            change!("DeleteVpcEndpoints" Gone "deleting" 10.0),
        ],
    },
    Life {
        service: "ecs",
        id: "serviceArn",
        describes: &[("DescribeServices", "services", "")],
        status: "status",
        changes: &[
            change!("CreateService" Ready "IN_PROGRESS" 90.0),
            change!("DeleteService" Gone "DRAINING" 120.0),
            change!("UpdateService" Ready "IN_PROGRESS" 180.0, |request, _| deploys(request)),
        ],
    },
    Life {
        service: "elasticloadbalancing",
        id: "LoadBalancerArn",
        describes: &[("DescribeLoadBalancers", "LoadBalancers", "member")],
        status: "State/Code",
        changes: &[
            change!("CreateLoadBalancer" Ready "provisioning" 165.0, |request, _| is(request, "Type", "network")),
            change!("CreateLoadBalancer" Ready "provisioning" 120.0),
            change!("DeleteLoadBalancer" GoneButHolding "" 60.0),
        ],
    },
    Life {
        service: "lambda",
        id: "FunctionName",
        describes: &[("GetFunction", "", "Configuration")],
        status: "State",
        changes: &[change!("CreateFunction" Ready "Pending" 3.0)],
    },
    Life {
        service: "rds",
        id: "DBClusterIdentifier",
        describes: &[("DescribeDBClusters", "DBClusters", "DBCluster")],
        status: "Status",
        changes: &[
            change!("CreateDBCluster" Ready "creating" 400.0, |request, _| is_secondary(request)),
            change!("CreateDBCluster" Ready "creating" 60.0),
            change!("DeleteDBCluster" Gone "deleting" 75.0),
            change!("ModifyDBCluster" Ready "modifying" 30.0),
            change!("RemoveFromGlobalCluster" Ready "promoting" 90.0),
        ],
    },
    Life {
        service: "rds",
        id: "DBInstanceIdentifier",
        describes: &[("DescribeDBInstances", "DBInstances", "DBInstance")],
        status: "DBInstanceStatus",
        changes: &[
            change!("CreateDBInstance" Ready "creating" 360.0, |request, _| has(request, "DBClusterIdentifier")),
            change!("CreateDBInstance" Ready "creating" 600.0, |request, _| is(request, "MultiAZ", "true")),
            change!("CreateDBInstance" Ready "creating" 330.0),
            change!("DeleteDBInstance" Gone "deleting" 240.0),
            change!("ModifyDBInstance" Ready "modifying" 30.0),
        ],
    },
    Life {
        service: "rds",
        id: "GlobalClusterIdentifier",
        describes: &[("DescribeGlobalClusters", "GlobalClusters", "GlobalClusterMember")],
        status: "Status",
        changes: &[
            change!("CreateGlobalCluster" Ready "creating" 15.0),
            change!("DeleteGlobalCluster" Gone "deleting" 10.0),
        ],
    },
    Life {
        service: "route53",
        id: "Id",
        describes: &[("GetChange", "", "ChangeInfo")],
        status: "Status",
        changes: &[change!("ChangeResourceRecordSets" Ready "PENDING" 35.0)],
    },
];

/// Operations that fail while a resource that is being deleted still uses the named one: service, operation, the
/// parameter with the name, AWS's error code.
pub(super) const HELD: &[(&str, &str, &str, &str)] = &[
    ("ec2", "DeleteSecurityGroup", "GroupId", "DependencyViolation"),
    ("ec2", "DeleteSubnet", "SubnetId", "DependencyViolation"),
    ("ec2", "DeleteTransitGateway", "TransitGatewayId", "IncorrectState"),
    ("ec2", "DeleteVpc", "VpcId", "DependencyViolation"),
    ("ec2", "ReleaseAddress", "AllocationId", "InvalidIPAddress.InUse"),
    ("ecs", "DeleteCluster", "cluster", "ClusterContainsServicesException"),
    ("rds", "DeleteDBClusterParameterGroup", "DBClusterParameterGroupName", "InvalidDBParameterGroupState"),
    ("rds", "DeleteDBParameterGroup", "DBParameterGroupName", "InvalidDBParameterGroupState"),
    ("rds", "DeleteDBSubnetGroup", "DBSubnetGroupName", "InvalidDBSubnetGroupStateFault"),
    ("rds", "DeleteGlobalCluster", "GlobalClusterIdentifier", "InvalidGlobalClusterStateFault"),
];

/// Operations that fail while the resource itself is changing: service, operation, AWS's error code.
pub(super) const BUSY: &[(&str, &str, &str)] = &[
    ("dynamodb", "CreateTable", "ResourceInUseException"),
    ("dynamodb", "DeleteTable", "ResourceInUseException"),
    ("dynamodb", "UpdateTable", "ResourceInUseException"),
    ("rds", "CreateDBCluster", "DBClusterAlreadyExistsFault"),
    ("rds", "CreateDBInstance", "DBInstanceAlreadyExists"),
    ("rds", "CreateGlobalCluster", "GlobalClusterAlreadyExistsFault"),
    ("rds", "DeleteDBCluster", "InvalidDBClusterStateFault"),
    ("rds", "ModifyDBCluster", "InvalidDBClusterStateFault"),
    ("rds", "ModifyDBInstance", "InvalidDBInstanceState"),
];

fn is(request: &Request, parameter: &str, value: &str) -> bool {
    request.form(parameter).is_some_and(|is| is.eq_ignore_ascii_case(value))
}

fn has(request: &Request, parameter: &str) -> bool {
    request.form(parameter).is_some_and(|value| !value.is_empty())
}

/// Whether an Aurora cluster is a secondary of a global cluster: it gets no user.
fn is_secondary(request: &Request) -> bool {
    has(request, "GlobalClusterIdentifier") && !has(request, "MasterUsername")
}

/// Whether a change of an ECS service starts new tasks.
fn deploys(request: &Request) -> bool {
    let asked = request.json();
    asked.get("forceNewDeployment").is_some_and(|force| force == true)
        || ["loadBalancers", "networkConfiguration", "platformVersion", "taskDefinition"]
            .iter()
            .any(|key| asked.get(key).is_some_and(|value| !value.is_null()))
}

/// The region in which an `UpdateTable` creates or deletes a replica.
pub(super) fn replica(request: &Request, act: &str) -> Option<String> {
    let asked = request.json();
    let updates = asked.get("ReplicaUpdates")?.as_array()?;
    updates.iter().find_map(|update| Some(update.get(act)?.get("RegionName")?.as_str()?.to_owned()))
}
