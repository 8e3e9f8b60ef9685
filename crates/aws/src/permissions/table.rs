//! The IAM actions of each kind.
//!
//! The names are those of the Service Authorization Reference, which for S3, API Gateway and some others are not those of the
//! operations. The contract tests record the calls of each kind, and compare them with this table.

use super::{Permissions, USE_KEY};

/// The permissions of each kind, sorted by kind.
pub(super) const TABLE: &[Permissions] = &[
    Permissions::of("acm.certificate").read(&["acm:DescribeCertificate", "acm:ListTagsForCertificate"]).change(&[
        "acm:AddTagsToCertificate",
        "acm:DeleteCertificate",
        "acm:ListCertificates",
        "acm:RemoveTagsFromCertificate",
        "acm:RequestCertificate",
    ]),
    Permissions::of("acm.existing-certificate").look(&["acm:DescribeCertificate", "acm:ListCertificates"]),
    Permissions::of("apigateway.account")
        .read(&["apigateway:GET"])
        .change(&["apigateway:PATCH"])
        .passes("apigateway.amazonaws.com"),
    Permissions::of("apigateway.api-key").read(&["apigateway:GET"]).change(&[
        "apigateway:DELETE",
        "apigateway:PATCH",
        "apigateway:POST",
        "apigateway:PUT",
    ]),
    Permissions::of("apigateway.base-path-mapping").read(&["apigateway:GET"]).change(&[
        "apigateway:DELETE",
        "apigateway:PATCH",
        "apigateway:POST",
    ]),
    Permissions::of("apigateway.deployment")
        .read(&["apigateway:GET"])
        .change(&["apigateway:DELETE", "apigateway:POST"]),
    Permissions::of("apigateway.domain-name")
        .read(&["apigateway:GET"])
        .change(&["apigateway:DELETE", "apigateway:PATCH", "apigateway:POST", "apigateway:PUT"])
        .links("ops.apigateway.amazonaws.com"),
    Permissions::of("apigateway.gateway-response")
        .read(&["apigateway:GET"])
        .change(&["apigateway:DELETE", "apigateway:PUT"]),
    Permissions::of("apigateway.method").read(&["apigateway:GET"]).change(&["apigateway:DELETE", "apigateway:PUT"]),
    Permissions::of("apigateway.model").read(&["apigateway:GET"]).change(&[
        "apigateway:DELETE",
        "apigateway:PATCH",
        "apigateway:POST",
    ]),
    Permissions::of("apigateway.request-validator").read(&["apigateway:GET"]).change(&[
        "apigateway:DELETE",
        "apigateway:PATCH",
        "apigateway:POST",
    ]),
    Permissions::of("apigateway.resource").read(&["apigateway:GET"]).change(&["apigateway:DELETE", "apigateway:POST"]),
    Permissions::of("apigateway.rest-api").read(&["apigateway:GET"]).change(&[
        "apigateway:DELETE",
        "apigateway:PATCH",
        "apigateway:POST",
        "apigateway:PUT",
    ]),
    Permissions::of("apigateway.stage").read(&["apigateway:GET"]).change(&[
        "apigateway:DELETE",
        "apigateway:PATCH",
        "apigateway:POST",
        "apigateway:PUT",
    ]),
    Permissions::of("apigateway.usage-plan").read(&["apigateway:GET"]).change(&[
        "apigateway:DELETE",
        "apigateway:PATCH",
        "apigateway:POST",
        "apigateway:PUT",
    ]),
    Permissions::of("apigateway.usage-plan-key")
        .read(&["apigateway:GET"])
        .change(&["apigateway:DELETE", "apigateway:POST"]),
    Permissions::of("apigatewayv2.api").read(&["apigateway:GET"]).change(&[
        "apigateway:DELETE",
        "apigateway:PATCH",
        "apigateway:POST",
    ]),
    Permissions::of("apigatewayv2.api-mapping").read(&["apigateway:GET"]).change(&[
        "apigateway:DELETE",
        "apigateway:PATCH",
        "apigateway:POST",
    ]),
    Permissions::of("apigatewayv2.integration").read(&["apigateway:GET"]).change(&[
        "apigateway:DELETE",
        "apigateway:PATCH",
        "apigateway:POST",
    ]),
    Permissions::of("apigatewayv2.route").read(&["apigateway:GET"]).change(&[
        "apigateway:DELETE",
        "apigateway:PATCH",
        "apigateway:POST",
    ]),
    // API Gateway Developer Guide, logging for HTTP APIs: a stage with access logs.
    Permissions::of("apigatewayv2.stage")
        .read(&["apigateway:GET"])
        .change(&["apigateway:DELETE", "apigateway:PATCH", "apigateway:POST"])
        .besides(&[
            "logs:CreateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:DescribeLogGroups",
            "logs:DescribeResourcePolicies",
            "logs:GetLogDelivery",
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "logs:UpdateLogDelivery",
        ]),
    // Application Auto Scaling User Guide, identity-based policies: a policy that tracks a target has alarms.
    Permissions::of("application-autoscaling.policy")
        .read(&["application-autoscaling:DescribeScalingPolicies"])
        .change(&["application-autoscaling:DeleteScalingPolicy", "application-autoscaling:PutScalingPolicy"])
        .besides(&["cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm"]),
    // Application Auto Scaling User Guide, identity-based policies: it reads and scales the service.
    Permissions::of("application-autoscaling.target")
        .read(&["application-autoscaling:DescribeScalableTargets", "application-autoscaling:ListTagsForResource"])
        .change(&[
            "application-autoscaling:DeregisterScalableTarget",
            "application-autoscaling:RegisterScalableTarget",
            "application-autoscaling:TagResource",
            "application-autoscaling:UntagResource",
        ])
        .besides(&["ecs:DescribeServices", "ecs:UpdateService"])
        .links("ecs.application-autoscaling.amazonaws.com"),
    Permissions::of("cloudtrail.trail")
        .read(&[
            "cloudtrail:DescribeTrails",
            "cloudtrail:GetEventSelectors",
            "cloudtrail:GetTrailStatus",
            "cloudtrail:ListTags",
        ])
        .change(&[
            "cloudtrail:AddTags",
            "cloudtrail:CreateTrail",
            "cloudtrail:DeleteTrail",
            "cloudtrail:PutEventSelectors",
            "cloudtrail:RemoveTags",
            "cloudtrail:StartLogging",
            "cloudtrail:StopLogging",
            "cloudtrail:UpdateTrail",
        ]),
    Permissions::of("cloudwatch.alarm").read(&["cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource"]).change(
        &[
            "cloudwatch:DeleteAlarms",
            "cloudwatch:GetMetricData",
            "cloudwatch:PutMetricAlarm",
            "cloudwatch:TagResource",
            "cloudwatch:UntagResource",
        ],
    ),
    Permissions::of("cloudwatch.composite-alarm")
        .read(&["cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource"])
        .change(&[
            "cloudwatch:DeleteAlarms",
            "cloudwatch:PutCompositeAlarm",
            "cloudwatch:TagResource",
            "cloudwatch:UntagResource",
        ]),
    Permissions::of("cloudwatch.dashboard")
        .read(&["cloudwatch:GetDashboard"])
        .change(&["cloudwatch:DeleteDashboards", "cloudwatch:PutDashboard"]),
    // DynamoDB Developer Guide, IAM and global tables: replicas. Service Authorization Reference: witnesses.
    Permissions::of("dynamodb.table")
        .read(&[
            "dynamodb:DescribeContinuousBackups",
            "dynamodb:DescribeTable",
            "dynamodb:DescribeTimeToLive",
            "dynamodb:ListTagsOfResource",
        ])
        .change(&[
            "dynamodb:CreateTable",
            "dynamodb:DeleteTable",
            "dynamodb:TagResource",
            "dynamodb:UntagResource",
            "dynamodb:UpdateContinuousBackups",
            "dynamodb:UpdateTable",
            "dynamodb:UpdateTimeToLive",
        ])
        .besides(&[
            "dynamodb:BatchWriteItem",
            "dynamodb:CreateGlobalTableWitness",
            "dynamodb:CreateTableReplica",
            "dynamodb:DeleteGlobalTableWitness",
            "dynamodb:DeleteItem",
            "dynamodb:DeleteTableReplica",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:Scan",
            "dynamodb:UpdateItem",
        ])
        .links("replication.dynamodb.amazonaws.com")
        .keys("dynamodb", USE_KEY),
    Permissions::of("ec2.eip").read(&["ec2:DescribeAddresses"]).change(&[
        "ec2:AllocateAddress",
        "ec2:CreateTags",
        "ec2:DeleteTags",
        "ec2:ReleaseAddress",
    ]),
    Permissions::of("ec2.existing-security-group").look(&["ec2:DescribeSecurityGroups"]),
    Permissions::of("ec2.flow-log")
        .read(&["ec2:DescribeFlowLogs"])
        .change(&["ec2:CreateFlowLogs", "ec2:CreateTags", "ec2:DeleteFlowLogs", "ec2:DeleteTags"])
        .passes("vpc-flow-logs.amazonaws.com"),
    Permissions::of("ec2.image").look(&["ec2:DescribeImages"]),
    Permissions::of("ec2.internet-gateway").read(&["ec2:DescribeInternetGateways"]).change(&[
        "ec2:AttachInternetGateway",
        "ec2:CreateInternetGateway",
        "ec2:CreateTags",
        "ec2:DeleteInternetGateway",
        "ec2:DeleteTags",
        "ec2:DetachInternetGateway",
    ]),
    Permissions::of("ec2.nat-gateway").read(&["ec2:DescribeNatGateways"]).change(&[
        "ec2:CreateNatGateway",
        "ec2:CreateTags",
        "ec2:DeleteNatGateway",
        "ec2:DeleteTags",
    ]),
    Permissions::of("ec2.prefix-list").look(&["ec2:DescribeManagedPrefixLists", "ec2:GetManagedPrefixListEntries"]),
    Permissions::of("ec2.route").read(&["ec2:DescribeRouteTables"]).change(&[
        "ec2:CreateRoute",
        "ec2:DeleteRoute",
        "ec2:ReplaceRoute",
    ]),
    Permissions::of("ec2.route-table").read(&["ec2:DescribeRouteTables"]).change(&[
        "ec2:CreateRouteTable",
        "ec2:CreateTags",
        "ec2:DeleteRouteTable",
        "ec2:DeleteTags",
    ]),
    Permissions::of("ec2.route-table-association").read(&["ec2:DescribeRouteTables"]).change(&[
        "ec2:AssociateRouteTable",
        "ec2:DisassociateRouteTable",
        "ec2:ReplaceRouteTableAssociation",
    ]),
    Permissions::of("ec2.security-group")
        .read(&["ec2:DescribeSecurityGroupRules", "ec2:DescribeSecurityGroups"])
        .change(&[
            "ec2:AuthorizeSecurityGroupEgress",
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:CreateSecurityGroup",
            "ec2:CreateTags",
            "ec2:DeleteSecurityGroup",
            "ec2:DeleteTags",
            "ec2:DescribeNetworkInterfaces",
            "ec2:RevokeSecurityGroupEgress",
            "ec2:RevokeSecurityGroupIngress",
            "ec2:UpdateSecurityGroupRuleDescriptionsEgress",
            "ec2:UpdateSecurityGroupRuleDescriptionsIngress",
        ]),
    Permissions::of("ec2.subnet").read(&["ec2:DescribeSubnets"]).change(&[
        "ec2:CreateSubnet",
        "ec2:CreateTags",
        "ec2:DeleteSubnet",
        "ec2:DeleteTags",
        "ec2:DescribeNetworkInterfaces",
        "ec2:ModifySubnetAttribute",
    ]),
    Permissions::of("ec2.subnets").look(&["ec2:DescribeSubnets"]),
    Permissions::of("ec2.transit-gateway")
        .read(&["ec2:DescribeTransitGateways"])
        .change(&[
            "ec2:CreateTags",
            "ec2:CreateTransitGateway",
            "ec2:DeleteTags",
            "ec2:DeleteTransitGateway",
            "ec2:ModifyTransitGateway",
        ])
        .links("transitgateway.amazonaws.com"),
    Permissions::of("ec2.transit-gateway-peering")
        .read(&["ec2:DescribeTransitGatewayPeeringAttachments"])
        .change(&[
            "ec2:CreateTags",
            "ec2:CreateTransitGatewayPeeringAttachment",
            "ec2:DeleteTags",
            "ec2:DeleteTransitGatewayPeeringAttachment",
        ])
        .links("transitgateway.amazonaws.com"),
    Permissions::of("ec2.transit-gateway-peering-accepter")
        .read(&["ec2:DescribeTransitGatewayPeeringAttachments"])
        .change(&[
            "ec2:AcceptTransitGatewayPeeringAttachment",
            "ec2:CreateTags",
            "ec2:DeleteTags",
            "ec2:DeleteTransitGatewayPeeringAttachment",
        ]),
    Permissions::of("ec2.transit-gateway-route").read(&["ec2:SearchTransitGatewayRoutes"]).change(&[
        "ec2:CreateTransitGatewayRoute",
        "ec2:DeleteTransitGatewayRoute",
        "ec2:ReplaceTransitGatewayRoute",
    ]),
    Permissions::of("ec2.transit-gateway-vpc-attachment")
        .read(&["ec2:DescribeTransitGatewayVpcAttachments"])
        .change(&[
            "ec2:CreateTags",
            "ec2:CreateTransitGatewayVpcAttachment",
            "ec2:DeleteTags",
            "ec2:DeleteTransitGatewayVpcAttachment",
            "ec2:ModifyTransitGatewayVpcAttachment",
        ])
        .links("transitgateway.amazonaws.com"),
    Permissions::of("ec2.vpc").read(&["ec2:DescribeVpcAttribute", "ec2:DescribeVpcs"]).change(&[
        "ec2:CreateTags",
        "ec2:CreateVpc",
        "ec2:DeleteTags",
        "ec2:DeleteVpc",
        "ec2:ModifyVpcAttribute",
    ]),
    // Service Authorization Reference: an endpoint with private DNS names.
    Permissions::of("ec2.vpc-endpoint")
        .read(&["ec2:DescribeVpcEndpoints"])
        .change(&[
            "ec2:CreateTags",
            "ec2:CreateVpcEndpoint",
            "ec2:DeleteTags",
            "ec2:DeleteVpcEndpoints",
            "ec2:ModifyVpcEndpoint",
        ])
        .besides(&["route53:AssociateVPCWithHostedZone"]),
    Permissions::of("ec2.vpc-peering").read(&["ec2:DescribeVpcPeeringConnections"]).change(&[
        "ec2:CreateTags",
        "ec2:CreateVpcPeeringConnection",
        "ec2:DeleteTags",
        "ec2:DeleteVpcPeeringConnection",
    ]),
    Permissions::of("ec2.vpc-peering-accepter").read(&["ec2:DescribeVpcPeeringConnections"]).change(&[
        "ec2:AcceptVpcPeeringConnection",
        "ec2:CreateTags",
        "ec2:DeleteTags",
        "ec2:DeleteVpcPeeringConnection",
        "ec2:ModifyVpcPeeringConnectionOptions",
    ]),
    Permissions::of("ec2.vpc-peering-dns")
        .read(&["ec2:DescribeVpcPeeringConnections"])
        .change(&["ec2:ModifyVpcPeeringConnectionOptions"]),
    Permissions::of("ec2.zones").look(&["ec2:DescribeAvailabilityZones"]),
    Permissions::of("ecs.cluster")
        .read(&["ecs:DescribeClusters", "ecs:ListTagsForResource"])
        .change(&[
            "ecs:CreateCluster",
            "ecs:DeleteCluster",
            "ecs:TagResource",
            "ecs:UntagResource",
            "ecs:UpdateCluster",
        ])
        .links("ecs.amazonaws.com"),
    Permissions::of("ecs.service")
        .read(&[
            "ecs:DescribeServiceDeployments",
            "ecs:DescribeServices",
            "ecs:ListServiceDeployments",
            "ecs:ListTagsForResource",
            "elasticloadbalancing:DescribeRules",
        ])
        .change(&[
            "ecs:CreateService",
            "ecs:DeleteService",
            "ecs:StopServiceDeployment",
            "ecs:TagResource",
            "ecs:UntagResource",
            "ecs:UpdateService",
        ])
        .passes("ecs.amazonaws.com")
        .links("ecs.amazonaws.com"),
    Permissions::of("ecs.task-definition")
        .read(&["ecs:DescribeTaskDefinition", "ecs:ListTagsForResource"])
        .change(&[
            "ecs:DeleteTaskDefinitions",
            "ecs:DeregisterTaskDefinition",
            "ecs:ListTaskDefinitions",
            "ecs:RegisterTaskDefinition",
            "ecs:TagResource",
            "ecs:UntagResource",
        ])
        .passes("ecs-tasks.amazonaws.com"),
    Permissions::of("elbv2.listener")
        .read(&["elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeTags"])
        .change(&[
            "elasticloadbalancing:AddTags",
            "elasticloadbalancing:CreateListener",
            "elasticloadbalancing:DeleteListener",
            "elasticloadbalancing:ModifyListener",
            "elasticloadbalancing:RemoveTags",
        ]),
    Permissions::of("elbv2.listener-rule")
        .read(&["elasticloadbalancing:DescribeRules", "elasticloadbalancing:DescribeTags"])
        .change(&[
            "elasticloadbalancing:AddTags",
            "elasticloadbalancing:CreateRule",
            "elasticloadbalancing:DeleteRule",
            "elasticloadbalancing:ModifyRule",
            "elasticloadbalancing:RemoveTags",
            "elasticloadbalancing:SetRulePriorities",
        ]),
    Permissions::of("elbv2.load-balancer")
        .read(&[
            "elasticloadbalancing:DescribeLoadBalancerAttributes",
            "elasticloadbalancing:DescribeLoadBalancers",
            "elasticloadbalancing:DescribeTags",
        ])
        .change(&[
            "elasticloadbalancing:AddTags",
            "elasticloadbalancing:CreateLoadBalancer",
            "elasticloadbalancing:DeleteLoadBalancer",
            "elasticloadbalancing:ModifyLoadBalancerAttributes",
            "elasticloadbalancing:RemoveTags",
            "elasticloadbalancing:SetSecurityGroups",
            "elasticloadbalancing:SetSubnets",
        ])
        .links("elasticloadbalancing.amazonaws.com"),
    Permissions::of("elbv2.target-group")
        .read(&[
            "elasticloadbalancing:DescribeTags",
            "elasticloadbalancing:DescribeTargetGroupAttributes",
            "elasticloadbalancing:DescribeTargetGroups",
        ])
        .change(&[
            "elasticloadbalancing:AddTags",
            "elasticloadbalancing:CreateTargetGroup",
            "elasticloadbalancing:DeleteTargetGroup",
            "elasticloadbalancing:DescribeTargetHealth",
            "elasticloadbalancing:ModifyTargetGroup",
            "elasticloadbalancing:ModifyTargetGroupAttributes",
            "elasticloadbalancing:RemoveTags",
        ]),
    Permissions::of("eventbridge.rule")
        .read(&["events:DescribeRule", "events:ListTagsForResource", "events:ListTargetsByRule"])
        .change(&[
            "events:DeleteRule",
            "events:PutRule",
            "events:RemoveTargets",
            "events:TagResource",
            "events:UntagResource",
        ]),
    Permissions::of("eventbridge.target")
        .read(&["events:ListTargetsByRule"])
        .change(&["events:PutTargets", "events:RemoveTargets"]),
    Permissions::of("iam.role")
        .read(&[
            "iam:GetAccountAuthorizationDetails",
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:ListRolePolicies",
        ])
        .change(&[
            "iam:AttachRolePolicy",
            "iam:CreateRole",
            "iam:DeleteRole",
            "iam:DeleteRolePolicy",
            "iam:DetachRolePolicy",
            "iam:ListInstanceProfilesForRole",
            "iam:PutRolePolicy",
            "iam:RemoveRoleFromInstanceProfile",
            "iam:TagRole",
            "iam:UntagRole",
            "iam:UpdateAssumeRolePolicy",
            "iam:UpdateRole",
        ]),
    Permissions::of("kms.alias").read(&["kms:DescribeKey", "kms:ListAliases", "kms:ListResourceTags"]).change(&[
        "kms:CreateAlias",
        "kms:DeleteAlias",
        "kms:UpdateAlias",
    ]),
    Permissions::of("kms.existing-key").look(&["kms:DescribeKey"]),
    Permissions::of("kms.key")
        .read(&["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags"])
        .change(&[
            "kms:CancelKeyDeletion",
            "kms:CreateKey",
            "kms:DisableKey",
            "kms:DisableKeyRotation",
            "kms:EnableKey",
            "kms:EnableKeyRotation",
            "kms:ListKeys",
            "kms:PutKeyPolicy",
            "kms:ScheduleKeyDeletion",
            "kms:TagResource",
            "kms:UntagResource",
            "kms:UpdateKeyDescription",
        ]),
    Permissions::of("lambda.alias").read(&["lambda:GetAlias"]).change(&[
        "lambda:CreateAlias",
        "lambda:DeleteAlias",
        "lambda:UpdateAlias",
    ]),
    Permissions::of("lambda.event-invoke-config")
        .read(&["lambda:GetFunctionEventInvokeConfig"])
        .change(&["lambda:DeleteFunctionEventInvokeConfig", "lambda:PutFunctionEventInvokeConfig"]),
    Permissions::of("lambda.event-source-mapping").read(&["lambda:GetEventSourceMapping", "lambda:ListTags"]).change(
        &[
            "lambda:CreateEventSourceMapping",
            "lambda:DeleteEventSourceMapping",
            "lambda:ListEventSourceMappings",
            "lambda:TagResource",
            "lambda:UntagResource",
            "lambda:UpdateEventSourceMapping",
        ],
    ),
    // Lambda Developer Guide, VPC permissions: a function in a VPC.
    Permissions::of("lambda.function")
        .read(&["lambda:GetFunction", "lambda:ListTags"])
        .change(&[
            "lambda:CreateFunction",
            "lambda:DeleteFunction",
            "lambda:DeleteFunctionConcurrency",
            "lambda:PutFunctionConcurrency",
            "lambda:TagResource",
            "lambda:UntagResource",
            "lambda:UpdateFunctionCode",
            "lambda:UpdateFunctionConfiguration",
        ])
        .besides(&["ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"])
        .passes("lambda.amazonaws.com")
        .opens("lambda")
        .keys("lambda", &["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt"]),
    Permissions::of("lambda.permission")
        .read(&["lambda:GetPolicy"])
        .change(&["lambda:AddPermission", "lambda:RemovePermission"]),
    Permissions::of("lambda.version")
        .read(&["lambda:GetFunction"])
        .change(&["lambda:DeleteFunction", "lambda:ListVersionsByFunction", "lambda:PublishVersion"])
        .opens("lambda"),
    Permissions::of("logs.log-group").read(&["logs:DescribeLogGroups", "logs:ListTagsForResource"]).change(&[
        "logs:AssociateKmsKey",
        "logs:CreateLogGroup",
        "logs:DeleteLogGroup",
        "logs:DeleteRetentionPolicy",
        "logs:DisassociateKmsKey",
        "logs:PutRetentionPolicy",
        "logs:TagResource",
        "logs:UntagResource",
    ]),
    Permissions::of("logs.metric-filter")
        .read(&["logs:DescribeMetricFilters"])
        .change(&["logs:DeleteMetricFilter", "logs:PutMetricFilter"]),
    Permissions::of("payinfra.outputs"),
    Permissions::of("rds.cluster")
        .read(&["rds:DescribeDBClusters", "rds:DescribeGlobalClusters", "rds:ListTagsForResource"])
        .change(&[
            "rds:AddTagsToResource",
            "rds:CreateDBCluster",
            "rds:DeleteDBCluster",
            "rds:ModifyDBCluster",
            "rds:PromoteReadReplicaDBCluster",
            "rds:RemoveFromGlobalCluster",
            "rds:RemoveTagsFromResource",
            "rds:SwitchoverGlobalCluster",
            "secretsmanager:GetSecretValue",
        ])
        .links("rds.amazonaws.com")
        .keys("rds", &["kms:CreateGrant", "kms:DescribeKey"]),
    Permissions::of("rds.cluster-instance")
        .read(&[
            "rds:DescribeDBClusters",
            "rds:DescribeDBInstances",
            "rds:DescribeGlobalClusters",
            "rds:ListTagsForResource",
        ])
        .change(&[
            "rds:AddTagsToResource",
            "rds:CreateDBInstance",
            "rds:DeleteDBInstance",
            "rds:ModifyDBInstance",
            "rds:PromoteReadReplicaDBCluster",
            "rds:RemoveTagsFromResource",
            "rds:SwitchoverGlobalCluster",
        ])
        .passes("monitoring.rds.amazonaws.com")
        .links("rds.amazonaws.com")
        .keys("rds", &["kms:CreateGrant", "kms:DescribeKey"]),
    Permissions::of("rds.cluster-parameter-group")
        .read(&["rds:DescribeDBClusterParameterGroups", "rds:DescribeDBClusterParameters", "rds:ListTagsForResource"])
        .change(&[
            "rds:AddTagsToResource",
            "rds:CreateDBClusterParameterGroup",
            "rds:DeleteDBClusterParameterGroup",
            "rds:ModifyDBClusterParameterGroup",
            "rds:RemoveTagsFromResource",
            "rds:ResetDBClusterParameterGroup",
        ]),
    Permissions::of("rds.global-cluster")
        .read(&["rds:DescribeDBClusters", "rds:DescribeGlobalClusters", "rds:ListTagsForResource"])
        .change(&[
            "rds:AddTagsToResource",
            "rds:CreateGlobalCluster",
            "rds:DeleteGlobalCluster",
            "rds:FailoverGlobalCluster",
            "rds:ModifyDBCluster",
            "rds:ModifyGlobalCluster",
            "rds:RemoveTagsFromResource",
            "rds:SwitchoverGlobalCluster",
        ])
        .links("rds.amazonaws.com"),
    Permissions::of("rds.instance")
        .read(&["rds:DescribeDBInstances", "rds:ListTagsForResource"])
        .change(&[
            "rds:AddTagsToResource",
            "rds:CreateDBInstance",
            "rds:DeleteDBInstance",
            "rds:ModifyDBInstance",
            "rds:RemoveTagsFromResource",
            "secretsmanager:GetSecretValue",
        ])
        .passes("monitoring.rds.amazonaws.com")
        .links("rds.amazonaws.com")
        .keys("rds", &["kms:CreateGrant", "kms:DescribeKey"]),
    Permissions::of("rds.parameter-group")
        .read(&["rds:DescribeDBParameterGroups", "rds:DescribeDBParameters", "rds:ListTagsForResource"])
        .change(&[
            "rds:AddTagsToResource",
            "rds:CreateDBParameterGroup",
            "rds:DeleteDBParameterGroup",
            "rds:ModifyDBParameterGroup",
            "rds:RemoveTagsFromResource",
            "rds:ResetDBParameterGroup",
        ]),
    Permissions::of("rds.subnet-group")
        .read(&["rds:DescribeDBSubnetGroups", "rds:ListTagsForResource"])
        .change(&[
            "rds:AddTagsToResource",
            "rds:CreateDBSubnetGroup",
            "rds:DeleteDBSubnetGroup",
            "rds:ModifyDBSubnetGroup",
            "rds:RemoveTagsFromResource",
        ])
        .links("rds.amazonaws.com"),
    Permissions::of("route53.delegation")
        .read(&["route53:ListResourceRecordSets"])
        .change(&["route53:ChangeResourceRecordSets"]),
    Permissions::of("route53.health-check")
        .read(&["route53:GetHealthCheck", "route53:ListTagsForResource", "route53:ListTagsForResources"])
        .change(&[
            "route53:ChangeTagsForResource",
            "route53:CreateHealthCheck",
            "route53:DeleteHealthCheck",
            "route53:GetHealthCheckStatus",
            "route53:ListHealthChecks",
            "route53:UpdateHealthCheck",
        ]),
    Permissions::of("route53.hosted-zone")
        .read(&[
            "route53:GetHostedZone",
            "route53:ListResourceRecordSets",
            "route53:ListTagsForResource",
            "route53:ListTagsForResources",
        ])
        .change(&[
            "route53:ChangeTagsForResource",
            "route53:CreateHostedZone",
            "route53:DeleteHostedZone",
            "route53:ListHostedZonesByName",
            "route53:UpdateHostedZoneComment",
        ]),
    Permissions::of("route53.record-set")
        .read(&["route53:ListResourceRecordSets"])
        .change(&["route53:ChangeResourceRecordSets", "route53:GetHostedZoneCount"]),
    Permissions::of("route53.zone").look(&["route53:GetHostedZone", "route53:ListHostedZonesByName"]),
    // Amazon S3 API Reference: `DeleteObjects` with versions, and `CreateBucket` with tags.
    Permissions::of("s3.bucket")
        .read(&[
            "s3:GetBucketLogging",
            "s3:GetBucketOwnershipControls",
            "s3:GetBucketPolicy",
            "s3:GetBucketPublicAccessBlock",
            "s3:GetBucketTagging",
            "s3:GetBucketVersioning",
            "s3:GetEncryptionConfiguration",
            "s3:GetLifecycleConfiguration",
            "s3:GetReplicationConfiguration",
            "s3:ListBucket",
        ])
        .look(&["s3:GetObject", "s3:ListBucketVersions"])
        .change(&[
            "s3:AbortMultipartUpload",
            "s3:CreateBucket",
            "s3:DeleteBucket",
            "s3:DeleteBucketPolicy",
            "s3:DeleteObject",
            "s3:ListBucketMultipartUploads",
            "s3:PutBucketLogging",
            "s3:PutBucketOwnershipControls",
            "s3:PutBucketPolicy",
            "s3:PutBucketPublicAccessBlock",
            "s3:PutBucketTagging",
            "s3:PutBucketVersioning",
            "s3:PutEncryptionConfiguration",
            "s3:PutLifecycleConfiguration",
            "s3:PutReplicationConfiguration",
        ])
        .besides(&["s3:DeleteObjectVersion", "s3:TagResource"])
        .passes("s3.amazonaws.com"),
    Permissions::of("s3.bucket-notification").read(&["s3:GetBucketNotification"]).change(&["s3:PutBucketNotification"]),
    Permissions::of("secretsmanager.password")
        .read(&["secretsmanager:DescribeSecret"])
        .change(&[
            "secretsmanager:CreateSecret",
            "secretsmanager:DeleteSecret",
            "secretsmanager:GetRandomPassword",
            "secretsmanager:PutSecretValue",
            "secretsmanager:RestoreSecret",
            "secretsmanager:TagResource",
            "secretsmanager:UntagResource",
            "secretsmanager:UpdateSecret",
        ])
        .keys("secretsmanager", &["kms:Decrypt", "kms:GenerateDataKey"]),
    Permissions::of("secretsmanager.secret").look(&["secretsmanager:DescribeSecret"]),
    Permissions::of("sns.subscription")
        .read(&["sns:GetSubscriptionAttributes", "sns:ListSubscriptionsByTopic"])
        .change(&["sns:SetSubscriptionAttributes", "sns:Subscribe", "sns:Unsubscribe"]),
    Permissions::of("sns.topic").read(&["sns:GetTopicAttributes", "sns:ListTagsForResource"]).change(&[
        "sns:CreateTopic",
        "sns:DeleteTopic",
        "sns:SetTopicAttributes",
        "sns:TagResource",
        "sns:UntagResource",
    ]),
    Permissions::of("ssm.api-key-parameter")
        .read(&[
            "apigateway:GET",
            "ssm:DescribeParameters",
            "ssm:GetParameter",
            "ssm:GetParameters",
            "ssm:ListTagsForResource",
        ])
        .change(&["ssm:AddTagsToResource", "ssm:DeleteParameter", "ssm:PutParameter", "ssm:RemoveTagsFromResource"])
        .opens("ssm")
        .keys("ssm", &["kms:Decrypt", "kms:Encrypt"]),
    Permissions::of("ssm.parameter")
        .read(&["ssm:DescribeParameters", "ssm:GetParameter", "ssm:GetParameters", "ssm:ListTagsForResource"])
        .change(&["ssm:AddTagsToResource", "ssm:DeleteParameter", "ssm:PutParameter", "ssm:RemoveTagsFromResource"]),
    Permissions::of("wafv2.web-acl").read(&["wafv2:GetWebACL", "wafv2:ListTagsForResource"]).change(&[
        "wafv2:CreateWebACL",
        "wafv2:DeleteWebACL",
        "wafv2:ListWebACLs",
        "wafv2:TagResource",
        "wafv2:UntagResource",
        "wafv2:UpdateWebACL",
    ]),
    // AWS WAF Developer Guide, `AssociateWebACL`: the service of the resource checks it as well.
    Permissions::of("wafv2.web-acl-association")
        .read(&["wafv2:GetWebACLForResource"])
        .change(&["wafv2:AssociateWebACL", "wafv2:DisassociateWebACL"])
        .besides(&["apigateway:SetWebACL", "elasticloadbalancing:SetWebACL"]),
];

/// What finding all resources with the owner tags of a stack needs: the census, which the first apply takes to see whether a
/// state was lost. It looks at all services, whatever the stack has.
pub(super) const CENSUS: &[&str] = &[
    "acm:ListCertificates",
    "acm:ListTagsForCertificate",
    "apigateway:GET",
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:ListTagsForResource",
    "cloudtrail:DescribeTrails",
    "cloudtrail:ListTags",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:ListTagsForResource",
    "dynamodb:DescribeTable",
    "dynamodb:ListTables",
    "dynamodb:ListTagsOfResource",
    "ec2:DescribeTags",
    "ecs:ListClusters",
    "ecs:ListServices",
    "ecs:ListTagsForResource",
    "ecs:ListTaskDefinitions",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeRules",
    "elasticloadbalancing:DescribeTags",
    "elasticloadbalancing:DescribeTargetGroups",
    "events:ListRules",
    "events:ListTagsForResource",
    "iam:ListRoleTags",
    "iam:ListRoles",
    "kms:ListAliases",
    "kms:ListKeys",
    "kms:ListResourceTags",
    "lambda:ListEventSourceMappings",
    "lambda:ListFunctions",
    "lambda:ListTags",
    "logs:DescribeLogGroups",
    "logs:ListTagsForResource",
    "rds:DescribeDBClusterParameterGroups",
    "rds:DescribeDBClusters",
    "rds:DescribeDBInstances",
    "rds:DescribeDBParameterGroups",
    "rds:DescribeDBSubnetGroups",
    "rds:DescribeGlobalClusters",
    "rds:ListTagsForResource",
    "route53:ListHealthChecks",
    "route53:ListHostedZones",
    "route53:ListTagsForResources",
    "s3:GetBucketTagging",
    "s3:ListAllMyBuckets",
    "secretsmanager:ListSecrets",
    "sns:ListTagsForResource",
    "sns:ListTopics",
    "ssm:DescribeParameters",
    "ssm:ListTagsForResource",
    "wafv2:ListTagsForResource",
    "wafv2:ListWebACLs",
];
