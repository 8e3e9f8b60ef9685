//! Examples of WAF.

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::wafv2::{
    DefaultAction, ManagedRules, RateLimit, Rule, Statement, Visibility, WebAcl, WebAclAssociation,
};
use payinfra_aws::{Aws, Explain, Need};
use payinfra_engine::{Class, Cloud, Graph, Id, Node, Ref, Resource, Result, Tags};

use crate::elbv2::balanced;
use crate::example::{Again, Example, examples, form, graph, region};
use crate::life::{access, site};

examples![web_acl, web_acl_association];

fn rule(priority: i32, statement: Statement) -> Rule {
    Rule { priority, statement, count: false, visibility: Visibility::of(format!("rule-{priority}")) }
}

fn args(name: &str) -> WebAcl {
    WebAcl {
        name: name.to_owned(),
        description: "An example".to_owned(),
        default_action: DefaultAction::Allow,
        rules: BTreeMap::from([
            ("common".to_owned(), rule(1, Statement::aws("AWSManagedRulesCommonRuleSet"))),
            ("rate".to_owned(), rule(0, Statement::RateLimit(RateLimit { requests: 2_000, window: 300 }))),
        ]),
        visibility: Visibility::of(name),
        tags: Tags::new().with("Name", "test"),
    }
}

fn add(graph: &mut Graph, name: &str) -> Result<Node<WebAcl>> {
    graph.add(&region(), name, args(&format!("contract-{}-{name}", graph.workspace)))
}

fn web_acl() -> Result<Example> {
    Example::new(graph("web-acl"), &region(), args("contract-web-acl"))?
        .again(Again::Taken)
        .change(|acl: &mut WebAcl| acl.description.clear())?
        .change(|acl: &mut WebAcl| acl.default_action = DefaultAction::Block)?
        .change(|acl: &mut WebAcl| {
            acl.rules.insert("injection".to_owned(), rule(2, Statement::aws("AWSManagedRulesSQLiRuleSet")));
            acl.rules.insert("rate".to_owned(), rule(0, Statement::RateLimit(RateLimit { requests: 10, window: 60 })));
        })?
        .change(|acl: &mut WebAcl| {
            let counted = BTreeSet::from(["SizeRestrictions_BODY".to_owned()]);
            let group = ManagedRules { vendor: "AWS".into(), name: "AWSManagedRulesCommonRuleSet".into(), counted };
            acl.rules.insert("common".to_owned(), Rule { count: true, ..rule(1, Statement::Managed(group)) });
        })?
        .change(|acl: &mut WebAcl| acl.visibility = Visibility { samples: false, ..Visibility::of("other") })?
        .change(|acl: &mut WebAcl| acl.rules.clear())
}

fn web_acl_association() -> Result<Example> {
    let mut graph = graph("web-acl-association");
    let (_, balancer) = balanced(&mut graph)?;
    let (first, second) = (add(&mut graph, "first")?, add(&mut graph, "second")?);
    let association = WebAclAssociation { web_acl: first.id, resource: balancer.outputs.arn };
    Example::new(graph, &region(), association)?
        .again(Again::Taken)
        .change(|association: &mut WebAclAssociation| association.web_acl = second.id)
}

/// Somebody else's association would be lost without an error.
#[tokio::test]
async fn what_another_web_acl_guards_is_left_to_it() -> Result<()> {
    let access = access().await?;
    let aws = Aws::new(access.clone());
    let cx = access.cx(&region());
    let mut acls = Vec::new();
    for name in ["contract-theirs", "contract-ours"] {
        acls.push(aws.create(&site(&region(), WebAcl::KIND, name)?, &form(&args(name))?).await?);
    }
    let [theirs, ours] = &acls[..] else { return Ok(()) };
    let resource = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/guarded/1234567890abcdef";
    cx.wafv2().associate_web_acl().web_acl_arn(theirs).resource_arn(resource).send().await.explain()?;
    let site = site(&region(), WebAclAssociation::KIND, "guarded")?;
    let wanted = form(&WebAclAssociation { web_acl: Ref::Known(Id::new(ours)), resource: resource.into() })?;
    assert_eq!(aws.create(&site, &wanted).await.map_err(|error| error.class()), Err(Class::Foreign));
    assert_eq!(aws.recover(&site, &wanted).await.map_err(|error| error.class()), Err(Class::Foreign));
    let found = cx.wafv2().get_web_acl_for_resource().resource_arn(resource).send().await.explain()?;
    assert_eq!(found.web_acl.map(|acl| acl.arn).need("WebACL")?, *theirs);
    cx.wafv2().disassociate_web_acl().resource_arn(resource).send().await.explain().map(drop)
}
