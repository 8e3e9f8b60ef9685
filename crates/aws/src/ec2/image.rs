//! A lookup of an existing machine image.

use std::collections::BTreeSet;

use payinfra_engine::{Error, Lookup, Ref, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::filter;
use crate::{Cx, Explain, Need};

/// The newest image that matches all criteria.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Its owners: `amazon`, `self` or account ids. At least one, because anybody can give an image any name.
    pub owners: BTreeSet<String>,
    /// Its name, with `*` for any characters and `?` for one.
    pub name: String,
    /// Its architecture, `x86_64` or `arm64`; any if `None`.
    pub architecture: Option<String>,
}

/// The outputs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ImageOutputs {
    /// Its id.
    pub id: Ref<String>,
    /// Its full name.
    pub name: Ref<String>,
}

impl Lookup for Image {
    type Cx = Cx;
    const KIND: &'static str = "ec2.image";
    type Outputs = ImageOutputs;

    async fn find(&self, cx: &Cx) -> Result<ImageOutputs> {
        if self.owners.is_empty() {
            return Err(Error::invalid(format!("no owner is set for the image `{}`", self.name))
                .hint("set an owner: `amazon`, `self` or an account id"));
        }
        let call = cx.ec2().describe_images().set_owners(Some(self.owners.iter().cloned().collect()));
        let call = call.filters(filter("name", &self.name)).filters(filter("state", "available"));
        let call = self.architecture.iter().fold(call, |call, it| call.filters(filter("architecture", it)));
        let found = call.into_paginator().items().send().try_collect().await.explain()?;
        // The dates have the same format, so they sort as text; images of the same moment are sorted by id.
        let newest = found
            .into_iter()
            .max_by(|one, other| (one.creation_date(), one.image_id()).cmp(&(other.creation_date(), other.image_id())));
        let Some(newest) = newest else {
            let owners: Vec<_> = self.owners.iter().map(String::as_str).collect();
            let message =
                format!("not found in {}: an image `{}` owned by {}", cx.region(), self.name, owners.join(", "));
            return Err(Error::invalid(message).hint("nothing is created; correct the criteria for the image"));
        };
        Ok(ImageOutputs {
            id: Ref::Known(newest.image_id.need("ImageId")?),
            name: Ref::Known(newest.name.need("Name")?),
        })
    }
}
