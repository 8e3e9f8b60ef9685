//! Examples of DynamoDB.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_dynamodb::types::{AttributeValue, PointInTimeRecoverySpecification, Tag};
use payinfra_aws::dynamodb::{Attribute, Billing, Index, Projection, Replica, StreamView, StrongConsistency, Table};
use payinfra_aws::{Aws, Explain, Need};
use payinfra_engine::sweep::{self, Orphan};
use payinfra_engine::{Class, Cloud, Error, Graph, Record, Ref, Region, Resource, Result, Seen, Site, State, Tags};
use serde_json::{Value, json};

use crate::example::{Again, Example, examples, form, graph, region};
use crate::kms::{key_for, key_in};
use crate::life::{access, site};

examples![global_table, strong_table, table];

fn args(name: &str) -> Table {
    Table {
        name: name.to_owned(),
        hash_key: Attribute::string("payment_id"),
        range_key: Some(Attribute::number("timestamp")),
        indexes: BTreeMap::new(),
        billing: Billing::OnDemand,
        kms_key: None,
        stream: None,
        time_to_live: None,
        point_in_time_recovery: false,
        replicas: BTreeMap::new(),
        strong_consistency: None,
        deletion_protection: Some(false),
        tags: Tags::new(),
    }
}

fn index(hash_key: Attribute, projection: Projection) -> Index {
    Index { hash_key, range_key: Some(Attribute::number("timestamp")), projection }
}

fn table() -> Result<Example> {
    let mut graph = graph("table");
    let key = key_for(&mut graph, "key", &["dynamodb.us-east-1.amazonaws.com"])?;
    let by_status = index(Attribute::string("status"), Projection::All);
    let by_customer = index(Attribute::string("customer_id"), Projection::KeysOnly);
    let args = Table { indexes: BTreeMap::from([("by-status".to_owned(), by_status)]), ..args("contract-table") };
    let amounts = Projection::Include(BTreeSet::from(["amount".to_owned(), "currency".to_owned()]));
    Example::new(graph, &region(), args)?
        .again(Again::Taken)
        .change(|table: &mut Table| table.deletion_protection = Some(true))?
        .change(|table: &mut Table| {
            table.point_in_time_recovery = true;
            table.time_to_live = Some("expires".to_owned());
        })?
        .change(|table: &mut Table| drop(table.indexes.insert("by-customer".to_owned(), by_customer)))?
        .change(|table: &mut Table| {
            if let Some(index) = table.indexes.get_mut("by-customer") {
                index.projection = amounts;
            }
            table.indexes.remove("by-status");
        })?
        .change(|table: &mut Table| table.kms_key = Some(key.outputs.arn))?
        .change(|table: &mut Table| table.stream = Some(StreamView::KeysOnly))?
        .change(|table: &mut Table| {
            table.stream = Some(StreamView::NewAndOldImages);
            table.time_to_live = Some("gone_at".to_owned());
        })?
        .change(|table: &mut Table| table.billing = Billing::Provisioned { read: 5, write: 2 })?
        .change(|table: &mut Table| table.billing = Billing::Provisioned { read: 5, write: 3 })?
        .change(|table: &mut Table| table.billing = Billing::OnDemand)?
        .change(|table: &mut Table| {
            (table.kms_key, table.stream, table.time_to_live) = (None, None, None);
            table.point_in_time_recovery = false;
        })
}

fn replica(kms_key: payinfra_engine::Ref<String>) -> Replica {
    Replica {
        kms_key: Some(kms_key),
        point_in_time_recovery: true,
        deletion_protection: Some(true),
        other_tags: Tags::new(),
    }
}

fn global_table() -> Result<Example> {
    let mut graph = graph("global-table");
    let (east, west) = (Region::new("us-east-2"), Region::new("us-west-2"));
    let home = key_for(&mut graph, "key", &["dynamodb.us-east-1.amazonaws.com"])?;
    let key = key_in(&mut graph, &east, "key")?;
    let other = key_in(&mut graph, &east, "other")?;
    let far = key_in(&mut graph, &west, "key")?;
    let args = Table {
        kms_key: Some(home.outputs.arn),
        stream: Some(StreamView::NewAndOldImages),
        point_in_time_recovery: true,
        replicas: BTreeMap::from([(east.clone(), replica(key.outputs.arn))]),
        deletion_protection: Some(false),
        ..args("contract-global-table")
    };
    let (in_east, in_both) = (east.clone(), east);
    Example::new(graph, &region(), args)?
        .again(Again::Taken)
        .change(move |table: &mut Table| drop(table.replicas.insert(west, replica(far.outputs.arn))))?
        .change(move |table: &mut Table| {
            if let Some(replica) = table.replicas.get_mut(&in_east) {
                replica.point_in_time_recovery = false;
                replica.deletion_protection = Some(false);
                replica.other_tags.insert("Copy", "of the table");
            }
        })?
        .change(move |table: &mut Table| drop(table.replicas.insert(in_both, replica(other.outputs.arn))))?
        .change(move |table: &mut Table| table.replicas.retain(|region, _| region.as_str() == "us-west-2"))
}

/// A table that becomes strongly consistent, with a witness, and leaves its replicas again.
fn strong_table() -> Result<Example> {
    let mut graph = graph("strong-table");
    let home = key_for(&mut graph, "key", &["dynamodb.us-east-1.amazonaws.com"])?;
    let west = Region::new("us-west-2");
    let far = key_in(&mut graph, &west, "far")?;
    let args = Table {
        kms_key: Some(home.outputs.arn),
        stream: Some(StreamView::NewAndOldImages),
        ..args("contract-strong-table")
    };
    Example::new(graph, &region(), args)?
        .again(Again::Taken)
        .change(move |table: &mut Table| {
            table.replicas = BTreeMap::from([(west, replica(far.outputs.arn))]);
            table.strong_consistency = Some(StrongConsistency { witness: Some(Region::new("us-east-2")) });
        })?
        .change(|table: &mut Table| {
            for replica in table.replicas.values_mut() {
                (replica.point_in_time_recovery, replica.deletion_protection) = (false, Some(false));
            }
        })?
        .change(|table: &mut Table| (table.replicas, table.strong_consistency) = (BTreeMap::new(), None))
}

/// The ARN of the stream of a table.
pub(crate) fn stream_for(graph: &mut Graph, view: StreamView) -> Result<Ref<String>> {
    let args = Table { stream: Some(view), ..args(&format!("contract-{}", graph.workspace)) };
    let table = graph.add(&region(), "table", args)?;
    Ok(Ref::to(&table.address, "stream_arn"))
}

/// G-04: the emulated AWS and the kind agree on what a strongly consistent table is: all replicas in one call, on an empty
/// table; a group that changes as a whole; a write that fails in one region because of another one.
#[tokio::test]
async fn g04_a_strongly_consistent_table_is_created_and_deleted_as_a_whole() -> Result<()> {
    let access = access().await?;
    let (home, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let regions = ["us-east-2", "us-west-2"].map(Region::new);
    let copy = Replica {
        kms_key: None,
        point_in_time_recovery: false,
        deletion_protection: Some(false),
        other_tags: Tags::new(),
    };
    let table = |site: &Site, name: &str| Table {
        replicas: regions.iter().map(|region| (region.clone(), copy.clone())).collect(),
        strong_consistency: Some(StrongConsistency { witness: None }),
        stream: Some(StreamView::NewAndOldImages),
        tags: site.owner.tags(),
        ..args(name)
    };

    // What AWS would refuse later is refused before any call.
    let site = site(&region(), Table::KIND, "strong")?;
    let mut wrong = table(&site, "contract-strong");
    wrong.replicas.pop_last();
    let error = aws.create(&site, &form(&wrong)?).await.err().need("error")?;
    assert!(error.message().contains("three different regions of one set, not us-east-1, us-east-2"), "{error}");
    let wrong = Table { time_to_live: Some("expires".to_owned()), ..table(&site, "contract-strong") };
    let error = aws.create(&site, &form(&wrong)?).await.err().need("error")?;
    assert!(error.message().contains("is strongly consistent and has a time to live"), "{error}");
    let found = home.dynamodb().describe_table().table_name("contract-strong").send().await.explain();
    assert_eq!(found.map(drop).map_err(|error| error.class()), Err(Class::NotFound));

    // A table with items cannot become strongly consistent.
    let put = |name: &'static str, id: &str| {
        let put = home.dynamodb().put_item().table_name(name).item("payment_id", AttributeValue::S(id.to_owned()));
        put.item("timestamp", AttributeValue::N("1".to_owned()))
    };
    let full = form(&table(&site, "contract-strong-full"))?;
    let ids = [aws.create(&site, &full).await?];
    put("contract-strong-full", "1").send().await.explain()?;
    let seen = aws.read(&region(), Table::KIND, &ids).await?.pop().need("Table")?;
    assert!(aws.update(&site, &full, &seen).await.is_err());
    aws.delete(&site, &seen).await?;

    let wanted = form(&table(&site, "contract-strong"))?;
    copied(&aws, &site, &wanted).await?;
    let condition = |name: &'static str| put(name, "2").condition_expression("attribute_not_exists(payment_id)");
    condition("contract-strong").send().await.explain()?;
    let far = access.cx(&regions[1]);
    let again = far.dynamodb().put_item().table_name("contract-strong");
    let again = again.item("payment_id", AttributeValue::S("2".to_owned()));
    let again = again.item("timestamp", AttributeValue::N("1".to_owned()));
    let again = again.condition_expression("attribute_not_exists(payment_id)").send().await;
    assert!(again.is_err_and(|error| error.into_service_error().is_conditional_check_failed_exception()));

    // Nothing of the group can change but everything.
    let ids = ["contract-strong".to_owned()];
    let seen = aws.read(&region(), Table::KIND, &ids).await?.pop().need("Table")?;
    for witness in [None, Some(regions[1].clone())] {
        let mut other = table(&site, "contract-strong");
        other.replicas.retain(|region, _| Some(region) != witness.as_ref());
        other.strong_consistency = witness.map(|witness| StrongConsistency { witness: Some(witness) });
        let error = aws.update(&site, &form(&other)?, &seen).await.err().need("error")?;
        assert!(
            error.message().contains("the consistency of the table `contract-strong` cannot be changed"),
            "{error}"
        );
    }
    let one = aws_sdk_dynamodb::types::DeleteReplicationGroupMemberAction::builder().region_name("us-west-2");
    let one = aws_sdk_dynamodb::types::ReplicationGroupUpdate::builder().delete(one.build().explain()?).build();
    let one = home.dynamodb().update_table().table_name("contract-strong").replica_updates(one).send().await.explain();
    assert_eq!(
        one.map(drop).map_err(|error| error.get_code().map(str::to_owned)),
        Err(Some("ValidationException".to_owned()))
    );

    while let Err(error) = aws.delete(&site, &seen).await {
        assert_eq!(error.class(), Class::Conflict, "{error}");
    }
    for cx in [&home, &far] {
        let gone = cx.dynamodb().describe_table().table_name("contract-strong").send().await.explain();
        assert_eq!(gone.map(drop).map_err(|error| error.class()), Err(Class::NotFound));
    }
    Ok(())
}

/// Manual changes to a replica in its own region are detected through the table, and reverted.
#[tokio::test]
async fn a_replica_that_somebody_changed_is_seen_and_mended() -> Result<()> {
    let access = access().await?;
    let (far, aws) = (Region::new("us-east-2"), Aws::new(access.clone()));
    let (cx, name) = (access.cx(&far), "contract-changed-replica");
    let site = site(&region(), Table::KIND, "changed-replica")?;
    let copy =
        Replica { kms_key: None, point_in_time_recovery: true, deletion_protection: None, other_tags: Tags::new() };
    let wanted = form(&Table {
        stream: Some(StreamView::NewAndOldImages),
        replicas: BTreeMap::from([(far, copy)]),
        deletion_protection: Some(false),
        tags: site.owner.tags().with("Team", "payments"),
        ..args(name)
    })?;
    let ids = [aws.create(&site, &wanted).await?];
    let read = || async { aws.read(&region(), Table::KIND, &ids).await?.pop().need("Table") };
    let settled = |seen: &Seen| {
        let mut copies = seen.args["replicas"].clone();
        copies["us-east-2"]["deletion_protection"] = json!(null);
        copies == wanted["replicas"]
    };
    for _ in 0..4 {
        let seen = read().await?;
        if settled(&seen) {
            break;
        }
        aws.update(&site, &wanted, &seen).await?;
    }
    assert!(settled(&read().await?));

    let off = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(false).build().explain()?;
    let call = cx.dynamodb().update_continuous_backups().table_name(name);
    call.point_in_time_recovery_specification(off).send().await.explain()?;
    let arn = format!("arn:aws:dynamodb:us-east-2:{}:table/{name}", cx.account());
    let tag = Tag::builder().key("Extra").value("theirs").build().explain()?;
    cx.dynamodb().tag_resource().resource_arn(&arn).tags(tag).send().await.explain()?;
    cx.dynamodb().untag_resource().resource_arn(&arn).tag_keys("Team").send().await.explain()?;

    let seen = read().await?;
    let copy = &seen.args["replicas"]["us-east-2"];
    assert_eq!(copy["point_in_time_recovery"], json!(false));
    assert_eq!(copy["other_tags"], json!({ "Extra": "theirs", "Team": "" }));
    aws.update(&site, &wanted, &seen).await?;
    assert!(settled(&read().await?));
    while let Err(error) = aws.delete(&site, &read().await?).await {
        assert_eq!(error.class(), Class::Conflict, "{error}");
    }
    Ok(())
}

/// A table with a protected replica in another region, created as the engine does.
async fn copied(aws: &Aws, site: &Site, wanted: &Value) -> Result<()> {
    let ids = [aws.create(site, wanted).await?];
    for _ in 0..6 {
        let seen = aws.read(&region(), Table::KIND, &ids).await?.pop().need("Table")?;
        if seen.args == *wanted {
            return Ok(());
        }
        aws.update(site, wanted, &seen).await?;
    }
    Err(Error::failed("the table does not converge"))
}

/// The arguments of a table called `name` with a protected replica in us-east-2.
fn with_copy(site: &Site, name: &str) -> Result<Value> {
    let copy = Replica {
        kms_key: None,
        point_in_time_recovery: false,
        deletion_protection: Some(true),
        other_tags: Tags::new(),
    };
    form(&Table {
        stream: Some(StreamView::NewAndOldImages),
        replicas: BTreeMap::from([(Region::new("us-east-2"), copy)]),
        tags: site.owner.tags(),
        ..args(name)
    })
}

/// The resources with the owner tags of `site` in both regions, as `sweep` finds them.
async fn found(aws: &Aws, site: &Site) -> Result<Vec<Orphan>> {
    let cloud: Arc<dyn Cloud> = Arc::new(aws.clone());
    let regions = BTreeSet::from([region(), Region::new("us-east-2")]);
    let found = sweep::census(&cloud, aws, &site.owner.stack, &regions).await?;
    Ok(found.into_iter().filter(|orphan| orphan.owner == site.owner).collect())
}

/// A state with the table of `site` as `name`, or without it.
fn state(site: &Site, name: Option<&str>) -> State {
    let mut state = State::new(&site.owner.stack, &site.owner.workspace, "account");
    state.lineage.clone_from(&site.owner.lineage);
    if let Some(name) = name {
        let record = Record { id: Some(name.to_owned()), ..Record::default() };
        state.resources.insert(site.address.clone(), record);
    }
    state
}

/// The table was deleted in its own region: the replica still has the data. While the state has the table, the replica
/// is not an orphan, and the table is created from it.
#[tokio::test]
async fn a_table_that_was_deleted_by_hand_is_created_from_its_copy() -> Result<()> {
    let access = access().await?;
    let aws = Aws::new(access.clone());
    let (home, far) = (access.cx(&region()), access.cx(&Region::new("us-east-2")));
    let name = "contract-from-copy";
    let site = site(&region(), Table::KIND, "from-copy")?;
    let wanted = with_copy(&site, name)?;
    copied(&aws, &site, &wanted).await?;
    let whole = found(&aws, &site).await?;
    assert_eq!(whole.iter().map(|orphan| &orphan.region).collect::<Vec<_>>(), [&region()], "the table has its replica");
    let put = home.dynamodb().put_item().table_name(name).item("payment_id", AttributeValue::S("1".to_owned()));
    put.item("timestamp", AttributeValue::N("1".to_owned())).send().await.explain()?;

    home.dynamodb().delete_table().table_name(name).send().await.explain()?;
    let left = found(&aws, &site).await?;
    assert_eq!(left.iter().map(|orphan| orphan.region.as_str()).collect::<Vec<_>>(), ["us-east-2"]);
    assert!(left[0].is_copy());
    assert_eq!(sweep::orphans(left.clone(), &[state(&site, Some(name))]), (Vec::new(), Vec::new()));
    assert_eq!(sweep::orphans(left, &[state(&site, None)]).0.len(), 1);

    let mut theirs = site.clone();
    theirs.owner.lineage = "another".to_owned();
    let refused = aws.create(&theirs, &with_copy(&theirs, name)?).await;
    assert_eq!(refused.map_err(|error| error.class()), Err(Class::Foreign), "their replica uses our name");
    assert_eq!(aws.create(&site, &wanted).await?, name);
    assert_eq!(aws.recover(&site, &wanted).await?.as_deref(), Some(name), "it has no tags yet");
    let ids = [name.to_owned()];
    let seen = aws.read(&region(), Table::KIND, &ids).await?.pop().need("Table")?;
    aws.update(&site, &wanted, &seen).await?;
    let seen = aws.read(&region(), Table::KIND, &ids).await?.pop().need("Table")?;
    assert_eq!(seen.args, wanted);
    let items = home.dynamodb().scan().table_name(name).send().await.explain()?.count;
    assert_eq!(items, 1, "the written items exist again");
    while let Err(error) = aws.delete(&site, &seen).await {
        assert_eq!(error.class(), Class::Conflict, "{error}");
    }
    let gone = far.dynamodb().describe_table().table_name(name).send().await.explain();
    assert_eq!(gone.map(drop).map_err(|error| error.class()), Err(Class::NotFound), "its protection was disabled");
    assert_eq!(found(&aws, &site).await?, []);
    Ok(())
}

/// The replica of a table that is not in the state is found by its tags in its own region and deleted there, also if
/// the table was created again without it.
#[tokio::test]
async fn a_copy_whose_table_is_gone_is_swept_in_its_own_region() -> Result<()> {
    let access = access().await?;
    let aws = Aws::new(access.clone());
    let cloud: Arc<dyn Cloud> = Arc::new(aws.clone());
    let home = access.cx(&region());
    for anew in [false, true] {
        let name = format!("contract-left-copy-{anew}");
        let site = site(&region(), Table::KIND, &name)?;
        let wanted = with_copy(&site, &name)?;
        copied(&aws, &site, &wanted).await?;
        home.dynamodb().delete_table().table_name(&name).send().await.explain()?;
        let mut alone = wanted.clone();
        alone["replicas"] = json!({});
        if anew {
            aws.create(&site, &alone).await?;
        }
        let known = state(&site, anew.then_some(&name));
        let (left, others) = sweep::orphans(found(&aws, &site).await?, &[known]);
        assert_eq!(left.iter().map(|orphan| orphan.region.as_str()).collect::<Vec<_>>(), ["us-east-2"]);
        assert_eq!(others, []);
        assert_eq!(sweep::remove(&cloud, left).await.len(), 0);
        let left = found(&aws, &site).await?;
        assert_eq!(left.iter().map(|orphan| &orphan.region).collect::<Vec<_>>(), vec![&region(); usize::from(anew)]);
        sweep::remove(&cloud, left).await;
    }
    Ok(())
}
