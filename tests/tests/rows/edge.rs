//! Load balancers and web ACLs.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{
    ActionTypeEnum, IpAddressType, Listener, LoadBalancer, LoadBalancerSchemeEnum, LoadBalancerStateEnum,
    LoadBalancerTypeEnum, ProtocolEnum, RedirectActionStatusCodeEnum, TargetGroup, TargetTypeEnum,
};
use aws_sdk_wafv2::types::{RateBasedStatementAggregateKeyType, WebAcl};
use payinfra_tests::Bench;
use serde_json::Value;

use crate::network::{filter, vpc};
use crate::{ACCOUNT, SIDES, migration, texts};

fn elb(bench: &Bench, region: &str) -> Client {
    Client::new(&bench.sdk(region))
}

/// The region's load balancer: the only one.
async fn balancer(bench: &Bench, region: &str) -> LoadBalancer {
    let found = elb(bench, region).describe_load_balancers().send().await.unwrap();
    assert_eq!(found.load_balancers().len(), 1, "one load balancer in {region}");
    found.load_balancers()[0].clone()
}

async fn listener(bench: &Bench, region: &str, port: i32) -> Listener {
    let arn = balancer(bench, region).await.load_balancer_arn;
    let found = elb(bench, region).describe_listeners().set_load_balancer_arn(arn).send().await.unwrap();
    let ports: BTreeSet<_> = found.listeners().iter().map(Listener::port).collect();
    assert_eq!(ports, BTreeSet::from([Some(80), Some(443)]), "{region}");
    found.listeners().iter().find(|listener| listener.port() == Some(port)).unwrap().clone()
}

/// The region's target groups by name.
async fn groups(bench: &Bench, region: &str) -> BTreeMap<String, TargetGroup> {
    let found = elb(bench, region).describe_target_groups().send().await.unwrap();
    let found = found.target_groups.unwrap_or_default().into_iter();
    found.map(|group| (group.target_group_name.clone().unwrap(), group)).collect()
}

/// M-16: a load balancer in each region, in all of its public subnets, internet-facing, with a DNS name.
#[tokio::test(flavor = "multi_thread")]
async fn m16_a_load_balancer_stands_in_the_public_subnets_of_each_region() {
    let bench = migration().await;
    let outputs = bench.outputs("migration");
    for (region, ..) in SIDES {
        let balancer = balancer(bench, region).await;
        assert_eq!(balancer.load_balancer_name(), Some("payment-alb-migration-demo1"));
        assert_eq!(balancer.r#type(), Some(&LoadBalancerTypeEnum::Application));
        assert_eq!(balancer.scheme(), Some(&LoadBalancerSchemeEnum::InternetFacing));
        assert_eq!(balancer.ip_address_type(), Some(&IpAddressType::Ipv4));
        assert_eq!(balancer.state().and_then(|state| state.code()), Some(&LoadBalancerStateEnum::Active));
        assert_eq!(balancer.vpc_id(), Some(&vpc(bench, region).await[..]));
        let zones = balancer.availability_zones();
        let names: BTreeSet<_> = zones.iter().filter_map(|zone| zone.zone_name()).collect();
        assert_eq!(names.len(), 3, "one per zone: {names:?}");
        let place = region.replace('-', "_");
        let subnets = outputs[format!("public_subnet_ids_{place}")].as_str().unwrap();
        let subnets: BTreeSet<_> = subnets.split(',').collect();
        assert_eq!(zones.iter().filter_map(|zone| zone.subnet_id()).collect::<BTreeSet<_>>(), subnets);
        let output = |name: &str| outputs[format!("{name}_{place}")].as_str().unwrap().to_owned();
        assert_eq!(balancer.dns_name(), Some(&output("load_balancer_dns_name")[..]));
        assert_eq!(balancer.load_balancer_arn(), Some(&output("load_balancer_arn")[..]));
    }
}

/// M-16: its access logs go to the region's bucket for them, whose policy only allows load balancers of this account to
/// write there.
#[tokio::test(flavor = "multi_thread")]
async fn m16_access_logs_go_where_the_load_balancer_may_write() {
    let bench = migration().await;
    for (region, ..) in SIDES {
        let arn = balancer(bench, region).await.load_balancer_arn;
        let call = elb(bench, region).describe_load_balancer_attributes().set_load_balancer_arn(arn);
        let attributes = call.send().await.unwrap();
        let attribute = |key: &str| {
            let found = attributes.attributes().iter().find(|it| it.key() == Some(key));
            found.and_then(|it| it.value()).unwrap_or_default().to_owned()
        };
        assert_eq!(attribute("access_logs.s3.enabled"), "true");
        assert_eq!(attribute("access_logs.s3.prefix"), "load-balancer");
        assert_eq!(attribute("routing.http.drop_invalid_header_fields.enabled"), "true");
        assert_eq!(attribute("deletion_protection.enabled"), "false", "X-06");
        let bucket = attribute("access_logs.s3.bucket");
        assert!(bucket.starts_with(&format!("payment-access-logs-migration-demo1-{region}-")), "{bucket}");

        let policy = bench.s3(region).get_bucket_policy().bucket(&bucket).send().await.unwrap();
        let policy: Value = serde_json::from_str(policy.policy().unwrap()).unwrap();
        let service = "logdelivery.elasticloadbalancing.amazonaws.com";
        let statements = policy["Statement"].as_array().unwrap().iter();
        let ours: Vec<_> = statements.filter(|it| texts(&it["Principal"]["Service"]) == [service]).collect();
        assert_eq!(ours.len(), 1, "{bucket}");
        assert_eq!(ours[0]["Effect"], "Allow");
        assert_eq!(texts(&ours[0]["Action"]), ["s3:PutObject"]);
        let keys = format!("arn:aws:s3:::{bucket}/load-balancer/AWSLogs/{ACCOUNT}/*");
        assert_eq!(texts(&ours[0]["Resource"]), [&keys]);
    }
}

/// M-16, X-03: HTTPS with a certificate and at least TLS 1.2; plain HTTP is redirected.
#[tokio::test(flavor = "multi_thread")]
async fn m16_x03_https_takes_tls_1_2_and_http_redirects() {
    let bench = migration().await;
    for (region, ..) in SIDES {
        let https = listener(bench, region, 443).await;
        assert_eq!(https.protocol(), Some(&ProtocolEnum::Https));
        assert_eq!(https.ssl_policy(), Some("ELBSecurityPolicy-TLS13-1-2-2021-06"));
        let policies =
            elb(bench, region).describe_ssl_policies().names(https.ssl_policy().unwrap()).send().await.unwrap();
        let versions = policies.ssl_policies()[0].ssl_protocols();
        assert!(versions.iter().all(|it| ["TLSv1.2", "TLSv1.3"].contains(&&it[..])), "{versions:?}");
        assert_eq!(https.certificates().len(), 1, "{region}");

        let http = listener(bench, region, 80).await;
        assert_eq!(http.protocol(), Some(&ProtocolEnum::Http));
        assert_eq!(http.default_actions().len(), 1, "{http:?}");
        let action = &http.default_actions()[0];
        assert_eq!(action.r#type(), Some(&ActionTypeEnum::Redirect));
        let redirect = action.redirect_config().unwrap();
        assert_eq!(redirect.status_code(), Some(&RedirectActionStatusCodeEnum::Http301));
        assert_eq!((redirect.protocol(), redirect.port()), (Some("HTTPS"), Some("443")));
        assert_eq!(
            (redirect.host(), redirect.path(), redirect.query()),
            (Some("#{host}"), Some("/#{path}"), Some("#{query}"))
        );
    }
}

/// M-16: a blue and a green target group, which check the health of the service; HTTPS forwards to blue.
#[tokio::test(flavor = "multi_thread")]
async fn m16_blue_and_green_target_groups_and_all_goes_to_blue() {
    let bench = migration().await;
    for (region, ..) in SIDES {
        let groups = groups(bench, region).await;
        let names: Vec<_> = groups.keys().map(String::as_str).collect();
        assert_eq!(names, ["payment-blue-migration-demo1", "payment-green-migration-demo1"], "{region}");
        let network = vpc(bench, region).await;
        for (name, group) in &groups {
            assert_eq!(group.target_type(), Some(&TargetTypeEnum::Ip), "{name}");
            assert_eq!(group.vpc_id(), Some(&network[..]), "{name}");
            assert_eq!((group.protocol(), group.port()), (Some(&ProtocolEnum::Https), Some(8080)), "{name}");
            assert_eq!(group.health_check_path(), Some("/health"), "{name}");
            assert_eq!(group.matcher().and_then(|matcher| matcher.http_code()), Some("200"), "{name}");
            assert_eq!(group.health_check_port(), Some("traffic-port"), "{name}");
        }
        let https = listener(bench, region, 443).await;
        assert_eq!(https.default_actions().len(), 1, "{https:?}");
        let action = &https.default_actions()[0];
        assert_eq!(action.r#type(), Some(&ActionTypeEnum::Forward));
        let shares = action.forward_config().unwrap().target_groups();
        let shares: BTreeMap<_, _> = shares.iter().map(|it| (it.target_group_arn().unwrap(), it.weight())).collect();
        let arn = |colour: &str| groups[&format!("payment-{colour}-migration-demo1")].target_group_arn().unwrap();
        assert_eq!(shares, BTreeMap::from([(arn("blue"), Some(100)), (arn("green"), Some(0))]));
    }
}

/// M-17: weights belong to `payinfra deploy`; weights that somebody else has changed are drift, and an apply restores them.
#[tokio::test(flavor = "multi_thread")]
async fn m17_weights_that_were_changed_otherwise_are_drift() {
    let bench = Bench::new().await;
    bench.run(&["apply", "--yes", "--workspace", "legacy"]).ok();
    let region = "us-east-1";
    let https = listener(&bench, region, 443).await;
    let mut action = https.default_actions()[0].clone();
    let config = action.forward_config.as_mut().unwrap();
    for share in config.target_groups.as_mut().unwrap() {
        share.weight = Some(100 - share.weight.unwrap());
    }
    let call = elb(&bench, region).modify_listener().set_listener_arn(https.listener_arn.clone());
    call.default_actions(action).send().await.unwrap();
    let drift = bench.run(&["drift", "--workspace", "legacy"]).expect(2);
    assert!(drift.stdout.contains("us-east-1/elbv2.listener/https"), "{}", drift.stdout);
    bench.run(&["apply", "--workspace", "legacy", "--yes"]).ok();
    assert_eq!(listener(&bench, region, 443).await.default_actions(), https.default_actions());
}

/// The web ACL of the region's load balancer.
async fn web_acl(bench: &Bench, region: &str) -> WebAcl {
    let waf = aws_sdk_wafv2::Client::new(&bench.sdk(region));
    let arn = balancer(bench, region).await.load_balancer_arn;
    let found = waf.get_web_acl_for_resource().set_resource_arn(arn).send().await.unwrap();
    found.web_acl.unwrap()
}

/// M-24: a web ACL for each load balancer, with AWS's managed rule groups and a rate limit.
#[tokio::test(flavor = "multi_thread")]
async fn m24_a_web_acl_with_managed_groups_and_a_rate_rule_guards_each_load_balancer() {
    let bench = migration().await;
    let outputs = bench.outputs("migration");
    for (region, ..) in SIDES {
        let acl = web_acl(bench, region).await;
        assert_eq!(acl.name(), "payment-web-acl-migration-demo1");
        assert!(acl.arn().starts_with(&format!("arn:aws:wafv2:{region}:{ACCOUNT}:regional/webacl/")), "{}", acl.arn());
        assert_eq!(outputs[format!("web_acl_arn_{}", region.replace('-', "_"))], acl.arn());
        assert!(acl.default_action().unwrap().allow().is_some());
        let visibility = acl.visibility_config().unwrap();
        assert!(visibility.cloud_watch_metrics_enabled() && visibility.sampled_requests_enabled());

        let mut managed = BTreeSet::new();
        let mut rates = Vec::new();
        for rule in acl.rules() {
            let statement = rule.statement().unwrap();
            if let Some(group) = statement.managed_rule_group_statement() {
                assert_eq!(group.vendor_name(), "AWS");
                assert!(rule.override_action().unwrap().none().is_some(), "{} blocks", rule.name());
                managed.insert(group.name());
            }
            if let Some(rate) = statement.rate_based_statement() {
                assert!(rule.action().unwrap().block().is_some(), "{} blocks", rule.name());
                assert_eq!(rate.aggregate_key_type(), &RateBasedStatementAggregateKeyType::Ip);
                rates.push((rate.limit(), rate.evaluation_window_sec()));
            }
            assert!(rule.visibility_config().unwrap().cloud_watch_metrics_enabled(), "{}", rule.name());
        }
        let groups = [
            "AWSManagedRulesAmazonIpReputationList",
            "AWSManagedRulesCommonRuleSet",
            "AWSManagedRulesKnownBadInputsRuleSet",
            "AWSManagedRulesSQLiRuleSet",
        ];
        assert_eq!(managed, BTreeSet::from(groups), "{region}");
        assert_eq!(rates, [(2_000, 300)], "{region}");
        let priorities: BTreeSet<_> = acl.rules().iter().map(aws_sdk_wafv2::types::Rule::priority).collect();
        assert_eq!(priorities.len(), acl.rules().len(), "different priorities");
    }
}

/// only the load balancer's security group allows traffic from the internet, on two ports, and only the load
/// balancer uses it; it only allows egress to the service.
#[tokio::test(flavor = "multi_thread")]
async fn x05_only_the_load_balancer_is_public() {
    let bench = migration().await;
    for (region, own, _) in SIDES {
        let balancer = balancer(bench, region).await;
        assert_eq!(balancer.security_groups().len(), 1, "{balancer:?}");
        let worn = &balancer.security_groups()[0];
        let network = vpc(bench, region).await;
        let groups =
            bench.ec2(region).describe_security_groups().filters(filter("vpc-id", &network)).send().await.unwrap();
        for group in groups.security_groups() {
            let open = group.ip_permissions().iter().filter(|rule| {
                rule.ip_ranges().iter().any(|range| range.cidr_ip() == Some("0.0.0.0/0"))
                    || !rule.ipv6_ranges().is_empty()
            });
            let ports: BTreeSet<_> = open.map(|rule| (rule.ip_protocol(), rule.from_port(), rule.to_port())).collect();
            let web = |port| (Some("tcp"), Some(port), Some(port));
            let is_worn = group.group_id() == Some(worn);
            let expected = if is_worn { BTreeSet::from([web(80), web(443)]) } else { BTreeSet::new() };
            assert_eq!(ports, expected, "{group:?}");
            if is_worn {
                assert_eq!(group.ip_permissions_egress().len(), 1, "{group:?}");
                let out = &group.ip_permissions_egress()[0];
                assert_eq!((out.from_port(), out.to_port()), (Some(8080), Some(8080)));
                let ranges: Vec<_> = out.ip_ranges().iter().filter_map(|range| range.cidr_ip()).collect();
                assert_eq!(ranges, [own]);
            }
        }
        let wearing = bench.ec2(region).describe_network_interfaces().filters(filter("group-id", worn)).send().await;
        assert!(wearing.unwrap().network_interfaces().is_empty(), "nothing else uses {worn}");
    }
}
