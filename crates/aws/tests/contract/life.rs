//! The life of an example, with the calls that the engine would make.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use payinfra_aws::{Access, Aws};
use payinfra_engine::{
    Address, Class, Cloud, Error, Identity, IgnoredTags, Known, Owner, Pointer, Region, Result, Seen, Site, State,
    Status,
};
use payinfra_localstack::Emulator;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::example::{Again, Example};
use crate::{lambda, permissions};

/// The maximum number of updates until the arguments match.
const UPDATES: usize = 4;
/// The time limit for the emulated AWS.
const PATIENCE: Duration = Duration::from_mins(1);

/// A tag that somebody else sets, and that the example's own access ignores.
const THEIRS: &str = "org:owner";

/// One instance for all tests, because it takes seconds to start. It ends with the process.
static EMULATOR: OnceCell<Emulator> = OnceCell::const_new();

pub(crate) async fn aws() -> Result<Aws> {
    access().await.map(Aws::new)
}

/// For changes by others in the account.
pub(crate) async fn access() -> Result<Access> {
    access_as("test").await
}

/// Its lists have pages of one item, so that a kind that does not read all pages fails.
async fn emulator() -> Result<&'static Emulator> {
    let start = async || {
        let emulator = Emulator::start().await?;
        emulator.set_page_size(Some(1));
        Ok(emulator)
    };
    let started = EMULATOR.get_or_try_init(start).await;
    started.map_err(|error: payinfra_localstack::Error| Error::failed(error.to_string()))
}

async fn access_as(access_key: &str) -> Result<Access> {
    let emulator = emulator().await?;
    let access = Access::emulated_as(&emulator.endpoint(), access_key).await?.with_resolver(emulator.resolver());
    for package in lambda::packages() {
        access.provide(package)?;
    }
    Ok(access)
}

/// The first generation of a resource that is not in a graph.
pub(crate) fn site(region: &Region, kind: &str, name: &str) -> Result<Site> {
    let address = Address::new(region, kind, name)?;
    let owner = Owner {
        stack: "contract".to_owned(),
        workspace: name.to_owned(),
        address: address.clone(),
        lineage: "alone".to_owned(),
    };
    let token = token(&address, "alone");
    Ok(Site { address, token, owner, known: Known::default(), begun: false, final_snapshot: false })
}

/// The token of the first generation of the resource at `address` in the deployment `lineage`.
fn token(address: &Address, lineage: &str) -> String {
    State { lineage: lineage.to_owned(), ..State::new("contract", "contract", "123456789012") }.token(address, 1)
}

/// The account in which an example lives.
struct World<'a> {
    /// For the dependencies.
    aws: Aws,
    /// For the example: to read it, and to change it. The emulated AWS records their calls by these access keys.
    reading: Aws,
    changing: Aws,
    example: &'a Example,
    /// The existing resources, with their arguments.
    seen: BTreeMap<Address, (Seen, Value)>,
}

/// Creates the dependencies of `example`, verifies the contract of its kind, and deletes everything.
pub(crate) async fn live(example: &Example) -> Result<()> {
    let [reads, changes] = ["reads", "changes"].map(|what| format!("{what}-{}", example.name()));
    let mut world = World {
        aws: aws().await?,
        reading: Aws::new(access_as(&reads).await?.ignoring(IgnoredTags::new(["org:*"]))),
        changing: Aws::new(access_as(&changes).await?.ignoring(IgnoredTags::new(["org:*"]))),
        example,
        seen: BTreeMap::new(),
    };
    let order = example.graph.sorted()?;
    let others: Vec<_> = order.into_iter().filter(|address| *address != example.address).collect();
    for address in &others {
        world.make(address).await?;
    }
    if example.graph.nodes()[&example.address].lookup {
        world.make(&example.address).await?;
        let found = world.seen.get(&example.address).map(|(seen, _)| &seen.outputs);
        assert_eq!(found, Some(&world.resolved(&example.found)));
    } else {
        world.begin().await?;
        world.change().await?;
        world.remove(&example.address).await?;
    }
    for address in others.iter().rev() {
        world.remove(address).await?;
    }
    let calls = emulator().await?.calls();
    permissions::check(example.kind(), &calls, &reads, &changes);
    Ok(())
}

impl World<'_> {
    /// An interrupted create is recovered.
    async fn begin(&mut self) -> Result<()> {
        let address = &self.example.address;
        let mut site = self.site(address);
        let args = self.normal(address, self.example.args())?;
        assert_eq!(self.aws.normal(&address.kind, &args)?, args, "the arguments are normalized");
        assert_eq!(self.changing.recover(&site, &args).await?, None, "nothing is found before it exists");
        let id = self.changing.create(&site, &args).await?;
        assert_eq!(self.changing.recover(&site, &args).await?.as_ref(), Some(&id), "recover finds what create left");
        match self.example.again {
            Again::Another => {}
            Again::Same => assert_eq!(self.changing.create(&site, &args).await?, id, "the token creates it once"),
            Again::Taken => match self.changing.create(&site, &args).await {
                Err(error) => assert_eq!(error.class(), Class::Foreign, "{error}"),
                Ok(other) => assert_eq!(other, id, "a second create was neither rejected nor returned the same"),
            },
        }
        let seen = self.settle(address, &id, &args, &Value::Null).await?;
        assert!(!self.reading.absent(&address.region, &address.kind, &id).await?, "{address} exists");
        self.refuse_others(&args, &id).await?;
        if self.example.again != Again::Taken {
            site.known = Known::from_iter([id]);
            assert_eq!(self.changing.recover(&site, &args).await?, None, "recover ignores an earlier generation");
        }
        self.seen.insert(address.clone(), (seen, args));
        Ok(())
    }

    /// Resources of another deployment of the same configuration are never recovered or replaced.
    async fn refuse_others(&self, args: &Value, id: &str) -> Result<()> {
        let address = &self.example.address;
        let mut site = Site { token: token(address, "another"), begun: true, ..self.site(address) };
        "another".clone_into(&mut site.owner.lineage);
        let spec = self.aws.spec(&address.kind);
        if args.get("tags").is_none() || spec.as_ref().is_none_or(|spec| matches!(spec.identity, Identity::Part(_))) {
            return Ok(());
        }
        let mut args = args.clone();
        for (key, value) in site.owner.tags().iter() {
            args["tags"][key] = value.into();
        }
        match self.changing.recover(&site, &args).await {
            Ok(found) => assert_eq!(found, None, "{address} of another lineage was recovered"),
            Err(error) => assert_eq!(error.class(), Class::Foreign, "{error}"),
        }
        if self.example.again == Again::Taken && spec.is_some_and(|spec| spec.identity == Identity::Tags) {
            let made = self.changing.create(&site, &args).await;
            let refused = made.as_ref().is_err_and(|error| error.is(Class::Foreign));
            assert!(refused, "{id} of another lineage: {made:?}");
        }
        Ok(())
    }

    /// Somebody else adds a tag. Our own reads do not show it.
    async fn tag(&self) -> Result<()> {
        let address = &self.example.address;
        let Some((seen, args)) = self.seen.get(address).filter(|(_, args)| args["tags"].is_object()) else {
            return Ok(());
        };
        let mut tagged = seen.args.clone();
        tagged["tags"][THEIRS] = "theirs".into();
        self.aws.update(&self.site(address), &tagged, seen).await?;
        self.settle(address, &seen.id, args, &Value::Null).await?;
        self.is_tagged(seen).await
    }

    /// The tag of somebody else is still there.
    async fn is_tagged(&self, seen: &Seen) -> Result<()> {
        let address = &self.example.address;
        let found = self.aws.read(&address.region, &address.kind, std::slice::from_ref(&seen.id)).await?;
        let tags: Vec<_> = found.iter().map(|found| &found.args["tags"]).collect();
        assert!(tags.iter().all(|tags| tags[THEIRS] == "theirs") && tags.len() == 1, "{address} has the tags {tags:?}");
        Ok(())
    }

    /// Each change takes effect, and the next read shows it. None touches a tag of somebody else.
    async fn change(&mut self) -> Result<()> {
        self.tag().await?;
        let address = &self.example.address;
        for step in self.example.steps() {
            let args = self.normal(address, &step)?;
            let Some((seen, recorded)) = self.seen.get(address) else { return Err(Error::failed("it is gone")) };
            let after = self.settle(address, &seen.id, &args, recorded).await?;
            assert_eq!(after.id, seen.id, "an update keeps the id");
            self.seen.insert(address.clone(), (after, args));
        }
        match self.seen.get(address) {
            Some((seen, args)) if args["tags"].is_object() => self.is_tagged(seen).await,
            _ => Ok(()),
        }
    }

    /// Resolves a lookup, or converges a resource.
    async fn make(&mut self, address: &Address) -> Result<()> {
        let node = &self.example.graph.nodes()[address];
        let args = self.normal(address, &node.args)?;
        let seen = if node.lookup {
            let outputs = self.reading(address).find(&address.region, &address.kind, &args).await?;
            Seen { id: String::new(), status: Status::Ready, args: args.clone(), outputs }
        } else {
            let id = self.changing(address).create(&self.site(address), &args).await?;
            self.settle(address, &id, &args, &Value::Null).await?
        };
        self.seen.insert(address.clone(), (seen, args));
        Ok(())
    }

    /// Waits until it is ready, and updates it until it matches.
    async fn settle(&self, address: &Address, id: &str, args: &Value, recorded: &Value) -> Result<Seen> {
        let begun = Instant::now();
        let mut updates = 0;
        loop {
            let seen = match self.read(address, id).await? {
                Some(seen) if seen.status == Status::Ready => seen,
                other => {
                    assert!(begun.elapsed() < PATIENCE, "{address} does not become ready: {other:?}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            if !differs(args, &seen.args, recorded) {
                return Ok(seen);
            }
            assert!(updates < UPDATES, "{address} should be\n{args:#}\nbut is\n{:#}", seen.args);
            updates += 1;
            let live = Seen { args: masked(args, &seen.args, recorded), ..seen };
            self.changing(address).update(&self.site(address), args, &live).await?;
        }
    }

    /// Deletes it, checks that it is gone, and deletes it again.
    async fn remove(&mut self, address: &Address) -> Result<()> {
        if self.example.graph.nodes()[address].lookup {
            return Ok(());
        }
        let Some((seen, _)) = self.seen.remove(address) else { return Ok(()) };
        let site = self.site(address);
        let seen = self.unshield(&site, seen).await?;
        let begun = Instant::now();
        while let Err(error) = self.changing(address).delete(&site, &seen).await {
            if !error.is(Class::Conflict) || begun.elapsed() > PATIENCE {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        while let Some(still) = self.read(address, &seen.id).await? {
            if matches!(still.status, Status::Scheduled(_)) {
                return self.changing(address).delete(&site, &still).await;
            }
            assert!(begun.elapsed() < PATIENCE, "{address} is not deleted: {still:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(
            self.reading(address).absent(&address.region, &address.kind, &seen.id).await?,
            "{address} is proven to be gone"
        );
        self.changing(address).delete(&site, &seen).await
    }

    /// Disables AWS's deletion protection, as the engine does before a delete; until then AWS rejects the delete.
    async fn unshield(&self, site: &Site, seen: Seen) -> Result<Seen> {
        let shield = self.aws.spec(&site.address.kind).and_then(|spec| spec.shield);
        let Some(field) = shield.filter(|field| seen.args[*field] == Value::Bool(true)) else { return Ok(seen) };
        assert!(self.changing(&site.address).delete(site, &seen).await.is_err(), "{} is protected", site.address);
        let mut open = seen.args.clone();
        open[field] = false.into();
        self.settle(&site.address, &seen.id, &open, &seen.args).await
    }

    /// For calls that read what is at `address`.
    fn reading(&self, address: &Address) -> &Aws {
        if *address == self.example.address { &self.reading } else { &self.aws }
    }

    /// For calls that change what is at `address`.
    fn changing(&self, address: &Address) -> &Aws {
        if *address == self.example.address { &self.changing } else { &self.aws }
    }

    async fn read(&self, address: &Address, id: &str) -> Result<Option<Seen>> {
        let seen = self.reading(address).read(&address.region, &address.kind, &[id.to_owned()]).await?;
        assert!(seen.iter().all(|seen| seen.id == id), "more than was requested: {seen:?}");
        Ok(seen.into_iter().next())
    }

    fn site(&self, address: &Address) -> Site {
        let token = token(address, self.example.name());
        Site {
            address: address.clone(),
            token,
            owner: self.example.graph.owner(address),
            known: Known::default(),
            begun: false,
            final_snapshot: false,
        }
    }

    /// `args` without references; lists that were sorted by references are sorted by their values.
    fn normal(&self, address: &Address, args: &Value) -> Result<Value> {
        self.aws.normal(&address.kind, &self.resolved(args))
    }

    /// `value` without references.
    fn resolved(&self, value: &Value) -> Value {
        match value {
            Value::Array(values) => values.iter().map(|value| self.resolved(value)).collect(),
            Value::Object(members) => match (members.get("$ref"), members.get("$text")) {
                (Some(Value::String(pointer)), _) => self.output(pointer),
                (_, Some(Value::Array(parts))) => {
                    let parts = parts.iter().map(|part| self.resolved(part));
                    Value::String(parts.map(|part| part.as_str().unwrap_or_default().to_owned()).collect())
                }
                _ => members.iter().map(|(key, value)| (key.clone(), self.resolved(value))).collect(),
            },
            other => other.clone(),
        }
    }

    fn output(&self, pointer: &str) -> Value {
        let pointer = pointer.parse::<Pointer>();
        let found = pointer.as_ref().ok().and_then(|Pointer { address, output }| {
            let (seen, _) = self.seen.get(address)?;
            let id = (output == "id" && !seen.id.is_empty()).then(|| Value::String(seen.id.clone()));
            id.or_else(|| seen.outputs.pointer(&format!("/{output}")).cloned())
        });
        assert!(found.is_some(), "{pointer:?} has no value");
        found.unwrap_or_default()
    }
}

/// Whether `live` differs from `args`; a null is unmanaged unless `recorded` has a value there.
fn differs(args: &Value, live: &Value, recorded: &Value) -> bool {
    match (args, live) {
        (Value::Null, live) => !live.is_null() && !recorded.is_null(),
        (Value::Object(args), Value::Object(live)) => {
            let differ = |(key, value): (&String, _)| {
                differs(value, live.get(key).unwrap_or(&Value::Null), recorded.get(key).unwrap_or(&Value::Null))
            };
            args.iter().any(differ) || live.iter().any(|(key, value)| !value.is_null() && !args.contains_key(key))
        }
        (Value::Array(args), Value::Array(live)) => {
            args.len() != live.len() || args.iter().zip(live).any(|(args, live)| differs(args, live, &Value::Null))
        }
        (args, live) => args != live,
    }
}

/// `live` without unmanaged fields.
fn masked(args: &Value, live: &Value, recorded: &Value) -> Value {
    match (args, live) {
        (Value::Null, _) if recorded.is_null() => Value::Null,
        (Value::Object(args), Value::Object(live)) => {
            let mask = |(key, value): (&String, &Value)| {
                let recorded = recorded.get(key).unwrap_or(&Value::Null);
                (key.clone(), args.get(key).map_or(value.clone(), |args| masked(args, value, recorded)))
            };
            live.iter().map(mask).collect()
        }
        (_, live) => live.clone(),
    }
}
