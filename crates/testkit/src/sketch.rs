//! Random graphs, and random edits of them.

use std::collections::BTreeSet;

use payinfra_engine::{Error, Graph, Ref, Region, Result, Tags};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::kinds::{First, Link, Named, Tagged, Token, Zones};

/// One resource of a random graph.
#[derive(Clone, Debug)]
pub struct Item {
    /// The kind; any number is valid.
    pub kind: u8,
    /// One of two regions.
    pub east: bool,
    /// The zone (for a named kind, the name); forces replacement.
    pub zone: u8,
    /// Updated in place.
    pub size: u32,
    /// Updated in place, may be unmanaged.
    pub days: Option<u32>,
    /// The earlier resources that it depends on.
    pub parents: Vec<usize>,
    /// The earlier resources that it uses.
    pub uses: Vec<usize>,
    /// Whether it has been removed.
    pub removed: bool,
}

/// A random graph.
#[derive(Clone, Debug)]
pub struct Sketch {
    /// Its resources; edges only lead back, so there are no cycles.
    pub items: Vec<Item>,
}

/// An edit of a random graph; numbers select items, modulo their count.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Updates in place.
    Size(usize, u32),
    /// Manages, updates or stops managing a field.
    Days(usize, Option<u32>),
    /// Replaces.
    Zone(usize, u8),
    /// Changes its dependencies; replaces.
    Parents(usize, Vec<usize>),
    /// Changes the resources that it uses.
    Uses(usize, Vec<usize>),
    /// Removes it.
    Remove(usize),
    /// Adds one.
    Add(Item),
}

impl Sketch {
    /// The graph after `edit`.
    #[must_use]
    pub fn edited(&self, edit: &Edit) -> Self {
        let mut items = self.items.clone();
        let count = items.len().max(1);
        match edit {
            Edit::Add(item) => items.push(item.clone()),
            Edit::Size(at, ..)
            | Edit::Days(at, ..)
            | Edit::Zone(at, ..)
            | Edit::Parents(at, ..)
            | Edit::Uses(at, ..)
            | Edit::Remove(at) => {
                if let Some(item) = items.get_mut(at % count) {
                    match edit.clone() {
                        Edit::Size(_, size) => item.size = size,
                        Edit::Days(_, days) => item.days = days,
                        Edit::Zone(_, zone) => item.zone = zone,
                        Edit::Parents(_, parents) => item.parents = parents,
                        Edit::Uses(_, uses) => item.uses = uses,
                        Edit::Remove(_) | Edit::Add(_) => item.removed = true,
                    }
                }
            }
        }
        Self { items }
    }

    /// The graph for the engine.
    ///
    /// # Errors
    /// If a resource cannot be declared, which would be a bug in this function.
    pub fn graph(&self) -> Result<Graph> {
        let mut graph = Graph::new("stack", "test", Tags::new().with("team", "payments"));
        let (east, west) = (Region::new("east"), Region::new("west"));
        let zones = graph.find(&east, "zones", &Zones { prefix: "z".to_owned() })?;
        let mut ids: Vec<Option<Ref<String>>> = Vec::new();
        for (index, item) in self.items.iter().enumerate() {
            if item.removed {
                ids.push(None);
                continue;
            }
            let referents = |wanted: &[usize], fit: &dyn Fn(usize) -> bool| -> BTreeSet<Ref<String>> {
                let at = wanted.iter().filter(|_| index > 0).map(|at| at % index).filter(|at| fit(*at));
                at.filter_map(|at| ids.get(at).cloned().flatten()).collect()
            };
            let region = if item.east { &east } else { &west };
            let name = format!("n{index:02}");
            let zone = match item.zone {
                0 => zones.outputs.names.at(0)?,
                zone => Ref::Known(format!("zone-{zone}")),
            };
            let (size, days) = (item.size, item.days);
            // The id of a used resource changes while it is in use, so it must be able to exist twice, and so must its
            // dependencies.
            let lendable = |at: usize| at % 2 == 1 && self.items.get(at).is_some_and(|item| item.kind % 5 == 3);
            let parents = if lendable(index) { BTreeSet::new() } else { referents(&item.parents, &|_| true) };
            let tags = Tags::new();
            let id = match item.kind % 5 {
                0 => graph.add(region, &name, Token { size, zone, days, parents, tags })?.id.into(),
                1 => {
                    let args = Named { name: format!("{name}-{}", item.zone), size, days, parents, tags };
                    graph.add(region, &name, args)?.id.into()
                }
                2 => {
                    let uses = referents(&item.uses, &lendable);
                    graph.add(region, &name, Tagged { size, zone, days, parents, uses, tags })?.id.into()
                }
                3 => graph.add(region, &name, First { size, zone, days, parents, tags })?.id.into(),
                _ => {
                    let mut ends = parents.into_iter();
                    let (Some(left), Some(right)) = (ends.next(), ends.next()) else {
                        ids.push(None);
                        continue;
                    };
                    let note = days.map(|days| format!("for {days} days"));
                    let slot = u32::try_from(index).map_err(|error| Error::failed(error.to_string()))?;
                    graph.add(region, &name, Link { left, right, slot, weight: size, note })?.id.into()
                }
            };
            ids.push(Some(id));
        }
        Ok(graph)
    }
}

fn items() -> impl Strategy<Value = Item> {
    let days = option::of(1..60_u32);
    let referents = || vec(any::<usize>(), 0..3);
    (any::<u8>(), any::<bool>(), 0..3_u8, 1..5_u32, days, vec(any::<usize>(), 0..4), referents()).prop_map(
        |(kind, east, zone, size, days, parents, uses)| Item {
            kind,
            east,
            zone,
            size,
            days,
            parents,
            uses,
            removed: false,
        },
    )
}

/// Random graphs of at most `size` resources.
pub fn sketches(size: usize) -> impl Strategy<Value = Sketch> {
    vec(items(), 1..=size.max(1)).prop_map(|items| Sketch { items })
}

/// Random edits, at most `count`.
pub fn edits(count: usize) -> impl Strategy<Value = Vec<Edit>> {
    let at = any::<usize>;
    let edit = prop_oneof![
        (at(), 1..5_u32).prop_map(|(at, size)| Edit::Size(at, size)),
        (at(), option::of(1..60_u32)).prop_map(|(at, days)| Edit::Days(at, days)),
        (at(), 0..3_u8).prop_map(|(at, zone)| Edit::Zone(at, zone)),
        (at(), vec(any::<usize>(), 0..4)).prop_map(|(at, parents)| Edit::Parents(at, parents)),
        (at(), vec(any::<usize>(), 0..3)).prop_map(|(at, uses)| Edit::Uses(at, uses)),
        at().prop_map(Edit::Remove),
        items().prop_map(Edit::Add),
    ];
    (Just(()), vec(edit, 0..=count)).prop_map(|((), edits)| edits)
}

/// The graph and the edits of `seed`.
///
/// # Errors
/// Never, in practice: only if the strategies fail.
pub fn history(seed: u64, size: usize, count: usize) -> Result<(Sketch, Vec<Edit>)> {
    let mut bytes = [0; 32];
    for (byte, seed) in bytes.iter_mut().zip(seed.to_le_bytes()) {
        *byte = seed;
    }
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let tree = (sketches(size), edits(count)).new_tree(&mut runner);
    tree.map(|tree| tree.current()).map_err(|reason| Error::failed(reason.message()))
}
