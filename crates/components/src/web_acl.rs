//! The web ACL in front of a region's load balancer.

use std::collections::BTreeMap;

use payinfra_aws::elbv2::LoadBalancer;
use payinfra_aws::wafv2::{DefaultAction, RateLimit, Rule, Statement, Visibility, WebAcl, WebAclAssociation};
use payinfra_engine::{Graph, Node, Result};
use payinfra_stack::Site;

/// Declares the web ACL of a load balancer. It blocks what AWS's managed rules consider malicious, and addresses with
/// more than `requests_per_5_minutes` requests, 10 to 2,000,000,000.
///
/// # Errors
/// If the region has a web ACL already.
pub fn web_acl(
    graph: &mut Graph,
    site: &Site<'_>,
    balancer: &Node<LoadBalancer>,
    requests_per_5_minutes: i64,
) -> Result<Node<WebAcl>> {
    let limit = RateLimit { requests: requests_per_5_minutes, window: 300 };
    // Cheapest rules first: IP reputation and rate limits do not inspect the request.
    let rules = [
        ("ip-reputation", Statement::aws("AWSManagedRulesAmazonIpReputationList")),
        ("rate-limit", Statement::RateLimit(limit)),
        ("common", Statement::aws("AWSManagedRulesCommonRuleSet")),
        ("known-bad-inputs", Statement::aws("AWSManagedRulesKnownBadInputsRuleSet")),
        ("sql-injection", Statement::aws("AWSManagedRulesSQLiRuleSet")),
    ];
    let rules = rules.into_iter().zip(0..).map(|((name, statement), priority)| {
        let rule = Rule { priority, statement, count: false, visibility: Visibility::of(name) };
        (name.to_owned(), rule)
    });
    let name = site.names.name("web-acl");
    let acl = WebAcl {
        description: format!("Before the load balancer in {}", site.region()),
        default_action: DefaultAction::Allow,
        rules: rules.collect::<BTreeMap<_, _>>(),
        visibility: Visibility::of(&name),
        tags: site.named("web-acl"),
        name,
    };
    let acl = graph.add(site.region(), "main", acl)?;
    let association = WebAclAssociation { web_acl: acl.id.clone(), resource: balancer.outputs.arn.clone() };
    graph.add(site.region(), "main", association)?;
    site.output(graph, "web_acl_arn", &acl.outputs.arn);
    Ok(acl)
}
