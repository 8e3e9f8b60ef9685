//! A network, an encrypted bucket, and a role that may read it.
use payinfra::components::{buckets, network, roles};
use payinfra::engine::{Graph, Result};
use payinfra::stack::{AccountId, Stack, Workspace};

#[cfg(test)]
mod tests;

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Variables {
    /// The service that may read the bucket, such as `lambda.amazonaws.com`.
    reader: String,
}
struct Infra;

impl Stack for Infra {
    const NAME: &'static str = "hello";
    const ABOUT: &'static str = "a network, a bucket, and a role that may read it";
    type Variables = Variables;

    fn build(&self, workspace: &Workspace<Variables>, account: &AccountId) -> Result<Graph> {
        workspace.graph_per_region(account, |graph, site| {
            network::vpc(graph, site)?;
            let files = buckets::encrypted(graph, site, "files")?;
            let trust = roles::trust(&workspace.variables.reader);
            let reader = roles::TaskRole::new("reader", "Reads the files", trust);
            let reader = roles::role(graph, site, reader.with_policy(files.read()))?;
            site.output(graph, "reader_arn", &reader.outputs.arn);
            Ok(())
        })
    }
}

fn main() -> std::process::ExitCode {
    payinfra::main(&[&Infra])
}
