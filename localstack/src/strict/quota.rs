//! Quotas: the table, the calls that they refuse, and Service Quotas.
//!
//! Usage is counted by asking the emulators before a call that creates something.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use hyper::{
    Method, StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde_json::{Value, json};

use crate::{
    action::Request,
    answer::{self, Answer},
    backend::Backend,
    emulator::ACCOUNT_ID,
    gateway::Gateway,
    xml::Element,
};

/// A default quota of AWS.
///
/// Values and codes are those of the service's page "Endpoints and quotas" in the AWS General Reference, and of the API
/// reference's errors.
#[derive(Debug)]
pub(crate) struct Quota {
    /// The service code of Service Quotas.
    service: &'static str,
    /// The quota code; empty if Service Quotas does not have it.
    code: &'static str,
    name: &'static str,
    /// The default value.
    value: u32,
    adjustable: bool,
    /// The signing name of the calls that count.
    signing: &'static str,
    /// The operation that creates one.
    action: &'static str,
    error: &'static str,
    status: u16,
    usage: Usage,
}

/// The emulator that has what a call would create.
#[derive(Clone, Copy)]
pub(crate) struct Emulator<'a> {
    pub(crate) gateway: &'a Gateway,
    pub(crate) backend: Option<Backend>,
}

impl Emulator<'_> {
    async fn ask(self, question: Request) -> Answer {
        self.gateway.forward(&question, self.backend).await
    }
}

/// How a usage is counted.
#[derive(Debug)]
enum Usage {
    /// The items of a list in the answer to a question. The list is a path of elements or members.
    List(Ask, &'static str),
    /// As `List`, of EC2, for the items that a filter finds by a parameter of the call, and with a predicate.
    Within {
        describe: &'static str,
        list: &'static str,
        filter: &'static str,
        parameter: &'static str,
        counts: fn(&Element) -> bool,
    },
    /// NAT gateways in the zone of the call's subnet.
    NatGateways,
    /// Rules of a group in the direction of the call, and those that the call adds.
    Rules { is_egress: bool },
    /// Load balancers of a type.
    LoadBalancers(&'static str),
}

/// A call that lists.
#[derive(Debug, Clone, Copy)]
enum Ask {
    /// The rest of a form after `Action=`.
    Form(&'static str),
    /// An operation and its body.
    Json(&'static str, &'static str),
    /// The path of a GET request.
    Get(&'static str),
}

const VPC: &str = "vpc";

/// The value of small quotas in an account that is not strict.
const RAISED: u32 = 1_000;

/// A quota of EC2 whose usage is all items of a list.
const fn ec2(service: &'static str, code: &'static str, name: &'static str, value: u32) -> Quota {
    Quota {
        service,
        code,
        name,
        value,
        adjustable: true,
        signing: "ec2",
        action: "",
        error: "",
        status: 400,
        usage: Usage::NatGateways,
    }
}

fn is_interface(endpoint: &Element) -> bool {
    endpoint.value("vpcEndpointType").is_some_and(|kind| kind == "Interface" || kind == "GatewayLoadBalancer")
}

fn lives(item: &Element) -> bool {
    !item.value("state").is_some_and(|state| ["deleted", "failed"].contains(&state.as_str()))
}

fn any(_item: &Element) -> bool {
    true
}

/// The quotas that a stack can meet, by service.
const QUOTAS: &[Quota] = &[
    Quota {
        service: "acm",
        code: "L-F141DD1D",
        name: "ACM certificates",
        value: 2500,
        adjustable: true,
        signing: "acm",
        action: "RequestCertificate",
        error: "LimitExceededException",
        status: 400,
        usage: Usage::List(
            Ask::Json("CertificateManager.ListCertificates", r#"{"MaxItems":1000}"#),
            "/CertificateSummaryList",
        ),
    },
    Quota {
        service: "cloudtrail",
        code: "",
        name: "Trails per Region",
        value: 5,
        adjustable: false,
        signing: "cloudtrail",
        action: "CreateTrail",
        error: "MaximumNumberOfTrailsExceededException",
        status: 400,
        usage: Usage::List(Ask::Json("CloudTrail_20131101.DescribeTrails", "{}"), "/trailList"),
    },
    Quota {
        service: "dynamodb",
        code: "L-F98FE922",
        name: "Maximum number of tables",
        value: 2500,
        adjustable: true,
        signing: "dynamodb",
        action: "CreateTable",
        error: "LimitExceededException",
        status: 400,
        usage: Usage::List(Ask::Json("DynamoDB_20120810.ListTables", "{}"), "/TableNames"),
    },
    Quota {
        action: "AllocateAddress",
        error: "AddressLimitExceeded",
        usage: Usage::List(Ask::Form("DescribeAddresses"), "addressesSet"),
        ..ec2("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs", 5)
    },
    Quota {
        action: "CreateTransitGateway",
        error: "TransitGatewayLimitExceeded",
        usage: Usage::List(Ask::Form("DescribeTransitGateways"), "transitGatewaySet"),
        ..ec2("ec2", "L-A2478D36", "Transit gateways per account", 5)
    },
    Quota {
        service: "ecs",
        code: "L-21C621EB",
        name: "Clusters per account",
        value: 10_000,
        adjustable: true,
        signing: "ecs",
        action: "CreateCluster",
        error: "LimitExceededException",
        status: 400,
        usage: Usage::List(Ask::Json("AmazonEC2ContainerServiceV20141113.ListClusters", "{}"), "/clusterArns"),
    },
    Quota {
        service: "elasticloadbalancing",
        code: "L-53DA6B97",
        name: "Application Load Balancers per Region",
        value: 50,
        adjustable: true,
        signing: "elasticloadbalancing",
        action: "CreateLoadBalancer",
        error: "TooManyLoadBalancers",
        status: 400,
        usage: Usage::LoadBalancers("application"),
    },
    Quota {
        service: "elasticloadbalancing",
        code: "L-69A177A2",
        name: "Network Load Balancers per Region",
        value: 50,
        adjustable: true,
        signing: "elasticloadbalancing",
        action: "CreateLoadBalancer",
        error: "TooManyLoadBalancers",
        status: 400,
        usage: Usage::LoadBalancers("network"),
    },
    Quota {
        service: "elasticloadbalancing",
        code: "L-B22855CB",
        name: "Target Groups per Region",
        value: 3000,
        adjustable: true,
        signing: "elasticloadbalancing",
        action: "CreateTargetGroup",
        error: "TooManyTargetGroups",
        status: 400,
        usage: Usage::List(Ask::Form("DescribeTargetGroups&PageSize=400"), "DescribeTargetGroupsResult/TargetGroups"),
    },
    Quota {
        service: "iam",
        code: "L-FE177D64",
        name: "Roles per account",
        value: 1000,
        adjustable: true,
        signing: "iam",
        action: "CreateRole",
        error: "LimitExceeded",
        status: 409,
        usage: Usage::List(Ask::Form("ListRoles&MaxItems=1000"), "ListRolesResult/Roles"),
    },
    Quota {
        service: "kms",
        code: "L-C2F1777E",
        name: "Customer Master Keys (CMKs)",
        value: 100_000,
        adjustable: true,
        signing: "kms",
        action: "CreateKey",
        error: "LimitExceededException",
        status: 400,
        usage: Usage::List(Ask::Json("TrentService.ListKeys", r#"{"Limit":1000}"#), "/Keys"),
    },
    Quota {
        service: "rds",
        code: "L-7B6409FD",
        name: "DB instances",
        value: 40,
        adjustable: true,
        signing: "rds",
        action: "CreateDBInstance",
        error: "InstanceQuotaExceeded",
        status: 400,
        usage: Usage::List(Ask::Form("DescribeDBInstances"), "DescribeDBInstancesResult/DBInstances"),
    },
    Quota {
        service: "rds",
        code: "L-952B80B8",
        name: "DB clusters",
        value: 40,
        adjustable: true,
        signing: "rds",
        action: "CreateDBCluster",
        error: "DBClusterQuotaExceededFault",
        status: 403,
        usage: Usage::List(Ask::Form("DescribeDBClusters"), "DescribeDBClustersResult/DBClusters"),
    },
    Quota {
        service: "rds",
        code: "L-48C6BF61",
        name: "DB subnet groups",
        value: 50,
        adjustable: true,
        signing: "rds",
        action: "CreateDBSubnetGroup",
        error: "DBSubnetGroupQuotaExceeded",
        status: 400,
        usage: Usage::List(Ask::Form("DescribeDBSubnetGroups"), "DescribeDBSubnetGroupsResult/DBSubnetGroups"),
    },
    Quota {
        service: "route53",
        code: "L-4EA4796A",
        name: "Hosted zones",
        value: 500,
        adjustable: true,
        signing: "route53",
        action: "CreateHostedZone",
        error: "TooManyHostedZones",
        status: 400,
        usage: Usage::List(Ask::Get("/2013-04-01/hostedzone"), "HostedZones"),
    },
    Quota {
        service: "route53",
        code: "L-ACB674F3",
        name: "Health checks",
        value: 200,
        adjustable: true,
        signing: "route53",
        action: "CreateHealthCheck",
        error: "TooManyHealthChecks",
        status: 400,
        usage: Usage::List(Ask::Get("/2013-04-01/healthcheck"), "HealthChecks"),
    },
    Quota {
        service: "s3",
        code: "L-DC2B2D3D",
        name: "General purpose buckets",
        value: 10_000,
        adjustable: true,
        signing: "s3",
        action: "CreateBucket",
        error: "TooManyBuckets",
        status: 400,
        usage: Usage::List(Ask::Get("/"), "Buckets"),
    },
    Quota {
        action: "CreateVpc",
        error: "VpcLimitExceeded",
        usage: Usage::List(Ask::Form("DescribeVpcs"), "vpcSet"),
        ..ec2(VPC, "L-F678F1CE", "VPCs per Region", 5)
    },
    Quota {
        action: "CreateInternetGateway",
        error: "InternetGatewayLimitExceeded",
        usage: Usage::List(Ask::Form("DescribeInternetGateways"), "internetGatewaySet"),
        ..ec2(VPC, "L-A4707A72", "Internet gateways per Region", 5)
    },
    Quota {
        action: "CreateNatGateway",
        error: "NatGatewayLimitExceeded",
        usage: Usage::NatGateways,
        ..ec2(VPC, "L-FE5A380F", "NAT gateways per Availability Zone", 5)
    },
    Quota {
        action: "CreateSubnet",
        error: "SubnetLimitExceeded",
        usage: Usage::Within {
            describe: "DescribeSubnets",
            list: "subnetSet",
            filter: "vpc-id",
            parameter: "VpcId",
            counts: any,
        },
        ..ec2(VPC, "L-407747CB", "Subnets per VPC", 200)
    },
    Quota {
        action: "CreateRouteTable",
        error: "RouteTableLimitExceeded",
        usage: Usage::Within {
            describe: "DescribeRouteTables",
            list: "routeTableSet",
            filter: "vpc-id",
            parameter: "VpcId",
            counts: any,
        },
        ..ec2(VPC, "L-589F43AA", "Route tables per VPC", 200)
    },
    Quota {
        action: "CreateVpcEndpoint",
        error: "VpcEndpointLimitExceeded",
        usage: Usage::Within {
            describe: "DescribeVpcEndpoints",
            list: "vpcEndpointSet",
            filter: "vpc-id",
            parameter: "VpcId",
            counts: is_interface,
        },
        ..ec2(VPC, "L-29B6F2EB", "Interface VPC endpoints per VPC", 50)
    },
    Quota {
        action: "CreateSecurityGroup",
        error: "SecurityGroupLimitExceeded",
        usage: Usage::List(Ask::Form("DescribeSecurityGroups"), "securityGroupInfo"),
        ..ec2(VPC, "L-E79EC296", "VPC security groups per Region", 2500)
    },
    Quota {
        action: "AuthorizeSecurityGroupIngress",
        error: "RulesPerSecurityGroupLimitExceeded",
        usage: Usage::Rules { is_egress: false },
        ..ec2(VPC, "L-0EA8095F", "Inbound or outbound rules per security group", 60)
    },
    Quota {
        action: "AuthorizeSecurityGroupEgress",
        error: "RulesPerSecurityGroupLimitExceeded",
        usage: Usage::Rules { is_egress: true },
        ..ec2(VPC, "L-0EA8095F", "Inbound or outbound rules per security group", 60)
    },
];

/// The values that tests set, by quota code, or by name for quotas without one.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    set: Mutex<BTreeMap<&'static str, u32>>,
    /// Held from the count to the creation, so that concurrent calls cannot exceed a quota together.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

impl Quotas {
    /// Sets a quota, by its service code and its quota code or name; `None` restores AWS's default.
    ///
    /// # Errors
    /// If the table has no such quota.
    pub(crate) fn set(&self, service: &str, quota: &str, value: Option<u32>) -> Result<(), String> {
        let named = |known: &&Quota| known.service == service && (known.code == quota || known.name == quota);
        let Some(known) = QUOTAS.iter().find(named) else {
            return Err(format!("the table in src/strict/quota.rs has no quota {quota} of {service}"));
        };
        let mut set = self.lock();
        match value {
            Some(value) => set.insert(known.key(), value),
            None => set.remove(known.key()),
        };
        Ok(())
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// The quotas that a call can exceed, with their values. A quota that was set applies always.
    pub(crate) fn of(&self, request: &Request, is_strict: bool) -> Vec<(&'static Quota, u32)> {
        let set = self.lock();
        if !is_strict && set.is_empty() {
            return Vec::new();
        }
        let (service, action) = (request.scope.service.as_str(), request.action.as_str());
        let counted = QUOTAS.iter().filter(|quota| (quota.signing, quota.action) == (service, action));
        let valued = counted.map(|quota| (quota, set.get(quota.key()).copied()));
        valued.filter_map(|(quota, set)| Some((quota, set.or(is_strict.then_some(quota.value))?))).collect()
    }

    /// The value in the account: the one that was set, or the default, or if the emulated AWS is not strict, one to which all
    /// quotas were raised.
    fn value(&self, quota: &Quota, is_strict: bool) -> u32 {
        let default = if is_strict { quota.value } else { quota.value.max(RAISED) };
        self.lock().get(quota.key()).copied().unwrap_or(default)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, u32>> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers for Service Quotas; `None` for operations other than those that read quotas.
    pub(crate) fn answer(&self, request: &Request, is_strict: bool) -> Option<Answer> {
        let asked = request.json();
        let text = |member: &str| asked.get(member).and_then(Value::as_str).unwrap_or_default();
        let is_default = request.action.contains("AWSDefault");
        let region = request.scope.region.as_str();
        let mut seen = Vec::new();
        // A quota with two rows in the table is one.
        let mut once = |quota: &&Quota| {
            let is_new = !quota.code.is_empty() && !seen.contains(&quota.code);
            seen.push(quota.code);
            is_new
        };
        let own = QUOTAS.iter().filter(|quota| quota.service == text("ServiceCode"));
        let described = own.filter(|quota| once(quota)).map(|quota| {
            let value = if is_default { quota.value } else { self.value(quota, is_strict) };
            (quota.code, quota.description(region, value))
        });
        let none = |what: &str| {
            answer::error(
                request,
                400,
                "NoSuchResourceException",
                &format!("The request failed because {what} does not exist"),
            )
        };
        match request.action.as_str() {
            "GetServiceQuota" | "GetAWSDefaultServiceQuota" => {
                let found = described.into_iter().find(|(code, _)| *code == text("QuotaCode"));
                Some(match found {
                    Some((_, quota)) => Answer::json(StatusCode::OK, &json!({ "Quota": quota })),
                    None => none(&format!("the quota {} of {}", text("QuotaCode"), text("ServiceCode"))),
                })
            }
            "ListServiceQuotas" | "ListAWSDefaultServiceQuotas" => {
                let all: Vec<Value> = described.map(|(_, quota)| quota).collect();
                if all.is_empty() {
                    return Some(none(&format!("the service {}", text("ServiceCode"))));
                }
                let size = asked.get("MaxResults").and_then(Value::as_u64).map_or(100, |size| size.min(100));
                let size = usize::try_from(size.max(1)).unwrap_or(100);
                let from: usize = text("NextToken").parse().unwrap_or_default();
                let page: Vec<&Value> = all.iter().skip(from).take(size).collect();
                let mut body = json!({ "Quotas": page });
                if from + size < all.len() {
                    body["NextToken"] = (from + size).to_string().into();
                }
                Some(Answer::json(StatusCode::OK, &body))
            }
            _ => None,
        }
    }
}

impl Quota {
    fn key(&self) -> &'static str {
        if self.code.is_empty() { self.name } else { self.code }
    }

    /// As Service Quotas describes it.
    fn description(&self, region: &str, value: u32) -> Value {
        let Self { service, code, name, adjustable, .. } = self;
        let is_global = ["iam", "route53", "s3"].contains(service);
        json!({
            "ServiceCode": service,
            "ServiceName": service,
            "QuotaArn": format!("arn:aws:servicequotas:{region}:{ACCOUNT_ID}:{service}/{code}"),
            "QuotaCode": code,
            "QuotaName": name,
            "Value": f64::from(value),
            "Unit": "None",
            "Adjustable": adjustable,
            "GlobalQuota": is_global,
        })
    }

    /// The service's error if a call would exceed this quota. `emulator` has what the call would create.
    pub(crate) async fn refuse(&self, request: &Request, value: u32, emulator: Emulator<'_>) -> Option<Answer> {
        let (used, adds) = self.usage(request, emulator).await?;
        if used + adds <= usize::try_from(value).unwrap_or(usize::MAX) {
            return None;
        }
        let message = format!("The maximum number of {} has been reached: {value} ({}).", self.name, self.key());
        Some(answer::error(request, self.status, self.error, &message))
    }

    /// How many there are, and how many a call adds; `None` if the call does not count.
    async fn usage(&self, request: &Request, emulator: Emulator<'_>) -> Option<(usize, usize)> {
        match &self.usage {
            Usage::List(question, list) => {
                let answer = emulator.ask(question.about(request, "")).await;
                if list.starts_with('/') {
                    let body: Value = serde_json::from_slice(&answer.body).ok()?;
                    return Some((body.pointer(list)?.as_array()?.len(), 1));
                }
                Some((items(&answer, list).into_iter().filter(lives).count(), 1))
            }
            Usage::Within { describe, list, filter, parameter, counts } => {
                let kind = request.form("VpcEndpointType").unwrap_or_else(|| "Gateway".to_owned());
                if request.action == "CreateVpcEndpoint" && kind == "Gateway" {
                    return None;
                }
                let value = request.form(parameter)?;
                let answer = emulator.ask(Ask::Form(describe).about(request, &filtered(filter, &value))).await;
                let counted = items(&answer, list).into_iter().filter(|item| lives(item) && counts(item));
                Some((counted.count(), 1))
            }
            Usage::NatGateways => {
                let named = format!("&SubnetId.1={}", request.form("SubnetId")?);
                let answer = emulator.ask(Ask::Form("DescribeSubnets").about(request, &named)).await;
                let zone = items(&answer, "subnetSet").first()?.value("availabilityZone")?;
                let within = filtered("availability-zone", &zone);
                let answer = emulator.ask(Ask::Form("DescribeSubnets").about(request, &within)).await;
                let subnets: Vec<_> =
                    items(&answer, "subnetSet").iter().filter_map(|subnet| subnet.value("subnetId")).collect();
                let answer = emulator.ask(Ask::Form("DescribeNatGateways").about(request, "")).await;
                let gateways = items(&answer, "natGatewaySet").into_iter().filter(lives);
                let here = gateways.filter(|gateway| gateway.value("subnetId").is_some_and(|id| subnets.contains(&id)));
                Some((here.count(), 1))
            }
            Usage::Rules { is_egress } => {
                let within = filtered("group-id", &request.form("GroupId")?);
                let answer = emulator.ask(Ask::Form("DescribeSecurityGroupRules").about(request, &within)).await;
                let direction = is_egress.to_string();
                let rules = items(&answer, "securityGroupRuleSet");
                let used = rules.iter().filter(|rule| rule.value("isEgress").as_ref() == Some(&direction)).count();
                let peers = ["CidrIp", "CidrIpv6", "GroupId", "PrefixListId"];
                let parameters = request.parameters();
                let adds = parameters.iter().filter(|(key, _)| {
                    let peer = key.rsplit('.').next().unwrap_or_default();
                    key.starts_with("IpPermissions.") && peers.contains(&peer)
                });
                Some((used, adds.count()))
            }
            Usage::LoadBalancers(kind) => {
                let created = request.form("Type").unwrap_or_else(|| "application".to_owned());
                if created != *kind {
                    return None;
                }
                let answer = emulator.ask(Ask::Form("DescribeLoadBalancers&PageSize=400").about(request, "")).await;
                let all = items(&answer, "DescribeLoadBalancersResult/LoadBalancers");
                let same = all.iter().filter(|balancer| balancer.value("Type").as_deref() == Some(kind));
                Some((same.count(), 1))
            }
        }
    }
}

/// The filter of an EC2 form.
fn filtered(filter: &str, value: &str) -> String {
    format!("&Filter.1.Name={filter}&Filter.1.Value.1={value}")
}

/// The items of a list in an XML answer, by its path below the document's element.
fn items(answer: &Answer, path: &str) -> Vec<Element> {
    let Some(mut element) = Element::parse(&answer.text()) else { return Vec::new() };
    for name in path.split('/') {
        let Some(child) = element.child(name).cloned() else { return Vec::new() };
        element = child;
    }
    element.elements().cloned().collect()
}

impl Ask {
    /// The question, with the region and credentials of a call, and more of a form.
    fn about(self, call: &Request, more: &str) -> Request {
        let mut headers = call.headers.clone();
        let (method, uri, body) = match self {
            Self::Form(rest) => {
                let version = call.form("Version").unwrap_or_default();
                let form = HeaderValue::from_static("application/x-www-form-urlencoded");
                headers.insert(CONTENT_TYPE, form);
                (Method::POST, call.uri.clone(), format!("Action={rest}&Version={version}{more}"))
            }
            Self::Json(target, body) => {
                headers.insert("x-amz-target", HeaderValue::from_static(target));
                (Method::POST, call.uri.clone(), body.to_owned())
            }
            Self::Get(path) => {
                // A virtual host would name a bucket.
                headers.insert(hyper::header::HOST, HeaderValue::from_static("127.0.0.1"));
                (Method::GET, hyper::Uri::from_static(path), String::new())
            }
        };
        Request::new(call.scope.clone(), method, uri, headers, Bytes::from(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_complete_and_sorted() {
        let names: Vec<_> = QUOTAS.iter().map(|quota| quota.service).collect();
        assert!(names.is_sorted(), "{names:?}");
        for quota in QUOTAS {
            assert!(quota.code.is_empty() || quota.code.starts_with("L-") && quota.code.len() == 10, "{quota:?}");
            assert!(!quota.action.is_empty() && !quota.error.is_empty() && quota.value > 0, "{quota:?}");
        }
    }
}
