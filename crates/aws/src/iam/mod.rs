//! IAM: roles.

mod role;
mod tags;

use payinfra_engine::{Kind, Result, Tags, kind};

pub use role::{Role, RoleOutputs};

use crate::tagged::tagged;
use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<Role>()];

/// The roles with their tags, which lists of roles do not include.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let roles = cx.iam().list_roles().into_paginator().items().send().try_collect().await.explain()?;
    // AWS's service-linked roles cannot be ours.
    let roles = roles.into_iter().filter(|role| !role.path.starts_with("/aws-service-role/"));
    tagged(roles.map(|role| {
        let call = cx.iam().list_role_tags().role_name(&role.role_name).into_paginator().items();
        (role.role_name, async move { Ok(tags::from(Some(call.send().try_collect().await.explain()?))) })
    }))
    .await
}
