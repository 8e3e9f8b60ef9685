//! What a listener or a rule does with a request.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::{
    self as sdk, ActionTypeEnum, FixedResponseActionConfig, ForwardActionConfig, RedirectActionConfig,
    RedirectActionStatusCodeEnum, TargetGroupTuple,
};
use payinfra_engine::{Error, Id, Ref, Result};
use serde::{Deserialize, Serialize};

use super::TargetGroup;
use crate::Need;

/// What is done with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is sent to one of these, at most five, by their weights.
    Forward(BTreeSet<Target>),
    /// The client is told to go elsewhere.
    Redirect(Redirect),
    /// The client gets this answer.
    FixedResponse(FixedResponse),
    /// Something else that somebody else configured: only ever read.
    Other(String),
}

/// A target group, and its share of the requests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// The group.
    pub group: Ref<Id<TargetGroup>>,
    /// Its share, 0 to 999, against the sum of all. `None` leaves it to whoever shifts traffic, such as a deployment:
    /// apply neither compares nor changes it. Where nobody has set one yet, the first group by ARN gets everything, so
    /// `…-blue-…` before `…-green-…`.
    pub weight: Option<i32>,
}

/// Where a client is sent. `None` keeps that part of the address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// Whether clients may remember it: 301, otherwise 302.
    pub permanent: bool,
    /// `HTTP` or `HTTPS`.
    pub protocol: Option<String>,
    /// The port.
    pub port: Option<String>,
    /// The host.
    pub host: Option<String>,
    /// The path, with the slash in front.
    pub path: Option<String>,
    /// The query, without the question mark.
    pub query: Option<String>,
}

/// An answer that needs no target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedResponse {
    /// The HTTP status code, 2XX, 4XX or 5XX.
    pub status: String,
    /// The type of the body, such as `text/plain`.
    pub content_type: Option<String>,
    /// The body.
    pub body: Option<String>,
}

/// What a target group gets for which nobody has set a share, if it gets everything.
const ALL: i32 = 100;

impl Redirect {
    /// To HTTPS, for good.
    #[must_use]
    pub fn to_https() -> Self {
        let (protocol, port) = (Some("HTTPS".to_owned()), Some("443".to_owned()));
        Self { permanent: true, protocol, port, host: None, path: None, query: None }
    }
}

impl Action {
    /// Whether somebody else decides about shares, so that what they are now must be known to change anything else.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Self::Forward(targets) if targets.iter().any(|target| target.weight.is_none()))
    }

    /// As AWS takes it; `now` has the shares as they are.
    pub(super) fn sdk(&self, now: &BTreeMap<String, i32>) -> Result<Vec<sdk::Action>> {
        let action = sdk::Action::builder();
        let action = match self {
            Self::Forward(targets) => {
                let targets = weights(targets, now)?
                    .into_iter()
                    .map(|(arn, weight)| TargetGroupTuple::builder().target_group_arn(arn).weight(weight).build());
                let forward = ForwardActionConfig::builder().set_target_groups(Some(targets.collect())).build();
                action.r#type(ActionTypeEnum::Forward).forward_config(forward)
            }
            Self::Redirect(redirect) => {
                let code = if redirect.permanent {
                    RedirectActionStatusCodeEnum::Http301
                } else {
                    RedirectActionStatusCodeEnum::Http302
                };
                let config = RedirectActionConfig::builder().status_code(code);
                let config = config.set_protocol(redirect.protocol.clone()).set_port(redirect.port.clone());
                let config = config.set_host(redirect.host.clone()).set_path(redirect.path.clone());
                let config = config.set_query(redirect.query.clone()).build();
                action.r#type(ActionTypeEnum::Redirect).redirect_config(config)
            }
            Self::FixedResponse(response) => {
                let config = FixedResponseActionConfig::builder().status_code(&response.status);
                let config = config.set_content_type(response.content_type.clone());
                let config = config.set_message_body(response.body.clone()).build();
                action.r#type(ActionTypeEnum::FixedResponse).fixed_response_config(config)
            }
            Self::Other(what) => {
                return Err(Error::invalid(format!("an action of type `{what}` can be read, but not created")));
            }
        };
        Ok(vec![action.build()])
    }

    pub(super) fn from_sdk(actions: &[sdk::Action]) -> Result<Self> {
        let [action] = actions else { return Ok(Self::Other(kinds(actions))) };
        Ok(match (action.r#type(), action.redirect_config(), action.fixed_response_config()) {
            (Some(ActionTypeEnum::Forward), ..) => {
                let shares = shares(action)?.into_iter();
                let target = |(arn, weight)| Target { group: Ref::Known(Id::new(arn)), weight: Some(weight) };
                Self::Forward(shares.map(target).collect())
            }
            (Some(ActionTypeEnum::Redirect), Some(config), _) => Self::Redirect(Redirect {
                permanent: config.status_code() == Some(&RedirectActionStatusCodeEnum::Http301),
                protocol: part(config.protocol(), "#{protocol}"),
                port: part(config.port(), "#{port}"),
                host: part(config.host(), "#{host}"),
                path: part(config.path(), "/#{path}"),
                query: part(config.query(), "#{query}"),
            }),
            (Some(ActionTypeEnum::FixedResponse), _, Some(config)) => Self::FixedResponse(FixedResponse {
                status: config.status_code().unwrap_or_default().to_owned(),
                content_type: config.content_type().map(str::to_owned),
                body: config.message_body().map(str::to_owned),
            }),
            _ => Self::Other(kinds(actions)),
        })
    }
}

/// The shares of the groups that these actions forward to.
pub(super) fn shares_of(actions: &[sdk::Action]) -> Result<BTreeMap<String, i32>> {
    Ok(actions.iter().map(shares).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// AWS answers for a single group both with its ARN and with a configuration; others answer with only one of them.
fn shares(action: &sdk::Action) -> Result<BTreeMap<String, i32>> {
    match (action.forward_config(), action.target_group_arn()) {
        (Some(config), _) if !config.target_groups().is_empty() => {
            let groups = config.target_groups().iter();
            groups
                .map(|it| Ok((it.target_group_arn().need("TargetGroupArn")?.to_owned(), it.weight().unwrap_or(1))))
                .collect()
        }
        (_, Some(arn)) => Ok(BTreeMap::from([(arn.to_owned(), 1)])),
        _ => Ok(BTreeMap::new()),
    }
}

/// The share of each: the one wanted; otherwise as it is now; otherwise none, or everything for the first if nobody
/// has any.
fn weights(targets: &BTreeSet<Target>, now: &BTreeMap<String, i32>) -> Result<BTreeMap<String, i32>> {
    let weight = |target: &Target| {
        let arn = String::from(target.group.known()?);
        let weight = target.weight.unwrap_or_else(|| now.get(&arn).copied().unwrap_or_default());
        Ok((arn, weight))
    };
    let mut weights = targets.iter().map(weight).collect::<Result<BTreeMap<_, _>>>()?;
    let nobody = weights.values().all(|weight| *weight == 0);
    let first = targets.iter().find(|target| target.weight.is_none());
    if let (true, Some(first)) = (nobody, first) {
        weights.insert(first.group.known()?.into(), ALL);
    }
    Ok(weights)
}

/// A part of the address; AWS says of those that stay that they are what they were.
fn part(value: Option<&str>, same: &str) -> Option<String> {
    value.filter(|value| *value != same).map(str::to_owned)
}

fn kinds(actions: &[sdk::Action]) -> String {
    let kinds = actions.iter().map(|action| action.r#type().map_or("unknown", ActionTypeEnum::as_str));
    kinds.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(targets: &[(&str, Option<i32>)]) -> BTreeSet<Target> {
        let target = |(arn, weight): &(&str, _)| Target { group: Ref::Known(Id::new(*arn)), weight: *weight };
        targets.iter().map(target).collect()
    }

    #[test]
    fn shares_that_nobody_manages_stay_as_they_are() -> Result<()> {
        let moved = BTreeMap::from([("blue".to_owned(), 10), ("green".to_owned(), 90)]);
        let free = targets(&[("blue", None), ("green", None)]);
        assert_eq!(weights(&free, &moved)?, moved);
        for (wanted, now, expected) in [
            (free, BTreeMap::new(), [("blue", 100), ("green", 0)]),
            (targets(&[("blue", Some(50)), ("green", Some(50))]), moved.clone(), [("blue", 50), ("green", 50)]),
            (targets(&[("green", None), ("red", None)]), moved, [("green", 90), ("red", 0)]),
            (targets(&[("blue", Some(0)), ("green", None)]), BTreeMap::new(), [("blue", 0), ("green", 100)]),
        ] {
            let expected = expected.map(|(arn, weight)| (arn.to_owned(), weight));
            assert_eq!(weights(&wanted, &now)?, BTreeMap::from(expected), "{wanted:?}");
        }
        Ok(())
    }

    #[test]
    fn parts_that_stay_are_none() -> Result<()> {
        let config = RedirectActionConfig::builder().protocol("HTTPS").port("443").host("#{host}").path("/#{path}");
        let config = config.query("#{query}").status_code(RedirectActionStatusCodeEnum::Http301).build();
        let action = sdk::Action::builder().r#type(ActionTypeEnum::Redirect).redirect_config(config).build();
        assert_eq!(Action::from_sdk(&[action])?, Action::Redirect(Redirect::to_https()));
        Ok(())
    }

    #[test]
    fn a_single_group_reads_the_same_in_either_form() -> Result<()> {
        let bare = sdk::Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn("blue");
        let tuple = TargetGroupTuple::builder().target_group_arn("blue").weight(1).build();
        let both = bare.clone().forward_config(ForwardActionConfig::builder().target_groups(tuple).build());
        let expected = Action::Forward(targets(&[("blue", Some(1))]));
        assert_eq!(Action::from_sdk(&[bare.build()])?, expected);
        assert_eq!(Action::from_sdk(&[both.build()])?, expected);
        Ok(())
    }
}
