//! A load balancer as any stack would declare it, with a web ACL.

use payinfra_components::buckets::{balancer_log_statement, private};
use payinfra_components::load_balancer::{Edge, LOG_PREFIX, LoadBalancer, Strategy, load_balancer};
use payinfra_components::network::{Nat, Network, network};
use payinfra_components::web_acl::web_acl;
use payinfra_engine::{Graph, Ref, Result};
use payinfra_stack::Site;
use serde_json::json;

use crate::{Setting, layout};

/// A load balancer for `shop`, in a network with `public` public subnets.
pub(crate) fn edge(graph: &mut Graph, site: &Site<'_>, public: usize) -> Result<(Network, Edge)> {
    edge_with(graph, site, public, Strategy::Stepwise)
}

/// The same with this strategy of deployments.
pub(crate) fn edge_with(
    graph: &mut Graph,
    site: &Site<'_>,
    public: usize,
    strategy: Strategy,
) -> Result<(Network, Edge)> {
    let network = network(graph, site, &layout(site, 2, public, Nat::None))?;
    let name = site.names.bucket("access-logs", site.region())?;
    let logs = private(site, "access-logs", &name, [balancer_log_statement(site, &name, LOG_PREFIX)]);
    let logs = graph.add(site.region(), "access-logs", logs)?;
    let certificate = Ref::Known("arn:aws:acm:us-east-1:123456789012:certificate/1".to_owned());
    let wanted =
        LoadBalancer { network: &network, certificate, logs: &logs, port: 8443, health_path: "/alive", strategy };
    let edge = load_balancer(graph, site, wanted)?;
    Ok((network, edge))
}

/// M-16, X-03: everything is encrypted, from the client to the target.
#[test]
fn m16_x03_https_from_the_client_to_the_target() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, site) = setting.site(0);
    edge(graph, &site, 2)?;
    let https = setting.args("us-east-1/elbv2.listener/https");
    assert_eq!((&https["port"], &https["protocol"]), (&json!(443), &json!("https")));
    assert_eq!(https["certificate"], "arn:aws:acm:us-east-1:123456789012:certificate/1");
    let http = setting.args("us-east-1/elbv2.listener/http");
    assert_eq!((&http["port"], &http["default_action"]["redirect"]["protocol"]), (&json!(80), &json!("HTTPS")));
    for colour in ["blue", "green"] {
        let group = setting.args(&format!("us-east-1/elbv2.target-group/{colour}"));
        assert_eq!((&group["port"], &group["protocol"]), (&json!(8443), &json!("https")));
        assert_eq!(group["health_check"]["path"], json!({ "$secret": "/alive" }));
        assert_eq!(group["health_check"]["protocol"], "https");
    }
    let balancer = setting.args("us-east-1/elbv2.load-balancer/main");
    assert_eq!((&balancer["internal"], &balancer["deletion_protection"]), (&json!(false), &json!(true)));
    // The bucket's policy allows what the load balancer is configured to write.
    let bucket = json!({ "$ref": "us-east-1/s3.bucket/access-logs#id" });
    assert_eq!(balancer["access_logs"], json!({ "bucket": bucket, "prefix": LOG_PREFIX }));
    let write = setting.statement("us-east-1/s3.bucket/access-logs", "/policy", "WriteBalancerLogs").to_string();
    assert!(write.contains(&format!("/{LOG_PREFIX}/AWSLogs/123456789012/*")), "{write}");
    setting.check();
    Ok(())
}

/// M-17: a deployment finds both colours, and changes their weights.
#[test]
fn m17_the_weights_of_both_colours_are_operational() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, site) = setting.site(0);
    let (_, edge) = edge(graph, &site, 2)?;
    let found = edge.colours.each_ref().map(|colour| (colour.name, colour.target_group.address.to_string()));
    let expected = [("blue", "us-east-1/elbv2.target-group/blue"), ("green", "us-east-1/elbv2.target-group/green")];
    assert_eq!(found, expected.map(|(name, address)| (name, address.to_owned())));
    assert_eq!(edge.https.address.to_string(), "us-east-1/elbv2.listener/https");
    let target =
        |(address, weight): (&str, u8)| json!({ "group": { "$ref": format!("{address}#id") }, "weight": weight });
    assert_eq!(
        setting.args("us-east-1/elbv2.listener/https")["default_action"],
        json!({ "forward": [target((expected[0].1, 100)), target((expected[1].1, 0))] })
    );
    let operational = setting.graph.nodes()[&edge.https.address].operational.values();
    assert_eq!(operational.collect::<Vec<_>>(), [100, 0]);
    for (colour, address) in expected {
        let arn = json!({ "$text": [{ "$ref": format!("{address}#arn") }] });
        assert_eq!(setting.graph.outputs()[&format!("target_group_{colour}_arn_us_east_1")], arn);
    }
    Ok(())
}

#[test]
fn x05_a_load_balancer_reaches_only_its_targets() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, site) = setting.site(1);
    edge(graph, &site, 3)?;
    let group = setting.args("us-east-2/ec2.security-group/load-balancer");
    let ports = |rules: &str| {
        let rules = group[rules].as_array().unwrap().iter();
        rules.map(|rule| (rule["protocol"].clone(), rule["peer"].clone())).collect::<Vec<_>>()
    };
    let anywhere = json!({ "cidr": "0.0.0.0/0" });
    assert_eq!(ports("ingress"), [80, 443].map(|port| (json!({ "tcp": [port, port] }), anywhere.clone())));
    assert_eq!(ports("egress"), [(json!({ "tcp": [8443, 8443] }), json!({ "cidr": "10.1.0.0/16" }))]);
    let balancer = "us-east-2/elbv2.load-balancer/main";
    assert_eq!(setting.args(balancer)["subnets"].as_array().unwrap().len(), 3);
    // AWS requires the gateway, which nothing else refers to.
    assert!(setting.depends(balancer).contains(&"us-east-2/ec2.internet-gateway/main".to_owned()));
    setting.check();
    Ok(())
}

#[test]
fn a_load_balancer_requires_two_public_subnets() {
    for public in [0, 1] {
        let mut setting = Setting::new();
        let (graph, site) = setting.site(0);
        let error = edge(graph, &site, public).unwrap_err();
        let message = "the network in us-east-1 has fewer than two public subnets for a load balancer";
        assert_eq!((error.message(), error.get_hint()), (message, Some("add public subnets, one per zone")));
    }
}

/// M-24: the cheapest rules come first.
#[test]
fn m24_a_web_acl_limits_rates_and_blocks_malicious_requests() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, site) = setting.site(0);
    let (_, edge) = edge(graph, &site, 2)?;
    let acl = web_acl(graph, &site, &edge.balancer, 100)?;
    assert_eq!(acl.address.to_string(), "us-east-1/wafv2.web-acl/main");
    let args = setting.args("us-east-1/wafv2.web-acl/main");
    let rules = args["rules"].as_object().unwrap();
    let mut order: Vec<_> = rules.iter().map(|(name, rule)| (rule["priority"].as_i64().unwrap(), &**name)).collect();
    order.sort_unstable();
    let names = ["ip-reputation", "rate-limit", "common", "known-bad-inputs", "sql-injection"];
    assert_eq!(order.into_iter().map(|(_, name)| name).collect::<Vec<_>>(), names);
    assert_eq!(rules["rate-limit"]["statement"], json!({ "rate_limit": { "requests": 100, "window": 300 } }));
    assert!(rules.values().all(|rule| rule["count"] == false), "every rule blocks: {args}");
    let association = json!({ "$ref": "us-east-1/elbv2.load-balancer/main#arn" });
    assert_eq!(setting.args("us-east-1/wafv2.web-acl-association/main")["resource"], association);
    setting.check();
    Ok(())
}
