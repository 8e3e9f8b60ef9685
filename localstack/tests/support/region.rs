//! A region with a load balancer in front of ECS services: the parts that requests go through.

use payinfra_localstack::ACCOUNT_ID;
use serde_json::{Value, json};

use super::{Answer, Aws};

/// Seconds between the health checks of a target.
pub(crate) const INTERVAL: u32 = 10;

/// A region with two target groups, a listener that forwards to the first, and a cluster.
pub(crate) struct Region<'a> {
    aws: &'a Aws,
    pub(crate) name: &'static str,
    subnets: Vec<String>,
    pub(crate) balancer: String,
    pub(crate) host: String,
    zone: String,
    pub(crate) blue: String,
    pub(crate) green: String,
    pub(crate) listener: String,
}

impl<'a> Region<'a> {
    pub(crate) async fn new(aws: &'a Aws, name: &'static str) -> Self {
        let text = |answer: &Answer, element: &str| answer.value(element).expect(element).to_owned();
        let ec2 = async |form: &str| aws.form("ec2", name, form).await.expect("a response");
        let vpc = text(&ec2("Action=CreateVpc&CidrBlock=10.60.0.0/16").await, "vpcId");
        let mut subnets = Vec::new();
        for (index, zone) in [(1, "a"), (2, "b")] {
            let block = format!("CidrBlock=10.60.{index}.0/24&AvailabilityZone={name}{zone}");
            subnets.push(text(&ec2(&format!("Action=CreateSubnet&VpcId={vpc}&{block}")).await, "subnetId"));
        }
        let mut region = Self {
            aws,
            name,
            subnets,
            balancer: String::new(),
            host: String::new(),
            zone: String::new(),
            blue: String::new(),
            green: String::new(),
            listener: String::new(),
        };
        let subnets = format!("&Subnets.member.1={}&Subnets.member.2={}", region.subnets[0], region.subnets[1]);
        let created = region.elb(&format!("CreateLoadBalancer&Name=edge&Scheme=internal{subnets}")).await;
        region.balancer = text(&created, "LoadBalancerArn");
        region.host = text(&created, "DNSName");
        region.zone = text(&created, "CanonicalHostedZoneId");
        let group = async |name: &str| {
            let form = format!(
                "CreateTargetGroup&Name={name}&Protocol=HTTP&Port=80&VpcId={vpc}&TargetType=ip\
                 &HealthCheckIntervalSeconds={INTERVAL}&HealthCheckTimeoutSeconds=5"
            );
            text(&region.elb(&form).await, "TargetGroupArn")
        };
        let (blue, green) = (group("blue").await, group("green").await);
        (region.blue, region.green) = (blue, green);
        let listener = format!(
            "CreateListener&LoadBalancerArn={}&Protocol=HTTP&Port=80{}",
            region.balancer,
            region.forward("DefaultActions", 1, 0)
        );
        region.listener = text(&region.elb(&listener).await, "ListenerArn");
        region.ecs("CreateCluster", &json!({ "clusterName": "cluster" })).await;
        region
    }

    pub(crate) async fn elb(&self, form: &str) -> Answer {
        let form = format!("Action={form}&Version=2015-12-01");
        self.aws.form("elasticloadbalancing", self.name, &form).await.expect("a response")
    }

    pub(crate) async fn ecs(&self, action: &str, body: &Value) -> Value {
        let target = format!("AmazonEC2ContainerServiceV20141113.{action}");
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target.as_str())];
        let answer = self.aws.send("ecs", self.name, "POST", "/", &headers, &body.to_string()).await;
        serde_json::from_str(&answer.expect("a response").body).expect("JSON")
    }

    /// The form parameters of an action that forwards with these weights.
    pub(crate) fn forward(&self, member: &str, blue: u32, green: u32) -> String {
        let prefix = format!("{member}.member.1");
        let group = |index: u32, arn: &str, weight: u32| {
            let group = format!("{prefix}.ForwardConfig.TargetGroups.member.{index}");
            format!("&{group}.TargetGroupArn={arn}&{group}.Weight={weight}")
        };
        format!("&{prefix}.Type=forward{}{}", group(1, &self.blue, blue), group(2, &self.green, green))
    }

    /// Changes the weights of the listener.
    pub(crate) async fn shift(&self, blue: u32, green: u32) -> Answer {
        let weights = self.forward("DefaultActions", blue, green);
        self.elb(&format!("ModifyListener&ListenerArn={}{weights}", self.listener)).await
    }

    /// Registers a task definition with an image, and returns its ARN.
    pub(crate) async fn definition(&self, image: &str) -> Value {
        let container = json!({ "name": "app", "image": image, "memory": 64 });
        let body = json!({ "family": "app", "networkMode": "awsvpc", "containerDefinitions": [container] });
        self.ecs("RegisterTaskDefinition", &body).await["taskDefinition"]["taskDefinitionArn"].clone()
    }

    /// Creates a service with a circuit breaker, whose tasks are targets of a group.
    pub(crate) async fn serve(&self, service: &str, group: &str, image: &str, count: u32) -> Value {
        let body = json!({
            "cluster": "cluster",
            "serviceName": service,
            "taskDefinition": self.definition(image).await,
            "desiredCount": count,
            "launchType": "FARGATE",
            "networkConfiguration": { "awsvpcConfiguration": { "subnets": self.subnets, "securityGroups": [] } },
            "loadBalancers": [{ "targetGroupArn": group, "containerName": "app", "containerPort": 80 }],
            "deploymentConfiguration": { "deploymentCircuitBreaker": { "enable": true, "rollback": true } },
        });
        self.ecs("CreateService", &body).await["service"].clone()
    }

    /// Updates members of a service.
    pub(crate) async fn update(&self, service: &str, mut members: Value) -> Value {
        members["cluster"] = "cluster".into();
        members["service"] = service.into();
        self.ecs("UpdateService", &members).await["service"].clone()
    }

    pub(crate) async fn describe(&self, service: &str) -> Value {
        let body = json!({ "cluster": "cluster", "services": [service] });
        self.ecs("DescribeServices", &body).await["services"][0].clone()
    }

    /// The states of a group's targets, sorted.
    pub(crate) async fn states(&self, group: &str) -> Vec<String> {
        let described = self.elb(&format!("DescribeTargetHealth&TargetGroupArn={group}")).await;
        let states = described.body.split("<State>").skip(1).map(|rest| rest.split('<').next().unwrap_or_default());
        let mut states: Vec<_> = states.map(str::to_owned).collect();
        states.sort();
        states
    }

    /// Creates a Route 53 health check of the load balancer, and returns its id.
    pub(crate) async fn health_check(&self) -> String {
        let body = format!(
            "<CreateHealthCheckRequest><CallerReference>{}</CallerReference><HealthCheckConfig><Port>80</Port>\
             <Type>HTTP</Type><ResourcePath>/</ResourcePath><FullyQualifiedDomainName>{}</FullyQualifiedDomainName>\
             </HealthCheckConfig></CreateHealthCheckRequest>",
            self.name, self.host
        );
        let created = self.aws.route53("POST", "/healthcheck", &body).await;
        created.value("Id").expect("an id").to_owned()
    }

    /// A change of the weighted record for this region, as XML.
    pub(crate) fn record(&self, action: &str, name: &str, weight: u32, check: Option<&str>, evaluate: bool) -> String {
        let check = check.map_or_else(String::new, |id| format!("<HealthCheckId>{id}</HealthCheckId>"));
        format!(
            "<Change><Action>{action}</Action><ResourceRecordSet><Name>{name}</Name><Type>A</Type>\
             <SetIdentifier>{}</SetIdentifier><Weight>{weight}</Weight>{check}<AliasTarget><HostedZoneId>{}\
             </HostedZoneId><DNSName>{}</DNSName><EvaluateTargetHealth>{evaluate}</EvaluateTargetHealth></AliasTarget>\
             </ResourceRecordSet></Change>",
            self.name, self.zone, self.host
        )
    }
}

impl Aws {
    /// A Route 53 call, and its response.
    pub(crate) async fn route53(&self, method: &str, path: &str, body: &str) -> Answer {
        let path = format!("/2013-04-01{path}");
        self.send("route53", "us-east-1", method, &path, &[], body).await.expect("a response")
    }

    /// Creates the zone `example.com`, and returns its id.
    pub(crate) async fn zone(&self) -> String {
        let body = "<CreateHostedZoneRequest><Name>example.com</Name><CallerReference>1</CallerReference>\
                    </CreateHostedZoneRequest>";
        let created = self.route53("POST", "/hostedzone", body).await;
        created.value("Id").expect("an id").trim_start_matches("/hostedzone/").to_owned()
    }

    /// Changes records in one batch.
    pub(crate) async fn change_records(&self, zone: &str, changes: &[String]) -> Answer {
        let body = format!(
            "<ChangeResourceRecordSetsRequest><ChangeBatch><Changes>{}</Changes></ChangeBatch>\
             </ChangeResourceRecordSetsRequest>",
            changes.concat()
        );
        self.route53("POST", &format!("/hostedzone/{zone}/rrset"), &body).await
    }

    /// The statuses that the health checkers report, without repetition.
    pub(crate) async fn health(&self, check: &str) -> Vec<String> {
        let status = self.route53("GET", &format!("/healthcheck/{check}/status"), "").await;
        let reports = status.body.split("<Status>").skip(1).map(|rest| rest.split(':').next().unwrap_or_default());
        let mut reports: Vec<_> = reports.map(str::to_owned).collect();
        reports.dedup();
        reports
    }

    /// An RDS call in a region, and its response.
    pub(crate) async fn rds(&self, region: &str, form: &str) -> Answer {
        self.form("rds", region, &format!("Action={form}&Version=2014-10-31")).await.expect("a response")
    }

    /// Creates a global database with a cluster and an instance in each region, the first one the primary. Clusters are
    /// called like their region.
    pub(crate) async fn global_database(&self, regions: &[&str]) {
        let (global, engine) = ("GlobalClusterIdentifier=world", "Engine=aurora-postgresql&EngineVersion=16.6");
        self.rds(regions[0], &format!("CreateGlobalCluster&{global}&{engine}")).await;
        for (index, region) in regions.iter().enumerate() {
            let user = if index == 0 { "&MasterUsername=main&MasterUserPassword=password" } else { "" };
            let cluster = format!("DBClusterIdentifier={region}");
            self.rds(region, &format!("CreateDBCluster&{cluster}&{global}&{engine}{user}")).await;
            let instance = format!("DBInstanceIdentifier={region}-1&DBInstanceClass=db.r6g.large");
            self.rds(region, &format!("CreateDBInstance&{instance}&{cluster}&Engine=aurora-postgresql")).await;
        }
    }
}

/// The ARN of a cluster of [`Aws::global_database`].
pub(crate) fn cluster(region: &str) -> String {
    format!("arn:aws:rds:{region}:{ACCOUNT_ID}:cluster:{region}")
}
