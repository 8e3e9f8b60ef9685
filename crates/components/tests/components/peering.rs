//! Two networks that are peered, and a database in one of them, as other systems declare them.

use std::collections::BTreeSet;

use payinfra_aws::ec2::{Peer, Rule};
use payinfra_components::keys::{Purpose, key, logs_statement};
use payinfra_components::network::{Nat, network};
use payinfra_components::peering::{Side, peering};
use payinfra_components::postgresql::{INSTANCE, PORT, PostgreSql, log_group_name, postgresql};
use payinfra_engine::{Result, Tags};
use serde_json::json;

use crate::{Setting, layout};

#[test]
fn p02_both_networks_route_to_each_other_from_all_private_tables() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, [near, _, far]) = setting.sites();
    let networks = [
        network(graph, &near, &layout(&near, 2, 2, Nat::Single))?,
        network(graph, &far, &layout(&far, 3, 0, Nat::None))?,
    ];
    let [near, far] = [(near, &networks[0]), (far, &networks[1])].map(|(site, network)| {
        let tags = Tags::new().with("Team", site.region().as_str());
        Side { site, network, tags }
    });
    peering(graph, &near, &far)?;
    let peering = json!({ "vpc_peering": { "$ref": "us-west-2/ec2.vpc-peering-accepter/us-east-1#id" } });
    for (region, tables, other, block) in
        [("us-east-1", 2, "us-west-2", "10.2.0.0/16"), ("us-west-2", 3, "us-east-1", "10.0.0.0/16")]
    {
        for table in 1..=tables {
            let route = setting.args(&format!("{region}/ec2.route/private-{table}-{other}"));
            assert_eq!((&route["target"], &route["destination"]), (&peering, &json!(block)), "{region} {table}");
            let table = json!({ "$ref": format!("{region}/ec2.route-table/private-{table}#id") });
            assert_eq!(route["table"], table);
        }
    }
    let request = setting.args("us-east-1/ec2.vpc-peering/us-west-2");
    assert_eq!(request["peer"], json!({ "$ref": "us-west-2/ec2.vpc/main#id" }));
    assert_eq!(request["tags"]["Team"], "us-east-1");
    let accepter = setting.args("us-west-2/ec2.vpc-peering-accepter/us-east-1");
    assert_eq!((&accepter["dns"], &accepter["tags"]["Team"]), (&json!(true), &json!("us-west-2")));
    assert!(setting.of_kind("ec2.vpc-peering-dns").contains(&"us-west-2".to_owned()));
    setting.check();
    Ok(())
}

#[test]
fn p03_an_instance_is_encrypted_and_closed() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, site) = setting.site(0);
    let log = log_group_name(&site.names.database(INSTANCE, site.region())?);
    let statements = vec![logs_statement(&site, &[&log])];
    let purpose = Purpose { name: "all", services: &["rds", "secretsmanager"], grants: true, statements };
    let key = key(graph, &site, purpose)?.outputs.arn;
    let network = network(graph, &site, &layout(&site, 2, 0, Nat::None))?;
    let from = Peer::Cidr("10.9.0.0/24".parse().unwrap());
    let wanted = PostgreSql {
        engine_version: "16.6",
        class: "db.m6g.large",
        storage: 100,
        multi_az: true,
        database: "payments",
        username: "payments",
        network: &network,
        ingress: BTreeSet::from([Rule::tcp(PORT, from, "from the service")]),
        key: &key,
        log_key: &key,
        log_retention_days: 30,
        backup_retention_days: 7,
        backup_window: "03:00-04:00",
    };
    postgresql(graph, &site, wanted)?;
    let instance = setting.args("us-east-1/rds.instance/main");
    let key = json!({ "$ref": "us-east-1/kms.key/all#arn" });
    assert_eq!((&instance["kms_key"], &instance["master"]["managed"]["kms_key"]), (&key, &key));
    assert_eq!((&instance["publicly_accessible"], &instance["multi_az"]), (&json!(false), &json!(true)));
    assert_eq!(instance["deletion_protection"], true);
    let group = setting.args("us-east-1/rds.parameter-group/database-16");
    assert_eq!((&group["family"], &group["parameters"]["rds.force_ssl"]), (&json!("postgres16"), &json!("1")));
    let group = setting.args("us-east-1/ec2.security-group/database");
    assert_eq!((group["ingress"].as_array().unwrap().len(), &group["egress"]), (1, &json!([])));
    assert!(setting.depends("us-east-1/rds.instance/main").contains(&"us-east-1/logs.log-group/database".to_owned()));
    setting.check();
    Ok(())
}
