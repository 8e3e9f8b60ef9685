//! `payinfra apply`: creates or updates resources to match the configuration.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use payinfra_engine::plan::Options;
use payinfra_engine::{Address, Error, Plan, Result};

use super::Execute;
use crate::context::Context;
use crate::disk;
use crate::exit::Outcome;
use crate::losses::Losses;
use crate::lost::Missing;
use crate::run::{Order, Width};

#[derive(Args)]
pub(super) struct Apply {
    /// Saved plan to apply, from `plan --out`; without it, a new plan is created and shown
    #[arg(value_name = "PLAN", conflicts_with = "target")]
    plan: Option<PathBuf>,
    /// Skip the confirmation prompt
    #[arg(long, short)]
    yes: bool,
    /// Create a separate deployment, even if resources or a state of an earlier one exist
    #[arg(long)]
    new_deployment: bool,
    #[command(flatten)]
    losses: Losses,
    #[command(flatten)]
    width: Width,
    /// Apply only this resource and its dependencies; can be repeated
    #[arg(long, value_name = "ADDRESS")]
    target: Vec<Address>,
    /// Print events as JSON, one object per line; see `schema --events`
    #[arg(long)]
    json: bool,
    /// File to write the outputs to, as one JSON object of strings
    #[arg(long, value_name = "FILE", default_value = "cfn-outputs/flat-outputs.json")]
    outputs_file: PathBuf,
}

impl Execute for Apply {
    const NAME: &'static str = "apply";
    const ABOUT: &'static str = "Create or update resources to match the configuration";

    fn emits(&self) -> bool {
        self.json
    }

    async fn execute(self, cx: &Context) -> Outcome {
        // Report a broken plan file before calling AWS.
        let saved = self.plan.as_deref().map(read).transpose()?;
        let session = cx.session().await?;
        let declared = session.graph()?;
        if let Some(plan) = &saved {
            if plan.account != session.account {
                let message = format!(
                    "the plan was created in account {}, but the current credentials belong to account {}",
                    plan.account, session.account
                );
                return Err(Error::invalid(message).hint("use the credentials of the plan's account").into());
            }
            if (&plan.graph.stack, &plan.graph.workspace) != (&declared.stack, &declared.workspace) {
                let of = |graph: &payinfra_engine::Graph| format!("workspace {} of {}", graph.workspace, graph.stack);
                let message = format!("the plan is for {}, not for {}", of(&plan.graph), of(&declared));
                return Err(Error::invalid(message).hint("select the plan's workspace with --workspace").into());
            }
        }
        let order = Order {
            session: &session,
            command: Self::NAME,
            back: None,
            wanted: declared.clone(),
            source: session.source(),
            declared,
            options: Options {
                targets: BTreeSet::from_iter(self.target),
                accepted: self.losses.accepted(),
                ..Options::default()
            },
            saved,
            missing: if self.new_deployment { Missing::CreateAnother } else { Missing::Create },
            yes: self.yes,
            json: self.json,
            verbose: cx.verbose(),
            width: self.width.parallelism,
            operation: None,
            outputs_file: Some(&self.outputs_file),
        };
        order.carry_out().await
    }
}

/// The largest plan file that is read, in bytes; far larger than the plan of any real stack.
const LARGEST: u64 = 64 << 20;

fn read(path: &Path) -> Result<Plan> {
    let name = path.display();
    let bytes = disk::read_regular(path, LARGEST)?.ok_or_else(|| {
        Error::invalid(format!("plan file {name} not found")).hint("create one with `payinfra plan --out FILE`")
    })?;
    Plan::parse(&bytes).map_err(|error| error.at(name))
}
