//! Kinds with AWS's usual durations and limits, but without arguments of their own, for graphs of any shape.

use std::collections::BTreeSet;

use payinfra_engine::{
    Error, Expected, Fields, Graph, Id, Kind, Live, Owner, Ref, Region, Resource, Result, Tags, fields, kind,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cx::Cx;
use crate::kinds::{By, Facts, Made, create, json, read, recover};
use crate::limits::{Limit, Limits};

/// A kind for graphs of any shape.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static dyn Kind<Cx>,
    pub(crate) limits: Limits,
    /// Declares one.
    pub(crate) add: fn(&mut Graph, &Region, &str, References) -> Result<Ref<String>>,
}

/// What a resource refers to.
#[derive(Clone, Debug, Default)]
pub(crate) struct References {
    pub(crate) parents: BTreeSet<Ref<String>>,
    pub(crate) early: BTreeSet<Ref<String>>,
}

/// A bucket for the operation.
const fn own(burst: f64, rate: f64) -> Limit {
    Limit { own: true, burst, rate }
}

/// A bucket for the service.
const fn shared(burst: f64, rate: f64) -> Limit {
    Limit { own: false, burst, rate }
}

const fn limits(create: Limit, change: Limit, read: Limit, batch: bool) -> Limits {
    Limits { create, change, read, one: false, batch }
}

/// One bucket for all calls.
const fn one(limit: Limit, batch: bool) -> Limits {
    Limits { create: limit, change: limit, read: limit, one: true, batch }
}

const EC2: Limits = limits(own(50.0, 5.0), own(50.0, 5.0), own(100.0, 20.0), true);
const ELB: Limits = limits(shared(20.0, 3.0), shared(20.0, 3.0), shared(40.0, 10.0), true);

macro_rules! models {
    ($($type:ident = $name:literal, takes $create:literal $delete:literal, $limits:expr;)*) => {
        $(
            #[doc = concat!("A model of `", $name, "`.")]
            #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
            #[serde(deny_unknown_fields)]
            pub(crate) struct $type {
                /// What has to be ready before.
                parents: BTreeSet<Ref<String>>,
                /// What only has to exist.
                early: BTreeSet<Ref<String>>,
                tags: Tags,
            }

            impl $type {
                const FACTS: Facts = Facts {
                    kind: $name,
                    by: By::Tags,
                    replace: fields!(Self: parents, early),
                    early: fields!(Self: early),
                    holds: fields!(Self: parents, early),
                    later: &[],
                    expected: Expected::millis($create, $delete),
                };
            }

            impl Resource for $type {
                type Cx = Cx;
                const KIND: &'static str = $name;
                const REPLACE: Fields = Self::FACTS.replace;
                const EARLY: Fields = Self::FACTS.early;
                const EXPECTED: Expected = Self::FACTS.expected;
                const TIMEOUT: std::time::Duration = std::time::Duration::from_hours(2);
                type Outputs = Made;

                fn tags(&mut self) -> Option<&mut Tags> {
                    Some(&mut self.tags)
                }

                async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
                    create(&Self::FACTS, cx, &json(self)?).map(Id::new)
                }

                async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
                    Ok(recover(&Self::FACTS, cx, &json(self)?, owner)?.map(Id::new))
                }

                async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
                    read(cx, ids)
                }

                async fn update(&self, _: &Cx, live: &Live<Self>) -> Result<()> {
                    Err(Error::failed(format!("{} has nothing to update", live.id)))
                }

                async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
                    cx.world.delete(live.id.as_str())
                }
            }
        )*

        /// All of them, sorted.
        pub(crate) const MODELS: &[Model] = &[$(Model {
            name: $name,
            kind: kind::<$type>(),
            limits: $limits,
            add: |graph, region, name, References { parents, early }| {
                Ok(graph.add(region, name, $type { parents, early, tags: Tags::new() })?.id.into())
            },
        }),*];
    };
}

models! {
    Certificate = "acm.certificate", takes 150_000 500, limits(own(5.0, 5.0), own(10.0, 10.0), own(10.0, 10.0), false);
    Alarm = "cloudwatch.alarm", takes 300 300, limits(own(3.0, 3.0), own(3.0, 3.0), own(9.0, 9.0), true);
    Table = "dynamodb.table", takes 8_000 8_000, limits(own(20.0, 10.0), own(20.0, 10.0), own(20.0, 10.0), false);
    Eip = "ec2.eip", takes 500 500, EC2;
    Gateway = "ec2.internet-gateway", takes 1_000 2_000, EC2;
    Nat = "ec2.nat-gateway", takes 105_000 60_000, limits(own(10.0, 1.0), own(10.0, 1.0), EC2.read, true);
    Route = "ec2.route", takes 500 500, EC2;
    RouteTable = "ec2.route-table", takes 1_000 1_000, EC2;
    SecurityGroup = "ec2.security-group", takes 1_000 1_000, EC2;
    Subnet = "ec2.subnet", takes 1_500 1_500, EC2;
    Attachment = "ec2.transit-gateway-attachment", takes 75_000 75_000, EC2;
    TransitGateway = "ec2.transit-gateway", takes 120_000 90_000, EC2;
    Endpoint = "ec2.vpc-endpoint", takes 75_000 120_000, limits(own(4.0, 0.3), EC2.change, EC2.read, true);
    Vpc = "ec2.vpc", takes 2_000 1_000, EC2;
    Service = "ecs.service", takes 90_000 60_000, limits(shared(50.0, 5.0), shared(50.0, 5.0), shared(100.0, 20.0), true);
    Listener = "elbv2.listener", takes 500 500, ELB;
    Balancer = "elbv2.load-balancer", takes 120_000 5_000, Limits { create: own(10.0, 0.2), ..ELB };
    TargetGroup = "elbv2.target-group", takes 500 500, ELB;
    Role = "iam.role", takes 700 500, limits(shared(10.0, 10.0), shared(10.0, 10.0), shared(20.0, 20.0), false);
    Alias = "kms.alias", takes 1_000 300, limits(own(5.0, 5.0), own(15.0, 15.0), own(500.0, 500.0), true);
    Key = "kms.key", takes 2_000 300, limits(own(5.0, 5.0), own(15.0, 15.0), own(500.0, 500.0), false);
    Function = "lambda.function", takes 4_000 1_000, limits(shared(15.0, 15.0), shared(15.0, 15.0), own(100.0, 100.0), false);
    LogGroup = "logs.log-group", takes 300 300, limits(own(5.0, 5.0), own(5.0, 5.0), own(5.0, 5.0), true);
    Cluster = "rds.cluster", takes 60_000 75_000, one(shared(5.0, 5.0), true);
    Instance = "rds.instance", takes 360_000 240_000, one(shared(5.0, 5.0), true);
    Record = "route53.record", takes 35_000 35_000, one(shared(5.0, 5.0), true);
    Bucket = "s3.bucket", takes 1_200 500, one(shared(100.0, 100.0), false);
    Password = "secretsmanager.secret", takes 300 300, one(shared(50.0, 50.0), false);
    Topic = "sns.topic", takes 300 300, limits(own(30.0, 30.0), own(30.0, 30.0), own(30.0, 30.0), false);
    Parameter = "ssm.parameter", takes 300 300, limits(own(3.0, 3.0), own(40.0, 40.0), own(40.0, 40.0), true);
}

/// The model of `kind`.
pub(crate) fn model(kind: &str) -> Option<&'static Model> {
    MODELS.iter().find(|model| model.name == kind)
}
