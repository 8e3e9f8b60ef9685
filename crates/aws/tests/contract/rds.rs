//! Examples of RDS.

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::ec2::{SecurityGroup, Subnet, Vpc};
use payinfra_aws::rds::{
    Cluster, ClusterInstance, ClusterParameterGroup, GlobalCluster, Insights, Instance, Master, Monitoring,
    ParameterGroup, SubnetGroup,
};
use payinfra_aws::{Aws, Explain, Need};
use payinfra_engine::{Class, Cloud, Graph, Node, Ref, Region, Resource, Result, Site, Tags};

use crate::ec2::{network, part};
use crate::example::{Again, Example, examples, form, graph, region};
use crate::iam::role_for;
use crate::kms::key_for;
use crate::life::{access, site};
use crate::secretsmanager::password_for;

examples![
    cluster,
    cluster_instance,
    cluster_of_its_own,
    cluster_parameter_group,
    global_cluster,
    instance_of_its_own,
    parameter_group,
    replica_cluster,
    secondary_cluster,
    subnet_group,
];

const ENGINE: &str = "aurora-postgresql";
const VERSION: &str = "16.4";

fn far() -> Region {
    Region::new("us-east-2")
}

/// A group with two subnets of a VPC.
fn place(graph: &mut Graph, region: &Region) -> Result<(SubnetGroup, Node<Vpc>)> {
    let vpc = graph.add(region, "vpc", network())?;
    let mut subnets = BTreeSet::new();
    for (number, zone) in [(0, "a"), (1, "b")] {
        let subnet = Subnet { zone: Ref::from(format!("{region}{zone}")), ..part(&vpc, number) };
        subnets.insert(Ref::from(graph.add(region, &format!("subnet-{number}"), subnet)?.id));
    }
    let name = format!("contract-{}", graph.workspace);
    Ok((SubnetGroup { name, description: "an example".to_owned(), subnets, tags: Tags::new() }, vpc))
}

fn parameters(name: &str) -> ClusterParameterGroup {
    ClusterParameterGroup {
        name: name.to_owned(),
        family: "aurora-postgresql16".to_owned(),
        description: "an example".to_owned(),
        parameters: BTreeMap::from([("rds.force_ssl".to_owned(), "1".to_owned())]),
        tags: Tags::new(),
    }
}

fn global(name: &str) -> GlobalCluster {
    GlobalCluster {
        name: name.to_owned(),
        engine: ENGINE.to_owned(),
        engine_version: VERSION.to_owned(),
        database: Some("payments".to_owned()),
        encrypted: true,
        deletion_protection: Some(false),
        tags: Tags::new(),
    }
}

/// A security group without rules.
fn closed(vpc: &Node<Vpc>, name: String) -> SecurityGroup {
    SecurityGroup {
        vpc: vpc.id.clone(),
        name,
        description: "an example".to_owned(),
        ingress: BTreeSet::new(),
        egress: BTreeSet::new(),
        tags: Tags::new(),
    }
}

/// A cluster without a master user: a secondary, or a base for others.
fn bare(graph: &mut Graph, region: &Region) -> Result<Cluster> {
    let (place, vpc) = place(graph, region)?;
    let place = graph.add(region, "place", place)?;
    let security_group = closed(&vpc, format!("contract-{}", graph.workspace));
    let security_group = graph.add(region, "security-group", security_group)?;
    let parameters = parameters(&format!("contract-{}-parameters", graph.workspace));
    let parameters = graph.add(region, "parameters", parameters)?;
    Ok(Cluster {
        name: format!("contract-{}-{region}", graph.workspace),
        engine: ENGINE.to_owned(),
        engine_version: VERSION.to_owned(),
        global: None,
        source: None,
        database: None,
        username: None,
        master: None,
        port: 5432,
        subnet_group: place.id,
        security_groups: BTreeSet::from([Ref::from(security_group.id)]),
        parameter_group: parameters.id,
        kms_key: Ref::from(format!("arn:aws:kms:{region}:123456789012:key/contract")),
        iam_authentication: false,
        backup_retention_days: 7,
        backup_window: "03:00-04:00".to_owned(),
        copy_tags_to_snapshots: true,
        log_exports: BTreeSet::from(["postgresql".to_owned()]),
        deletion_protection: Some(false),
        tags: Tags::new(),
    })
}

/// The primary of a global cluster.
fn primary(graph: &mut Graph) -> Result<Cluster> {
    let name = format!("contract-{}", graph.workspace);
    let global = graph.add(&region(), "global", global(&name))?;
    let password = password_for(graph, "master")?;
    Ok(Cluster {
        global: Some(global.id),
        database: Some("payments".to_owned()),
        username: Some("payments".to_owned()),
        master: Some(Master::Stored { arn: password.outputs.arn }),
        ..bare(graph, &region())?
    })
}

fn parameters_of_instance(name: &str) -> ParameterGroup {
    ParameterGroup {
        name: name.to_owned(),
        family: "postgres16".to_owned(),
        description: "an example".to_owned(),
        parameters: BTreeMap::from([("rds.force_ssl".to_owned(), "1".to_owned())]),
        tags: Tags::new(),
    }
}

fn instance(cluster: &Node<Cluster>, name: &str) -> ClusterInstance {
    ClusterInstance {
        name: name.to_owned(),
        cluster: cluster.id.clone(),
        engine: ENGINE.to_owned(),
        class: "db.r6g.large".to_owned(),
        promotion_tier: 0,
        auto_minor_version_upgrade: false,
        insights: None,
        monitoring: None,
        tags: Tags::new(),
    }
}

fn cluster() -> Result<Example> {
    let mut graph = graph("cluster");
    let cluster = primary(&mut graph)?;
    let other = password_for(&mut graph, "other")?;
    let parameters = graph.add(&region(), "other", parameters("contract-cluster-other"))?;
    Example::new(graph, &region(), cluster)?
        .again(Again::Taken)
        .change(|cluster: &mut Cluster| cluster.port = 5433)?
        .change(|cluster: &mut Cluster| cluster.parameter_group = parameters.id)?
        .change(|cluster: &mut Cluster| cluster.iam_authentication = true)?
        .change(|cluster: &mut Cluster| {
            cluster.backup_retention_days = 35;
            "22:00-23:00".clone_into(&mut cluster.backup_window);
            cluster.copy_tags_to_snapshots = false;
        })?
        .change(|cluster: &mut Cluster| cluster.log_exports = BTreeSet::from(["upgrade".to_owned()]))?
        .change(|cluster: &mut Cluster| cluster.log_exports.clear())?
        .change(|cluster: &mut Cluster| cluster.master = Some(Master::Stored { arn: other.outputs.arn }))?
        .change(|cluster: &mut Cluster| "16.6".clone_into(&mut cluster.engine_version))?
        .change(|cluster: &mut Cluster| cluster.deletion_protection = Some(true))
}

/// Replicates a cluster in another region, and is promoted.
fn replica_cluster() -> Result<Example> {
    let mut graph = graph("replica-cluster");
    let password = password_for(&mut graph, "master")?;
    let mysql = |cluster: Cluster| Cluster {
        engine: "aurora-mysql".to_owned(),
        engine_version: "8.0.mysql_aurora.3.08.0".to_owned(),
        port: 3306,
        log_exports: BTreeSet::from(["error".to_owned()]),
        ..cluster
    };
    let source = Cluster {
        database: Some("payments".to_owned()),
        username: Some("payments".to_owned()),
        master: Some(Master::Stored { arn: password.outputs.arn }),
        ..mysql(bare(&mut graph, &region())?)
    };
    let source = graph.add(&region(), "source", source)?;
    let writer = ClusterInstance { engine: "aurora-mysql".to_owned(), ..instance(&source, "contract-replica-writer") };
    let writer = graph.add(&region(), "writer", writer)?;
    let replica = Cluster { source: Some(source.outputs.arn), ..mysql(bare(&mut graph, &far())?) };
    let mut example = Example::new(graph, &far(), replica)?
        .again(Again::Taken)
        .change(|cluster: &mut Cluster| cluster.backup_retention_days = 9)?
        .change(|cluster: &mut Cluster| cluster.source = None)?;
    // Without a writer, there is nothing to replicate.
    example.graph.order(&writer.address, &example.address);
    Ok(example)
}

fn cluster_of_its_own() -> Result<Example> {
    let mut graph = graph("cluster-of-its-own");
    let password = password_for(&mut graph, "master")?;
    let key = key_for(&mut graph, "key", &[])?;
    let cluster = bare(&mut graph, &region())?;
    let cluster = Cluster {
        username: Some("payments".to_owned()),
        master: Some(Master::Managed { kms_key: key.outputs.arn.clone() }),
        ..cluster
    };
    Example::new(graph, &region(), cluster)?
        .again(Again::Taken)
        .change(|cluster: &mut Cluster| cluster.security_groups.clear())?
        .change(|cluster: &mut Cluster| cluster.master = Some(Master::Stored { arn: password.outputs.arn }))?
        .change(|cluster: &mut Cluster| cluster.master = Some(Master::Managed { kms_key: key.outputs.arn }))
}

/// It is a member of a global cluster until it is deleted.
fn secondary_cluster() -> Result<Example> {
    let mut graph = graph("secondary-cluster");
    let primary = primary(&mut graph)?;
    let global = primary.global.clone();
    let primary = graph.add(&region(), "primary", primary)?;
    let writer = graph.add(&region(), "writer", instance(&primary, "contract-secondary-writer"))?;
    let secondary = Cluster { global, ..bare(&mut graph, &far())? };
    let mut example = Example::new(graph, &far(), secondary)?
        .again(Again::Taken)
        .change(|cluster: &mut Cluster| cluster.backup_retention_days = 9)?;
    // AWS requires the primary's writer first.
    example.graph.order(&writer.address, &example.address);
    Ok(example)
}

fn cluster_instance() -> Result<Example> {
    let mut graph = graph("cluster-instance");
    let cluster = primary(&mut graph)?;
    let cluster = graph.add(&region(), "cluster", cluster)?;
    let role = role_for(&mut graph, "monitoring", "monitoring.rds.amazonaws.com")?;
    let key = key_for(&mut graph, "key", &[])?;
    let insights = |days| Insights { days, kms_key: key.outputs.arn.clone() };
    Example::new(graph, &region(), instance(&cluster, "contract-instance"))?
        .again(Again::Taken)
        .change(|instance: &mut ClusterInstance| "db.r6g.xlarge".clone_into(&mut instance.class))?
        .change(|instance: &mut ClusterInstance| instance.promotion_tier = 15)?
        .change(|instance: &mut ClusterInstance| instance.auto_minor_version_upgrade = true)?
        .change(|instance: &mut ClusterInstance| instance.insights = Some(insights(7)))?
        .change(|instance: &mut ClusterInstance| instance.insights = Some(insights(731)))?
        .change(|instance: &mut ClusterInstance| instance.insights = None)?
        .change(|instance: &mut ClusterInstance| {
            instance.monitoring = Some(Monitoring { interval: 60, role: role.outputs.arn });
        })?
        .change(|instance: &mut ClusterInstance| instance.monitoring = None)
}

fn instance_of_its_own() -> Result<Example> {
    let mut graph = graph("instance-of-its-own");
    let (place, vpc) = place(&mut graph, &region())?;
    let place = graph.add(&region(), "place", place)?;
    let security_group = graph.add(&region(), "security-group", closed(&vpc, "contract-instance".to_owned()))?;
    let other = graph.add(&region(), "other", closed(&vpc, "contract-instance-other".to_owned()))?;
    let parameters = graph.add(&region(), "parameters", parameters_of_instance("contract-instance-parameters"))?;
    let others = graph.add(&region(), "others", parameters_of_instance("contract-instance-others"))?;
    let password = password_for(&mut graph, "master")?;
    let role = role_for(&mut graph, "monitoring", "monitoring.rds.amazonaws.com")?;
    let key = key_for(&mut graph, "key", &[])?.outputs.arn;
    let instance = Instance {
        name: format!("contract-{}", graph.workspace),
        engine: "postgres".to_owned(),
        engine_version: VERSION.to_owned(),
        class: "db.m6g.large".to_owned(),
        storage: 100,
        storage_type: "gp2".to_owned(),
        multi_az: false,
        database: Some("payments".to_owned()),
        username: "payments".to_owned(),
        master: Master::Managed { kms_key: key.clone() },
        port: 5432,
        subnet_group: place.id,
        security_groups: BTreeSet::from([Ref::from(security_group.id)]),
        parameter_group: parameters.id,
        publicly_accessible: false,
        kms_key: key.clone(),
        iam_authentication: false,
        backup_retention_days: 7,
        backup_window: "03:00-04:00".to_owned(),
        copy_tags_to_snapshots: true,
        auto_minor_version_upgrade: false,
        log_exports: BTreeSet::from(["postgresql".to_owned()]),
        insights: None,
        monitoring: None,
        deletion_protection: Some(false),
        tags: Tags::new(),
    };
    let managed = instance.master.clone();
    Example::new(graph, &region(), instance)?
        .again(Again::Taken)
        .change(|instance: &mut Instance| "db.m6g.xlarge".clone_into(&mut instance.class))?
        .change(|instance: &mut Instance| {
            instance.storage = 200;
            "gp3".clone_into(&mut instance.storage_type);
        })?
        .change(|instance: &mut Instance| instance.multi_az = true)?
        .change(|instance: &mut Instance| instance.port = 5433)?
        .change(|instance: &mut Instance| instance.security_groups = BTreeSet::from([Ref::from(other.id)]))?
        .change(|instance: &mut Instance| instance.parameter_group = others.id)?
        .change(|instance: &mut Instance| instance.publicly_accessible = true)?
        .change(|instance: &mut Instance| instance.iam_authentication = true)?
        .change(|instance: &mut Instance| {
            instance.backup_retention_days = 35;
            "22:00-23:00".clone_into(&mut instance.backup_window);
            instance.copy_tags_to_snapshots = false;
        })?
        .change(|instance: &mut Instance| instance.auto_minor_version_upgrade = true)?
        .change(|instance: &mut Instance| instance.log_exports = BTreeSet::from(["upgrade".to_owned()]))?
        .change(|instance: &mut Instance| instance.log_exports.clear())?
        .change(|instance: &mut Instance| instance.insights = Some(Insights { days: 7, kms_key: key }))?
        .change(|instance: &mut Instance| instance.insights = None)?
        .change(|instance: &mut Instance| {
            instance.monitoring = Some(Monitoring { interval: 60, role: role.outputs.arn });
        })?
        .change(|instance: &mut Instance| instance.monitoring = None)?
        .change(|instance: &mut Instance| instance.master = Master::Stored { arn: password.outputs.arn })?
        .change(|instance: &mut Instance| instance.master = managed)?
        .change(|instance: &mut Instance| "16.6".clone_into(&mut instance.engine_version))?
        .change(|instance: &mut Instance| instance.deletion_protection = Some(true))
}

fn parameter_group() -> Result<Example> {
    let put = |group: &mut ParameterGroup, name: &str, value: &str| {
        group.parameters.insert(name.to_owned(), value.to_owned());
    };
    Example::new(graph("parameter-group"), &region(), parameters_of_instance("contract-db-parameters"))?
        .again(Again::Taken)
        .change(|group: &mut ParameterGroup| put(group, "log_min_duration_statement", "500"))?
        .change(|group: &mut ParameterGroup| group.parameters.clear())?
        .change(|group: &mut ParameterGroup| {
            // More than one call supports.
            for number in 0..30 {
                put(group, &format!("parameter-{number}"), "1");
            }
        })
}

fn cluster_parameter_group() -> Result<Example> {
    let put = |group: &mut ClusterParameterGroup, name: &str, value: &str| {
        group.parameters.insert(name.to_owned(), value.to_owned());
    };
    Example::new(graph("cluster-parameter-group"), &region(), parameters("contract-parameters"))?
        .again(Again::Taken)
        .change(|group: &mut ClusterParameterGroup| put(group, "log_min_duration_statement", "500"))?
        .change(|group: &mut ClusterParameterGroup| put(group, "log_min_duration_statement", "1000"))?
        .change(|group: &mut ClusterParameterGroup| group.parameters.clear())?
        .change(|group: &mut ClusterParameterGroup| {
            // More than one call supports.
            for number in 0..30 {
                put(group, &format!("parameter-{number}"), "1");
            }
        })
}

fn global_cluster() -> Result<Example> {
    Example::new(graph("global-cluster"), &region(), global("contract-global"))?
        .again(Again::Taken)
        .change(|global: &mut GlobalCluster| "16.6".clone_into(&mut global.engine_version))?
        .change(|global: &mut GlobalCluster| global.deletion_protection = Some(true))
}

fn subnet_group() -> Result<Example> {
    let mut graph = graph("subnet-group");
    let (group, vpc) = place(&mut graph, &region())?;
    let third = graph.add(&region(), "third", part(&vpc, 2))?;
    Example::new(graph, &region(), group)?
        .again(Again::Taken)
        .change(|group: &mut SubnetGroup| group.description.push_str(" for more"))?
        .change(|group: &mut SubnetGroup| group.subnets.extend([Ref::from(third.id)]))
}

/// A minor upgrade is performed member by member, the primary last.
#[tokio::test]
async fn an_upgrade_reaches_the_primary_last() -> Result<()> {
    let access = access().await?;
    let aws = Aws::new(access.clone());
    let (here, there) = (access.cx(&region()), access.cx(&far()));
    let name = "contract-upgraded";
    let site = site(&region(), GlobalCluster::KIND, "upgraded")?;
    let wanted = GlobalCluster { tags: site.owner.tags(), ..global(name) };
    aws.create(&site, &form(&wanted)?).await?;
    let primary = here.rds().create_db_cluster().db_cluster_identifier("contract-upgraded-1").engine(ENGINE);
    let primary = primary.engine_version(VERSION).global_cluster_identifier(name).master_username("payments");
    primary.master_user_password("a-password-for-a-test").send().await.explain()?;
    let writer = here.rds().create_db_instance().db_instance_identifier("contract-upgraded-writer").engine(ENGINE);
    let writer = writer.db_cluster_identifier("contract-upgraded-1").db_instance_class("db.r6g.large");
    writer.send().await.explain()?;
    let secondary = there.rds().create_db_cluster().db_cluster_identifier("contract-upgraded-2").engine(ENGINE);
    secondary.engine_version(VERSION).global_cluster_identifier(name).send().await.explain()?;

    let wanted = form(&GlobalCluster { engine_version: "16.6".to_owned(), ..wanted })?;
    let version = async |cx: &payinfra_aws::Cx, name: &str| {
        let found = cx.rds().describe_db_clusters().db_cluster_identifier(name).send().await.explain()?;
        Ok::<_, payinfra_engine::Error>(found.db_clusters()[0].engine_version().map(str::to_owned))
    };
    let mut seen = Vec::new();
    for _ in 0..8 {
        let live = aws.read(&region(), GlobalCluster::KIND, &[name.to_owned()]).await?.pop().need("GlobalCluster")?;
        let done = match aws.update(&site, &wanted, &live).await {
            Err(error) if error.is(Class::Conflict) => false,
            other => other.map(|()| true)?,
        };
        let versions = (version(&here, "contract-upgraded-1").await?, version(&there, "contract-upgraded-2").await?);
        seen.push((versions.0.as_deref() == Some("16.6"), versions.1.as_deref() == Some("16.6")));
        if done {
            break;
        }
    }
    assert_eq!(seen.last(), Some(&(true, true)));
    assert!(!seen.contains(&(true, false)), "{seen:?}");
    Ok(())
}

/// Resources of others are neither adopted nor changed.
#[tokio::test]
async fn what_others_made_is_refused() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let class = |error: payinfra_engine::Error| error.class();
    let call = cx.rds().create_global_cluster().global_cluster_identifier("contract-theirs").engine(ENGINE);
    call.send().await.explain()?;
    let at = site(&region(), GlobalCluster::KIND, "theirs")?;
    let wanted = form(&GlobalCluster { tags: at.owner.tags(), ..global("contract-theirs") })?;
    assert_eq!(aws.create(&at, &wanted).await.map_err(class), Err(Class::Foreign));
    assert_eq!(aws.recover(&at, &wanted).await.map_err(class), Err(Class::Foreign));

    let call = cx.rds().create_db_cluster_parameter_group().db_cluster_parameter_group_name("contract-theirs");
    call.db_parameter_group_family("aurora-postgresql16").description("theirs").send().await.explain()?;
    let at = site(&region(), ClusterParameterGroup::KIND, "theirs")?;
    let wanted = form(&ClusterParameterGroup { tags: at.owner.tags(), ..parameters("contract-theirs") })?;
    assert_eq!(aws.create(&at, &wanted).await.map_err(class), Err(Class::Foreign));
    assert_eq!(aws.recover(&at, &wanted).await.map_err(class), Err(Class::Foreign));
    Ok(())
}

/// A deleted database leaves a snapshot, even if an earlier delete has left one; with final snapshots disabled it
/// leaves none.
#[tokio::test]
async fn a_final_snapshot_is_left_where_the_data_is_kept() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let site = Site { final_snapshot: true, ..site(&region(), Cluster::KIND, "snapshot")? };
    let name = "contract-snapshot";
    let (cx, aws) = (&cx, &aws);
    let make = |name: &'static str| async move {
        let call = cx.rds().create_db_cluster().db_cluster_identifier(name).engine("aurora-postgresql");
        call.master_username("payments").master_user_password("password-of-a-test").send().await.explain()?;
        let ids = [name.to_owned()];
        aws.read(&region(), Cluster::KIND, &ids).await?.pop().need("DBCluster")
    };
    let snapshots = || async {
        let found = cx.rds().describe_db_cluster_snapshots().into_paginator().items().send();
        let found = found.try_collect().await.explain()?.into_iter();
        let names = found.filter_map(|it| it.db_cluster_snapshot_identifier);
        let mut names: Vec<_> = names.filter(|it| it.starts_with(name)).collect();
        names.sort();
        Ok::<_, payinfra_engine::Error>(names)
    };
    let live = make(name).await?;
    let resource = live.outputs["resource_id"].as_str().need("DbClusterResourceId")?;
    let first = format!("{name}-final-{}", resource.trim_start_matches("cluster-").to_ascii_lowercase());
    let call = cx.rds().create_db_cluster_snapshot().db_cluster_identifier(name);
    call.db_cluster_snapshot_identifier(&first).send().await.explain()?;
    aws.delete(&site, &live).await?;
    assert_eq!(snapshots().await?, [first.clone(), format!("{first}-2")]);

    let live = make("contract-snapshot-none").await?;
    aws.delete(&Site { final_snapshot: false, ..site }, &live).await?;
    assert_eq!(snapshots().await?.len(), 2);
    Ok(())
}

/// As above, of an instance that is not in a cluster.
#[tokio::test]
async fn an_instance_leaves_a_final_snapshot_too() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let site = Site { final_snapshot: true, ..site(&region(), Instance::KIND, "instance-snapshot")? };
    let name = "contract-instance-snapshot";
    let mut resources = BTreeSet::new();
    for _ in 0..2 {
        let call = cx.rds().create_db_instance().db_instance_identifier(name).engine("postgres");
        let call = call.db_instance_class("db.m6g.large").allocated_storage(20).engine_version(VERSION);
        call.master_username("payments").master_user_password("password-of-a-test").send().await.explain()?;
        let live = aws.read(&region(), Instance::KIND, &[name.to_owned()]).await?.pop().need("DBInstance")?;
        let resource = live.outputs["resource_id"].as_str().need("DbiResourceId")?;
        resources.insert(resource.trim_start_matches("db-").to_ascii_lowercase());
        aws.delete(&site, &live).await?;
        assert!(aws.absent(&region(), Instance::KIND, name).await?);
    }
    let found = cx.rds().describe_db_snapshots().into_paginator().items().send().try_collect().await.explain()?;
    let names = found.into_iter().filter_map(|it| it.db_snapshot_identifier);
    let left: BTreeSet<_> = names.filter(|it| it.starts_with(name)).collect();
    assert_eq!(resources.len(), 2, "each life of a name has its own resource id");
    assert_eq!(left, resources.iter().map(|resource| format!("{name}-final-{resource}")).collect());
    Ok(())
}
