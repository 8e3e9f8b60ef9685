//! The payments function of a region (G-03, G-07).

use std::collections::BTreeSet;

use payinfra_aws::Statement;
use payinfra_aws::sns::Topic;
use payinfra_components::buckets::arn;
use payinfra_components::function::{Deployed, Function, function};
use payinfra_components::roles::{sid, through};
use payinfra_components::stream;
use payinfra_components::tables::GlobalTable;
use payinfra_engine::{Graph, Node, Result, Text};

use super::table::KEY;
use super::{Part, monitoring};
use crate::settings;

/// The function in names and addresses.
pub(super) const PROCESSOR: &str = "processor";

/// Declares the function of a region, and the mapping of the table's stream, from which it writes audit records that could not be
/// written with their payments.
pub(super) fn processor(
    graph: &mut Graph,
    part: &Part<'_>,
    parts: &[Part<'_>],
    payments: &GlobalTable,
    topic: &Node<Topic>,
) -> Result<Deployed> {
    let site = &part.site;
    let variables = site.variables();
    let config = &variables.function;
    // A payment is written in the region that its id belongs to, so both functions need the same list of regions.
    let regions = parts.iter().map(|part| format!("{}={}", part.site.region(), part.buckets.audit));
    let role = if site.config.is_primary() { "primary" } else { "secondary" };
    let environment = [
        ("ALLOWED_ORIGIN", Text::from(variables.api.origin.as_str())),
        ("AUDIT_BUCKET", Text::from(part.buckets.audit.as_str())),
        ("CONSISTENCY", Text::from(variables.table.consistency.of_function())),
        ("METRICS_NAMESPACE", Text::from(monitoring::namespace(site.names))),
        ("PAYMENTS_KEY", Text::from(KEY.join(","))),
        ("PAYMENTS_TABLE", Text::from(&payments.table.id)),
        ("PHASE", Text::from(role)),
        ("REGIONS", Text::from(regions.collect::<Vec<_>>().join(","))),
    ];
    let wanted = Function {
        name: PROCESSOR,
        about: "Takes payments",
        code: settings::code(site.workspace)?,
        architecture: config.architecture.of_function(),
        memory: config.memory,
        timeout: config.timeout_seconds,
        reserved_concurrency: config.reserved_concurrency,
        environment: environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        environment_key: Some(&part.keys.function.outputs.arn),
        network: Some(&part.network),
        egress: BTreeSet::new(),
        permissions: permissions(part, parts, payments, topic),
        log_key: &part.keys.logs.outputs.arn,
        log_retention_days: variables.log_retention_days.0,
    };
    let function = function(graph, site, wanted)?;
    stream::follow(graph, site, "audit", &function, payments, &topic.outputs.arn)?;
    Ok(function)
}

/// Payments are stored, and audit records written, in the region that a payment's id belongs to.
fn permissions(part: &Part<'_>, parts: &[Part<'_>], payments: &GlobalTable, topic: &Node<Topic>) -> Vec<Statement> {
    let site = &part.site;
    let publish = Statement::allow("Publish", ["sns:Publish"]).on(&topic.outputs.arn);
    let seal = Statement::allow("SealMessages", ["kms:Decrypt", "kms:GenerateDataKey"]);
    let seal = through(seal, "sns", site.region()).on(&part.keys.application.outputs.arn);
    let homes = parts.iter().flat_map(|home| {
        let (site, audit) = (&home.site, arn(&home.buckets.audit));
        let name = |name| sid(name, site.region());
        let store = Statement::allow(&name("Store"), ["dynamodb:PutItem", "dynamodb:Query"]).on(payments.arn(site));
        let open = Statement::allow(&name("OpenTable"), ["kms:Decrypt"]).on(&home.keys.table.outputs.arn);
        let open = through(open, "dynamodb", site.region());
        let write = Statement::allow(&name("Audit"), ["s3:PutObject"]).on(format!("{audit}/payments/*"));
        let encrypt = Statement::allow(&name("EncryptAudit"), ["kms:GenerateDataKey"]);
        let encrypt = through(encrypt, "s3", site.region()).on(&home.keys.storage.outputs.arn).when(
            "StringLike",
            "kms:EncryptionContext:aws:s3:arn",
            format!("{audit}*"),
        );
        [store, open, write, encrypt]
    });
    stream::read(payments, site).into_iter().chain([publish, seal]).chain(homes).collect()
}
