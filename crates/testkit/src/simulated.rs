//! Kinds of other clouds, simulated by the facts that are known about them without a client.
//!
//! Arguments come back as they were declared, and outputs are made up by their schema. What only the cloud knows is not
//! simulated: which names are unique, which values are valid, which defaults it fills in.

use std::hash::{DefaultHasher, Hash, Hasher};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use payinfra_engine::{Error, Expected, Facts, Kind, Owner, Result, Schemas, Seen, Spec};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value};

use crate::cx::Cx;
use crate::made_up::MadeUp;
use crate::world::{New, Referent};

/// A kind of another cloud.
#[derive(Clone, Copy)]
pub(crate) struct Simulated(&'static dyn Facts);

impl Simulated {
    pub(crate) fn new(facts: &'static dyn Facts) -> Self {
        Self(facts)
    }

    /// The resources whose ids occur in `args`. They cannot be deleted before it if the field cannot be updated in place,
    /// or if the kind says that it holds them.
    fn refers(self, cx: &Cx, args: &Value) -> Vec<Referent> {
        let spec = self.0.spec();
        let referents = |(field, value): (&String, &Value)| {
            let field = field.as_str();
            let (early, held) = (spec.early.contains(&field), [spec.replace, spec.holds].concat().contains(&field));
            cx.world.ids_in(value).into_iter().map(move |id| Referent { id, early, held }).collect::<Vec<_>>()
        };
        args.as_object().into_iter().flatten().flat_map(referents).collect()
    }

    fn outputs(self, cx: &Cx, id: &str) -> Result<Value> {
        let schema = self.0.schemas().outputs.to_value();
        let asked = |output: &str| cx.world.asked(self.0.spec().kind, output);
        MadeUp { kind: self.0.spec().kind, region: &cx.region, id, schema: &schema, asked: &asked }.outputs()
    }

    fn create(self, cx: &Cx, args: &Value) -> Result<String> {
        let (spec, expected) = (self.0.spec(), cx.lasts(self.0.expected(args)));
        let site = cx.site.as_ref().ok_or_else(|| Error::failed("no owner outside a site"))?;
        cx.world.create(New {
            kind: spec.kind,
            region: &cx.region,
            token: None,
            unique: None,
            args: args.clone(),
            refers: self.refers(cx, args),
            owner: Some(&site.owner),
            shield: spec.shield,
            at: cx.address(),
            create: expected.create,
            delete: expected.delete,
        })
    }

    fn read(self, cx: &Cx, ids: &[String]) -> Result<Vec<Seen>> {
        let shown = cx.world.show(self.0.spec().kind, ids).into_iter();
        shown
            .map(|shown| {
                let outputs = self.outputs(cx, &shown.id)?;
                Ok(Seen { id: shown.id, status: shown.status, args: shown.args, outputs })
            })
            .collect()
    }

    fn update(self, cx: &Cx, args: &Value, live: &Seen) -> Result<()> {
        let spec = self.0.spec();
        let mut changes = Map::new();
        for (field, value) in
            args.as_object().into_iter().flatten().filter(|(field, value)| live.args[*field] != **value)
        {
            if spec.replace.contains(&field.as_str()) {
                return Err(cx.world.violate(format!("{} cannot change its {field}", live.id)));
            }
            changes.insert(field.clone(), value.clone());
        }
        cx.world.update(&live.id, changes, self.refers(cx, args))
    }

    /// The outputs of a lookup, which differ between different arguments.
    fn find(self, cx: &Cx, args: &Value) -> Result<Value> {
        let mut hasher = DefaultHasher::new();
        args.to_string().hash(&mut hasher);
        let kind = self.0.spec().kind;
        let name = kind.rsplit('.').next().unwrap_or(kind);
        self.outputs(cx, &format!("{name}-{:08x}", hasher.finish() >> 32))
    }
}

impl Facts for Simulated {
    fn spec(&self) -> Spec {
        self.0.spec()
    }

    fn expected(&self, args: &Value) -> Expected {
        self.0.expected(args)
    }

    fn losses(&self, args: &Value, live: &Value) -> Vec<String> {
        self.0.losses(args, live)
    }

    fn refused(&self, args: &Value, live: &Value) -> Vec<String> {
        self.0.refused(args, live)
    }

    fn normal(&self, args: &Value) -> Result<Value> {
        self.0.normal(args)
    }

    fn schemas(&self) -> Schemas {
        self.0.schemas()
    }

    fn args_schema(&self, generator: &mut SchemaGenerator) -> Schema {
        self.0.args_schema(generator)
    }
}

impl Kind<Cx> for Simulated {
    fn create<'a>(&'a self, cx: &'a Cx, args: &'a Value) -> BoxFuture<'a, Result<String>> {
        async move { (*self).create(cx, args) }.boxed()
    }

    fn recover<'a>(&'a self, cx: &'a Cx, _: &'a Value, owner: &'a Owner) -> BoxFuture<'a, Result<Option<String>>> {
        async move { Ok(cx.world.made_for(owner, &cx.known())) }.boxed()
    }

    fn read<'a>(&'a self, cx: &'a Cx, ids: &'a [String]) -> BoxFuture<'a, Result<Vec<Seen>>> {
        async move { (*self).read(cx, ids) }.boxed()
    }

    fn update<'a>(&'a self, cx: &'a Cx, args: &'a Value, live: &'a Seen) -> BoxFuture<'a, Result<()>> {
        async move { (*self).update(cx, args, live) }.boxed()
    }

    fn delete<'a>(&'a self, cx: &'a Cx, live: &'a Seen) -> BoxFuture<'a, Result<()>> {
        async move { cx.world.delete(&live.id) }.boxed()
    }

    fn restore<'a>(&'a self, cx: &'a Cx, live: &'a Seen) -> BoxFuture<'a, Result<()>> {
        async move { cx.world.restore(&live.id) }.boxed()
    }

    fn absent<'a>(&'a self, cx: &'a Cx, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        async move { Ok(!cx.world.exists(id)) }.boxed()
    }

    fn contents<'a>(&'a self, _: &'a Cx, _: &'a Seen) -> BoxFuture<'a, Result<Option<String>>> {
        async { Ok(None) }.boxed()
    }

    fn find<'a>(&'a self, cx: &'a Cx, args: &'a Value) -> BoxFuture<'a, Result<Value>> {
        async move { (*self).find(cx, args) }.boxed()
    }
}
