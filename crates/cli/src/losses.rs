//! Which losses of data the user agrees to on the command line.

use std::collections::BTreeMap;

use clap::Args;
use payinfra_engine::plan::Accepted;
use payinfra_engine::{Address, Error, Result};

use crate::screen::{ADDRESS, DELETE};

/// The option `--accept-loss`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Losses {
    /// Accept that the plan destroys data: at these addresses, or without a value everywhere.
    #[arg(long, value_name = "ADDRESS", num_args(0..), require_equals(true), value_delimiter(','))]
    accept_loss: Option<Vec<Address>>,
}

impl Losses {
    /// What is agreed to.
    pub(crate) fn accepted(&self) -> Accepted {
        match self.accept_loss.as_deref() {
            None => Accepted::Nothing,
            Some([]) => Accepted::Everything,
            Some(addresses) => Accepted::These(addresses.iter().cloned().collect()),
        }
    }
}

/// Those of `losses` that nobody has agreed to.
pub(crate) fn open<'a>(
    mut losses: BTreeMap<&'a Address, &'a [String]>,
    accepted: &Accepted,
) -> BTreeMap<&'a Address, &'a [String]> {
    losses.retain(|address, _| !accepted.covers(address));
    losses
}

/// That `--yes` alone does not destroy data.
pub(crate) fn agreed(losses: BTreeMap<&Address, &[String]>, accepted: &Accepted) -> Result<()> {
    let open = open(losses, accepted);
    if open.is_empty() {
        return Ok(());
    }
    let addresses: Vec<_> = open.keys().map(ToString::to_string).collect();
    Err(Error::invalid(format!("nothing was done: this destroys data at {}", addresses.join(", "))).hint(format!(
        "`--yes` does not agree to that; to lose the data, add `--accept-loss`, or `--accept-loss={}`",
        addresses.join(",")
    )))
}

/// The question before something that destroys data.
pub(crate) fn question(question: &str) -> String {
    format!("{question} It destroys data: type the workspace's name.")
}

/// The losses as a list with a heading; nothing if there are none.
pub(crate) fn render(losses: &BTreeMap<&Address, &[String]>) -> String {
    if losses.is_empty() {
        return String::new();
    }
    let lines = losses
        .iter()
        .map(|(address, parts)| format!("  {DELETE}!{DELETE:#} {ADDRESS}{address}{ADDRESS:#}: {}\n", parts.join(", ")));
    format!("{DELETE}This destroys data:{DELETE:#}\n{}\n", lines.collect::<String>())
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
        assert_eq!(accepted(&["--accept-loss", "saved.plan"]), Accepted::Everything, "the plan is no address");
        assert_eq!(accepted(&["--accept-loss=r/a.b/one,r/a.b/two"]), Accepted::These([one, two].into()));
        assert_eq!(accepted(&["--accept-loss=nonsense"]), Accepted::Nothing, "it is an error");
        Ok(())
    }
}
