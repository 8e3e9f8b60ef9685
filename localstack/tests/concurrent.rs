//! Concurrent changes: 200 calls of each fixed operation that reads, computes and writes back. None may be lost.
#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]
#![expect(dead_code, reason = "not all shared items are used here")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use payinfra_localstack::Emulator;
use support::{Answer, Aws};

/// The number of concurrent changes.
const AT_ONCE: usize = 200;

/// An operation and its parameters: a form, a JSON document, or, for Route 53, method and path with an XML body.
///
/// In parameters, reads and marks, `%i%` is the number of the call, `%n%` the same with three digits, `%=NAME%` the
/// member of the response with that name, and `%NAME%` the value that a row before [kept](Row::keep) under that name.
type Part = (&'static str, &'static str);

/// An operation under test, or a call that others need.
struct Row {
    service: &'static str,
    write: Part,
    times: usize,
    keep: Part,
    reads: &'static [Part],
    /// The text that each call leaves in the reads.
    mark: &'static str,
    undo: Option<Part>,
}

/// A call that later calls need.
const fn once(service: &'static str, operation: &'static str, parameters: &'static str) -> Row {
    Row { service, write: (operation, parameters), times: 1, keep: ("", ""), reads: &[], mark: "", undo: None }
}

/// An operation under test.
const fn many(service: &'static str, operation: &'static str, parameters: &'static str) -> Row {
    Row { times: AT_ONCE, ..once(service, operation, parameters) }
}

impl Row {
    /// Keeps a member of the responses for later rows, under a name.
    const fn keep(self, name: &'static str, member: &'static str) -> Self {
        Self { keep: (name, member), ..self }
    }

    const fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// The reads that show the changes, and the text for each change.
    const fn seen(self, reads: &'static [Part], mark: &'static str) -> Self {
        Self { reads, mark, ..self }
    }

    /// Reverts the changes concurrently, after which none is visible.
    const fn undo(self, operation: &'static str, parameters: &'static str) -> Self {
        Self { undo: Some((operation, parameters)), ..self }
    }
}

const ASSUMED: &str =
    r#"{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"ecs.amazonaws.com"}}}"#;

const ROWS: &[Row] = &[
    // Networks
    once("ec2", "CreateVpc", "CidrBlock=10.50.0.0/16").keep("vpc", "vpcId"),
    once("ec2", "CreateInternetGateway", "").keep("gateway", "internetGatewayId"),
    once("ec2", "AttachInternetGateway", "VpcId=%vpc%&InternetGatewayId=%gateway%"),
    once("ec2", "CreateRouteTable", "VpcId=%vpc%").keep("table", "routeTableId"),
    once("ec2", "CreateSubnet", "VpcId=%vpc%&CidrBlock=10.50.250.0/24&AvailabilityZone=us-east-1a").keep("a", "subnetId"),
    once("ec2", "CreateSubnet", "VpcId=%vpc%&CidrBlock=10.50.251.0/24&AvailabilityZone=us-east-1b").keep("b", "subnetId"),
    many("ec2", "CreateSubnet", "VpcId=%vpc%&CidrBlock=10.50.%i%.0/24")
        .keep("subnet", "subnetId")
        .seen(&[("DescribeSubnets", "")], "10.50.%i%.0/24"),
    many("ec2", "AssociateRouteTable", "RouteTableId=%table%&SubnetId=%subnet%")
        .seen(&[("DescribeRouteTables", "RouteTableId.1=%table%")], "<subnetId>%subnet%<")
        .undo("DisassociateRouteTable", "AssociationId=%=associationId%"),
    many("ec2", "CreateRoute", "RouteTableId=%table%&DestinationCidrBlock=172.16.%i%.0/24&GatewayId=%gateway%")
        .seen(&[("DescribeRouteTables", "RouteTableId.1=%table%")], "172.16.%i%.0/24")
        .undo("DeleteRoute", "RouteTableId=%table%&DestinationCidrBlock=172.16.%i%.0/24"),
    many("ec2", "CreateSecurityGroup", "GroupName=lost-%n%&GroupDescription=lost&VpcId=%vpc%")
        .seen(&[("DescribeSecurityGroups", "")], "<groupName>lost-%n%<")
        .undo("DeleteSecurityGroup", "GroupId=%=groupId%"),
    once("ec2", "CreateSecurityGroup", "GroupName=rules-%i%&GroupDescription=rules&VpcId=%vpc%")
        .times(4)
        .keep("group", "groupId"),
    many(
        "ec2",
        "AuthorizeSecurityGroupIngress",
        "GroupId=%group%&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=443&IpPermissions.1.ToPort=443\
         &IpPermissions.1.IpRanges.1.CidrIp=10.60.%i%.0/24",
    )
    .seen(&[("DescribeSecurityGroupRules", "")], "10.60.%i%.0/24")
    .undo("RevokeSecurityGroupIngress", "GroupId=%group%&SecurityGroupRuleId.1=%=securityGroupRuleId%"),
    many("ec2", "AllocateAddress", "Domain=vpc")
        .seen(&[("DescribeAddresses", "")], "%=allocationId%")
        .undo("ReleaseAddress", "AllocationId=%=allocationId%"),
    many("ec2", "CreateNatGateway", "ConnectivityType=private&SubnetId=%subnet%")
        .seen(&[("DescribeNatGateways", "Filter.1.Name=state&Filter.1.Value.1=available")], "<subnetId>%subnet%<")
        .undo("DeleteNatGateway", "NatGatewayId=%=natGatewayId%"),
    once("ec2", "CreateVpcEndpoint", "VpcId=%vpc%&ServiceName=com.amazonaws.us-east-1.s3").keep("endpoint", "vpcEndpointId"),
    many("ec2", "CreateRouteTable", "VpcId=%vpc%")
        .keep("other-table", "routeTableId")
        .seen(&[("DescribeRouteTables", "")], "<routeTableId>%=routeTableId%<"),
    many("ec2", "ModifyVpcEndpoint", "VpcEndpointId=%endpoint%&AddRouteTableId.1=%other-table%")
        .seen(&[("DescribeVpcEndpoints", "VpcEndpointId.1=%endpoint%")], "<item>%other-table%<")
        .undo("ModifyVpcEndpoint", "VpcEndpointId=%endpoint%&RemoveRouteTableId.1=%other-table%"),
    many("ec2", "CreateVpcEndpoint", "VpcId=%vpc%&ServiceName=com.amazonaws.us-east-1.s3&RouteTableId.1=%other-table%")
        .seen(&[("DescribeVpcEndpoints", "")], "%=vpcEndpointId%")
        .undo("DeleteVpcEndpoints", "VpcEndpointId.1=%=vpcEndpointId%"),
    once("ec2", "CreateTransitGateway", "").keep("transit", "transitGatewayId"),
    once("ec2", "CreateTransitGatewayVpcAttachment", "TransitGatewayId=%transit%&VpcId=%vpc%&SubnetIds.1=%a%")
        .keep("attachment", "transitGatewayAttachmentId"),
    once("ec2", "CreateTransitGatewayRouteTable", "TransitGatewayId=%transit%").keep("routes", "transitGatewayRouteTableId"),
    many(
        "ec2",
        "CreateTransitGatewayRoute",
        "TransitGatewayRouteTableId=%routes%&DestinationCidrBlock=172.17.%i%.0/24&TransitGatewayAttachmentId=%attachment%",
    )
    .seen(
        &[("SearchTransitGatewayRoutes", "TransitGatewayRouteTableId=%routes%&Filter.1.Name=type&Filter.1.Value.1=static")],
        "172.17.%i%.0/24",
    )
    .undo("DeleteTransitGatewayRoute", "TransitGatewayRouteTableId=%routes%&DestinationCidrBlock=172.17.%i%.0/24"),
    many("ec2", "CreateTransitGatewayRouteTable", "TransitGatewayId=%transit%")
        .seen(
            &[("DescribeTransitGatewayRouteTables", "Filter.1.Name=state&Filter.1.Value.1=available")],
            "%=transitGatewayRouteTableId%",
        )
        .undo("DeleteTransitGatewayRouteTable", "TransitGatewayRouteTableId=%=transitGatewayRouteTableId%"),
    // Load balancers
    many("elasticloadbalancing", "CreateTargetGroup", "Name=lost-%n%&Protocol=HTTP&Port=80&VpcId=%vpc%&TargetType=ip")
        .keep("target-group", "TargetGroupArn")
        .seen(&[("DescribeTargetGroups", "")], "<TargetGroupName>lost-%n%<"),
    many("elasticloadbalancing", "RegisterTargets", "TargetGroupArn=%target-group:0%&Targets.member.1.Id=10.50.1.%i%")
        .seen(&[("DescribeTargetHealth", "TargetGroupArn=%target-group:0%")], "<Id>10.50.1.%i%<")
        .undo("DeregisterTargets", "TargetGroupArn=%target-group:0%&Targets.member.1.Id=10.50.1.%i%"),
    many(
        "elasticloadbalancing",
        "CreateLoadBalancer",
        "Name=lost-%n%&Scheme=internal&Subnets.member.1=%a%&Subnets.member.2=%b%",
    )
    .keep("balancer", "LoadBalancerArn")
    .seen(
        &[
            ("DescribeLoadBalancers", "PageSize=400"),
        ],
        "<LoadBalancerName>lost-%n%<",
    ),
    once("elasticloadbalancing", "CreateLoadBalancer", "Name=tags-%i%&Scheme=internal&Subnets.member.1=%a%&Subnets.member.2=%b%")
        .times(5)
        .keep("tagged", "LoadBalancerArn"),
    many(
        "elasticloadbalancing",
        "AddTags",
        "ResourceArns.member.1=%tagged%&Tags.member.1.Key=key-%n%&Tags.member.1.Value=v",
    )
    .seen(
        &[(
            "DescribeTags",
            "ResourceArns.member.1=%tagged:0%&ResourceArns.member.2=%tagged:1%&ResourceArns.member.3=%tagged:2%\
             &ResourceArns.member.4=%tagged:3%&ResourceArns.member.5=%tagged:4%",
        )],
        "<Key>key-%n%<",
    )
    .undo("RemoveTags", "ResourceArns.member.1=%tagged%&TagKeys.member.1=key-%n%"),
    many(
        "elasticloadbalancing",
        "CreateListener",
        "LoadBalancerArn=%tagged:0%&Protocol=HTTP&Port=1%n%&DefaultActions.member.1.Type=forward\
         &DefaultActions.member.1.TargetGroupArn=%target-group%",
    )
    .seen(&[("DescribeListeners", "LoadBalancerArn=%tagged:0%&PageSize=400")], "<Port>1%n%<"),
    // Web ACLs
    once(
        "wafv2",
        "CreateWebACL",
        r#"{"Name": "acl-%i%", "Scope": "REGIONAL", "DefaultAction": {"Allow": {}}, "Rules": [], "VisibilityConfig":
            {"SampledRequestsEnabled": false, "CloudWatchMetricsEnabled": false, "MetricName": "m"}}"#,
    )
    .keep("acl", "ARN"),
    many("wafv2", "AssociateWebACL", r#"{"WebACLArn": "%acl%", "ResourceArn": "%balancer%"}"#)
        .seen(&[("each GetWebACLForResource", r#"{"ResourceArn": "%balancer%"}"#)], "\"acl-0\"")
        .undo("DisassociateWebACL", r#"{"ResourceArn": "%balancer%"}"#),
    // A list of tags has a page size of 100.
    many("wafv2", "TagResource", r#"{"ResourceARN": "%acl%", "Tags": [{"Key": "key-%n%", "Value": "v"}]}"#)
        .times(100)
        .seen(&[("ListTagsForResource", r#"{"ResourceARN": "%acl%", "Limit": 100}"#)], "key-%n%")
        .undo("UntagResource", r#"{"ResourceARN": "%acl%", "TagKeys": ["key-%n%"]}"#),
    // Containers and their scaling
    many("ecs", "CreateCluster", r#"{"clusterName": "lost-%n%"}"#)
        .seen(&[("ListClusters", "{}")], "/lost-%n%\"")
        .undo("DeleteCluster", r#"{"cluster": "lost-%n%"}"#),
    many(
        "ecs",
        "RegisterTaskDefinition",
        r#"{"family": "lost", "containerDefinitions": [{"name": "c", "image": "i", "memory": 128}]}"#,
    )
    .seen(&[("ListTaskDefinitions", r#"{"familyPrefix": "lost"}"#)], "\"%=taskDefinitionArn%\""),
    once("ecs", "CreateCluster", r#"{"clusterName": "busy"}"#),
    many(
        "ecs",
        "CreateService",
        r#"{"cluster": "busy", "serviceName": "lost-%n%", "taskDefinition": "lost", "desiredCount": 1}"#,
    )
    .seen(&[("ListServices", r#"{"cluster": "busy", "maxResults": 400}"#)], "/lost-%n%\""),
    many("ecs", "UpdateService", r#"{"cluster": "busy", "service": "lost-%n%", "desiredCount": 2}"#)
        .seen(&[("DescribeClusters", r#"{"clusters": ["busy"]}"#)], "\"runningTasksCount\": 400"),
    many(
        "application-autoscaling",
        "RegisterScalableTarget",
        r#"{"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount", "MinCapacity": 1, "MaxCapacity": 2,
            "ResourceId": "service/busy/lost-%n%", "Tags": {"Name": "lost"}}"#,
    )
    .keep("target", "ScalableTargetARN")
    .seen(
        &[("DescribeScalableTargets", r#"{"ServiceNamespace": "ecs", "MaxResults": 400}"#)],
        "service/busy/lost-%n%",
    ),
    many(
        "application-autoscaling",
        "TagResource",
        r#"{"ResourceARN": "%target:0%", "Tags": {"key-%n%": "v"}}"#,
    )
    .seen(&[("ListTagsForResource", r#"{"ResourceARN": "%target:0%"}"#)], "key-%n%")
    .undo("UntagResource", r#"{"ResourceARN": "%target:0%", "TagKeys": ["key-%n%"]}"#),
    many(
        "application-autoscaling",
        "PutScalingPolicy",
        r#"{"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount",
            "ResourceId": "service/busy/lost-000", "PolicyName": "policy-%n%", "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 50,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}}}"#,
    )
    .seen(&[("DescribeScalingPolicies", r#"{"ServiceNamespace": "ecs", "MaxResults": 400}"#)], "policy-%n%")
    .undo(
        "DeleteScalingPolicy",
        r#"{"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount",
            "ResourceId": "service/busy/lost-000", "PolicyName": "policy-%n%"}"#,
    ),
    many(
        "application-autoscaling",
        "DeregisterScalableTarget",
        r#"{"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount",
            "ResourceId": "service/busy/lost-%n%"}"#,
    ),
    many("ecs", "DeleteService", r#"{"cluster": "busy", "service": "lost-%n%", "force": true}"#)
        .seen(&[("DescribeClusters", r#"{"clusters": ["busy"]}"#)], "\"runningTasksCount\": 0"),
    // Monitoring
    many(
        "monitoring",
        "PutMetricAlarm",
        "AlarmName=lost-%n%&MetricName=m&Namespace=n&ComparisonOperator=GreaterThanThreshold&EvaluationPeriods=1\
         &Period=60&Statistic=Sum&Threshold=1",
    )
    .seen(&[("DescribeAlarms", "")], "<AlarmName>lost-%n%<")
    .undo("DeleteAlarms", "AlarmNames.member.1=lost-%n%"),
    many("monitoring", "PutCompositeAlarm", "AlarmName=lost-%n%&AlarmRule=FALSE")
        .seen(&[("DescribeAlarms", "AlarmTypes.member.1=CompositeAlarm")], "<AlarmName>lost-%n%<")
        .undo("DeleteAlarms", "AlarmNames.member.1=lost-%n%"),
    many("monitoring", "PutDashboard", r#"DashboardName=lost-%n%&DashboardBody={"widgets":[]}"#)
        .seen(&[("ListDashboards", "")], "<DashboardName>lost-%n%<")
        .undo("DeleteDashboards", "DashboardNames.member.1=lost-%n%"),
    // Databases
    many(
        "rds",
        "CreateDBSubnetGroup",
        "DBSubnetGroupName=lost-%n%&DBSubnetGroupDescription=lost&SubnetIds.SubnetIdentifier.1=%a%\
         &SubnetIds.SubnetIdentifier.2=%b%",
    )
    .seen(
        &[("DescribeDBSubnetGroups", "MaxRecords=400")],
        "<DBSubnetGroupName>lost-%n%<",
    )
    .undo("DeleteDBSubnetGroup", "DBSubnetGroupName=lost-%n%"),
    many("rds", "CreateGlobalCluster", "GlobalClusterIdentifier=lost-%n%&Engine=aurora-postgresql")
        .seen(&[("DescribeGlobalClusters", "")], "<GlobalClusterIdentifier>lost-%n%<")
        .undo("DeleteGlobalCluster", "GlobalClusterIdentifier=lost-%n%"),
    many(
        "rds",
        "CreateDBCluster",
        "DBClusterIdentifier=lost-%n%&Engine=aurora-postgresql&MasterUsername=main&MasterUserPassword=password",
    )
    .keep("cluster", "DBClusterArn")
    .seen(&[("DescribeDBClusters", "MaxRecords=400")], "<DBClusterIdentifier>lost-%n%<"),
    many("rds", "AddTagsToResource", "ResourceName=%cluster:0%&Tags.Tag.1.Key=key-%n%&Tags.Tag.1.Value=v")
        .seen(&[("ListTagsForResource", "ResourceName=%cluster:0%")], "<Key>key-%n%<")
        .undo("RemoveTagsFromResource", "ResourceName=%cluster:0%&TagKeys.member.1=key-%n%"),
    many(
        "rds",
        "CreateDBInstance",
        "DBInstanceIdentifier=member-%n%&DBClusterIdentifier=lost-000&Engine=aurora-postgresql\
         &DBInstanceClass=db.r6g.large",
    )
    .seen(
        &[("DescribeDBClusters", "DBClusterIdentifier=lost-000")],
        "<DBInstanceIdentifier>member-%n%<",
    )
    .undo("DeleteDBInstance", "DBInstanceIdentifier=member-%n%&SkipFinalSnapshot=true"),
    many("rds", "DeleteDBCluster", "DBClusterIdentifier=lost-%n%&SkipFinalSnapshot=true")
        .seen(&[("DescribeDBClusters", "")], "<DBClusters"),
    // Roles
    many("iam", "CreateRole", "RoleName=lost-%n%&AssumeRolePolicyDocument=%assumed%")
        .seen(&[("ListRoles", "MaxItems=1000")], "<RoleName>lost-%n%<")
        .undo("DeleteRole", "RoleName=lost-%n%"),
    // Names and certificates
    once(
        "route53",
        "POST /2013-04-01/hostedzone",
        "<CreateHostedZoneRequest><Name>lost.example.</Name><CallerReference>zone</CallerReference></CreateHostedZoneRequest>",
    )
    .keep("zone", "Id"),
    many(
        "route53",
        "POST /2013-04-01%zone%/rrset",
        "<ChangeResourceRecordSetsRequest><ChangeBatch><Changes><Change><Action>CREATE</Action><ResourceRecordSet>\
         <Name>lost-%n%.lost.example.</Name><Type>A</Type><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>10.0.0.1\
         </Value></ResourceRecord></ResourceRecords></ResourceRecordSet></Change></Changes></ChangeBatch>\
         </ChangeResourceRecordSetsRequest>",
    )
    .seen(&[("GET /2013-04-01%zone%/rrset?maxitems=300", "")], "<Name>lost-%n%.lost.example.<")
    .undo(
        "POST /2013-04-01%zone%/rrset",
        "<ChangeResourceRecordSetsRequest><ChangeBatch><Changes><Change><Action>DELETE</Action><ResourceRecordSet>\
         <Name>lost-%n%.lost.example.</Name><Type>A</Type><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>10.0.0.1\
         </Value></ResourceRecord></ResourceRecords></ResourceRecordSet></Change></Changes></ChangeBatch>\
         </ChangeResourceRecordSetsRequest>",
    ),
    many(
        "route53",
        "POST /2013-04-01/hostedzone",
        "<CreateHostedZoneRequest><Name>lost-%n%.example.</Name><CallerReference>zone-%n%</CallerReference>\
         </CreateHostedZoneRequest>",
    )
    .seen(
        &[("GET /2013-04-01/hostedzone?maxitems=300", "")],
        "<Name>lost-%n%.example.<",
    )
    .undo("DELETE /2013-04-01%=Id%", ""),
    many(
        "route53",
        "POST /2013-04-01/healthcheck",
        "<CreateHealthCheckRequest><CallerReference>check-%n%</CallerReference><HealthCheckConfig><Type>HTTPS</Type>\
         <FullyQualifiedDomainName>a.example</FullyQualifiedDomainName><Port>443</Port></HealthCheckConfig>\
         </CreateHealthCheckRequest>",
    )
    .seen(&[("GET /2013-04-01/healthcheck?maxitems=300", "")], "<Id>%=Id%<")
    .undo("DELETE /2013-04-01/healthcheck/%=Id%", ""),
    once(
        "route53",
        "POST /2013-04-01/healthcheck",
        "<CreateHealthCheckRequest><CallerReference>one</CallerReference><HealthCheckConfig><Type>HTTPS</Type>\
         <FullyQualifiedDomainName>a.example</FullyQualifiedDomainName><Port>443</Port></HealthCheckConfig>\
         </CreateHealthCheckRequest>",
    )
    .keep("check", "Id"),
    many(
        "route53",
        "POST /2013-04-01/healthcheck/%check%",
        "<UpdateHealthCheckRequest><Port>8%n%</Port></UpdateHealthCheckRequest>",
    )
    .seen(&[("GET /2013-04-01/healthcheck/%check%", "")], "<HealthCheckVersion>201<"),
    many(
        "route53",
        "POST /2013-04-01/tags/healthcheck/%check%",
        "<ChangeTagsForResourceRequest><AddTags><Tag><Key>key-%n%</Key><Value>v</Value></Tag></AddTags>\
         </ChangeTagsForResourceRequest>",
    )
    .seen(&[("GET /2013-04-01/tags/healthcheck/%check%", "")], "<Key>key-%n%<"),
    // A key is generated for each, which takes 0.1 s or more.
    many("acm", "RequestCertificate", r#"{"DomainName": "lost-%n%.example"}"#)
        .times(40)
        .seen(&[("ListCertificates", r#"{"MaxItems": 1000}"#)], "\"lost-%n%.example\"")
        .undo("DeleteCertificate", r#"{"CertificateArn": "%=CertificateArn%"}"#),
    // MiniStack's
    many(
        "dynamodb",
        "CreateTable",
        r#"{"TableName": "lost-%n%", "BillingMode": "PAY_PER_REQUEST", "KeySchema": [{"AttributeName": "id", "KeyType":
            "HASH"}], "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "StreamSpecification":
            {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"}}"#,
    )
    .keep("table-arn", "TableArn")
    .seen(&[("ListTables", "{}"), ("ListTables", r#"{"ExclusiveStartTableName": "lost-099"}"#)], "\"lost-%n%\""),
    many(
        "dynamodb",
        "UpdateTimeToLive",
        r#"{"TableName": "lost-%n%", "TimeToLiveSpecification": {"Enabled": true, "AttributeName": "until"}}"#,
    )
    .seen(&[("each DescribeTimeToLive", r#"{"TableName": "lost-%n%"}"#)], "\"until\""),
    many(
        "dynamodb",
        "UpdateTable",
        r#"{"TableName": "lost-%n%", "ReplicaUpdates": [{"Create": {"RegionName": "us-east-2"}}]}"#,
    )
    .seen(
        &[
            ("ListTables us-east-2", "{}"),
            ("ListTables us-east-2", r#"{"ExclusiveStartTableName": "lost-099"}"#),
        ],
        "\"lost-%n%\"",
    )
    .undo("UpdateTable", r#"{"TableName": "lost-%n%", "ReplicaUpdates": [{"Delete": {"RegionName": "us-east-2"}}]}"#),
    many("dynamodb", "TagResource", r#"{"ResourceArn": "%table-arn:5%", "Tags": [{"Key": "key-%n%", "Value": "v"}]}"#)
        .times(50)
        .seen(&[("ListTagsOfResource", r#"{"ResourceArn": "%table-arn:5%"}"#)], "\"key-%n%\"")
        .undo("UntagResource", r#"{"ResourceArn": "%table-arn:5%", "TagKeys": ["key-%n%"]}"#),
    many("sns", "CreateTopic", "Name=lost-%n%")
        .keep("topic", "TopicArn")
        .seen(
            &[("ListTopics", ""), ("ListTopics", "NextToken=100")],
            ":lost-%n%<",
        ),
    many("sns", "Subscribe", "TopicArn=%topic:0%&Protocol=email&Endpoint=lost-%n%@a.example&ReturnSubscriptionArn=true")
        .seen(
            &[
                ("ListSubscriptionsByTopic", "TopicArn=%topic:0%"),
                ("ListSubscriptionsByTopic", "TopicArn=%topic:0%&NextToken=100"),
            ],
            "<Endpoint>lost-%n%@",
        ),
    many("sns", "TagResource", "ResourceArn=%topic:0%&Tags.member.1.Key=key-%n%&Tags.member.1.Value=v")
        .times(50)
        .seen(&[("ListTagsForResource", "ResourceArn=%topic:0%")], "<Key>key-%n%<")
        .undo("UntagResource", "ResourceArn=%topic:0%&TagKeys.member.1=key-%n%"),
    many("events", "PutRule", r#"{"Name": "lost-%n%", "EventPattern": "{\"source\": [\"a\"]}"}"#)
        .seen(
            &[("ListRules", r#"{"NamePrefix": "lost-0"}"#), ("ListRules", r#"{"NamePrefix": "lost-1"}"#)],
            "\"lost-%n%\"",
        )
        .undo("DeleteRule", r#"{"Name": "lost-%n%"}"#),
    once("events", "PutRule", r#"{"Name": "one", "EventPattern": "{\"source\": [\"a\"]}"}"#),
    many("events", "PutTargets", r#"{"Rule": "one", "Targets": [{"Id": "lost-%n%", "Arn": "%topic:0%"}]}"#)
        .seen(&[("ListTargetsByRule", r#"{"Rule": "one"}"#)], "\"lost-%n%\"")
        .undo("RemoveTargets", r#"{"Rule": "one", "Ids": ["lost-%n%"]}"#),
    many("kms", "CreateKey", "{}").keep("key", "KeyId").seen(&[("ListKeys", r#"{"Limit": 1000}"#)], "\"%=KeyId%\""),
    many("kms", "TagResource", r#"{"KeyId": "%key:0%", "Tags": [{"TagKey": "key-%n%", "TagValue": "v"}]}"#)
        .times(50)
        .seen(&[("ListResourceTags", r#"{"KeyId": "%key:0%"}"#)], "\"key-%n%\"")
        .undo("UntagResource", r#"{"KeyId": "%key:0%", "TagKeys": ["key-%n%"]}"#),
    many("logs", "CreateLogGroup", r#"{"logGroupName": "lost-%n%"}"#),
    many("logs", "AssociateKmsKey", r#"{"logGroupName": "lost-%n%", "kmsKeyId": "%key%"}"#).times(50).seen(
        &[("DescribeLogGroups", r#"{"logGroupNamePrefix": "lost-0", "limit": 50}"#)],
        "\"%key%\"",
    ),
    once("s3", "PUT /trails", ""),
    many("cloudtrail", "CreateTrail", r#"{"Name": "lost-%n%", "S3BucketName": "trails"}"#)
        .seen(&[("DescribeTrails", "{}")], "\"lost-%n%\"")
        .undo("DeleteTrail", r#"{"Name": "lost-%n%"}"#),
];

/// The values that the rows kept: by name, one for each call.
type Kept = BTreeMap<&'static str, Vec<String>>;

/// Fills in a template for one call.
fn fill(template: &str, index: usize, kept: &Kept, answer: Option<&Answer>) -> String {
    let mut filled = String::new();
    for (place, part) in template.split('%').enumerate() {
        if place % 2 == 0 {
            filled += part;
            continue;
        }
        let value = match (part, part.strip_prefix('=')) {
            ("i", _) => index.to_string(),
            ("n", _) => format!("{index:03}"),
            ("assumed", _) => ASSUMED.to_owned(),
            (_, Some(member)) => member_of(answer.expect("a response"), member),
            (name, None) => {
                let (name, index) =
                    name.split_once(':').map_or((name, index), |(name, at)| (name, at.parse().unwrap()));
                let values = kept.get(name).unwrap_or_else(|| panic!("no value {name}"));
                values[index % values.len()].clone()
            }
        };
        filled += &value;
    }
    filled
}

/// A member of a response in XML or JSON; empty if it is missing.
fn member_of(answer: &Answer, member: &str) -> String {
    let json = || answer.body.split_once(&format!("\"{member}\":"))?.1.trim_start().strip_prefix('"')?.split_once('"');
    let value = answer.value(member).or_else(|| Some(json()?.0));
    value.unwrap_or_default().to_owned()
}

async fn call(aws: &Aws, service: &str, operation: &str, parameters: &str) -> Answer {
    let target = match service {
        "acm" => "CertificateManager",
        "application-autoscaling" => "AnyScaleFrontendService",
        "cloudtrail" => "CloudTrail_20131101",
        "dynamodb" => "DynamoDB_20120810",
        "ecs" => "AmazonEC2ContainerServiceV20141113",
        "events" => "AWSEvents",
        "kms" => "TrentService",
        "logs" => "Logs_20140328",
        "wafv2" => "AWSWAF_20190729",
        _ => "",
    };
    if let Some((method, path)) = operation.split_once(" /") {
        return aws.send(service, "us-east-1", method, &format!("/{path}"), &[], parameters).await.expect("a response");
    }
    let (operation, region) = operation.split_once(' ').unwrap_or((operation, "us-east-1"));
    if target.is_empty() {
        let version = if service == "elasticloadbalancing" { "&Version=2015-12-01" } else { "" };
        return aws
            .form(service, region, &format!("Action={operation}{version}&{parameters}"))
            .await
            .expect("a response");
    }
    let target = format!("{target}.{operation}");
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target.as_str())];
    aws.send(service, region, "POST", "/", &headers, parameters).await.expect("a response")
}

/// What the reads of a row show for each call. A read that starts with `each ` is repeated for each of them.
async fn shown(aws: &Aws, row: &Row, kept: &Kept, complaints: &mut Vec<String>) -> Vec<String> {
    let mut bodies = vec![String::new(); row.times];
    for (operation, parameters) in row.reads {
        let (each, operation) =
            operation.strip_prefix("each ").map_or((false, *operation), |operation| (true, operation));
        let times = if each { row.times } else { 1 };
        let answers = join_all((0..times).map(|index| async move {
            call(aws, row.service, &fill(operation, index, kept, None), &fill(parameters, index, kept, None)).await
        }));
        let answers = answers.await;
        complaints.extend(failed(row, operation, &answers));
        for (body, answer) in bodies.iter_mut().zip(answers.iter().cycle()) {
            *body += &answer.body;
        }
    }
    bodies
}

/// An error message, if calls failed.
fn failed(row: &Row, operation: &str, answers: &[Answer]) -> Option<String> {
    let failed: Vec<_> = answers.iter().filter(|answer| !answer.status.is_success()).collect();
    let first = failed.first()?;
    Some(format!("{} {operation}: {} failed: {first:?}", row.service, failed.len()))
}

/// Makes all calls of a part concurrently. Failures are added to the error messages.
async fn all(
    aws: &Aws,
    row: &Row,
    (operation, parameters): Part,
    kept: &Kept,
    before: &[Answer],
    complaints: &mut Vec<String>,
) -> Vec<Answer> {
    let answers = join_all((0..row.times).map(|index| async move {
        let operation = fill(operation, index, kept, before.get(index));
        call(aws, row.service, &operation, &fill(parameters, index, kept, before.get(index))).await
    }))
    .await;
    complaints.extend(failed(row, operation, &answers));
    answers
}

#[tokio::test]
async fn no_change_is_lost() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let (mut kept, mut complaints) = (Kept::new(), Vec::new());
    for row in ROWS {
        let name = format!("{} {}", row.service, row.write.0);
        let answers = all(&aws, row, row.write, &kept, &[], &mut complaints).await;
        if !row.keep.0.is_empty() {
            kept.insert(row.keep.0, answers.iter().map(|answer| member_of(answer, row.keep.1)).collect());
        }
        if row.mark.is_empty() {
            continue;
        }
        let marks: Vec<_> =
            answers.iter().enumerate().map(|(index, answer)| fill(row.mark, index, &kept, Some(answer))).collect();
        let distinct = marks.iter().collect::<BTreeSet<_>>().len();
        if row.mark.contains('%') && distinct < row.times {
            complaints.push(format!("{name}: {} are the same as others", row.times - distinct));
        }
        let shows = |bodies: &[String], wanted: bool| {
            let pairs = marks.iter().zip(bodies);
            pairs
                .filter(|(mark, body)| body.contains(*mark) == wanted)
                .map(|(mark, _)| mark.clone())
                .collect::<Vec<_>>()
        };
        let lost = shows(&shown(&aws, row, &kept, &mut complaints).await, false);
        if let Some(first) = lost.first() {
            complaints.push(format!("{name}: {} of {} are lost, such as {first}", lost.len(), row.times));
        }
        if let Some(undo) = row.undo {
            all(&aws, row, undo, &kept, &answers, &mut complaints).await;
            let left = shows(&shown(&aws, row, &kept, &mut complaints).await, true);
            if let Some(first) = left.first() {
                complaints.push(format!("{name}: {} of {} are left, such as {first}", left.len(), row.times));
            }
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}
