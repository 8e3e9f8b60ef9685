//! The actions of listeners and listener rules.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::{
    self as sdk, ActionTypeEnum, FixedResponseActionConfig, ForwardActionConfig, RedirectActionConfig,
    RedirectActionStatusCodeEnum, TargetGroupTuple,
};
use payinfra_engine::{Error, Id, Ref, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TargetGroup;
use crate::Need;

/// An action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Forwards to one of these target groups, at most five, by weight.
    Forward(BTreeSet<Target>),
    /// Redirects.
    Redirect(Redirect),
    /// Returns a fixed response.
    FixedResponse(FixedResponse),
    /// An action that was configured outside payinfra; only returned by reads.
    Other(String),
}

/// A target group and its weight.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The target group.
    pub group: Ref<Id<TargetGroup>>,
    /// Its weight, 0 to 999, relative to the sum. `None` leaves it to the process that shifts traffic, such as a
    /// deployment: apply neither compares nor changes it. If no weights are set yet, the first group by ARN gets all
    /// traffic, so `…-blue-…` before `…-green-…`.
    pub weight: Option<i32>,
}

/// A redirect. `None` keeps that part of the URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// Whether it is permanent: 301, otherwise 302.
    pub permanent: bool,
    /// `HTTP` or `HTTPS`.
    pub protocol: Option<String>,
    /// The port.
    pub port: Option<String>,
    /// The host.
    pub host: Option<String>,
    /// The path, with a leading slash.
    pub path: Option<String>,
    /// The query, without the question mark.
    pub query: Option<String>,
}

/// A fixed response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FixedResponse {
    /// The HTTP status code, 2XX, 4XX or 5XX.
    pub status: String,
    /// The content type, such as `text/plain`.
    pub content_type: Option<String>,
    /// The body.
    pub body: Option<String>,
}

/// The weight of a target group that gets all traffic if no weights are set.
const ALL: i32 = 100;

impl Redirect {
    /// A permanent redirect to HTTPS.
    #[must_use]
    pub fn to_https() -> Self {
        let (protocol, port) = (Some("HTTPS".to_owned()), Some("443".to_owned()));
        Self { permanent: true, protocol, port, host: None, path: None, query: None }
    }
}

impl Action {
    /// Whether weights are managed elsewhere, so that the current ones must be known before other changes.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Self::Forward(targets) if targets.iter().any(|target| target.weight.is_none()))
    }

    /// In AWS's form; `now` has the current weights.
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

/// The weights of the groups that these actions forward to.
pub(super) fn shares_of(actions: &[sdk::Action]) -> Result<BTreeMap<String, i32>> {
    Ok(actions.iter().map(shares).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// For a single group, AWS returns both its ARN and a configuration; other implementations return only one of them.
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

/// The weight of each group: the desired one, or else the current one, or else zero, or all traffic for the first group
/// if there are no weights.
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

/// A part of a URL; AWS returns placeholders for unchanged parts.
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
