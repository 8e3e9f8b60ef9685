//! The functions of a workspace whose callers invoke an alias, between two versions of which a deployment shifts the invocations
//! by weight.
//!
//! During a deployment, both versions exist: the old one at its own address, and the new one at the address of [`Move::next`].
//! Their records change places when all invocations have moved, and the old version is deleted.

use std::collections::BTreeSet;

use payinfra_aws::lambda::{self, Alias, Version};
use payinfra_engine::{Address, Declared, Error, Graph, ID, Ref, Region, Resource, Result, State, pointers};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::existence;
use crate::operation::Operation;

/// The command whose operations are deployments.
const DEPLOY: &str = "deploy";
/// The member of the record of a deployment that says that it is one of a function.
pub(crate) const MARK: &str = "versions";

/// All of them.
#[derive(Debug)]
pub(crate) struct Functions(Vec<Function>);

/// One of them, in one region.
#[derive(Debug)]
pub(crate) struct Function {
    /// Its address.
    address: Address,
    /// Its current version.
    version: Address,
    /// What its callers invoke.
    alias: Address,
}

/// What a version is published from: the members of its arguments that change with the function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    /// The digest of the code.
    pub(crate) code: String,
    /// The digest of code and configuration.
    definition: String,
}

/// A deployment in one region.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Move {
    /// The function.
    pub(crate) function: Address,
    /// The version that the configuration declares.
    pub(crate) version: Address,
    /// The new version, until it takes the place of the old one, and then the old version.
    pub(crate) next: Address,
    /// What callers invoke.
    pub(crate) alias: Address,
    before: Source,
    after: Source,
}

/// The versions of a function according to the state.
#[derive(Debug)]
pub(crate) struct Versions {
    /// The number of the one that gets all other invocations.
    pub(crate) active: String,
    /// The number of the additional one, and its share in percent.
    pub(crate) additional: Option<(String, u8)>,
}

/// What a deployment of a function records of its regions.
#[derive(Deserialize)]
struct Recorded {
    moves: Vec<Move>,
}

impl Functions {
    /// The functions that `graph` declares with an alias for the number of a version that nothing else uses.
    pub(crate) fn find(graph: &Graph) -> Self {
        let aliases = graph.nodes().iter().filter(|(address, _)| &*address.kind == Alias::KIND);
        let functions = aliases.filter_map(|(alias, node)| {
            let version = referred(node, "version", Version::KIND)?;
            let function = referred(node, "function", lambda::Function::KIND)?;
            let own = graph.nodes().get(&version)?;
            let is_same = referred(own, "function", lambda::Function::KIND).as_ref() == Some(&function);
            let users = graph.nodes().keys().filter(|user| graph.depends(user).contains(&version));
            let is_only = users.eq([alias]) && node.args["additional"].is_null();
            (is_same && is_only).then(|| Function { address: function, version, alias: alias.clone() })
        });
        Self(functions.collect())
    }

    /// Whether a command is about functions: by the deployment in progress, or else by the name.
    pub(crate) fn are_meant(name: Option<&str>, state: &State) -> bool {
        match state.operations.get(DEPLOY) {
            Some(recorded) => recorded.get(MARK) == Some(&Value::Bool(true)),
            None => name.is_some(),
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in all regions.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Function> {
        self.0.iter()
    }

    /// The function with this name, in all regions; standby regions first, where `regions` begins with the primary one.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn named(&self, name: &str, regions: &[Region]) -> Result<Vec<&Function>> {
        let mut found: Vec<_> = self.0.iter().filter(|function| function.name() == name).collect();
        if found.is_empty() {
            let names: BTreeSet<_> = self.0.iter().map(Function::name).collect();
            let names: Vec<_> = names.into_iter().collect();
            let hint = if names.is_empty() {
                "declare an alias whose version is the number of a declared version of the function".to_owned()
            } else {
                format!("the functions are {}", names.join(", "))
            };
            return Err(Error::invalid(format!("there is no function `{name}` with an alias")).hint(hint));
        }
        let rank = |function: &&Function| regions.iter().position(|region| region == function.region());
        found.sort_by_key(|function| std::cmp::Reverse(rank(function)));
        Ok(found)
    }
}

impl Function {
    /// The name; the same in all regions.
    pub(crate) fn name(&self) -> &str {
        &self.address.name
    }

    /// The region.
    pub(crate) fn region(&self) -> &Region {
        &self.address.region
    }

    /// The versions that its callers invoke.
    ///
    /// # Errors
    /// If the alias does not exist yet.
    pub(crate) fn versions(&self, state: &State) -> Result<Versions> {
        existence::check([&self.alias], state)?;
        Ok(versions(&self.alias, state))
    }

    /// What a deployment has to do, or nothing if the version that the configuration declares is published already.
    ///
    /// # Errors
    /// If a part of it does not exist yet, or its callers do not invoke only its current version.
    pub(crate) fn pending(&self, graph: &Graph, state: &State) -> Result<Option<Move>> {
        let needed = graph.depends(&self.address);
        let exists = |address: &&Address| graph.nodes().get(*address).is_none_or(|node| !node.lookup);
        let parts = [&self.address, &self.version, &self.alias].into_iter().chain(&needed);
        existence::check(parts.filter(exists), state)?;
        let declared = &graph.nodes()[&self.version].args;
        let (before, after) = (source(&state.resources[&self.version].args)?, source(declared)?);
        if before == after {
            return Ok(None);
        }
        let Versions { active, additional } = versions(&self.alias, state);
        if Some(&*active) != number(&self.version, state) || additional.is_some() {
            return Err(Error::invalid(format!("{} is not only for the version of {}", self.alias, self.version))
                .hint("run `payinfra apply`, which restores it"));
        }
        let next = Address::new(self.region(), Version::KIND, &format!("{}-next", self.version.name))?;
        Ok(Some(Move {
            function: self.address.clone(),
            version: self.version.clone(),
            next,
            alias: self.alias.clone(),
            before,
            after,
        }))
    }
}

impl Move {
    /// The region.
    pub(crate) fn region(&self) -> &Region {
        &self.function.region
    }

    /// The code of the new version.
    pub(crate) fn code(&self) -> &str {
        &self.after.code
    }

    /// The numbers of the old and of the new version, if they exist.
    pub(crate) fn numbers<'a>(&self, state: &'a State) -> [Option<&'a str>; 2] {
        let numbers = [number(&self.version, state), number(&self.next, state)];
        if self.is_handed_over(state) { [numbers[1], numbers[0]] } else { numbers }
    }

    /// Whether the new version has taken the place of the old one.
    pub(crate) fn is_handed_over(&self, state: &State) -> bool {
        let now = state.resources.get(&self.version).map(|record| source(&record.args));
        matches!(now, Some(Ok(now)) if now == self.after)
    }

    /// The share of the new version in the invocations in percent, according to `state`.
    pub(crate) fn share(&self, state: &State) -> u8 {
        let Versions { active, additional } = versions(&self.alias, state);
        match (self.numbers(state)[1], additional) {
            (Some(new), _) if new == active => 100,
            (Some(new), Some((number, share))) if new == number => share,
            _ => 0,
        }
    }

    /// Checks that the function would still be published as when the deployment began.
    ///
    /// # Errors
    /// If it would not, although the new version does not exist yet.
    pub(crate) fn is_still_declared(&self, graph: &Graph, state: &State) -> Result<()> {
        let declared = graph.nodes().get(&self.version).map(|node| source(&node.args)).transpose()?;
        if number(&self.next, state).is_some() || self.is_handed_over(state) || declared.as_ref() == Some(&self.after) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "the code or configuration of {} has changed since the deployment began",
            self.function
        ))
        .hint("restore it, or end the deployment with `payinfra deploy --abort`"))
    }

    /// Declares both versions in `graph`, and the new one with this share in percent of the invocations.
    ///
    /// # Errors
    /// If the function is no longer declared as it was.
    pub(crate) fn split(&self, graph: &mut Graph, share: u8) -> Result<()> {
        self.is_declared(graph)?;
        graph.with_successor(&self.version, &self.next, &self.before.members()?, &self.after.members()?)?;
        let number = |version: &Address| json!(Ref::<String>::to(version, "number"));
        let (version, additional) = match share {
            0 => (&self.version, Value::Null),
            1..=99 => (&self.version, json!({ "version": number(&self.next), "weight": share })),
            _ => (&self.next, Value::Null),
        };
        let members = [("version", number(version)), ("additional", additional)];
        graph.amend(&self.alias, members.map(|(name, value)| (name.to_owned(), value)).into_iter().collect())
    }

    /// Declares only the old version in `graph`, with all invocations.
    ///
    /// # Errors
    /// If the function is no longer declared as it was.
    pub(crate) fn keep(&self, graph: &mut Graph) -> Result<()> {
        self.is_declared(graph)?;
        graph.amend(&self.version, self.before.members()?)
    }

    fn is_declared(&self, graph: &Graph) -> Result<()> {
        let missing = [&self.version, &self.alias].into_iter().find(|it| !graph.nodes().contains_key(it));
        missing.map_or(Ok(()), |missing| {
            Err(Error::invalid(format!("the configuration no longer has {missing}"))
                .hint("declare it again until the deployment has ended"))
        })
    }
}

impl Source {
    fn members(&self) -> Result<Map<String, Value>> {
        let value = serde_json::to_value(self).map_err(|error| Error::failed(error.to_string()))?;
        Ok(value.as_object().cloned().unwrap_or_default())
    }
}

/// `graph` with the versions and weights of the deployment of a function in progress, if there is one: plans keep them.
///
/// # Errors
/// If the record of the deployment cannot be read.
pub(crate) fn with_deployment(mut graph: Graph, state: &State) -> Result<Graph> {
    if state.operations.get(DEPLOY).and_then(|recorded| recorded.get(MARK)) != Some(&Value::Bool(true)) {
        return Ok(graph);
    }
    let found = crate::operation::find::<Recorded>(state, DEPLOY)?;
    for it in found.into_iter().flat_map(|Operation { what: Recorded { moves }, .. }| moves) {
        // A destroy, or a region that leaves, takes both versions along.
        if !it.is_handed_over(state) && it.is_declared(&graph).is_ok() {
            it.split(&mut graph, it.share(state))?;
        }
    }
    Ok(graph)
}

fn referred(node: &Declared, member: &str, kind: &str) -> Option<Address> {
    let [pointer] = <[_; 1]>::try_from(pointers(node.args.get(member)?)).ok()?;
    let output = if kind == Version::KIND { "number" } else { ID };
    (&*pointer.address.kind == kind && pointer.output == output).then_some(pointer.address)
}

fn source(args: &Value) -> Result<Source> {
    Source::deserialize(args).map_err(|error| Error::failed(format!("the arguments of a version: {error}")))
}

fn number<'a>(version: &Address, state: &'a State) -> Option<&'a str> {
    let record = state.resources.get(version).filter(|record| record.id.is_some())?;
    record.outputs["number"].as_str()
}

fn versions(alias: &Address, state: &State) -> Versions {
    let args = state.resources.get(alias).map_or(&Value::Null, |record| &record.args);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let weight = |value: &Value| value.as_u64().and_then(|weight| u8::try_from(weight).ok()).unwrap_or_default();
    let additional = &args["additional"];
    let additional = additional.is_object().then(|| (text(&additional["version"]), weight(&additional["weight"])));
    Versions { active: text(&args["version"]), additional }
}

#[cfg(test)]
mod tests {
    use payinfra_aws::CodeSha256;
    use payinfra_engine::{Id, Record, Tags};

    use super::*;

    const EAST: &str = "us-east-1";
    const WEST: &str = "us-west-2";

    fn version(code: &str, definition: &str) -> Version {
        let function = Ref::Known(Id::new("f"));
        Version { function, code: CodeSha256::of(code.as_bytes()), definition: definition.to_owned() }
    }

    fn alias(version: Ref<String>) -> Alias {
        let function = Ref::Known(Id::new("f"));
        Alias { function, name: "live".to_owned(), description: String::new(), version, additional: None }
    }

    /// A graph with a function in two regions.
    fn declaring(definition: &str) -> Result<Graph> {
        let mut graph = Graph::new("s", "w", Tags::new());
        for region in [EAST, WEST].map(Region::new) {
            let function = Address::new(&region, lambda::Function::KIND, "processor")?;
            let id = Ref::to(&function, ID);
            let version = Version { function: id.clone(), ..version(definition, definition) };
            let version = graph.add(&region, "processor", version)?;
            graph.add(&region, "live", Alias { function: id, ..alias(version.outputs.number) })?;
        }
        Ok(graph)
    }

    fn address(region: &str, kind: &str, name: &str) -> Result<Address> {
        Address::new(&Region::new(region), kind, name)
    }

    /// The state after an apply of `declaring("old")`.
    fn state() -> Result<State> {
        let mut state = State::new("s", "w", "a");
        let json = |error: serde_json::Error| Error::failed(error.to_string());
        for region in [EAST, WEST] {
            let record =
                |args: Value, outputs: Value| Record { id: Some("1".to_owned()), args, outputs, ..Record::default() };
            let function = address(region, lambda::Function::KIND, "processor")?;
            state.resources.insert(function, record(json!({}), json!({})));
            let args = serde_json::to_value(version("old", "old")).map_err(json)?;
            let number = json!({ "number": "1" });
            state.resources.insert(address(region, Version::KIND, "processor")?, record(args, number));
            let args = serde_json::to_value(alias(Ref::Known("1".to_owned()))).map_err(json)?;
            state.resources.insert(address(region, Alias::KIND, "live")?, record(args, json!({})));
        }
        Ok(state)
    }

    fn moves(graph: &Graph, state: &State) -> Result<Vec<Move>> {
        let functions = Functions::find(graph);
        let named = functions.named("processor", &[EAST, WEST].map(Region::new))?;
        Ok(named
            .into_iter()
            .map(|it| it.pending(graph, state))
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect())
    }

    #[test]
    fn m17_the_standby_region_is_first() -> Result<()> {
        let (graph, state) = (declaring("new")?, state()?);
        let regions: Vec<_> = moves(&graph, &state)?.iter().map(|it| it.region().to_string()).collect();
        assert_eq!(regions, [WEST, EAST]);
        assert!(moves(&declaring("old")?, &state)?.is_empty());
        Ok(())
    }

    #[test]
    fn m17_both_versions_are_declared_until_the_new_one_has_all_invocations() -> Result<()> {
        let (declared, mut state) = (declaring("new")?, state()?);
        let found = moves(&declared, &state)?;
        let it = &found[0];
        for (share, version, additional) in [
            (0, "processor#number", Value::Null),
            (25, "processor#number", json!({ "version": { "$ref": format!("{}#number", it.next) }, "weight": 25 })),
            (100, "processor-next#number", Value::Null),
        ] {
            let mut graph = declared.clone();
            it.split(&mut graph, share)?;
            let args = &graph.nodes()[&it.alias].args;
            assert_eq!(args["version"], json!({ "$ref": format!("{WEST}/lambda.version/{version}") }), "{share}");
            assert_eq!(args["additional"], additional, "{share}");
            assert_eq!(graph.nodes()[&it.version].args["definition"], "old");
            assert_eq!(graph.nodes()[&it.next].args["definition"], "new");
        }
        assert_eq!((it.share(&state), it.is_handed_over(&state)), (0, false));
        let mut next = state.resources[&it.version].clone();
        next.args = serde_json::to_value(version("new", "new")).map_err(|error| Error::failed(error.to_string()))?;
        next.outputs = json!({ "number": "2" });
        state.resources.insert(it.next.clone(), next);
        let set = |state: &mut State, version: &str, additional: Value| {
            if let Some(record) = state.resources.get_mut(&it.alias) {
                record.args["version"] = version.into();
                record.args["additional"] = additional;
            }
        };
        set(&mut state, "1", json!({ "version": "2", "weight": 75 }));
        assert_eq!(it.share(&state), 75);
        set(&mut state, "2", Value::Null);
        assert_eq!(it.share(&state), 100);
        state.exchange(&it.version, &it.next);
        assert_eq!((it.share(&state), it.is_handed_over(&state)), (100, true));
        assert_eq!(it.numbers(&state), [Some("1"), Some("2")]);
        Ok(())
    }

    #[test]
    fn m17_plans_keep_a_deployment_in_progress() -> Result<()> {
        let (declared, mut state) = (declaring("new")?, state()?);
        assert_eq!(with_deployment(declared.clone(), &state)?, declared);
        let moves = moves(&declared, &state)?;
        let recorded = json!({ "who": "w", "since": "s", "run": "r", MARK: true, "moves": moves });
        state.operations.insert(DEPLOY.to_owned(), recorded);
        let kept = with_deployment(declared.clone(), &state)?;
        assert!(moves.iter().all(|it| kept.nodes().contains_key(&it.next)));
        let empty = Graph::new("s", "w", Tags::new());
        assert_eq!(with_deployment(empty.clone(), &state)?, empty);
        state.exchange(&moves[0].version, &moves[0].next);
        state.resources.insert(moves[0].version.clone(), Record { args: json!(moves[0].after), ..Record::default() });
        assert!(!with_deployment(declared, &state)?.nodes().contains_key(&moves[0].next));
        Ok(())
    }

    #[test]
    fn m17_a_version_that_others_use_is_not_deployed() -> Result<()> {
        let mut graph = declaring("new")?;
        assert_eq!(Functions::find(&graph).iter().count(), 2);
        let version = address(EAST, Version::KIND, "processor")?;
        let function = Ref::to(&address(EAST, lambda::Function::KIND, "processor")?, ID);
        let other = Alias { function, name: "other".to_owned(), ..alias(Ref::to(&version, "number")) };
        graph.add(&Region::new(EAST), "other", other)?;
        let found = Functions::find(&graph);
        assert_eq!(found.iter().map(|it| it.region().as_str()).collect::<Vec<_>>(), [WEST]);
        let error = found.named("other", &[]).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("no function `other`"), "{error}");
        Ok(())
    }
}
