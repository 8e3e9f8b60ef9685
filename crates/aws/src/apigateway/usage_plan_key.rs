//! A key of a usage plan.

use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ApiKey, UsagePlan, part};
use crate::error::Unless;
use crate::{Cx, Explain};

/// The association of a key with a usage plan. Its id is `PLAN/KEY`. A key can be in several plans, but only once for
/// each stage.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsagePlanKey {
    /// The usage plan.
    pub plan: Ref<Id<UsagePlan>>,
    /// The key.
    pub key: Ref<Id<ApiKey>>,
}

impl Resource for UsagePlanKey {
    type Cx = Cx;
    const KIND: &'static str = "apigateway.usage-plan-key";
    const REPLACE: Fields = fields!(Self: plan, key);
    const IDENTITY: Identity = Identity::Part("plan");
    const KEY: Fields = fields!(Self: plan, key);
    const EXPECTED: Expected = Expected::millis(500, 300);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.apigateway().create_usage_plan_key().usage_plan_id(self.plan.known()?);
        call.key_id(self.key.known()?).key_type("API_KEY").send().await.explain()?;
        self.id()
    }

    /// By its natural key.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        Ok(Self::read(cx, &[self.id()?]).await?.pop().map(|live| live.id))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let [plan, key] = part::of(id)?;
            let call = cx.apigateway().get_usage_plan_key().usage_plan_id(plan).key_id(key);
            let found = call.send().await.explain().unless(Class::NotFound)?;
            let args = Self { plan: Ref::Known(Id::new(plan)), key: Ref::Known(Id::new(key)) };
            Ok::<_, Error>(found.map(|_| Live { id: id.clone(), status: Status::Ready, args, outputs: () }))
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    /// Nothing of it can change.
    async fn update(&self, _: &Cx, _: &Live<Self>) -> Result<()> {
        Ok(())
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let [plan, key] = part::of(&live.id)?;
        let call = cx.apigateway().delete_usage_plan_key().usage_plan_id(plan).key_id(key);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}

impl UsagePlanKey {
    fn id(&self) -> Result<Id<Self>> {
        Ok(part::id(&[self.plan.known()?.as_str(), self.key.known()?.as_str()]))
    }
}
