//! Data loss: what a plan destroys, and how the user accepts it.

use std::collections::BTreeMap;

use clap::Args;
use payinfra_engine::plan::Accepted;
use payinfra_engine::{Address, Error, Result};

use crate::screen::{self, ADDRESS, DELETE};

/// The option `--accept-loss`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Losses {
    /// Accept that the plan destroys data at these addresses, or anywhere if no address is given
    #[arg(long, value_name = "ADDRESS", num_args(0..), require_equals(true), value_delimiter(','))]
    accept_loss: Option<Vec<Address>>,
}

impl Losses {
    /// The accepted losses.
    pub(crate) fn accepted(&self) -> Accepted {
        match self.accept_loss.as_deref() {
            None => Accepted::Nothing,
            Some([]) => Accepted::Everything,
            Some(addresses) => Accepted::These(addresses.iter().cloned().collect()),
        }
    }
}

/// The losses that have not been accepted.
fn open<'a>(
    mut losses: BTreeMap<&'a Address, &'a [String]>,
    accepted: &Accepted,
) -> BTreeMap<&'a Address, &'a [String]> {
    losses.retain(|address, _| !accepted.covers(address));
    losses
}

/// Fails if there are losses that have not been accepted: `--yes` alone does not destroy data.
pub(crate) fn agreed(losses: BTreeMap<&Address, &[String]>, accepted: &Accepted) -> Result<()> {
    let open = open(losses, accepted);
    if open.is_empty() {
        return Ok(());
    }
    let addresses: Vec<_> = open.keys().map(ToString::to_string).collect();
    Err(Error::invalid(format!("nothing was changed: this would destroy data at {}", addresses.join(", "))).hint(
        format!(
            "`--yes` does not cover data loss; to accept it, pass `--accept-loss` or `--accept-loss={}`",
            addresses.join(",")
        ),
    ))
}

/// Asks `question`. If data would be lost that was not accepted, the answer must be the workspace's name.
pub(crate) async fn confirmed(
    question: &str,
    losses: BTreeMap<&Address, &[String]>,
    accepted: &Accepted,
    workspace: &str,
) -> bool {
    if open(losses, accepted).is_empty() {
        return screen::ask_for(question, "yes").await;
    }
    screen::ask_for(&format!("{question} This destroys data; confirm with the name of the workspace."), workspace).await
}

/// The heading of losses.
pub(crate) const DESTROYS: &str = "This destroys data";
/// The heading of losses in a rollback.
pub(crate) const FINAL: &str = "Cannot be undone; this destroys data";

/// The parts by address as text.
pub(crate) fn joined<'a>(parts: &BTreeMap<&'a Address, &[String]>) -> BTreeMap<&'a Address, String> {
    parts.iter().map(|(address, parts)| (*address, parts.join(", "))).collect()
}

/// What is lost by address as a list with a heading; an empty string if it is nothing.
pub(crate) fn render(heading: &str, losses: &BTreeMap<&Address, String>) -> String {
    if losses.is_empty() {
        return String::new();
    }
    let lines =
        losses.iter().map(|(address, lost)| format!("  {DELETE}!{DELETE:#} {ADDRESS}{address}{ADDRESS:#}: {lost}\n"));
    format!("{DELETE}{heading}:{DELETE:#}\n{}\n", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        losses: Losses,
        plan: Option<String>,
    }

    fn accepted(arguments: &[&str]) -> Accepted {
        Line::try_parse_from([&["payinfra"], arguments].concat()).map(|line| line.losses.accepted()).unwrap_or_default()
    }

    #[test]
    fn nothing_some_or_everything_is_accepted() -> Result<()> {
        let (one, two): (Address, Address) = ("r/a.b/one".parse()?, "r/a.b/two".parse()?);
        assert_eq!(accepted(&[]), Accepted::Nothing);
        assert_eq!(accepted(&["--accept-loss"]), Accepted::Everything);
        assert_eq!(accepted(&["--accept-loss", "saved.plan"]), Accepted::Everything, "the plan is not an address");
        assert_eq!(accepted(&["--accept-loss=r/a.b/one,r/a.b/two"]), Accepted::These([one, two].into()));
        assert_eq!(accepted(&["--accept-loss=nonsense"]), Accepted::Nothing, "it is an error");
        Ok(())
    }
}
