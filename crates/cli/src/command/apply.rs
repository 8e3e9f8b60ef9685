//! `payinfra apply`: creates or updates resources to match the configuration.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Args;
use payinfra_engine::plan::Options;
use payinfra_engine::{Address, Error, Plan, Result, WIDTH};

use super::Execute;
use crate::context::Context;
use crate::disk;
use crate::exit::Outcome;
use crate::losses::Losses;
use crate::lost::Missing;
use crate::run::Order;

#[derive(Args)]
pub(super) struct Apply {
    /// A plan that `plan --out` saved; without it one is made and shown first.
    #[arg(value_name = "PLAN", conflicts_with = "target")]
    plan: Option<PathBuf>,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// Create another deployment, although resources or a state of an earlier one exist.
    #[arg(long)]
    new_deployment: bool,
    #[command(flatten)]
    losses: Losses,
    /// How many resources may be begun at once; those that only wait do not count.
    #[arg(long, value_name = "N", env = "PAYINFRA_PARALLELISM", default_value_t = WIDTH)]
    parallelism: NonZeroUsize,
    /// Only this resource and what it depends on; may be given more than once.
    #[arg(long, value_name = "ADDRESS")]
    target: Vec<Address>,
    /// Print events, one JSON object per line; see `schema --events`.
    #[arg(long)]
    json: bool,
    /// Where to write the outputs as one JSON object, name to string.
    #[arg(long, value_name = "FILE", default_value = "cfn-outputs/flat-outputs.json")]
    outputs_file: PathBuf,
}

impl Execute for Apply {
    const NAME: &'static str = "apply";
    const ABOUT: &'static str = "Create or update resources to match the configuration: shows the plan and asks";

    fn emits(&self) -> bool {
        self.json
    }

    async fn execute(self, cx: &Context) -> Outcome {
        // A broken file is told before AWS is asked.
        let saved = self.plan.as_deref().map(read).transpose()?;
        let session = cx.session().await?;
        let declared = session.graph()?;
        if let Some(plan) = &saved {
            if plan.account != session.account {
                let message = format!(
                    "the plan was made in account {}, these are the credentials of {}",
                    plan.account, session.account
                );
                return Err(Error::invalid(message).hint("use the credentials of the plan's account").into());
            }
            if (&plan.graph.stack, &plan.graph.workspace) != (&declared.stack, &declared.workspace) {
                let of = |graph: &payinfra_engine::Graph| format!("workspace {} of {}", graph.workspace, graph.stack);
                let message = format!("the plan is of {}, not of {}", of(&plan.graph), of(&declared));
                return Err(Error::invalid(message).hint("name the plan's workspace with --workspace").into());
            }
        }
        let order = Order {
            session: &session,
            command: Self::NAME,
            wanted: declared.clone(),
            declared,
            options: Options { targets: BTreeSet::from_iter(self.target), accepted: self.losses.accepted() },
            saved,
            missing: if self.new_deployment { Missing::CreateAnother } else { Missing::Create },
            yes: self.yes,
            json: self.json,
            verbose: cx.verbose(),
            width: self.parallelism,
            outputs_file: Some(&self.outputs_file),
        };
        order.carry_out().await
    }
}

/// The largest plan that is read, in bytes: many times that of the largest stack.
const LARGEST: u64 = 64 << 20;

fn read(path: &Path) -> Result<Plan> {
    let name = path.display();
    let bytes = disk::read_regular(path, LARGEST)?.ok_or_else(|| {
        Error::invalid(format!("there is no plan {name}")).hint("`payinfra plan --out FILE` makes one")
    })?;
    Plan::parse(&bytes).map_err(|error| error.at(name))
}
