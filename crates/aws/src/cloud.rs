//! Implements the engine's interface for all kinds.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use payinfra_engine::{
    Catalog, Cloud, Error, Expected, Facts, Guard, Kind, Lane, Metric, Region, Result, Seen, Site, Spec,
};
use serde_json::Value;

use crate::client::{Access, Cx};
use crate::limit;

/// The kinds of all services, sorted within each service.
pub const KINDS: &[&[&dyn Kind<Cx>]] = &[
    crate::acm::KINDS,
    crate::apigateway::KINDS,
    crate::apigatewayv2::KINDS,
    crate::application_autoscaling::KINDS,
    crate::cloudtrail::KINDS,
    crate::cloudwatch::KINDS,
    crate::dynamodb::KINDS,
    crate::ec2::KINDS,
    crate::ecs::KINDS,
    crate::elbv2::KINDS,
    crate::eventbridge::KINDS,
    crate::iam::KINDS,
    crate::kms::KINDS,
    crate::lambda::KINDS,
    crate::logs::KINDS,
    crate::payinfra::KINDS,
    crate::rds::KINDS,
    crate::route53::KINDS,
    crate::s3::KINDS,
    crate::secretsmanager::KINDS,
    crate::sns::KINDS,
    crate::ssm::KINDS,
    crate::wafv2::KINDS,
];

/// One AWS account.
#[derive(Clone)]
pub struct Aws {
    access: Access,
    kinds: BTreeMap<&'static str, &'static dyn Kind<Cx>>,
}

/// All kinds by name.
#[must_use]
pub fn catalog() -> Catalog {
    Catalog::new(KINDS.iter().copied().flatten().map(|kind| *kind as &dyn Facts))
}

impl Aws {
    /// AWS through `access`.
    #[must_use]
    pub fn new(access: Access) -> Self {
        let kinds = KINDS.iter().copied().flatten().map(|kind| (kind.spec().kind, *kind)).collect();
        Self { access, kinds }
    }

    pub(crate) fn cx(&self, region: &Region) -> Cx {
        self.access.cx(region)
    }

    fn kind(&self, name: &str) -> Result<&'static dyn Kind<Cx>> {
        self.kinds.get(name).copied().ok_or_else(|| {
            Error::invalid(format!("unknown kind `{name}`"))
                .hint("a newer version of payinfra may support it; use that version")
        })
    }
}

impl Cloud for Aws {
    fn spec(&self, kind: &str) -> Option<Spec> {
        self.kinds.get(kind).map(|kind| kind.spec())
    }

    fn expected(&self, kind: &str, args: &Value) -> Expected {
        self.kinds.get(kind).map_or_else(Expected::default, |kind| kind.expected(args))
    }

    fn lane(&self, region: &Region, kind: &str) -> Lane {
        limit::lane(region, kind)
    }

    fn losses(&self, kind: &str, args: &Value, live: &Value) -> Vec<String> {
        self.kinds.get(kind).map(|kind| kind.losses(args, live)).unwrap_or_default()
    }

    fn refused(&self, kind: &str, args: &Value, live: &Value) -> Vec<String> {
        self.kinds.get(kind).map(|kind| kind.refused(args, live)).unwrap_or_default()
    }

    fn normal(&self, kind: &str, args: &Value) -> Result<Value> {
        self.kind(kind)?.normal(args)
    }

    fn create<'a>(&'a self, site: &'a Site, args: &'a Value) -> BoxFuture<'a, Result<String>> {
        async move {
            let cx = self.access.cx(&site.address.region).at(site);
            self.kind(&site.address.kind)?.create(&cx, args).await
        }
        .boxed()
    }

    fn recover<'a>(&'a self, site: &'a Site, args: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        async move {
            let cx = self.access.cx(&site.address.region).at(site);
            self.kind(&site.address.kind)?.recover(&cx, args, &site.owner).await
        }
        .boxed()
    }

    fn read<'a>(&'a self, region: &'a Region, kind: &'a str, ids: &'a [String]) -> BoxFuture<'a, Result<Vec<Seen>>> {
        async move {
            let mut seen = self.kind(kind)?.read(&self.access.cx(region), ids).await?;
            // So that nothing compares them, and no update removes them.
            for seen in &mut seen {
                self.access.ignored_tags().remove_from(&mut seen.args);
            }
            Ok(seen)
        }
        .boxed()
    }

    fn update<'a>(&'a self, site: &'a Site, args: &'a Value, live: &'a Seen) -> BoxFuture<'a, Result<()>> {
        async move {
            let cx = self.access.cx(&site.address.region).at(site);
            self.kind(&site.address.kind)?.update(&cx, args, live).await
        }
        .boxed()
    }

    fn delete<'a>(&'a self, site: &'a Site, live: &'a Seen) -> BoxFuture<'a, Result<()>> {
        async move {
            let cx = self.access.cx(&site.address.region).at(site);
            self.kind(&site.address.kind)?.delete(&cx, live).await
        }
        .boxed()
    }

    fn restore<'a>(&'a self, site: &'a Site, live: &'a Seen) -> BoxFuture<'a, Result<()>> {
        async move {
            let cx = self.access.cx(&site.address.region).at(site);
            self.kind(&site.address.kind)?.restore(&cx, live).await
        }
        .boxed()
    }

    fn contents<'a>(
        &'a self,
        region: &'a Region,
        kind: &'a str,
        live: &'a Seen,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        async move { self.kind(kind)?.contents(&self.access.cx(region), live).await }.boxed()
    }

    fn absent<'a>(&'a self, region: &'a Region, kind: &'a str, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        async move { self.kind(kind)?.absent(&self.access.cx(region), id).await }.boxed()
    }

    fn guard(&self, guard: Guard) {
        self.access.guard(guard);
    }

    fn find<'a>(&'a self, region: &'a Region, kind: &'a str, args: &'a Value) -> BoxFuture<'a, Result<Value>> {
        async move { self.kind(kind)?.find(&self.access.cx(region), args).await }.boxed()
    }

    fn publish<'a>(&'a self, metric: &'a Metric) -> BoxFuture<'a, Result<()>> {
        async move { crate::cloudwatch::publish(&self.access.cx(&metric.region), metric).await }.boxed()
    }
}
