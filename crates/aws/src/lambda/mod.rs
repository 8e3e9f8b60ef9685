//! Lambda: functions, their versions and aliases, and what invokes them.

mod alias;
mod event_invoke_config;
mod event_source_mapping;
mod function;
mod permission;
mod qualified;
mod tags;
mod version;

use payinfra_engine::{Kind, Result, Tags, kind};

pub use alias::{Additional, Alias, AliasOutputs};
pub use event_invoke_config::EventInvokeConfig;
pub use event_source_mapping::{EventSourceMapping, StartingPosition};
pub use function::{Architecture, Function, FunctionOutputs, LogFormat, Logging};
pub use permission::Permission;
pub use version::{Version, VersionOutputs};

use crate::tagged::tagged;
use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[
    kind::<Alias>(),
    kind::<EventInvokeConfig>(),
    kind::<EventSourceMapping>(),
    kind::<Function>(),
    kind::<Permission>(),
    kind::<Version>(),
];

/// The functions and event source mappings with their tags; what belongs to a function has no tags.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let (functions, mappings) = tokio::try_join!(
        async { cx.lambda().list_functions().into_paginator().items().send().try_collect().await.explain() },
        async {
            cx.lambda().list_event_source_mappings().into_paginator().items().send().try_collect().await.explain()
        },
    )?;
    let functions =
        functions.into_iter().filter_map(|function| Some((function.function_name?, function.function_arn?)));
    let mappings = mappings.into_iter().filter_map(|mapping| Some((mapping.uuid?, mapping.event_source_mapping_arn?)));
    tagged(functions.chain(mappings).map(|(id, arn)| (id, async move { tags::of(cx, &arn).await }))).await
}
