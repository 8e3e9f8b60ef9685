//! IAM: roles.

mod role;
mod tags;

use futures_util::future::try_join_all;
use payinfra_engine::{Class, Kind, Result, Tags, kind};

pub use role::{Role, RoleOutputs};

use crate::error::Unless;
use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<Role>()];

/// The roles with their tags; lists of roles come without.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let roles = cx.iam().list_roles().into_paginator().items().send().try_collect().await.explain()?;
    // AWS's own roles cannot be ours.
    let roles = roles.into_iter().filter(|role| !role.path.starts_with("/aws-service-role/"));
    let tagged = roles.map(|role| async move {
        let call = cx.iam().list_role_tags().role_name(&role.role_name);
        let tags = call.into_paginator().items().send().try_collect().await.explain().unless(Class::NotFound)?;
        Ok::<_, payinfra_engine::Error>(tags.map(|tags| (role.role_name, tags::from(Some(tags)))))
    });
    Ok(try_join_all(tagged).await?.into_iter().flatten().collect())
}
