//! Three regions, each connected to both others.

use payinfra_components::network::{Nat, network};
use payinfra_components::transit::{Member, hub, mesh};
use payinfra_engine::Result;
use serde_json::json;

use crate::{Setting, layout};

/// M-08, with a region more.
#[test]
fn m08_every_pair_of_regions_is_peered_and_routed() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, sites) = setting.sites();
    let networks = sites.iter().map(|site| network(graph, site, &layout(site, 2, 0, Nat::None)));
    let networks = networks.collect::<Result<Vec<_>>>()?;
    let hubs = sites.iter().zip(&networks).map(|(site, network)| hub(graph, site, network));
    let hubs = hubs.collect::<Result<Vec<_>>>()?;
    let members = sites.into_iter().zip(&networks).zip(&hubs);
    let members: Vec<_> = members.map(|((site, network), hub)| Member { site, network, hub }).collect();
    let peerings = mesh(graph, &members)?;

    let pairs = peerings.iter().map(|it| (it.requester.address.to_string(), it.accepter.address.to_string()));
    let peering = |near: &str, far: &str| {
        (
            format!("{near}/ec2.transit-gateway-peering/{far}"),
            format!("{far}/ec2.transit-gateway-peering-accepter/{near}"),
        )
    };
    let expected = [("us-east-1", "us-east-2"), ("us-east-1", "us-west-2"), ("us-east-2", "us-west-2")]
        .map(|(a, b)| peering(a, b));
    assert_eq!(pairs.collect::<Vec<_>>(), expected);
    // Peers must have different numbers.
    let asns = crate::REGIONS.map(|region| setting.args(&format!("{region}/ec2.transit-gateway/main"))["asn"].clone());
    assert_eq!(asns, [64512, 64513, 64514]);

    // Both directions of a pair use the one accepted peering.
    let accepted = json!({ "$ref": "us-west-2/ec2.transit-gateway-peering-accepter/us-east-2#id" });
    for (from, to, cidr) in [("us-east-2", "us-west-2", "10.2.0.0/16"), ("us-west-2", "us-east-2", "10.1.0.0/16")] {
        let over = setting.args(&format!("{from}/ec2.transit-gateway-route/{to}"));
        assert_eq!((&over["attachment"], &over["destination"]), (&accepted, &json!(cidr)));
        for zone in [1, 2] {
            let address = format!("{from}/ec2.route/private-{zone}-{to}");
            let route = setting.args(&address);
            let gateway = json!({ "transit_gateway": { "$ref": format!("{from}/ec2.transit-gateway/main#id") } });
            assert_eq!((&route["target"], &route["destination"]), (&gateway, &json!(cidr)));
            // AWS refuses the route before the network is attached.
            assert_eq!(
                setting.depends(&address),
                [
                    format!("{from}/ec2.route-table/private-{zone}"),
                    format!("{from}/ec2.transit-gateway/main"),
                    format!("{from}/ec2.transit-gateway-vpc-attachment/main"),
                ]
            );
        }
    }
    assert_eq!(setting.of_kind("ec2.route").len(), 3 * 2 * 2);
    setting.check();
    Ok(())
}

#[test]
fn a_region_alone_has_a_hub_without_peerings() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, site) = setting.site(0);
    let network = network(graph, &site, &layout(&site, 2, 0, Nat::None))?;
    let hub = hub(graph, &site, &network)?;
    assert!(mesh(graph, &[Member { site, network: &network, hub: &hub }])?.is_empty());
    let attachment = setting.args("us-east-1/ec2.transit-gateway-vpc-attachment/main");
    assert_eq!(attachment["subnets"].as_array().unwrap().len(), 2);
    assert_eq!(setting.of_kind("ec2.transit-gateway-route"), Vec::<String>::new());
    setting.check();
    Ok(())
}
