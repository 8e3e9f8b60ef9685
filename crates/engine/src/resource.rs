//! The traits of kinds, [`Resource`] and [`Lookup`], and their type-erased counterpart for the engine.

use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryFutureExt};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cloud::{Expected, Identity, Seen, Spec, Status};
use crate::error::{Error, Result};
use crate::reference::Id;
use crate::schema::Schemas;
use crate::secret::concealed;
use crate::tags::{Owner, Tags};

/// Names of fields, written with [`crate::fields!`] so that the compiler checks them.
pub type Fields = &'static [&'static str];

/// A kind of resource. The implementing struct holds the arguments of one resource.
///
/// A field that is `None` is unmanaged: neither compared nor changed. When a managed value becomes `None`, `update`
/// sees `Some` in `live` and sends the explicit reset value (AWS-FACTS §6.2). For fields that were never managed it
/// sees `None` in `live` as well, so `self.x != live.args.x` is always the right comparison.
pub trait Resource: Serialize + DeserializeOwned + JsonSchema + Send + Sync + Sized + 'static {
    /// What calls need: clients, region, token.
    type Cx: Send + Sync;
    /// The name in addresses, state and plans: `ec2.subnet`.
    const KIND: &'static str;
    /// Fields that cannot be updated in place.
    const REPLACE: Fields;
    /// Fields whose referenced resource only has to exist, not be ready (a route's NAT gateway may still be pending).
    const EARLY: Fields = &[];
    /// Fields that are updated in place, but whose old referenced resource cannot be deleted before: if that resource
    /// is replaced, so is this one.
    const HOLDS: Fields = &[];
    /// Fields whose entries serve the dependents: the copies of a table in other regions. An update that removes an entry
    /// starts only after the deletes of dependents, which may use it until then.
    const SERVES: Fields = &[];
    /// Fields whose referenced resources must be in the same network as this one. Each field can be updated, but if the
    /// resources move to another network, this one is replaced (AWS refuses a subnet group in two VPCs).
    const NETWORK: Fields = &[];
    /// How a resource is identified as ours. Kinds without tags must declare it.
    const IDENTITY: Identity = Identity::Tags;
    /// Fields that identify a resource of this kind within its region in AWS: no two can have the same values. One that is
    /// declared at another address than it is recorded at is then moved in the state, instead of deleted and created again.
    const KEY: Fields = &[];
    /// Fields with a version that AWS raises by itself. A higher one with the same major version (the part before the first
    /// dot) is as good as the declared one: it is no drift, and is never lowered.
    const AT_LEAST: Fields = &[];
    /// Whether it keeps data that is lost when it is deleted: databases, buckets, keys, tables, secrets. Such resources
    /// are protected, and are never replaced because of drift.
    const KEEPS_DATA: bool = false;
    /// The field for AWS's own deletion protection, a `bool` or an `Option<bool>`. It is disabled right before a delete
    /// that the plan allows.
    const SHIELD: Option<&'static str> = None;
    /// Whether a read sees a created resource immediately. If so, a missing resource was lost, and is created again
    /// without waiting for it to become visible.
    const CONSISTENT: bool = false;
    /// Whether it becomes ready only through dependents that refer to it in their [`EARLY`](Self::EARLY) fields: a
    /// certificate through its validation record. If one of those fails, the engine stops waiting for it.
    const COMPLETED_BY_DEPENDENTS: bool = false;
    /// The maximum number of tags.
    const MOST_TAGS: usize = 50;
    /// Whether a replacement can be created before the old resource is deleted; not if a name or a CIDR block must be
    /// unique.
    const CREATE_FIRST: bool = false;
    /// The maximum number of ids per `read`.
    const BATCH: usize = 100;
    /// How long to wait until it is ready or gone.
    const TIMEOUT: Duration = Duration::from_mins(5);
    /// How long operations usually take (AWS-FACTS §5): the scheduler starts the longest path first.
    const EXPECTED: Expected = Expected::millis(1_000, 1_000);
    /// The outputs besides the id: a struct of [`crate::Ref`]s, or `()`.
    type Outputs: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static;

    /// How long operations on this resource usually take, if that depends on its arguments.
    fn expected(&self) -> Expected {
        Self::EXPECTED
    }
    /// The parts of `live` whose data is lost when it is changed to `self`: a table's replica, a bucket's versions.
    fn losses(&self, live: &Self) -> Vec<String> {
        let _ = live;
        Vec::new()
    }
    /// The changes from `live` to `self` that AWS refuses, although the fields can be updated: an engine version that goes
    /// down.
    fn refused(&self, live: &Self) -> Vec<String> {
        let _ = live;
        Vec::new()
    }
    /// The field for tags; `None` if AWS cannot tag the kind.
    fn tags(&mut self) -> Option<&mut Tags>;
    /// Starts to create the resource, and returns its id without waiting.
    fn create(&self, cx: &Self::Cx) -> impl Future<Output = Result<Id<Self>>> + Send;
    /// Finds the resource that an interrupted `create` left: by token, natural key or owner tags. There is no default,
    /// so each kind must decide.
    fn recover(&self, cx: &Self::Cx, owner: &Owner) -> impl Future<Output = Result<Option<Id<Self>>>> + Send;
    /// Reads those of `ids` that exist. Resources in a `deleted` status do not exist.
    fn read(cx: &Self::Cx, ids: &[Id<Self>]) -> impl Future<Output = Result<Vec<Live<Self>>>> + Send;
    /// Updates `live` to `self`. Also sets, after `create`, what `create` cannot set.
    fn update(&self, cx: &Self::Cx, live: &Live<Self>) -> impl Future<Output = Result<()>> + Send;
    /// Starts to delete the resource, without waiting. Success if it is already gone. An error of class
    /// [`NotFound`](crate::Class::NotFound) says that it cannot be deleted and will disappear on its own; the engine
    /// does not wait for it.
    fn delete(cx: &Self::Cx, live: &Live<Self>) -> impl Future<Output = Result<()>> + Send;
    /// Cancels a scheduled deletion; only for kinds whose reads return [`Status::Scheduled`].
    fn restore(_: &Self::Cx, live: &Live<Self>) -> impl Future<Output = Result<()>> + Send {
        let error = Error::failed(format!("{} cannot be restored", live.id));
        async { Err(error) }
    }
    /// How much data `live` has, such as `412 object versions, 3.2 MB`, for plans that would delete it; `None` if AWS does not
    /// say. Only for kinds with [`KEEPS_DATA`](Self::KEEPS_DATA).
    fn contents(_: &Self::Cx, live: &Live<Self>) -> impl Future<Output = Result<Option<String>>> + Send {
        let _ = live;
        async { Ok(None) }
    }
    /// Whether `id`, which a read did not return, really does not exist. The default is a second read. Kinds whose
    /// reads filter or lag ask in the most consistent way that the service offers, without a filter.
    fn absent(cx: &Self::Cx, id: &Id<Self>) -> impl Future<Output = Result<bool>> + Send {
        let ids = [id.clone()];
        async move { Ok(Self::read(cx, &ids).await?.is_empty()) }
    }
}

/// An existing resource that is only looked up: never created, updated or deleted.
pub trait Lookup: Serialize + DeserializeOwned + JsonSchema + Send + Sync + Sized + 'static {
    /// What calls need.
    type Cx: Send + Sync;
    /// The name in addresses: `ec2.zones`.
    const KIND: &'static str;
    /// The outputs: a struct of [`crate::Ref`]s.
    type Outputs: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static;

    /// Finds it.
    fn find(&self, cx: &Self::Cx) -> impl Future<Output = Result<Self::Outputs>> + Send;
}

/// A resource as AWS has it.
#[derive(Debug)]
pub struct Live<R: Resource> {
    /// Its id.
    pub id: Id<R>,
    /// Its status.
    pub status: Status,
    /// Its current arguments.
    pub args: R,
    /// Its outputs.
    pub outputs: R::Outputs,
}

/// Names of fields, checked by the compiler.
#[macro_export]
macro_rules! fields {
    ($type:ty: $($field:ident),* $(,)?) => {
        &[$((::std::mem::offset_of!($type, $field), stringify!($field)).1),*]
    };
}

/// What is known about a kind without a call.
pub trait Facts: Send + Sync {
    /// The constants of the kind.
    fn spec(&self) -> Spec;
    /// See [`Resource::expected`]; for invalid arguments, the kind's default.
    fn expected(&self, args: &Value) -> Expected;
    /// See [`Resource::losses`]; for invalid arguments, none.
    fn losses(&self, args: &Value, live: &Value) -> Vec<String>;
    /// See [`Resource::refused`]; for invalid arguments, none.
    fn refused(&self, args: &Value, live: &Value) -> Vec<String>;
    /// `args` in the canonical form of this kind: sets sorted, defaults filled in.
    ///
    /// # Errors
    /// If they are not valid arguments of this kind.
    fn normal(&self, args: &Value) -> Result<Value>;
    /// The JSON schemas of its arguments and outputs.
    fn schemas(&self) -> Schemas;
    /// The JSON schema of its arguments as a part of a larger schema.
    fn args_schema(&self, generator: &mut SchemaGenerator) -> Schema;
}

/// The type-erased form of [`Resource`] and [`Lookup`].
pub trait Kind<Cx>: Facts {
    /// See [`Resource::create`].
    fn create<'a>(&'a self, cx: &'a Cx, args: &'a Value) -> BoxFuture<'a, Result<String>>;
    /// See [`Resource::recover`].
    fn recover<'a>(&'a self, cx: &'a Cx, args: &'a Value, owner: &'a Owner) -> BoxFuture<'a, Result<Option<String>>>;
    /// See [`Resource::read`].
    fn read<'a>(&'a self, cx: &'a Cx, ids: &'a [String]) -> BoxFuture<'a, Result<Vec<Seen>>>;
    /// See [`Resource::update`].
    fn update<'a>(&'a self, cx: &'a Cx, args: &'a Value, live: &'a Seen) -> BoxFuture<'a, Result<()>>;
    /// See [`Resource::delete`].
    fn delete<'a>(&'a self, cx: &'a Cx, live: &'a Seen) -> BoxFuture<'a, Result<()>>;
    /// See [`Resource::restore`].
    fn restore<'a>(&'a self, cx: &'a Cx, live: &'a Seen) -> BoxFuture<'a, Result<()>>;
    /// See [`Resource::contents`].
    fn contents<'a>(&'a self, cx: &'a Cx, live: &'a Seen) -> BoxFuture<'a, Result<Option<String>>>;
    /// See [`Resource::absent`].
    fn absent<'a>(&'a self, cx: &'a Cx, id: &'a str) -> BoxFuture<'a, Result<bool>>;
    /// See [`Lookup::find`].
    fn find<'a>(&'a self, cx: &'a Cx, args: &'a Value) -> BoxFuture<'a, Result<Value>>;
}

/// `R`, type-erased.
#[must_use]
pub const fn kind<R: Resource>() -> &'static dyn Kind<R::Cx> {
    &Erased::<R>(PhantomData)
}

/// `L`, type-erased.
#[must_use]
pub const fn lookup<L: Lookup>() -> &'static dyn Kind<L::Cx> {
    &ErasedLookup::<L>(PhantomData)
}

struct Erased<R>(PhantomData<fn() -> R>);
struct ErasedLookup<L>(PhantomData<fn() -> L>);

impl<R: Resource> Facts for Erased<R> {
    fn spec(&self) -> Spec {
        Spec {
            kind: R::KIND,
            replace: R::REPLACE,
            early: R::EARLY,
            holds: R::HOLDS,
            serves: R::SERVES,
            network: R::NETWORK,
            identity: R::IDENTITY,
            key: R::KEY,
            at_least: R::AT_LEAST,
            keeps_data: R::KEEPS_DATA,
            shield: R::SHIELD,
            consistent: R::CONSISTENT,
            completed_by_dependents: R::COMPLETED_BY_DEPENDENTS,
            most_tags: R::MOST_TAGS,
            create_first: R::CREATE_FIRST,
            batch: R::BATCH,
            timeout: R::TIMEOUT,
            lookup: false,
        }
    }

    fn expected(&self, args: &Value) -> Expected {
        R::deserialize(args).map_or(R::EXPECTED, |it| it.expected())
    }

    fn losses(&self, args: &Value, live: &Value) -> Vec<String> {
        pair::<R>(args, live).map(|(args, live)| args.losses(&live)).unwrap_or_default()
    }

    fn refused(&self, args: &Value, live: &Value) -> Vec<String> {
        pair::<R>(args, live).map(|(args, live)| args.refused(&live)).unwrap_or_default()
    }

    fn normal(&self, args: &Value) -> Result<Value> {
        json(&parse::<R>(R::KIND, args)?)
    }

    fn schemas(&self) -> Schemas {
        Schemas::of::<R, R::Outputs>()
    }

    fn args_schema(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<R>()
    }
}

impl<R: Resource> Kind<R::Cx> for Erased<R> {
    fn create<'a>(&'a self, cx: &'a R::Cx, args: &'a Value) -> BoxFuture<'a, Result<String>> {
        async move { Ok(parse::<R>(R::KIND, args)?.create(cx).await?.into()) }
            .map_err(|error| concealed(error, &[args]))
            .boxed()
    }

    fn recover<'a>(
        &'a self,
        cx: &'a R::Cx,
        args: &'a Value,
        owner: &'a Owner,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        async move { Ok(parse::<R>(R::KIND, args)?.recover(cx, owner).await?.map(String::from)) }
            .map_err(|error| concealed(error, &[args]))
            .boxed()
    }

    fn read<'a>(&'a self, cx: &'a R::Cx, ids: &'a [String]) -> BoxFuture<'a, Result<Vec<Seen>>> {
        async move {
            let ids: Vec<Id<R>> = ids.iter().map(Id::new).collect();
            R::read(cx, &ids).await?.into_iter().map(seen).collect()
        }
        .boxed()
    }

    fn update<'a>(&'a self, cx: &'a R::Cx, args: &'a Value, live: &'a Seen) -> BoxFuture<'a, Result<()>> {
        async move { parse::<R>(R::KIND, args)?.update(cx, &typed(live)?).await }
            .map_err(|error| concealed(error, &[args, &live.args]))
            .boxed()
    }

    fn delete<'a>(&'a self, cx: &'a R::Cx, live: &'a Seen) -> BoxFuture<'a, Result<()>> {
        async move { R::delete(cx, &typed(live)?).await }.map_err(|error| concealed(error, &[&live.args])).boxed()
    }

    fn restore<'a>(&'a self, cx: &'a R::Cx, live: &'a Seen) -> BoxFuture<'a, Result<()>> {
        async move { R::restore(cx, &typed(live)?).await }.map_err(|error| concealed(error, &[&live.args])).boxed()
    }

    fn contents<'a>(&'a self, cx: &'a R::Cx, live: &'a Seen) -> BoxFuture<'a, Result<Option<String>>> {
        async move { R::contents(cx, &typed(live)?).await }.boxed()
    }

    fn absent<'a>(&'a self, cx: &'a R::Cx, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        async move { R::absent(cx, &Id::new(id)).await }.boxed()
    }

    fn find<'a>(&'a self, _: &'a R::Cx, _: &'a Value) -> BoxFuture<'a, Result<Value>> {
        async { Err(Error::failed(format!("`{}` is a resource, not a lookup", R::KIND))) }.boxed()
    }
}

impl<L: Lookup> ErasedLookup<L> {
    fn refuse<T: Send + 'static>() -> BoxFuture<'static, Result<T>> {
        async { Err(Error::failed(format!("`{}` is a lookup, which cannot be created, updated or deleted", L::KIND))) }
            .boxed()
    }
}

impl<L: Lookup> Facts for ErasedLookup<L> {
    fn spec(&self) -> Spec {
        Spec {
            kind: L::KIND,
            replace: &[],
            early: &[],
            holds: &[],
            serves: &[],
            network: &[],
            identity: Identity::Record,
            key: &[],
            at_least: &[],
            keeps_data: false,
            shield: None,
            consistent: false,
            completed_by_dependents: false,
            most_tags: 0,
            create_first: false,
            batch: 1,
            timeout: Duration::from_mins(1),
            lookup: true,
        }
    }

    fn expected(&self, _: &Value) -> Expected {
        Expected::default()
    }

    fn losses(&self, _: &Value, _: &Value) -> Vec<String> {
        Vec::new()
    }

    fn refused(&self, _: &Value, _: &Value) -> Vec<String> {
        Vec::new()
    }

    fn normal(&self, args: &Value) -> Result<Value> {
        json(&parse::<L>(L::KIND, args)?)
    }

    fn schemas(&self) -> Schemas {
        Schemas::of::<L, L::Outputs>()
    }

    fn args_schema(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<L>()
    }
}

impl<L: Lookup> Kind<L::Cx> for ErasedLookup<L> {
    fn create<'a>(&'a self, _: &'a L::Cx, _: &'a Value) -> BoxFuture<'a, Result<String>> {
        Self::refuse()
    }

    fn recover<'a>(&'a self, _: &'a L::Cx, _: &'a Value, _: &'a Owner) -> BoxFuture<'a, Result<Option<String>>> {
        Self::refuse()
    }

    fn read<'a>(&'a self, _: &'a L::Cx, _: &'a [String]) -> BoxFuture<'a, Result<Vec<Seen>>> {
        Self::refuse()
    }

    fn update<'a>(&'a self, _: &'a L::Cx, _: &'a Value, _: &'a Seen) -> BoxFuture<'a, Result<()>> {
        Self::refuse()
    }

    fn delete<'a>(&'a self, _: &'a L::Cx, _: &'a Seen) -> BoxFuture<'a, Result<()>> {
        Self::refuse()
    }

    fn restore<'a>(&'a self, _: &'a L::Cx, _: &'a Seen) -> BoxFuture<'a, Result<()>> {
        Self::refuse()
    }

    fn contents<'a>(&'a self, _: &'a L::Cx, _: &'a Seen) -> BoxFuture<'a, Result<Option<String>>> {
        Self::refuse()
    }

    fn absent<'a>(&'a self, _: &'a L::Cx, _: &'a str) -> BoxFuture<'a, Result<bool>> {
        Self::refuse()
    }

    fn find<'a>(&'a self, cx: &'a L::Cx, args: &'a Value) -> BoxFuture<'a, Result<Value>> {
        async move { json(&parse::<L>(L::KIND, args)?.find(cx).await?) }
            .map_err(|error| concealed(error, &[args]))
            .boxed()
    }
}

fn parse<T: DeserializeOwned>(kind: &str, args: &Value) -> Result<T> {
    serde_path_to_error::deserialize(args).map_err(|error| {
        let member = error.path().to_string();
        let place = if member == "." { String::new() } else { format!("`{member}`: ") };
        let error = Error::invalid(format!("invalid arguments for `{kind}`: {place}{}", error.inner())).hint(format!(
            "compare them with `payinfra schema --kind {kind}`; if a newer version of payinfra has written them, use that \
             version"
        ));
        concealed(error, &[args])
    })
}

/// Both as an `R`; `None` if one of them is not.
fn pair<R: Resource>(args: &Value, live: &Value) -> Option<(R, R)> {
    Some((R::deserialize(args).ok()?, R::deserialize(live).ok()?))
}

fn json<T: Serialize>(value: &T) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| Error::failed(format!("cannot be written as JSON: {error}")))
}

fn seen<R: Resource>(live: Live<R>) -> Result<Seen> {
    Ok(Seen { id: live.id.into(), status: live.status, args: json(&live.args)?, outputs: json(&live.outputs)? })
}

fn typed<R: Resource>(live: &Seen) -> Result<Live<R>> {
    Ok(Live {
        id: Id::new(&live.id),
        status: live.status.clone(),
        args: parse(R::KIND, &live.args)?,
        outputs: parse(R::KIND, &live.outputs)?,
    })
}
