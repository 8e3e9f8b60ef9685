//! `payinfra permissions`: prints the least IAM policy that the commands need.

mod state;

use std::collections::BTreeSet;
use std::io::{Cursor, Read};
use std::path::Path;

use clap::Args;
use payinfra_aws::payinfra::RemoteOutputs;
use payinfra_aws::{Extent, KINDS, Policy, Statement, statements};
use payinfra_engine::{Error, Lookup as _, Result, counted};
use payinfra_stack::{AnyStack, Configuration, named};
use serde_json::Value;

use self::state::Place;
use super::Execute;
use super::phase::with_phase;
use crate::context::{ANY_ACCOUNT, Context};
use crate::exit::{Exit, Outcome};
use crate::failure::Failure;
use crate::screen;

#[derive(Args)]
pub(super) struct Permissions {
    /// Stack whose kinds are meant, as the configuration declares them or, if that is of another stack, as the stack's example
    /// does; by default, all kinds
    #[arg(long, value_name = "NAME")]
    stack: Option<String>,
    /// Only what `plan` and `drift` need
    #[arg(long)]
    read_only: bool,
    /// Print only this one of several policies, counted from 1
    #[arg(long, value_name = "NUMBER")]
    part: Option<usize>,
}

/// The maximum size of a managed policy: 6,144 characters, not counting white space (IAM User Guide, quotas).
const LIMIT: usize = 6_144;

impl Execute for Permissions {
    const NAME: &'static str = "permissions";
    const ABOUT: &'static str = "Print the IAM policy that the commands need; needs no credentials";

    async fn execute(self, cx: &Context) -> Outcome {
        let extent = if self.read_only { Extent::Read } else { Extent::Change };
        let stack = self.stack.as_deref().map(|name| named(cx.stacks(), name)).transpose()?;
        let needs = Needs::of(cx, stack)?;
        let mut all = statements(needs.kinds.iter().map(String::as_str), extent);
        all.extend(needs.state.iter().flat_map(|place| place.statements(extent)));
        all.extend(state::others(&needs.others));
        let policies = split(all)?;
        let count = policies.len();
        let printed = match self.part {
            None => &policies[..],
            Some(number) => number.checked_sub(1).and_then(|index| policies.get(index..=index)).ok_or_else(|| {
                let policies = if count == 1 { "is 1 policy".to_owned() } else { format!("are {count} policies") };
                Error::invalid(format!("there is no policy {number}")).hint(format!("there {policies}, counted from 1"))
            })?,
        };
        for policy in printed {
            let policy: Value = serde_json::from_str(policy).map_err(|error| Error::failed(error.to_string()))?;
            let text = serde_json::to_string_pretty(&policy).map_err(|error| Error::failed(error.to_string()))?;
            screen::tell(&text);
        }
        if printed.len() > 1 {
            screen::note(&format!(
                "{} of whole statements, because a managed policy has at most {LIMIT} characters: attach all of them. \
                 `--part NUMBER` prints one.",
                counted(count, "policy", "policies")
            ));
        }
        Ok(Exit::Done)
    }
}

/// What a policy is for.
struct Needs {
    kinds: BTreeSet<String>,
    /// Where the state is; `None` if it is in a folder.
    state: Option<Place>,
    /// The buckets with the states of other workspaces, from which the stack reads outputs.
    others: BTreeSet<String>,
}

impl Needs {
    /// For the kinds of `stack`, or all kinds. The configuration, if there is one for the stack, says where the state is.
    fn of(cx: &Context, stack: Option<&'static dyn AnyStack>) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(cx.configuration()).ok();
        let name = cx.configuration().display().to_string();
        let parse = |text: &str, name: &str| {
            // The kinds do not depend on what is in the packages of functions.
            let open = |_: &Path| Ok(Box::new(Cursor::new(b"")) as Box<dyn Read>);
            Configuration::open(text, name, cx.stacks(), &open)
                .map_err(|error| Failure::in_configuration(*error, text, cx.stacks()))
        };
        let own = match &text {
            Some(text) => Some((parse(text, &name)?, &**text)),
            None => None,
        };
        let own = own.filter(|(own, _)| stack.is_none_or(|stack| stack.name() == own.stack.name()));
        let state = own.as_ref().map_or_else(|| Some(Place::default()), |(own, _)| Place::of(own));
        let Some(stack) = stack else {
            let kinds = KINDS.iter().copied().flatten().map(|kind| kind.spec().kind.to_owned());
            return Ok(Self { kinds: kinds.collect(), state, others: BTreeSet::new() });
        };
        let (configuration, text) = if let Some(own) = own {
            own
        } else {
            let text = stack.example().ok_or_else(|| {
                let message = format!("the stack `{}` has no example that shows its kinds", stack.name());
                Error::invalid(message)
                    .hint("run the command in the folder of a configuration for it; see `payinfra init`")
            })?;
            (parse(text, "the example")?, text)
        };
        let (mut kinds, mut others) = (BTreeSet::new(), BTreeSet::new());
        for name in configuration.workspaces.keys() {
            let phases = stack.phases().iter().filter_map(|phase| with_phase(text, name, phase).ok());
            // A phase that the workspace cannot be in declares nothing.
            let in_phases: Vec<_> = phases.filter_map(|text| parse(&text, "the phase").ok()).collect();
            for configuration in in_phases.iter().chain([&configuration]) {
                let graph = payinfra_components::graph(configuration, name, ANY_ACCOUNT)?;
                for (address, node) in graph.nodes() {
                    kinds.insert(address.kind.to_string());
                    let bucket = node.args.get("bucket").and_then(Value::as_str);
                    others.extend(bucket.filter(|_| *address.kind == *RemoteOutputs::KIND).map(str::to_owned));
                }
            }
        }
        Ok(Self { kinds, state, others })
    }
}

/// The documents of as few policies as whole statements in order of their ids allow.
fn split(statements: Vec<Statement>) -> Result<Vec<String>> {
    let all = Policy::new(statements);
    let mut documents = Vec::new();
    let mut some: Vec<Statement> = Vec::new();
    for statement in all.statements() {
        let longer = Policy::new(some.iter().chain([statement]).cloned()).document()?;
        if size(&longer) > LIMIT && !some.is_empty() {
            documents.push(Policy::new(std::mem::take(&mut some)).document()?);
        }
        some.push(statement.clone());
    }
    documents.push(Policy::new(some).document()?);
    Ok(documents)
}

/// The size of a document as IAM counts it.
fn size(document: &str) -> usize {
    document.chars().filter(|letter| !letter.is_whitespace()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_split_between_statements() -> Result<()> {
        let statement = |number: usize| {
            let actions: Vec<_> = (0..100).map(|action| format!("ec2:Describe{number}{action:020}")).collect();
            Statement::allow(&format!("S{number}"), actions.iter().map(String::as_str)).on("*")
        };
        let documents = split((0..4).map(statement).collect())?;
        let counts: Vec<_> = documents.iter().map(|it| it.matches("\"Sid\"").count()).collect();
        assert_eq!(counts, [1, 1, 1, 1]);
        assert!(documents.iter().all(|document| size(document) <= LIMIT));
        assert_eq!(split((0..9).map(|it| Statement::allow(&format!("S{it}"), ["a:B"])).collect())?.len(), 1);
        Ok(())
    }

    #[test]
    fn each_policy_of_all_kinds_fits() -> Result<()> {
        let kinds = || KINDS.iter().copied().flatten().map(|kind| kind.spec().kind);
        let mut all = statements(kinds(), Extent::Change);
        all.extend(Place::default().statements(Extent::Change));
        let documents = split(all)?;
        // IAM's default quota of managed policies per role is ten.
        assert!(documents.len() <= 10 && documents.iter().all(|document| size(document) <= LIMIT));
        Ok(())
    }
}
