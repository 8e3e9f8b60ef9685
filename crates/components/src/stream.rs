//! Functions that follow the stream of a table.

use std::collections::BTreeSet;

use payinfra_aws::Statement;
use payinfra_aws::lambda::{EventSourceMapping, StartingPosition};
use payinfra_engine::{Graph, Ref, Result};
use payinfra_stack::Site;

use crate::function::Deployed;
use crate::tables::GlobalTable;

/// The permissions that a function needs to follow the stream of a table, or of its replica, in the region of `site`.
#[must_use]
pub fn read(table: &GlobalTable, site: &Site<'_>) -> [Statement; 2] {
    let streams = table.arn(site) + "/stream/*";
    let read = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"];
    let read = Statement::allow("ReadStream", read).on(streams.clone());
    // AWS supports no narrower resource for listing (Service Authorization Reference: DynamoDB).
    [read, Statement::allow("ListStreams", ["dynamodb:ListStreams"]).on(streams)]
}

/// Invokes a function for every new item of a table, in batches, until it has handled all of them or the stream has
/// dropped them after a day; then `on_failure`, the ARN of a topic or queue, is notified. The mapping has the name `name`.
///
/// # Errors
/// If the table has no stream in the region of `site`, or the region has a mapping of that name already.
pub fn follow(
    graph: &mut Graph,
    site: &Site<'_>,
    name: &str,
    function: &Deployed,
    table: &GlobalTable,
    on_failure: &Ref<String>,
) -> Result<()> {
    let mapping = EventSourceMapping {
        function: function.function.id.clone(),
        qualifier: Some(function.alias.outputs.name.clone()),
        source: table.stream_in(site)?,
        starting_position: Some(StartingPosition::TrimHorizon),
        enabled: true,
        batch_size: 100,
        batching_window: 0,
        parallelization: Some(1),
        // The stream keeps records for a day; none is given up before.
        maximum_age: Some(-1),
        maximum_retries: Some(-1),
        bisect: Some(true),
        maximum_concurrency: None,
        report_item_failures: true,
        filters: BTreeSet::from([r#"{"eventName":["INSERT"]}"#.to_owned()]),
        on_failure: Some(on_failure.clone()),
        tags: site.named(name),
    };
    graph.add(site.region(), name, mapping).map(drop)
}
