//! A network, an encrypted bucket, and a role that may read it.
use std::process::ExitCode;

use payinfra::aws::{Policy, Statement, ec2::Vpc, iam::Role, s3::Bucket, s3::Encryption};
use payinfra::components::{buckets, keys, roles};
use payinfra::engine::{Graph, Region, Result, Tags, Text};
use payinfra::stack::{AccountId, Site, Stack, Workspace};

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Variables {
    /// The service that may read the bucket, such as `lambda.amazonaws.com`.
    reader: String,
}
struct Hello;

impl Stack for Hello {
    const NAME: &'static str = "hello";
    const ABOUT: &'static str = "a network, a bucket, and a role that may read it";
    type Variables = Variables;

    fn build(&self, workspace: &Workspace<Variables>, account: &AccountId) -> Result<Graph> {
        let (names, mut graph) = (workspace.names(account)?, workspace.graph(&Tags::new()));
        for config in &workspace.regions {
            let site = Site::new(workspace, &names, config);
            let vpc = Vpc { cidr: config.cidr, dns_support: true, dns_hostnames: true, tags: site.named("vpc") };
            graph.add(site.region(), "main", vpc)?;
            let purpose = keys::Purpose { name: "files", services: &["s3"], grants: false, statements: vec![] };
            let key = keys::key(&mut graph, &site, purpose)?.outputs.arn;
            let name = names.bucket("files", site.region())?;
            let encryption = Some(Encryption { key, bucket_key: true });
            let bucket = Bucket { versioning: true, encryption, ..buckets::private(&site, "files", &name, []) };
            let files = Text::from(&graph.add(site.region(), "files", bucket)?.outputs.arn).and("/*");
            let read = Policy::new([Statement::allow("Read", ["s3:GetObject"]).on(files)]);
            let role = Role {
                name: names.role("reader", site.region())?,
                description: "Reads the files".to_owned(),
                trust: Policy::new([roles::trust(&workspace.variables.reader)]),
                inline: [("read".to_owned(), read)].into(),
                managed: [].into(),
                max_session: 3600,
                path: "/".to_owned(),
                tags: site.named("reader"),
            };
            let role = graph.add(&Region::global(), &format!("reader-{}", site.region()), role)?;
            site.output(&mut graph, "reader_arn", &role.outputs.arn);
        }
        Ok(graph)
    }
}

fn main() -> ExitCode {
    payinfra::main(&[&Hello])
}
