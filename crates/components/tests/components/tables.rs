//! Tables as the other systems declare them: a global table with a sort key and an expiry, and a table of one region.

use std::collections::BTreeMap;

use payinfra_aws::dynamodb::{Attribute, Index, Projection};
use payinfra_components::keys::{Purpose, key};
use payinfra_components::tables::{Replica, Table, table};
use payinfra_engine::{Graph, Ref, Result, Tags};
use payinfra_stack::Site;
use serde_json::json;

use crate::Setting;

fn data_key(graph: &mut Graph, site: &Site<'_>) -> Result<Ref<String>> {
    let data = Purpose { name: "data", services: &["dynamodb"], grants: true, statements: Vec::new() };
    Ok(key(graph, site, data)?.outputs.arn)
}

fn sessions<'a>(key: &'a Ref<String>, replicas: Vec<Replica<'a>>) -> Table<'a> {
    Table {
        name: "trading-sessions",
        hash_key: Attribute::string("session_id"),
        range_key: None,
        indexes: BTreeMap::new(),
        time_to_live: Some("expires_at"),
        key,
        replicas,
        strong_consistency: None,
    }
}

#[test]
fn t06_a_global_table_is_in_all_regions_under_their_own_keys() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, sites) = setting.sites();
    let keys = sites.iter().map(|site| data_key(graph, site)).collect::<Result<Vec<_>>>()?;
    let replicas = sites[1..].iter().zip(&keys[1..]).map(|(site, key)| Replica { site: *site, key, tags: Tags::new() });
    let sessions = table(graph, &sites[0], sessions(&keys[0], replicas.collect()))?;
    let known = sites.map(|site| sessions.arn(&site));
    assert_eq!(sessions.table.address.to_string(), "us-east-1/dynamodb.table/trading-sessions");
    assert_eq!(sessions.name, "shop-trading-sessions-dev-x1");

    let args = setting.args("us-east-1/dynamodb.table/trading-sessions");
    let key = |region: &str| json!({ "$ref": format!("{region}/kms.key/data#arn") });
    let replica = |region| json!({ "kms_key": key(region), "point_in_time_recovery": true, "deletion_protection": true, "other_tags": {} });
    assert_eq!(args["name"], "shop-trading-sessions-dev-x1");
    assert_eq!(args["kms_key"], key("us-east-1"));
    assert_eq!((&args["point_in_time_recovery"], &args["deletion_protection"]), (&json!(true), &json!(true)));
    assert_eq!((&args["time_to_live"], &args["billing"]), (&json!("expires_at"), &json!("on-demand")));
    assert_eq!(
        args["replicas"],
        json!({ "us-east-2": replica("us-east-2"), "us-west-2": replica("us-west-2") }),
        "each replica has its own key, recovery and protection"
    );
    // Nothing else is declared, and the table waits for the keys of all regions.
    assert_eq!(setting.kinds(), ["dynamodb.table", "kms.alias", "kms.key"]);
    let keys = ["us-east-1/kms.key/data", "us-east-2/kms.key/data", "us-west-2/kms.key/data"];
    assert_eq!(setting.depends("us-east-1/dynamodb.table/trading-sessions"), keys);
    let outputs = setting.graph.outputs();
    let id = json!({ "$text": [{ "$ref": "us-east-1/dynamodb.table/trading-sessions#id" }] });
    assert_eq!(outputs["trading_sessions_table_name"], id);
    for (arn, region) in known.iter().zip(crate::REGIONS) {
        assert_eq!(*arn, format!("arn:aws:dynamodb:{region}:123456789012:table/shop-trading-sessions-dev-x1"));
        assert_eq!(outputs[&format!("trading_sessions_table_arn_{}", region.replace('-', "_"))], **arn);
    }
    setting.check();
    Ok(())
}

/// P-04, G-04: a sort key and indexes; a replica can be added later, because the stream that it needs exists.
#[test]
fn p04_g04_a_table_of_one_region_is_ready_for_replicas() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, [site, ..]) = setting.sites();
    let key = data_key(graph, &site)?;
    let by_status = Index {
        hash_key: Attribute::string("status"),
        range_key: Some(Attribute::number("timestamp")),
        projection: Projection::All,
    };
    let payments = Table {
        name: "payments",
        hash_key: Attribute::string("payment_id"),
        range_key: Some(Attribute::number("timestamp")),
        indexes: BTreeMap::from([("by-status".to_owned(), by_status)]),
        time_to_live: None,
        key: &key,
        replicas: Vec::new(),
        strong_consistency: None,
    };
    table(graph, &site, payments)?;
    let args = setting.args("us-east-1/dynamodb.table/payments");
    assert_eq!(args["range_key"], json!({ "name": "timestamp", "type": "number" }));
    assert_eq!(args["indexes"]["by-status"]["hash_key"], json!({ "name": "status", "type": "string" }));
    assert_eq!((&args["replicas"], &args["stream"]), (&json!({}), &json!("new-and-old-images")));
    setting.check();
    Ok(())
}

#[test]
fn a_replica_in_the_own_region_of_the_table_is_refused() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, [site, ..]) = setting.sites();
    let key = data_key(graph, &site)?;
    let error = table(graph, &site, sessions(&key, vec![Replica { site, key: &key, tags: Tags::new() }])).unwrap_err();
    assert_eq!(error.message(), "the table `trading-sessions` has a replica in its own region, us-east-1");
    assert_eq!(error.get_hint(), Some("list only the other regions as replicas"));
    Ok(())
}
