//! Systems Manager: parameters.

mod parameter;
mod tags;

use aws_sdk_ssm::operation::describe_parameters::builders::DescribeParametersFluentBuilder;
use aws_sdk_ssm::types::ParameterMetadata;
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Error, Kind, Result, Tags, kind};

pub use parameter::{Parameter, ParameterOutputs};

use crate::error::Unless;
use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<Parameter>()];

/// The parameters with their tags.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let found = described_by(cx.ssm().describe_parameters()).await?;
    let tagged = found.into_iter().filter_map(|parameter| parameter.name).map(|name| async move {
        let tags = tags::of(cx, &name).await.unless(Class::NotFound)?;
        Ok::<_, Error>(tags.map(|tags| (name, tags)))
    });
    Ok(try_join_all(tagged).await?.into_iter().flatten().collect())
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
