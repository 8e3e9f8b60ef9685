//! The payments function, in the first region (P-06).

use payinfra_aws::Statement;
use payinfra_aws::s3::Bucket;
use payinfra_components::function::{Deployed, Function, function};
use payinfra_components::roles::through;
use payinfra_components::stream;
use payinfra_components::tables::GlobalTable;
use payinfra_engine::{Graph, Node, Result, Text};

use super::Part;
use super::network::connections;
use super::table::KEY;
use crate::settings;

/// The function in names and addresses.
pub(super) const PROCESSOR: &str = "payment-processor";

/// Declares the function, and the mapping of the table's stream, from which it writes audit records that could not be written
/// with their payments.
pub(super) fn processor(
    graph: &mut Graph,
    near: &Part<'_>,
    far: &Part<'_>,
    payments: &GlobalTable,
    data: &Node<Bucket>,
) -> Result<Deployed> {
    let site = &near.site;
    let variables = site.variables();
    let config = &variables.function;
    let environment = [
        ("AUDIT_BUCKET", Text::from(&data.id)),
        ("PAYMENTS_KEY", Text::from(KEY.join(","))),
        ("PAYMENTS_TABLE", Text::from(&payments.table.id)),
        ("METRICS_NAMESPACE", Text::from(site.names.name("payments"))),
        ("PHASE", Text::from("primary")),
    ];
    let wanted = Function {
        name: PROCESSOR,
        about: "Takes payments",
        code: settings::code(site.workspace)?,
        architecture: config.architecture.of_function(),
        memory: config.memory,
        timeout: config.timeout_seconds,
        reserved_concurrency: Some(config.reserved_concurrency),
        environment: environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        environment_key: Some(&near.key),
        network: Some(&near.network),
        egress: connections(far, "PostgreSQL in the peered network")?,
        permissions: permissions(near, payments, data),
        log_key: &near.key,
        log_retention_days: variables.log_retention_days.0,
    };
    let function = function(graph, site, wanted)?;
    stream::follow(graph, site, "audit", &function, payments, &near.topic.outputs.arn)?;
    Ok(function)
}

/// To store and find payments, to write audit records, and to report what failed. A payment is never deleted.
fn permissions(near: &Part<'_>, payments: &GlobalTable, data: &Node<Bucket>) -> Vec<Statement> {
    let (site, key) = (&near.site, &near.key);
    let table = payments.arn(site);
    let store = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"];
    let store = Statement::allow("Payments", store).on(table.clone()).on(table.clone() + "/index/*");
    let keep = Statement::deny("NeverDelete", ["dynamodb:DeleteItem", "dynamodb:DeleteTable"]).on(table);
    let open = |sid, service, actions: &[&str]| {
        through(Statement::allow(sid, actions.iter().copied()), service, site.region()).on(key)
    };
    let write = Statement::allow("Audit", ["s3:PutObject"]).on(Text::from(&data.outputs.arn).and("/payments/*"));
    let encrypt = open("EncryptAudit", "s3", &["kms:GenerateDataKey"]).when(
        "StringLike",
        "kms:EncryptionContext:aws:s3:arn",
        Text::from(&data.outputs.arn).and("*"),
    );
    let publish = Statement::allow("Publish", ["sns:Publish"]).on(&near.topic.outputs.arn);
    let own = [
        store,
        keep,
        open("OpenTable", "dynamodb", &["kms:Decrypt"]),
        write,
        encrypt,
        publish,
        open("SealMessages", "sns", &["kms:Decrypt", "kms:GenerateDataKey"]),
    ];
    stream::read(payments, site).into_iter().chain(own).collect()
}
