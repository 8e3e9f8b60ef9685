//! The kinds of the simulated cloud: one for each way to recover an interrupted create.

use std::collections::BTreeSet;
use std::time::Duration;

use payinfra_engine::{
    Catalog, Class, Error, Expected, Fields, Id, Identity, Kind, Live, Lookup, Owner, Ref, Resource, Result, Tags,
    fields, kind, lookup,
};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cx::Cx;
use crate::world::{New, Referent};

/// All kinds, sorted.
pub const KINDS: &[&dyn Kind<Cx>] = &[
    kind::<First>(),
    kind::<Group>(),
    kind::<Link>(),
    kind::<Named>(),
    kind::<Proof>(),
    kind::<Tagged>(),
    kind::<Token>(),
    kind::<Vault>(),
    lookup::<Zones>(),
];

/// All kinds by name.
#[must_use]
pub fn catalog() -> Catalog {
    Catalog::new(KINDS.iter().map(|kind| *kind as &dyn payinfra_engine::Facts))
}

/// The default of `days`.
pub const DAYS: u32 = 30;

/// How an interrupted create is recovered (DESIGN §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Token,
    Name,
    Key,
    Tags,
}

/// What the simulation knows about a kind.
pub(crate) struct Facts {
    pub(crate) kind: &'static str,
    pub(crate) by: By,
    pub(crate) replace: Fields,
    pub(crate) early: Fields,
    /// Fields that contain ids.
    pub(crate) holds: Fields,
    /// Fields that only an update can set.
    pub(crate) later: Fields,
    pub(crate) expected: Expected,
}

/// The properties of every simulated kind.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Made {
    /// Another name for it.
    pub arn: Ref<String>,
}

macro_rules! fake {
    (
        $(#[$doc:meta])* $name:ident = $kind:literal, by $by:ident, first $first:literal, takes $create:literal $delete:literal,
        replace [$($replace:ident)*], early [$($early:ident)*], holds [$($holds:ident)*], later [$($later:ident)*],
        tags $tags:expr, consts { $($constant:item)* }, { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

        impl $name {
            const FACTS: Facts = Facts {
                kind: $kind,
                by: By::$by,
                replace: fields!(Self: $($replace),*),
                early: fields!(Self: $($early),*),
                holds: fields!(Self: $($holds),*),
                later: fields!(Self: $($later),*),
                expected: Expected::millis($create, $delete),
            };
        }

        impl Resource for $name {
            type Cx = Cx;
            const KIND: &'static str = $kind;
            const REPLACE: Fields = Self::FACTS.replace;
            const EARLY: Fields = Self::FACTS.early;
            const CREATE_FIRST: bool = $first;
            const TIMEOUT: Duration = Duration::from_mins(20);
            const EXPECTED: Expected = Self::FACTS.expected;
            $($constant)*
            type Outputs = Made;

            fn tags(&mut self) -> Option<&mut Tags> {
                let tags: fn(&mut Self) -> Option<&mut Tags> = $tags;
                tags(self)
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

            async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
                update(&Self::FACTS, cx, live.id.as_str(), &json(self)?, &json(&live.args)?)
            }

            async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
                cx.world.delete(live.id.as_str())
            }

            async fn restore(cx: &Cx, live: &Live<Self>) -> Result<()> {
                cx.world.restore(live.id.as_str())
            }

            async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
                Ok(!cx.world.exists(id.as_str()))
            }
        }
    };
}

fake! {
    /// Recovered by its token; the slow one.
    Token = "fake.token", by Token, first false, takes 60_000 20_000,
    replace [zone parents], early [], holds [parents], later [],
    tags |this| Some(&mut this.tags), consts {}, {
        /// Updated in place.
        size: u32,
        /// Forces replacement.
        zone: Ref<String>,
        /// Updated in place; has a default.
        days: Option<u32>,
        /// Resources that it depends on.
        parents: BTreeSet<Ref<String>>,
        /// Its tags.
        tags: Tags,
    }
}

fake! {
    /// Recovered by its name.
    Named = "fake.named", by Name, first false, takes 5_000 2_000,
    replace [name parents], early [], holds [parents], later [],
    tags |this| Some(&mut this.tags), consts { const KEY: Fields = fields!(Self: name); }, {
        /// The name, unique in its region.
        name: String,
        /// Updated in place.
        size: u32,
        /// Updated in place; has a default.
        days: Option<u32>,
        /// Resources that it depends on.
        parents: BTreeSet<Ref<String>>,
        /// Its tags.
        tags: Tags,
    }
}

fake! {
    /// Recovered by its tags: a second create makes another one.
    Tagged = "fake.tagged", by Tags, first false, takes 2_000 1_000,
    replace [zone parents], early [], holds [parents uses], later [days],
    tags |this| Some(&mut this.tags), consts { const SERVES: Fields = fields!(Self: uses); }, {
        /// Updated in place.
        size: u32,
        /// Forces replacement.
        zone: Ref<String>,
        /// Updated in place, not set on creation; has a default.
        days: Option<u32>,
        /// Resources that it depends on.
        parents: BTreeSet<Ref<String>>,
        /// Resources that it uses, updated in place.
        uses: BTreeSet<Ref<String>>,
        /// Its tags.
        tags: Tags,
    }
}

fake! {
    /// Replaced by creating the new one first.
    First = "fake.first", by Token, first true, takes 10_000 3_000,
    replace [zone parents], early [], holds [parents], later [],
    tags |this| Some(&mut this.tags), consts {}, {
        /// Updated in place.
        size: u32,
        /// Forces replacement.
        zone: Ref<String>,
        /// Updated in place; has a default.
        days: Option<u32>,
        /// Resources that it depends on.
        parents: BTreeSet<Ref<String>>,
        /// Its tags.
        tags: Tags,
    }
}

fake! {
    /// A link between two other resources, which are its natural key; the right one does not have to be ready.
    Link = "fake.link", by Key, first false, takes 500 500,
    replace [left right slot], early [right], holds [left right], later [],
    tags |_| None, consts {
        const IDENTITY: Identity = Identity::Part("left");
        const KEY: Fields = fields!(Self: left, right, slot);
    }, {
        /// The left one.
        left: Ref<String>,
        /// The right one, which only has to exist.
        right: Ref<String>,
        /// Distinguishes several links between the two.
        slot: u32,
        /// Updated in place.
        weight: u32,
        /// Updated in place; has a default.
        note: Option<String>,
    }
}

fake! {
    /// Keeps data: the cloud protects it, and only schedules its deletion.
    Vault = "fake.vault", by Name, first false, takes 5_000 2_000,
    replace [name key], early [], holds [key], later [],
    tags |this| Some(&mut this.tags), consts {
        const KEEPS_DATA: bool = true;
        const KEY: Fields = fields!(Self: name);
        const SHIELD: Option<&'static str> = Some("locked");
        fn refused(&self, live: &Self) -> Vec<String> {
            if self.size < live.size { vec![format!("`size` cannot shrink to {}", self.size)] } else { Vec::new() }
        }
    }, {
        /// The name, unique in its region.
        name: String,
        /// Updated in place, but cannot shrink.
        size: u32,
        /// Whether deletion protection is enabled.
        locked: bool,
        /// The key that encrypts it.
        key: Ref<String>,
        /// Its tags.
        tags: Tags,
    }
}

fake! {
    /// A group whose members have to be in the same network.
    Group = "fake.group", by Name, first false, takes 1_000 1_000,
    replace [name], early [], holds [members], later [],
    tags |this| Some(&mut this.tags), consts {
        const NETWORK: Fields = fields!(Self: members);
        const KEY: Fields = fields!(Self: name);
    }, {
        /// The name, unique in its region.
        name: String,
        /// Its members.
        members: BTreeSet<Ref<String>>,
        /// Its tags.
        tags: Tags,
    }
}

fake! {
    /// Becomes ready only through a resource that refers to it.
    Proof = "fake.proof", by Token, first false, takes 900_000 1_000,
    replace [zone], early [], holds [], later [],
    tags |this| Some(&mut this.tags), consts { const COMPLETED_BY_DEPENDENTS: bool = true; }, {
        /// Forces replacement.
        zone: Ref<String>,
        /// Its tags.
        tags: Tags,
    }
}

/// A lookup of the zones of a region.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Zones {
    /// The prefix of their names.
    pub prefix: String,
}

/// The outputs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ZonesFound {
    /// Their names.
    pub names: Ref<Vec<String>>,
}

impl Lookup for Zones {
    type Cx = Cx;
    const KIND: &'static str = "fake.zones";
    type Outputs = ZonesFound;

    async fn find(&self, _: &Cx) -> Result<ZonesFound> {
        if self.prefix.is_empty() {
            return Err(Error::new(Class::NotFound, "no zone has an empty name").hint("give a prefix"));
        }
        let names = ["a", "b", "c"].iter().map(|suffix| format!("{}{suffix}", self.prefix)).collect();
        Ok(ZonesFound { names: Ref::Known(names) })
    }
}

pub(crate) fn json<T: Serialize>(value: &T) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| Error::failed(error.to_string()))
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| Error::failed(error.to_string()))
}

fn default(field: &str) -> Value {
    match field {
        "days" => DAYS.into(),
        "note" => "none".into(),
        _ => Value::Null,
    }
}

/// The resources that `args` refers to.
fn refers(facts: &Facts, args: &Value) -> Vec<Referent> {
    let ids = |field: &&'static str| {
        let early = facts.early.contains(field);
        let ids = match &args[*field] {
            Value::Array(ids) => ids.clone(),
            id => vec![id.clone()],
        };
        let referent = move |id: Value| Some(Referent { id: id.as_str()?.to_owned(), early, held: true });
        ids.into_iter().filter_map(referent).collect::<Vec<_>>()
    };
    facts.holds.iter().flat_map(ids).collect()
}

fn unique(facts: &Facts, args: &Value) -> Option<String> {
    match facts.by {
        By::Name => args["name"].as_str().map(str::to_owned),
        By::Key => Some(format!("{}+{}+{}", args["left"].as_str()?, args["right"].as_str()?, args["slot"])),
        By::Token | By::Tags => None,
    }
}

pub(crate) fn create(facts: &Facts, cx: &Cx, args: &Value) -> Result<String> {
    let mut args = args.clone();
    for (field, value) in args.as_object_mut().into_iter().flatten() {
        if value.is_null() || facts.later.contains(&field.as_str()) {
            *value = default(field);
        }
    }
    let expected = cx.lasts(facts.expected);
    let token = if facts.by == By::Token { Some(cx.token()?) } else { None };
    cx.world.create(New {
        kind: facts.kind,
        region: &cx.region,
        token,
        unique: unique(facts, &args),
        refers: refers(facts, &args),
        owner: None,
        shield: Some("locked"),
        args,
        at: cx.address(),
        create: expected.create,
        delete: expected.delete,
    })
}

pub(crate) fn recover(facts: &Facts, cx: &Cx, args: &Value, owner: &Owner) -> Result<Option<String>> {
    if facts.by == By::Token || facts.by == By::Tags {
        return Ok(cx.world.owned(facts.kind, owner, &cx.known()));
    }
    let unique = unique(facts, args).ok_or_else(|| Error::failed("neither name nor key"))?;
    let found = cx.world.called(facts.kind, &cx.region, &unique);
    let ours = |(id, tags): &(String, Tags)| !cx.known().has(id) && (facts.by == By::Key || owner.owns(tags));
    Ok(found.filter(ours).map(|(id, _)| id))
}

pub(crate) fn read<R: Resource<Outputs = Made>>(cx: &Cx, ids: &[Id<R>]) -> Result<Vec<Live<R>>> {
    let ids: Vec<String> = ids.iter().map(String::from).collect();
    let shown = cx.world.show(R::KIND, &ids).into_iter();
    shown
        .map(|shown| {
            let outputs = Made { arn: Ref::Known(format!("arn:{}", shown.id)) };
            Ok(Live { id: Id::new(shown.id), status: shown.status, args: typed(shown.args)?, outputs })
        })
        .collect()
}

/// Sends the differences, with the explicit default for values that are no longer managed.
fn update(facts: &Facts, cx: &Cx, id: &str, args: &Value, live: &Value) -> Result<()> {
    let mut changes = Map::new();
    for (field, value) in args.as_object().into_iter().flatten().filter(|(field, value)| live[*field] != **value) {
        if facts.replace.contains(&field.as_str()) {
            return Err(cx.world.violate(format!("{id} cannot change its {field}")));
        }
        changes.insert(field.clone(), if value.is_null() { default(field) } else { value.clone() });
    }
    cx.world.update(id, changes, refers(facts, args))
}
