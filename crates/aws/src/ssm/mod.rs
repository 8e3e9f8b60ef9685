//! Systems Manager: parameters.

mod api_key_parameter;
mod parameter;
mod tags;

use aws_sdk_ssm::operation::describe_parameters::builders::DescribeParametersFluentBuilder;
use aws_sdk_ssm::types::ParameterMetadata;
use payinfra_engine::{Kind, Result, Tags, kind};

pub use api_key_parameter::ApiKeyParameter;
pub use parameter::{Parameter, ParameterOutputs};

use crate::tagged::tagged;
use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<ApiKeyParameter>(), kind::<Parameter>()];

/// The parameters with their tags.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let found = described_by(cx.ssm().describe_parameters()).await?;
    let names = found.into_iter().filter_map(|parameter| parameter.name);
    tagged(names.map(|name| (name.clone(), async move { tags::of(cx, &name).await }))).await
}

/// All pages of a call; with filters, pages before the last one may be empty.
async fn described_by(call: DescribeParametersFluentBuilder) -> Result<Vec<ParameterMetadata>> {
    let mut pages = call.into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        found.extend(page.explain()?.parameters.unwrap_or_default());
    }
    Ok(found)
}
