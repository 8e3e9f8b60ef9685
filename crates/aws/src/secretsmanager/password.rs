//! A password that Secrets Manager generates and stores.

use aws_smithy_types::date_time::Format;
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Error, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::tags;
use crate::error::{Unless, claim, same_owner};
use crate::{Cx, Explain, Need};

/// A secret with a user name and a password of 40 letters and digits, as `{"username": …, "password": …}`. The password
/// passes through this process once, when the secret is created; it is not in arguments, state or plans.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Password {
    /// The name of the secret.
    pub name: String,
    /// The description.
    pub description: String,
    /// The user name. It is also stored in the tag `payinfra:username` of the secret, so that reading it does not
    /// require reading the secret.
    pub username: String,
    /// The ARN of the KMS key.
    pub kms_key: Ref<String>,
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PasswordOutputs {
    /// The secret's ARN, which is different for each new secret.
    pub arn: Ref<String>,
}

const USERNAME: &str = "payinfra:username";

/// More than 200 bits, and short enough for every engine.
const LENGTH: i64 = 40;

/// The recovery window in days of a secret whose data is kept: AWS's default.
const WINDOW: i64 = 30;

impl Password {
    /// The tags, including the one that stores a field.
    fn all_tags(&self) -> Tags {
        self.tags.clone().with(USERNAME, &self.username)
    }

    /// A new password with its user.
    async fn value(&self, cx: &Cx) -> Result<String> {
        // Letters and digits only, which excludes characters that RDS rejects (/, @, " and the space) or shells
        // interpret.
        let call = cx.secretsmanager().get_random_password().password_length(LENGTH).exclude_punctuation(true);
        let password = call.require_each_included_type(true).send().await.explain()?.random_password;
        Ok(json!({ "username": self.username, "password": password.need("RandomPassword")? }).to_string())
    }

    /// A secret that our destroy left in its recovery window, with its old password. `update` sets everything else,
    /// because this may be interrupted.
    async fn restored(&self, cx: &Cx, found: Live<Self>) -> Result<Id<Self>> {
        let (name, id) = (&self.name, found.id.as_str());
        if !same_owner(&self.tags, &found.args.tags) {
            let message =
                format!("the secret `{name}` is scheduled for deletion and is not managed by this deployment");
            return Err(Error::new(Class::Foreign, message).hint(format!(
                "choose another name, or release this one with `aws secretsmanager restore-secret --secret-id {id}` \
                 and `aws secretsmanager delete-secret --secret-id {id} --force-delete-without-recovery`"
            )));
        }
        cx.secretsmanager().restore_secret().secret_id(id).send().await.explain()?;
        Ok(found.id)
    }
}

impl Resource for Password {
    type Cx = Cx;
    const KIND: &'static str = "secretsmanager.password";
    const REPLACE: Fields = fields!(Self: name, username);
    const KEY: Fields = fields!(Self: name);
    const KEEPS_DATA: bool = true;
    const EXPECTED: Expected = Expected::millis(600, 300);
    type Outputs = PasswordOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        if let Some(found) = live(cx, &self.name).await?
            && matches!(found.status, Status::Scheduled(_))
        {
            return self.restored(cx, found).await;
        }
        let call = cx.secretsmanager().create_secret().name(&self.name).description(&self.description);
        let call = call.kms_key_id(self.kms_key.known()?).secret_string(self.value(cx).await?);
        // Not our idempotency token, because it identifies a version by its value, and each attempt has another value.
        let made = call.set_tags(Some(tags::sdk(&self.all_tags()))).send().await.explain()?;
        Ok(Id::new(made.arn.need("ARN")?))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let found = live(cx, &self.name).await?.filter(|found| found.status == Status::Ready);
        // One in its recovery window is restored by `create`.
        let Some(found) = found else { return Ok(None) };
        claim("secret", &self.name, found.id, &found.args.tags, owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        Ok(try_join_all(ids.iter().map(|id| live(cx, id.as_str()))).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        if self.description != live.args.description || self.kms_key != live.args.kms_key {
            let call = cx.secretsmanager().update_secret().secret_id(&live.id).description(&self.description);
            call.kms_key_id(self.kms_key.known()?).send().await.explain()?;
        }
        // Only for a restored one. The tag with the user is set after the secret value.
        if self.username != live.args.username {
            let call = cx.secretsmanager().put_secret_value().secret_id(&live.id);
            call.secret_string(self.value(cx).await?).send().await.explain()?;
        }
        tags::sync(cx, live.id.as_str(), &live.args.all_tags(), &self.all_tags()).await
    }

    /// With a recovery window if the data is kept. Otherwise immediately, because the name would be in use during the
    /// window (AWS-FACTS §1.13).
    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        if matches!(live.status, Status::Scheduled(_)) {
            return Ok(());
        }
        let call = cx.secretsmanager().delete_secret().secret_id(&live.id);
        let call = if cx.final_snapshot() {
            call.recovery_window_in_days(WINDOW)
        } else {
            call.force_delete_without_recovery(true)
        };
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    async fn restore(cx: &Cx, live: &Live<Self>) -> Result<()> {
        cx.secretsmanager().restore_secret().secret_id(&live.id).send().await.explain().map(drop)
    }
}

/// The secret with this name or ARN.
async fn live(cx: &Cx, id: &str) -> Result<Option<Live<Password>>> {
    let found = cx.secretsmanager().describe_secret().secret_id(id).send().await.explain().unless(Class::NotFound)?;
    let Some(found) = found else { return Ok(None) };
    let deleted = found.deleted_date.map(|date| date.fmt(Format::DateTime).unwrap_or_default());
    let arn = found.arn.need("ARN")?;
    let all = tags::from(found.tags);
    Ok(Some(Live {
        id: Id::new(&arn),
        status: deleted.map_or(Status::Ready, |date| {
            Status::Scheduled(format!("deletion date {date}; AWS deletes it some time after its recovery window"))
        }),
        args: Password {
            name: found.name.unwrap_or_default(),
            description: found.description.unwrap_or_default(),
            username: all.get(USERNAME).unwrap_or_default().to_owned(),
            kms_key: Ref::Known(found.kms_key_id.unwrap_or_default()),
            tags: all.iter().filter(|(key, _)| *key != USERNAME).collect(),
        },
        outputs: PasswordOutputs { arn: Ref::Known(arn) },
    }))
}
