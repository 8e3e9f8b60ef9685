//! The function of a region, which processes the objects of its bucket (T-04).

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::Statement;
use payinfra_aws::lambda::{EventInvokeConfig, Permission};
use payinfra_aws::s3::{Bucket, BucketNotification, Destination, NotificationRule};
use payinfra_aws::sns::Topic;
use payinfra_components::function::{Deployed, Function, function};
use payinfra_components::roles::through;
use payinfra_components::tables::GlobalTable;
use payinfra_engine::{Graph, Node, Result, Text};

use super::Part;
use super::storage::CONTENT;
use crate::settings;

/// The function in names and addresses.
pub(super) const PROCESSOR: &str = "object-processor";

/// Declares the function of a region, and the notifications of its bucket that invoke it.
pub(super) fn processor(
    graph: &mut Graph,
    part: &Part<'_>,
    sessions: &GlobalTable,
    content: &Node<Bucket>,
    topic: &Node<Topic>,
) -> Result<Deployed> {
    let site = &part.site;
    let variables = site.variables();
    let config = &variables.function;
    let environment = [
        ("EXPIRY_DAYS", Text::from(variables.session_days.0.to_string())),
        ("SESSIONS_TABLE", Text::from(&sessions.table.id)),
    ];
    let wanted = Function {
        name: PROCESSOR,
        about: "Processes the objects of the content bucket",
        code: settings::code(site.workspace)?,
        architecture: config.architecture.of_function(),
        memory: config.memory,
        timeout: config.timeout_seconds,
        reserved_concurrency: config.reserved_concurrency,
        environment: environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        environment_key: Some(&part.key),
        network: Some(&part.network),
        egress: BTreeSet::new(),
        permissions: permissions(part, sessions, content, topic),
        log_key: &part.key,
        log_retention_days: variables.log_retention_days.0,
    };
    let function = function(graph, site, wanted)?;
    let invoked = EventInvokeConfig {
        function: function.function.id.clone(),
        qualifier: Some(function.alias.outputs.name.clone()),
        maximum_age: 3_600,
        maximum_retries: 2,
        on_success: None,
        on_failure: Some(topic.outputs.arn.clone()),
    };
    graph.add(site.region(), PROCESSOR, invoked)?;
    notification(graph, part, &function, content)?;
    Ok(function)
}

/// Invokes the function for every new object.
fn notification(graph: &mut Graph, part: &Part<'_>, function: &Deployed, content: &Node<Bucket>) -> Result<()> {
    let site = &part.site;
    let permission = Permission {
        function: function.function.id.clone(),
        qualifier: Some(function.alias.outputs.name.clone()),
        statement: CONTENT.to_owned(),
        action: "lambda:InvokeFunction".to_owned(),
        principal: "s3.amazonaws.com".to_owned(),
        source_arn: Some(Text::from(&content.outputs.arn)),
        source_account: Some(site.account().to_owned()),
    };
    let permission = graph.add(site.region(), CONTENT, permission)?;
    let created = NotificationRule {
        destination: Destination::Function(function.alias.outputs.arn.clone()),
        events: BTreeSet::from(["s3:ObjectCreated:*".to_owned()]),
        prefix: String::new(),
        suffix: String::new(),
    };
    let rules = BTreeMap::from([(PROCESSOR.to_owned(), created)]);
    let notification = BucketNotification { bucket: content.id.clone(), event_bridge: false, rules };
    let notification = graph.add(site.region(), CONTENT, notification)?;
    // S3 checks that it may invoke the function.
    graph.order(&permission.address, &notification.address);
    Ok(())
}

/// To read the metadata of objects, to write and read sessions in the region's own replica, and to report what failed.
fn permissions(part: &Part<'_>, sessions: &GlobalTable, content: &Node<Bucket>, topic: &Node<Topic>) -> Vec<Statement> {
    let (site, key) = (&part.site, &part.key);
    let objects = Text::from(&content.outputs.arn).and("/*");
    let open = |sid, service, actions: &[&str]| {
        through(Statement::allow(sid, actions.iter().copied()), service, site.region()).on(key)
    };
    vec![
        Statement::allow("ReadObjects", ["s3:GetObject", "s3:GetObjectVersion"]).on(objects),
        open("OpenObjects", "s3", &["kms:Decrypt"]),
        Statement::allow("Sessions", ["dynamodb:GetItem", "dynamodb:PutItem"]).on(sessions.arn(site)),
        open("OpenTable", "dynamodb", &["kms:Decrypt"]),
        Statement::allow("Publish", ["sns:Publish"]).on(&topic.outputs.arn),
        open("SealMessages", "sns", &["kms:Decrypt", "kms:GenerateDataKey"]),
    ]
}
