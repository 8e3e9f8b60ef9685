//! The association of a web ACL with a load balancer or an API stage.

use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::WebAcl;
use crate::error::{Unless, vacant};
use crate::{Cx, Explain};

/// The association of a web ACL with a resource. A resource has at most one, and the association's id is the resource's
/// ARN.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebAclAssociation {
    /// The web ACL.
    pub web_acl: Ref<Id<WebAcl>>,
    /// The ARN of the associated resource.
    pub resource: Ref<String>,
}

impl Resource for WebAclAssociation {
    type Cx = Cx;
    const KIND: &'static str = "wafv2.web-acl-association";
    const REPLACE: Fields = fields!(Self: resource);
    const HOLDS: Fields = fields!(Self: web_acl);
    const IDENTITY: Identity = Identity::Part("resource");
    const KEY: Fields = fields!(Self: resource);
    const EXPECTED: Expected = Expected::millis(15_000, 2_000);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    /// AWS replaces an existing association without an error, so look for one first.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        vacant(self.found(cx).await?, "association with a web ACL of")?;
        self.associate(cx).await?;
        Ok(Id::new(self.resource.known()?))
    }

    async fn recover(&self, cx: &Cx, _owner: &Owner) -> Result<Option<Id<Self>>> {
        self.found(cx).await
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let web_acl = web_acl_of(cx, id.as_str()).await?;
            Ok::<_, Error>(web_acl.map(|web_acl| Live {
                id: id.clone(),
                status: Status::Ready,
                args: Self { web_acl: Ref::Known(Id::new(web_acl)), resource: Ref::Known(id.into()) },
                outputs: (),
            }))
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        if self.web_acl != live.args.web_acl {
            self.associate(cx).await?;
        }
        Ok(())
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.wafv2().disassociate_web_acl().resource_arn(&live.id);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}

impl WebAclAssociation {
    async fn associate(&self, cx: &Cx) -> Result<()> {
        let call = cx.wafv2().associate_web_acl().web_acl_arn(self.web_acl.known()?);
        call.resource_arn(self.resource.known()?).send().await.explain().map(drop)
    }

    /// The association, if it exists; an error if another web ACL is associated.
    async fn found(&self, cx: &Cx) -> Result<Option<Id<Self>>> {
        let resource = self.resource.known()?;
        match web_acl_of(cx, resource).await? {
            None => Ok(None),
            Some(web_acl) if web_acl == self.web_acl.known()?.as_str() => Ok(Some(Id::new(resource))),
            Some(other) => {
                Err(Error::new(Class::Foreign, format!("{resource} is already associated with {other}"))
                    .taken(resource))
            }
        }
    }
}

/// The ARN of the web ACL of `resource`; `None` also if the resource does not exist.
async fn web_acl_of(cx: &Cx, resource: &str) -> Result<Option<String>> {
    let call = cx.wafv2().get_web_acl_for_resource().resource_arn(resource);
    let found = call.send().await.explain().unless(Class::NotFound)?;
    Ok(found.and_then(|found| found.web_acl).map(|acl| acl.arn))
}
