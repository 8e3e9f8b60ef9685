//! The simulated cloud from the engine's point of view.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use payinfra_engine::{Catalog, Cloud, Error, Expected, Guard, Kind, Lane, Metric, Region, Result, Seen, Site, Spec};
use serde_json::Value;

use crate::cx::Cx;
use crate::faults::Operation;
use crate::kinds::KINDS;
use crate::limits::lane;
use crate::models::{MODELS, model};
use crate::simulated::Simulated;
use crate::world::World;

/// The kinds of a simulated cloud by name.
pub(crate) type Kinds = Arc<BTreeMap<&'static str, Known>>;

/// A kind of a simulated cloud.
pub(crate) enum Known {
    /// One that is made for it.
    Own(&'static dyn Kind<Cx>),
    /// One of another cloud.
    Simulated(Simulated),
}

impl Known {
    fn kind(&self) -> &dyn Kind<Cx> {
        match self {
            Self::Own(kind) => *kind,
            Self::Simulated(kind) => kind,
        }
    }
}

/// The kinds that are made for the simulated cloud.
pub(crate) fn own() -> Kinds {
    Arc::new(KINDS.iter().map(|kind| (kind.spec().kind, Known::Own(*kind))).collect())
}

/// The kinds of shapes.
pub(crate) fn models() -> Kinds {
    Arc::new(MODELS.iter().map(|model| (model.name, Known::Own(model.kind))).collect())
}

/// The kinds of `catalog`, simulated.
pub(crate) fn simulated(catalog: &Catalog) -> Kinds {
    Arc::new(catalog.iter().map(|(name, facts)| (name, Known::Simulated(Simulated::new(facts)))).collect())
}

/// One client's view of a [`World`]; implements the engine's cloud.
pub struct FakeCloud {
    world: Arc<World>,
    life: usize,
    kinds: Kinds,
    guard: Mutex<Option<Guard>>,
    forgetful: bool,
}

impl FakeCloud {
    /// A new client. Pending calls of earlier clients are never answered.
    #[must_use]
    pub fn new(world: &Arc<World>) -> Self {
        Self::of(world, &own())
    }

    /// The same, with these kinds.
    pub(crate) fn of(world: &Arc<World>, kinds: &Kinds) -> Self {
        let (kinds, life) = (kinds.clone(), world.reborn());
        Self { world: Arc::clone(world), life, kinds, guard: Mutex::default(), forgetful: false }
    }

    /// A client whose `recover` never finds anything, to check that the tests notice this.
    #[must_use]
    pub fn forgetful(mut self) -> Self {
        self.forgetful = true;
        self
    }

    /// The client that makes the calls.
    #[must_use]
    pub fn life(&self) -> usize {
        self.life
    }

    fn kind(&self, name: &str) -> Result<&dyn Kind<Cx>> {
        let kind = self.kinds.get(name).map(Known::kind);
        kind.ok_or_else(|| Error::invalid(format!("unknown kind `{name}`")))
    }

    fn cx(&self, region: &Region, site: Option<&Site>) -> Cx {
        Cx { world: Arc::clone(&self.world), region: region.clone(), site: site.cloned() }
    }

    /// One call: it is sent, takes effect, and its response arrives, unless there is a fault.
    async fn call<T>(
        &self,
        operation: Operation,
        kind: &str,
        region: &Region,
        subject: &str,
        effect: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        if operation.mutates() {
            let guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner).clone();
            guard.map_or(Ok(()), |guard| guard())?;
        }
        let rate = model(kind).map(|model| (model.limits, region));
        let ticket = self.world.depart(self.life, operation, kind, rate, subject).await?;
        let answer = effect.await;
        self.world.arrive(ticket, answer).await
    }
}

impl Cloud for FakeCloud {
    fn spec(&self, kind: &str) -> Option<Spec> {
        self.kinds.get(kind).map(|kind| kind.kind().spec())
    }

    fn expected(&self, kind: &str, args: &Value) -> Expected {
        self.kinds.get(kind).map_or_else(Expected::default, |kind| kind.kind().expected(args))
    }

    fn lane(&self, region: &Region, kind: &str) -> Lane {
        match model(kind) {
            Some(model) => lane(&model.limits, region, kind),
            None => Lane::of_service(region, kind),
        }
    }

    fn losses(&self, kind: &str, args: &Value, live: &Value) -> Vec<String> {
        self.kinds.get(kind).map(|kind| kind.kind().losses(args, live)).unwrap_or_default()
    }

    fn refused(&self, kind: &str, args: &Value, live: &Value) -> Vec<String> {
        self.kinds.get(kind).map(|kind| kind.kind().refused(args, live)).unwrap_or_default()
    }

    fn normal(&self, kind: &str, args: &Value) -> Result<Value> {
        self.kind(kind)?.normal(args)
    }

    fn create<'a>(&'a self, site: &'a Site, args: &'a Value) -> BoxFuture<'a, Result<String>> {
        async move {
            let (kind, cx) = (&site.address.kind, self.cx(&site.address.region, Some(site)));
            let effect = self.kind(kind)?.create(&cx, args);
            self.call(Operation::Create, kind, &site.address.region, &site.address.to_string(), effect).await
        }
        .boxed()
    }

    fn recover<'a>(&'a self, site: &'a Site, args: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        async move {
            let (kind, cx) = (&site.address.kind, self.cx(&site.address.region, Some(site)));
            let effect = self.kind(kind)?.recover(&cx, args, &site.owner);
            let found =
                self.call(Operation::Recover, kind, &site.address.region, &site.address.to_string(), effect).await?;
            Ok(found.filter(|_| !self.forgetful))
        }
        .boxed()
    }

    fn read<'a>(&'a self, region: &'a Region, kind: &'a str, ids: &'a [String]) -> BoxFuture<'a, Result<Vec<Seen>>> {
        async move {
            let cx = self.cx(region, None);
            let effect = self.kind(kind)?.read(&cx, ids);
            self.call(Operation::Read, kind, region, &ids.join(" "), effect).await
        }
        .boxed()
    }

    fn update<'a>(&'a self, site: &'a Site, args: &'a Value, live: &'a Seen) -> BoxFuture<'a, Result<()>> {
        async move {
            let (kind, cx) = (&site.address.kind, self.cx(&site.address.region, Some(site)));
            let effect = self.kind(kind)?.update(&cx, args, live);
            self.call(Operation::Update, kind, &site.address.region, &site.address.to_string(), effect).await
        }
        .boxed()
    }

    fn delete<'a>(&'a self, site: &'a Site, live: &'a Seen) -> BoxFuture<'a, Result<()>> {
        async move {
            let (kind, cx) = (&site.address.kind, self.cx(&site.address.region, Some(site)));
            let effect = self.kind(kind)?.delete(&cx, live);
            self.call(Operation::Delete, kind, &site.address.region, &site.address.to_string(), effect).await
        }
        .boxed()
    }

    fn restore<'a>(&'a self, site: &'a Site, live: &'a Seen) -> BoxFuture<'a, Result<()>> {
        async move {
            let (kind, cx) = (&site.address.kind, self.cx(&site.address.region, Some(site)));
            let effect = self.kind(kind)?.restore(&cx, live);
            self.call(Operation::Restore, kind, &site.address.region, &site.address.to_string(), effect).await
        }
        .boxed()
    }

    fn absent<'a>(&'a self, region: &'a Region, kind: &'a str, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        async move {
            let cx = self.cx(region, None);
            let effect = self.kind(kind)?.absent(&cx, id);
            self.call(Operation::Absent, kind, region, id, effect).await
        }
        .boxed()
    }

    fn guard(&self, guard: Guard) {
        *self.guard.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
    }

    fn find<'a>(&'a self, region: &'a Region, kind: &'a str, args: &'a Value) -> BoxFuture<'a, Result<Value>> {
        async move {
            let cx = self.cx(region, None);
            let effect = self.kind(kind)?.find(&cx, args);
            self.call(Operation::Find, kind, region, &args.to_string(), effect).await
        }
        .boxed()
    }

    fn publish<'a>(&'a self, metric: &'a Metric) -> BoxFuture<'a, Result<()>> {
        async move {
            let effect = async {
                self.world.publish(metric);
                Ok(())
            };
            self.call(Operation::Publish, &metric.namespace, &Region::global(), &metric.name, effect).await
        }
        .boxed()
    }
}
