//! A Lambda function, usually in a region's private subnets, with its role, its log group, and an alias for its current version.

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::CodeSha256;
use payinfra_aws::ec2::{Peer, Rule, SecurityGroup};
use payinfra_aws::iam::Role;
use payinfra_aws::lambda::{self, Alias, Architecture, LogFormat, Logging, Version};
use payinfra_aws::logs::LogGroup;
use payinfra_aws::{Policy, Statement};
use payinfra_engine::{Error, Graph, Node, Ref, Result, Secret, Text};
use payinfra_stack::Site;
use serde_json::json;

use crate::digest::digest;
use crate::network::{ANYWHERE, Network};
use crate::roles::{self, TaskRole};

/// The name of the alias that callers invoke.
pub const LIVE: &str = "live";

/// What Lambda does with the network interfaces of a function in a VPC.
const INTERFACES: [&str; 6] = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
];

/// A function, and what it needs.
#[derive(Debug)]
pub struct Function<'a> {
    /// Its name in addresses and outputs, and the resource type in its name in AWS, such as `processor`.
    pub name: &'a str,
    /// What it does, such as `Takes payments`; at most 256 characters.
    pub about: &'a str,
    /// The digest of its package.
    pub code: CodeSha256,
    /// The instruction set of the package.
    pub architecture: Architecture,
    /// Its memory in MB.
    pub memory: i32,
    /// The timeout of an invocation in seconds.
    pub timeout: i32,
    /// The number of concurrent invocations that is reserved for it, and its maximum.
    pub reserved_concurrency: Option<i32>,
    /// Its environment.
    pub environment: BTreeMap<String, Text>,
    /// The key that encrypts the environment; AWS's own if `None`.
    pub environment_key: Option<&'a Ref<String>>,
    /// Its network: it runs in the private subnets. `None` for one that only calls AWS.
    pub network: Option<&'a Network>,
    /// What it connects to, in addition to AWS services over HTTPS.
    pub egress: BTreeSet<Rule>,
    /// Its permissions, in addition to those to write logs, to use the network and to decrypt the environment.
    pub permissions: Vec<Statement>,
    /// The key that encrypts its logs.
    pub log_key: &'a Ref<String>,
    /// The retention of its logs in days.
    pub log_retention_days: i32,
}

/// A function of a region.
#[derive(Debug)]
pub struct Deployed {
    /// The function.
    pub function: Node<lambda::Function>,
    /// Its current version.
    pub version: Node<Version>,
    /// The alias that callers invoke.
    pub alias: Node<Alias>,
    /// The group of its logs.
    pub log_group: Node<LogGroup>,
    /// Its execution role.
    pub role: Node<Role>,
    /// The security group of its network interfaces, if it has some.
    pub group: Option<Node<SecurityGroup>>,
}

/// The name of the log group of a function, known before it exists: key policies contain it.
#[must_use]
pub fn log_group_name(site: &Site<'_>, function: &str) -> String {
    format!("/aws/lambda/{}", site.names.name(function))
}

/// Declares a function in a region, with everything that it needs and with the alias [`LIVE`]. The
/// policy of its log key must allow `CloudWatch` Logs to use it for [`log_group_name`], and that of its environment key must
/// allow Lambda to use it and to create grants.
///
/// # Errors
/// If the role's name is too long for IAM, or the region has a function of that name already.
pub fn function(graph: &mut Graph, site: &Site<'_>, wanted: Function<'_>) -> Result<Deployed> {
    let log_group = LogGroup {
        name: log_group_name(site, wanted.name).into(),
        retention_days: Some(wanted.log_retention_days),
        kms_key: Some(wanted.log_key.clone()),
        tags: site.named(&format!("{}-logs", wanted.name)),
    };
    let log_group = graph.add(site.region(), wanted.name, log_group)?;
    let role = role(graph, site, &wanted, &log_group)?;
    let group = wanted.network.map(|network| group(graph, site, &wanted, network)).transpose()?;
    let subnets: Vec<_> = wanted.network.iter().flat_map(|network| &network.private).collect();
    let environment = wanted.environment.into_iter().map(|(name, value)| (name, Secret::new(value)));
    let declared = lambda::Function {
        name: site.names.name(wanted.name),
        description: wanted.about.to_owned(),
        role: role.outputs.arn.clone(),
        code: wanted.code.clone(),
        runtime: "provided.al2023".to_owned(),
        handler: "bootstrap".to_owned(),
        architecture: wanted.architecture,
        memory: wanted.memory,
        timeout: wanted.timeout,
        // Lambda's minimum.
        storage: 512,
        environment: environment.collect(),
        kms_key: wanted.environment_key.cloned(),
        subnets: subnets.iter().map(|subnet| subnet.id.clone()).collect(),
        groups: group.iter().map(|group| group.id.clone()).collect(),
        tracing: false,
        logging: Logging { group: log_group.id.clone().into(), format: LogFormat::Json },
        dead_letter: None,
        reserved_concurrency: wanted.reserved_concurrency,
        tags: site.named(wanted.name),
    };
    let definition = definition(&declared)?;
    let function = graph.add(site.region(), wanted.name, declared)?;
    let version = Version { function: function.id.clone(), code: wanted.code, definition };
    let version = graph.add(site.region(), wanted.name, version)?;
    // A version is a copy of the configuration: with another network or key, it must be published again.
    let parts = subnets.iter().map(|subnet| &subnet.address).chain(group.iter().map(|group| &group.address));
    let key = wanted.environment_key.and_then(Ref::address);
    for part in parts.chain([&role.address, &log_group.address]).chain(key) {
        graph.replace_triggered_by(part, &version.address);
    }
    let alias = Alias {
        function: function.id.clone(),
        name: LIVE.to_owned(),
        description: "What callers invoke".to_owned(),
        version: version.outputs.number.clone(),
        additional: None,
    };
    let alias = graph.add(site.region(), &format!("{}-{LIVE}", wanted.name), alias)?;
    let output = wanted.name.replace('-', "_");
    site.output(graph, &format!("{output}_function_name"), &function.id);
    site.output(graph, &format!("{output}_function_arn"), &function.outputs.arn);
    site.output(graph, &format!("{output}_log_group_name"), &log_group.id);
    Ok(Deployed { function, version, alias, log_group, role, group })
}

/// A digest of what a version copies: not the tags and the concurrency, which belong to the function.
fn definition(function: &lambda::Function) -> Result<String> {
    let mut args = serde_json::to_value(function).map_err(|error| Error::failed(error.to_string()))?;
    args["tags"] = json!(null);
    args["reserved_concurrency"] = json!(null);
    Ok(digest(&args.to_string()))
}

fn role(graph: &mut Graph, site: &Site<'_>, wanted: &Function<'_>, log_group: &Node<LogGroup>) -> Result<Node<Role>> {
    let streams = Text::from(&log_group.outputs.arn).and(":log-stream:*");
    let write = Statement::allow("Write", ["logs:CreateLogStream", "logs:PutLogEvents"]).on(streams);
    let mut statements = vec![write];
    if wanted.network.is_some() {
        // AWS supports no resources for these actions (Lambda DG: Giving Lambda functions access to resources in an Amazon VPC).
        let network = Statement::allow("Network", INTERFACES).on("*");
        // The code of the function has the same credentials, and no use for network interfaces.
        let function = site.arn("lambda", &format!("function:{}", site.names.name(wanted.name)));
        let only_lambda = Statement::deny("NetworkOnlyForLambda", INTERFACES).on("*").when(
            "ArnEquals",
            "lambda:SourceFunctionArn",
            function,
        );
        statements.extend([network, only_lambda]);
    }
    if let Some(key) = wanted.environment_key {
        let decrypt = Statement::allow("Environment", ["kms:Decrypt"]).on(key);
        statements.push(roles::through(decrypt, "lambda", site.region()));
    }
    statements.extend(wanted.permissions.iter().cloned());
    let task = TaskRole {
        task: wanted.name,
        description: wanted.about,
        trust: roles::trust("lambda.amazonaws.com"),
        policy: Some(Policy::new(statements)),
        managed: &[],
    };
    roles::role(graph, site, task)
}

fn group(graph: &mut Graph, site: &Site<'_>, wanted: &Function<'_>, network: &Network) -> Result<Node<SecurityGroup>> {
    let services = Rule::tcp(443, Peer::Cidr(ANYWHERE), "HTTPS to AWS services");
    let group = SecurityGroup {
        vpc: network.vpc.id.clone(),
        name: site.names.name(wanted.name),
        description: format!("Network interfaces of the function {}", wanted.name),
        ingress: BTreeSet::new(),
        egress: wanted.egress.iter().cloned().chain([services]).collect(),
        tags: site.named(wanted.name),
    };
    graph.add(site.region(), wanted.name, group)
}
