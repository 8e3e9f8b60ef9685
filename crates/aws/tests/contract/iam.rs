//! Examples of IAM.

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::iam::Role;
use payinfra_aws::{Aws, Explain, Need, Policy, Statement};
use payinfra_engine::{Class, Cloud, Graph, Node, Region, Resource, Result, Tags};

use crate::example::{Again, Example, examples, form, graph};
use crate::life::{access, site};

examples![role];

fn trust(service: &str) -> Policy {
    Policy::new([Statement::allow("", ["sts:AssumeRole"]).principal("Service", service)])
}

fn may(action: &str) -> Policy {
    Policy::new([Statement::allow("It", [action]).on("arn:aws:s3:::contract-*/*")])
}

fn args(name: &str, service: &str) -> Role {
    Role {
        name: name.to_owned(),
        description: "an example".to_owned(),
        trust: trust(service),
        inline: BTreeMap::from([("read".to_owned(), may("s3:GetObject"))]),
        managed: BTreeSet::new(),
        max_session: 3_600,
        path: "/".to_owned(),
        tags: Tags::new(),
    }
}

/// A role that `service` assumes.
pub(crate) fn role_for(graph: &mut Graph, name: &str, service: &str) -> Result<Node<Role>> {
    let role = args(&format!("contract-{}-{name}", graph.workspace), service);
    graph.add(&Region::global(), name, role)
}

fn role() -> Result<Example> {
    let managed = |name: &str| format!("arn:aws:iam::aws:policy/{name}");
    Example::new(graph("role"), &Region::global(), args("contract-example", "ec2.amazonaws.com"))?
        .again(Again::Taken)
        .change(|role: &mut Role| role.description.push_str(" for more"))?
        .change(|role: &mut Role| role.max_session = 7_200)?
        .change(|role: &mut Role| role.trust = trust("lambda.amazonaws.com"))?
        .change(|role: &mut Role| role.inline = BTreeMap::from([("write".to_owned(), may("s3:PutObject"))]))?
        .change(|role: &mut Role| role.managed = BTreeSet::from([managed("ReadOnlyAccess")]))?
        .change(|role: &mut Role| role.managed = BTreeSet::from([managed("SecurityAudit")]))?
        .change(|role: &mut Role| (role.managed, role.inline) = (BTreeSet::new(), BTreeMap::new()))
}

#[tokio::test]
async fn many_roles_are_read_as_few_are() -> Result<()> {
    let global = Region::global();
    let aws = Aws::new(access().await?);
    let mut ids = Vec::new();
    let mut apart = Vec::new();
    for name in ["first", "second", "third", "fourth"] {
        let site = site(&global, Role::KIND, name)?;
        let role = Role { tags: site.owner.tags(), ..args(&format!("contract-many-{name}"), "ec2.amazonaws.com") };
        let id = aws.create(&site, &form(&role)?).await?;
        let live = aws.read(&global, Role::KIND, std::slice::from_ref(&id)).await?.pop().need("Role")?;
        aws.update(&site, &form(&role)?, &live).await?;
        apart.extend(aws.read(&global, Role::KIND, std::slice::from_ref(&id)).await?);
        ids.push(id);
    }
    assert_eq!(aws.read(&global, Role::KIND, &ids).await?, apart);
    for live in &apart {
        aws.delete(&site(&global, Role::KIND, "any")?, live).await?;
    }
    assert_eq!(aws.read(&global, Role::KIND, &ids).await?, []);
    Ok(())
}

#[tokio::test]
async fn a_role_of_others_is_refused_and_what_they_hung_on_ours_goes_with_it() -> Result<()> {
    let access = access().await?;
    let (iam, aws) = (access.cx(&Region::global()), Aws::new(access.clone()));
    let iam = iam.iam();
    let name = "contract-theirs";
    let site = site(&Region::global(), Role::KIND, "theirs")?;
    let wanted = form(&Role { tags: site.owner.tags(), ..args(name, "ec2.amazonaws.com") })?;
    let document = trust("ec2.amazonaws.com").document()?;
    iam.create_role().role_name(name).assume_role_policy_document(document).send().await.explain()?;
    let refused = aws.recover(&site, &wanted).await.map_err(|error| error.class());
    assert_eq!(refused, Err(Class::Foreign));
    let live = aws.read(&Region::global(), Role::KIND, &[name.to_owned()]).await?.pop().need("Role")?;
    let document = may("s3:PutObject").document()?;
    iam.put_role_policy().role_name(name).policy_name("late").policy_document(document).send().await.explain()?;
    let arn = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    iam.attach_role_policy().role_name(name).policy_arn(arn).send().await.explain()?;
    iam.create_instance_profile().instance_profile_name(name).send().await.explain()?;
    iam.add_role_to_instance_profile().instance_profile_name(name).role_name(name).send().await.explain()?;
    aws.delete(&site, &live).await?;
    assert_eq!(aws.read(&Region::global(), Role::KIND, &[name.to_owned()]).await?, []);
    iam.delete_instance_profile().instance_profile_name(name).send().await.explain().map(drop)
}
