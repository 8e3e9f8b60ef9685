//! `payinfra init`: creates a configuration and adds the current account to it.

use std::path::Path;

use clap::Args;
use payinfra_engine::{Class, Error, Result};
use payinfra_stack::{AnyStack, Stacks, Template, named, template};

use super::Execute;
use crate::account;
use crate::context::Context;
use crate::disk::{self, Readers};
use crate::exit::{Exit, Outcome};
use crate::program;
use crate::screen::{self, HEADING};

#[derive(Args)]
pub(super) struct Init {
    /// Stack to configure; required if this program has more than one
    #[arg(long, value_name = "NAME")]
    stack: Option<String>,
    /// Skip the confirmation prompt
    #[arg(long, short)]
    yes: bool,
}

impl Execute for Init {
    const NAME: &'static str = "init";
    const ABOUT: &'static str = "Create a configuration if there is none, and allow changes in the current account";

    async fn execute(self, cx: &Context) -> Outcome {
        let file = cx.configuration();
        let stack = self.stack.as_deref().map(|name| named(cx.stacks(), name)).transpose()?;
        if !file.exists() {
            let stack = match stack {
                Some(stack) => stack,
                None => choose(file, cx.stacks()).await?,
            };
            let required = create(file, stack)?;
            if !required.is_empty() {
                screen::tell(&next_steps(&required));
                return Ok(Exit::Done);
            }
        }
        let project = cx.project()?;
        let configured = project.configuration.stack.name();
        if let Some(stack) = stack.filter(|stack| stack.name() != configured) {
            let message = format!("{} has the stack `{configured}`, not `{}`", file.display(), stack.name());
            return Err(Error::invalid(message)
                .hint("remove --stack, or create another file: select it with --config")
                .into());
        }
        let access = project.sign_in().await?;
        let account = access.account();
        let shown = account::shown(&access).await;
        if !project.configuration.aws.account_ids.is_empty() {
            screen::line(&format!("{} already allows {shown}.", file.display()));
            return Ok(Exit::Done);
        }
        screen::line(&format!("The current credentials belong to {shown}."));
        if !self.yes {
            let question = format!("Add it to `[aws] account_ids` in {}?", file.display());
            screen::confirm(&question, account, "nothing was changed", "pass --yes").await?;
        }
        account::allow(file, account)?;
        screen::line(&format!("{} now allows this account and no other.", file.display()));
        Ok(Exit::Done)
    }
}

/// The stack of the new configuration: the only one, or the one that the user chooses.
async fn choose(file: &Path, stacks: Stacks) -> Result<&'static dyn AnyStack> {
    if let [only] = stacks {
        return Ok(*only);
    }
    if !screen::can_ask() {
        let message = format!("{} does not exist, and this program has several stacks", file.display());
        let known: Vec<_> = stacks.iter().map(|stack| stack.name()).collect();
        return Err(Error::invalid(message).hint(format!("select one with --stack: {}", known.join(", "))));
    }
    screen::note(&format!("{HEADING}Stacks of this program:{HEADING:#}"));
    let width = stacks.iter().map(|stack| stack.name().len()).max().unwrap_or_default();
    for stack in stacks {
        screen::note(&format!("  {:width$}  {}", stack.name(), stack.about()));
    }
    match screen::ask("Which one do you want to configure? ").await {
        Some(name) if !name.is_empty() => named(stacks, &name),
        _ => Err(Error::new(Class::Cancelled, "no configuration was created")),
    }
}

/// Creates the configuration of `stack`, and returns the variables that the user has to set in it.
fn create(file: &Path, stack: &dyn AnyStack) -> Result<Vec<String>> {
    let Template { text, required } = template(stack);
    disk::write(file, program::named(&text).as_bytes(), Readers::All)?;
    screen::line(&format!(
        "Created {} for the stack `{}`. Review it before the first apply.",
        file.display(),
        stack.name()
    ));
    Ok(required)
}

/// What to do with a new configuration that is not complete.
fn next_steps(required: &[String]) -> String {
    let required: Vec<_> = required.iter().map(|path| format!("`{path}`")).collect();
    format!(
        "Set {} in it, check it with `payinfra validate`, and run `payinfra init` again to allow changes in the current \
         account.",
        required.join(", ")
    )
}
