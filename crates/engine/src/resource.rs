//! A kind of resource: one struct, one trait; and its twin without a type, as the engine calls it.

use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryFutureExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cloud::{Expected, Identity, Seen, Spec, Status};
use crate::error::{Error, Result};
use crate::reference::Id;
use crate::secret::concealed;
use crate::tags::{Owner, Tags};

/// Names of fields, written with [`crate::fields!`] so that the compiler checks them.
pub type Fields = &'static [&'static str];

/// A kind of resource; the implementing struct is what one of them should be.
///
/// A field that is `None` is unmanaged: neither compared nor changed. When a value that was managed becomes
/// `None`, `update` sees `Some` in `live` and sends the explicit reset value (AWS-FACTS §6.2); for fields that were
/// never managed it sees `None` there as well, so `self.x != live.args.x` is always the right question.
pub trait Resource: Serialize + DeserializeOwned + Send + Sync + Sized + 'static {
    /// What the calls need: clients, region, token.
    type Cx: Send + Sync;
    /// As in addresses, state and plans: `ec2.subnet`.
    const KIND: &'static str;
    /// Fields that cannot change in place.
    const REPLACE: Fields;
    /// Fields whose referent need only exist, not be ready (a route's NAT gateway may still be pending).
    const EARLY: Fields = &[];
    /// Fields that change in place, but whose old referent cannot go before: when that is replaced, so is this one.
    const HOLDS: Fields = &[];
    /// Fields whose referents must be in the same network as this one, although each of them can be changed: where they
    /// move to another network, this one is replaced (AWS refuses a subnet group in two VPCs).
    const NETWORK: Fields = &[];
    /// How one is known to be ours. A kind without tags must say.
    const IDENTITY: Identity = Identity::Tags;
    /// Whether it keeps data that is lost with it: databases, buckets, keys, tables, secrets. These are protected, and
    /// are never replaced as a consequence of drift.
    const KEEPS_DATA: bool = false;
    /// The field that is AWS's own protection against deletion, a `bool` or an `Option<bool>`: switched off just before
    /// a delete that the plan allows.
    const SHIELD: Option<&'static str> = None;
    /// Whether a read shows at once what a create made. Where it does, what it does not show was lost, and is created
    /// again without waiting for it to become visible.
    const CONSISTENT: bool = false;
    /// Whether it becomes ready only through those that refer to it in their [`EARLY`](Self::EARLY) fields: a
    /// certificate through its validation record. When one of those fails it is not waited for any longer.
    const COMPLETED_BY_DEPENDENTS: bool = false;
    /// How many tags AWS accepts on one.
    const MOST_TAGS: usize = 50;
    /// Whether a replacement may be made before the old one goes; not where a name or a CIDR block is taken.
    const CREATE_FIRST: bool = false;
    /// How many ids one `read` takes.
    const BATCH: usize = 100;
    /// How long to wait for `Status::Ready`, or to be gone.
    const TIMEOUT: Duration = Duration::from_mins(5);
    /// How long it usually takes (AWS-FACTS §5): the scheduler starts the longest path first.
    const EXPECTED: Expected = Expected::millis(1_000, 1_000);
    /// What others can refer to besides the id: a struct of [`crate::Ref`]s, or `()`.
    type Outputs: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// How long this one usually takes, where that depends on what it is.
    fn expected(&self) -> Expected {
        Self::EXPECTED
    }
    /// The parts of `live` whose data is lost when it is changed to `self`: a table's replica, a bucket's versions.
    fn losses(&self, live: &Self) -> Vec<String> {
        let _ = live;
        Vec::new()
    }
    /// Where the tags go; `None` if AWS cannot tag it.
    fn tags(&mut self) -> Option<&mut Tags>;
    /// Starts the resource's life and returns its id, without waiting.
    fn create(&self, cx: &Self::Cx) -> impl Future<Output = Result<Id<Self>>> + Send;
    /// Finds what an interrupted `create` left: by token, natural key or owner tags. No default: each kind must say.
    fn recover(&self, cx: &Self::Cx, owner: &Owner) -> impl Future<Output = Result<Option<Id<Self>>>> + Send;
    /// Reads those of `ids` that exist (corpses in `deleted` states do not).
    fn read(cx: &Self::Cx, ids: &[Id<Self>]) -> impl Future<Output = Result<Vec<Live<Self>>>> + Send;
    /// Changes `live` to `self`. Also sets, after `create`, what `create` could not.
    fn update(&self, cx: &Self::Cx, live: &Live<Self>) -> impl Future<Output = Result<()>> + Send;
    /// Starts the resource's end, without waiting. That it is gone already is success; an error of the class
    /// [`NotFound`](crate::Class::NotFound) says that it cannot be deleted and goes by itself, and is not waited for.
    fn delete(cx: &Self::Cx, live: &Live<Self>) -> impl Future<Output = Result<()>> + Send;
    /// Restores what a read shows as [`Status::Scheduled`]. Only for kinds whose reads do.
    fn restore(_: &Self::Cx, live: &Live<Self>) -> impl Future<Output = Result<()>> + Send {
        let error = Error::failed(format!("{} cannot be restored", live.id));
        async { Err(error) }
    }
    /// Whether `id`, which a read did not show, really does not exist. By default another read says so; kinds whose
    /// read filters or lags ask in the most consistent form that the service has, without a filter.
    fn absent(cx: &Self::Cx, id: &Id<Self>) -> impl Future<Output = Result<bool>> + Send {
        let ids = [id.clone()];
        async move { Ok(Self::read(cx, &ids).await?.is_empty()) }
    }
}

/// Something that exists already and is only looked up: never made, changed or removed.
pub trait Lookup: Serialize + DeserializeOwned + Send + Sync + Sized + 'static {
    /// What the calls need.
    type Cx: Send + Sync;
    /// As in addresses: `ec2.zones`.
    const KIND: &'static str;
    /// What others can refer to: a struct of [`crate::Ref`]s.
    type Outputs: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Looks it up.
    fn find(&self, cx: &Self::Cx) -> impl Future<Output = Result<Self::Outputs>> + Send;
}

/// A resource as AWS has it.
#[derive(Debug)]
pub struct Live<R: Resource> {
    /// Its id.
    pub id: Id<R>,
    /// How far it is.
    pub status: Status,
    /// What it is now.
    pub args: R,
    /// What others can refer to.
    pub outputs: R::Outputs,
}

/// Names of fields, checked by the compiler.
#[macro_export]
macro_rules! fields {
    ($type:ty: $($field:ident),* $(,)?) => {
        &[$((::std::mem::offset_of!($type, $field), stringify!($field)).1),*]
    };
}

/// The twin of [`Resource`] and [`Lookup`] without their types.
pub trait Kind<Cx>: Send + Sync {
    /// The constants.
    fn spec(&self) -> Spec;
    /// As [`Resource::expected`]; of arguments that nobody understands, as of any of the kind.
    fn expected(&self, args: &Value) -> Expected;
    /// As [`Resource::losses`]; of arguments that nobody understands, none.
    fn losses(&self, args: &Value, live: &Value) -> Vec<String>;
    /// `args` in the one form that this kind writes: sets sorted, defaults filled in.
    ///
    /// # Errors
    /// If they are not arguments of this kind.
    fn normal(&self, args: &Value) -> Result<Value>;
    /// As [`Resource::create`].
    fn create<'a>(&'a self, cx: &'a Cx, args: &'a Value) -> BoxFuture<'a, Result<String>>;
    /// As [`Resource::recover`].
    fn recover<'a>(&'a self, cx: &'a Cx, args: &'a Value, owner: &'a Owner) -> BoxFuture<'a, Result<Option<String>>>;
    /// As [`Resource::read`].
    fn read<'a>(&'a self, cx: &'a Cx, ids: &'a [String]) -> BoxFuture<'a, Result<Vec<Seen>>>;
    /// As [`Resource::update`].
    fn update<'a>(&'a self, cx: &'a Cx, args: &'a Value, live: &'a Seen) -> BoxFuture<'a, Result<()>>;
    /// As [`Resource::delete`].
    fn delete<'a>(&'a self, cx: &'a Cx, live: &'a Seen) -> BoxFuture<'a, Result<()>>;
    /// As [`Resource::restore`].
    fn restore<'a>(&'a self, cx: &'a Cx, live: &'a Seen) -> BoxFuture<'a, Result<()>>;
    /// As [`Resource::absent`].
    fn absent<'a>(&'a self, cx: &'a Cx, id: &'a str) -> BoxFuture<'a, Result<bool>>;
    /// As [`Lookup::find`].
    fn find<'a>(&'a self, cx: &'a Cx, args: &'a Value) -> BoxFuture<'a, Result<Value>>;
}

/// `R` without its type.
#[must_use]
pub const fn kind<R: Resource>() -> &'static dyn Kind<R::Cx> {
    &Erased::<R>(PhantomData)
}

/// `L` without its type.
#[must_use]
pub const fn lookup<L: Lookup>() -> &'static dyn Kind<L::Cx> {
    &ErasedLookup::<L>(PhantomData)
}

struct Erased<R>(PhantomData<fn() -> R>);
struct ErasedLookup<L>(PhantomData<fn() -> L>);

impl<R: Resource> Kind<R::Cx> for Erased<R> {
    fn spec(&self) -> Spec {
        Spec {
            kind: R::KIND,
            replace: R::REPLACE,
            early: R::EARLY,
            holds: R::HOLDS,
            network: R::NETWORK,
            identity: R::IDENTITY,
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
        let typed = R::deserialize(args).and_then(|args| Ok((args, R::deserialize(live)?)));
        typed.map(|(args, live)| args.losses(&live)).unwrap_or_default()
    }

    fn normal(&self, args: &Value) -> Result<Value> {
        json(&parse::<R>(R::KIND, args)?)
    }

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

    fn absent<'a>(&'a self, cx: &'a R::Cx, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        async move { R::absent(cx, &Id::new(id)).await }.boxed()
    }

    fn find<'a>(&'a self, _: &'a R::Cx, _: &'a Value) -> BoxFuture<'a, Result<Value>> {
        async { Err(Error::failed(format!("`{}` is a resource, not a lookup", R::KIND))) }.boxed()
    }
}

impl<L: Lookup> ErasedLookup<L> {
    fn refuse<T: Send + 'static>() -> BoxFuture<'static, Result<T>> {
        async { Err(Error::failed(format!("`{}` is a lookup: it is never made, changed or removed", L::KIND))) }.boxed()
    }
}

impl<L: Lookup> Kind<L::Cx> for ErasedLookup<L> {
    fn spec(&self) -> Spec {
        Spec {
            kind: L::KIND,
            replace: &[],
            early: &[],
            holds: &[],
            network: &[],
            identity: Identity::Record,
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

    fn normal(&self, args: &Value) -> Result<Value> {
        json(&parse::<L>(L::KIND, args)?)
    }

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
    T::deserialize(args).map_err(|error| {
        let error = Error::invalid(format!("these are not the arguments of `{kind}`: {error}"))
            .hint("a newer payinfra may have written them; use that version");
        concealed(error, &[args])
    })
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
