//! `payinfra bootstrap`: creates the bucket, table and key of the S3 backend.

use clap::Args;
use payinfra_state::{Backend, Existing, Made, Place, bootstrap};

use super::Execute;
use crate::account;
use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::screen::{self, CREATE, DIM, UPDATE};

#[derive(Args)]
pub(super) struct Bootstrap {
    /// Use an existing bucket, table or key that bootstrap did not create, and change its settings
    #[arg(long)]
    adopt: bool,
}

impl Execute for Bootstrap {
    const NAME: &'static str = "bootstrap";
    const ABOUT: &'static str = "Create or repair the S3 bucket, KMS key and DynamoDB table of the state backend";

    async fn execute(self, cx: &Context) -> Outcome {
        let project = cx.project()?;
        let (region, table) = match project.backend() {
            Backend::S3 { region, table, .. } => (region, table),
            Backend::File { path } => {
                screen::line(&format!("The state is stored in {}: nothing to create.", path.display()));
                return Ok(Exit::Done);
            }
        };
        let access = project.sign_in().await?;
        account::may_change(&project, &access, false).await?;
        let account = access.account();
        let bucket = project.backend().bucket(account).unwrap_or_default();
        let existing = if self.adopt { Existing::Adopt } else { Existing::Refuse };
        let place = Place { region, account, bucket: &bucket, table };
        let report = bootstrap(&access.config(region), place, existing).await?;
        for (what, made) in [("bucket", &report.bucket), ("table", &report.table), ("key", &report.key)] {
            screen::line(&format!("{what:6} {}  {}", made.name, done(made)));
        }
        Ok(Exit::Done)
    }
}

fn done(made: &Made) -> String {
    if made.created {
        format!("{CREATE}created{CREATE:#}")
    } else if made.adopted {
        format!("{UPDATE}adopted{UPDATE:#}: {}", made.repaired.join(", "))
    } else if made.repaired.is_empty() {
        format!("{DIM}unchanged{DIM:#}")
    } else {
        format!("{UPDATE}repaired{UPDATE:#}: {}", made.repaired.join(", "))
    }
}
