//! A statement of a Lambda function's resource policy.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, Text, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Function, qualified};
use crate::error::Unless;
use crate::{Cx, Explain, Need, Policy, Statement};

/// The permission for a service or account to invoke a function. Its id is `FUNCTION/STATEMENT`, or
/// `FUNCTION:QUALIFIER/STATEMENT`. All permissions of a function together have at most 20 KB.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// The function.
    pub function: Ref<Id<Function>>,
    /// The alias or version; if `None`, invocations without a qualifier.
    pub qualifier: Option<Ref<String>>,
    /// The id of the statement, at most 100 letters, digits, `-` and `_`.
    pub statement: String,
    /// The action, usually `lambda:InvokeFunction`.
    pub action: String,
    /// A service such as `apigateway.amazonaws.com`, the id of an account, or the ARN of a principal.
    pub principal: String,
    /// The ARN of what invokes it, with `*` as a wildcard.
    pub source_arn: Option<Text>,
    /// The account of what invokes it. Without it, the owner of a bucket with the same name in another account could
    /// invoke the function.
    pub source_account: Option<String>,
}

impl Resource for Permission {
    type Cx = Cx;
    const KIND: &'static str = "lambda.permission";
    const REPLACE: Fields =
        fields!(Self: function, qualifier, statement, action, principal, source_arn, source_account);
    const IDENTITY: Identity = Identity::Part("function");
    const KEY: Fields = fields!(Self: function, qualifier, statement);
    const EXPECTED: Expected = Expected::millis(500, 300);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.lambda().add_permission().function_name(self.function.known()?).statement_id(&self.statement);
        let call = call.action(&self.action).principal(&self.principal);
        let call = call.set_qualifier(self.qualifier.as_ref().map(Ref::known).transpose()?.cloned());
        let call = call.set_source_arn(self.source_arn.as_ref().map(Text::known).transpose()?.map(str::to_owned));
        call.set_source_account(self.source_account.clone()).send().await.explain()?;
        self.id()
    }

    /// By its natural key.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        Ok(Self::read(cx, &[self.id()?]).await?.pop().map(|live| live.id))
    }

    /// One policy for all statements of a function or qualifier.
    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let mut names = BTreeMap::<&str, Vec<&Id<Self>>>::new();
        for id in ids {
            names.entry(parts(id)?.0).or_default().push(id);
        }
        let found = names.into_iter().map(|(name, ids)| async move {
            let policy = policy(cx, name).await?;
            let found = ids.into_iter().map(|id| {
                let sid = parts(id)?.1;
                let statement = policy.statements().find(|statement| statement.sid == sid);
                statement.map(|statement| live(id, name, statement)).transpose()
            });
            found.collect::<Result<Vec<_>>>()
        });
        Ok(try_join_all(found).await?.into_iter().flatten().flatten().collect())
    }

    /// Nothing of it can change.
    async fn update(&self, _: &Cx, _: &Live<Self>) -> Result<()> {
        Ok(())
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (name, sid) = parts(&live.id)?;
        let (function, qualifier) = qualified::split::<Function>(name);
        let call = cx.lambda().remove_permission().function_name(function.known()?).statement_id(sid);
        let call = call.set_qualifier(qualifier.as_ref().map(Ref::known).transpose()?.cloned());
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}

impl Permission {
    fn id(&self) -> Result<Id<Self>> {
        let name = qualified::name(&self.function, self.qualifier.as_ref())?;
        Ok(Id::new(format!("{name}/{}", self.statement)))
    }
}

fn parts(id: &Id<Permission>) -> Result<(&str, &str)> {
    id.as_str().split_once('/').ok_or_else(|| {
        Error::invalid(format!("`{id}` is not the id of a permission"))
            .hint("write FUNCTION/STATEMENT or FUNCTION:QUALIFIER/STATEMENT")
    })
}

/// The policy of a function, version or alias; an empty one if it has none.
async fn policy(cx: &Cx, name: &str) -> Result<Policy> {
    let (function, qualifier) = qualified::split::<Function>(name);
    let call = cx.lambda().get_policy().function_name(function.known()?);
    let call = call.set_qualifier(qualifier.as_ref().map(Ref::known).transpose()?.cloned());
    match call.send().await.explain().unless(Class::NotFound)? {
        Some(found) => Policy::parse(&found.policy.need("Policy")?),
        None => Ok(Policy::default()),
    }
}

fn live(id: &Id<Permission>, name: &str, statement: &Statement) -> Result<Live<Permission>> {
    let (function, qualifier) = qualified::split(name);
    let principal = statement.principals.values().flatten().next().map(Text::known).transpose()?.unwrap_or_default();
    let condition = |key: &str| {
        let keys = statement.conditions.values().flatten();
        keys.into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(key))
            .and_then(|(_, values)| values.first().cloned())
    };
    Ok(Live {
        id: id.clone(),
        status: Status::Ready,
        args: Permission {
            function,
            qualifier,
            statement: statement.sid.clone(),
            action: statement.actions.first().cloned().unwrap_or_default(),
            principal: account_of(principal).unwrap_or(principal).to_owned(),
            source_arn: condition("aws:SourceArn"),
            source_account: condition("aws:SourceAccount").map(|id| id.known().map(str::to_owned)).transpose()?,
        },
        outputs: (),
    })
}

/// AWS writes the id of an account as the ARN of its root user.
fn account_of(principal: &str) -> Option<&str> {
    principal.strip_prefix("arn:aws:iam::")?.strip_suffix(":root")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_read_as_it_was_added() -> Result<()> {
        let document = r#"{"Version":"2012-10-17","Id":"default","Statement":[{"Sid":"backup","Effect":"Allow",
            "Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"lambda:InvokeFunction",
            "Resource":"arn:aws:lambda:us-east-1:123456789012:function:payment:live",
            "Condition":{"StringEquals":{"AWS:SourceAccount":"210987654321"},"ArnLike":{"AWS:SourceArn":"arn:*"}}}]}"#;
        let policy = Policy::parse(document)?;
        let id = Id::new("payment:live/backup");
        let found = live(&id, parts(&id)?.0, policy.statements().next().need("Statement")?)?.args;
        assert_eq!(found.id()?, id);
        assert_eq!((found.principal.as_str(), found.action.as_str()), ("123456789012", "lambda:InvokeFunction"));
        assert_eq!(found.source_arn, Some(Text::from("arn:*")));
        assert_eq!(found.source_account.as_deref(), Some("210987654321"));
        Ok(())
    }
}
