//! A `CloudWatch` dashboard.

use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Unless, foreign};
use crate::{Cx, Explain, Need};

/// A dashboard. All regions of an account share its namespace, so its name contains the region.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dashboard {
    /// The name, unique in the account: letters, digits, `-` and `_`.
    pub name: String,
    /// Its widgets in AWS's "dashboard body structure", which may contain references; compared by meaning.
    pub body: Value,
}

impl Resource for Dashboard {
    type Cx = Cx;
    const KIND: &'static str = "cloudwatch.dashboard";
    const REPLACE: Fields = fields!(Self: name);
    const IDENTITY: Identity = Identity::Record;
    const KEY: Fields = fields!(Self: name);
    const EXPECTED: Expected = Expected::millis(600, 300);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    /// The call would update an existing dashboard, so look for one first.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        if body(cx, &self.name).await?.is_some() {
            return Err(foreign("dashboard", &self.name, &self.name));
        }
        put(cx, self).await?;
        Ok(Id::new(&self.name))
    }

    /// A dashboard has no tags that could be read with it. If its body equals ours, it is the result of an interrupted
    /// create, or its loss does no harm; otherwise it belongs to somebody else.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        match body(cx, &self.name).await? {
            Some(found) if found == self.body => Ok(Some(Id::new(&self.name))),
            Some(_) => Err(foreign("dashboard", &self.name, &self.name)),
            None => Ok(None),
        }
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let Some(body) = body(cx, id.as_str()).await? else { return Ok::<_, Error>(None) };
            let args = Dashboard { name: id.to_string(), body };
            Ok(Some(Live { id: id.clone(), status: Status::Ready, args, outputs: () }))
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        if self.body == live.args.body { Ok(()) } else { put(cx, self).await }
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.cloudwatch().delete_dashboards().dashboard_names(live.id.as_str());
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}

/// AWS stores an invalid dashboard, and reports the errors in a successful response.
async fn put(cx: &Cx, dashboard: &Dashboard) -> Result<()> {
    let call = cx.cloudwatch().put_dashboard().dashboard_name(&dashboard.name);
    let done = call.dashboard_body(dashboard.body.to_string()).send().await.explain()?;
    for message in done.dashboard_validation_messages() {
        tracing::warn!(
            dashboard = dashboard.name,
            at = message.data_path().unwrap_or_default(),
            "{}",
            message.message().unwrap_or("AWS gave no reason")
        );
    }
    Ok(())
}

async fn body(cx: &Cx, name: &str) -> Result<Option<Value>> {
    let found = cx.cloudwatch().get_dashboard().dashboard_name(name).send().await.explain().unless(Class::NotFound)?;
    let Some(found) = found else { return Ok(None) };
    let body = found.dashboard_body.need("DashboardBody")?;
    serde_json::from_str(&body)
        .map(Some)
        .map_err(|error| Error::failed(format!("the body of the dashboard `{name}` is not JSON: {error}")))
}
