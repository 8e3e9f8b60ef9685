//! A rule of a web ACL.

use std::collections::BTreeSet;

use aws_sdk_wafv2::types::{
    self as sdk, BlockAction, CountAction, ManagedRuleGroupStatement, NoneAction, OverrideAction, RateBasedStatement,
    RateBasedStatementAggregateKeyType, RuleAction, RuleActionOverride, VisibilityConfig,
};
use payinfra_engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Explain;

/// A rule: a statement and an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its priority; the lowest is evaluated first.
    pub priority: i32,
    /// The statement.
    pub statement: Statement,
    /// Whether matching requests are only counted instead of blocked.
    pub count: bool,
    /// Metrics and sampled requests.
    pub visibility: Visibility,
}

/// The statement of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Statement {
    /// A managed rule group.
    Managed(ManagedRules),
    /// A rate limit per address.
    RateLimit(RateLimit),
    /// A statement that was configured outside payinfra; only returned by reads.
    Other(String),
}

/// A managed rule group, in the vendor's default version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ManagedRules {
    /// The vendor: `AWS`.
    pub vendor: String,
    /// Its name, such as `AWSManagedRulesCommonRuleSet`.
    pub name: String,
    /// The rules in the group that only count.
    pub counted: BTreeSet<String>,
}

/// A rate limit per address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// The maximum number of requests in a window, 10 to 2,000,000,000.
    pub requests: i64,
    /// The window in seconds: 60, 120, 300 or 600.
    pub window: i64,
}

/// Metrics and sampled requests of a web ACL or a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Visibility {
    /// The name of the metrics: letters, digits, hyphens and underscores.
    pub metric: String,
    /// Whether metrics are enabled.
    pub metrics: bool,
    /// Whether sampled requests are enabled.
    pub samples: bool,
}

impl Visibility {
    /// Everything is enabled, with this metric name.
    #[must_use]
    pub fn of(metric: impl Into<String>) -> Self {
        Self { metric: metric.into(), metrics: true, samples: true }
    }

    pub(super) fn sdk(&self) -> Result<VisibilityConfig> {
        let config = VisibilityConfig::builder().metric_name(&self.metric);
        config.cloud_watch_metrics_enabled(self.metrics).sampled_requests_enabled(self.samples).build().explain()
    }

    pub(super) fn from_sdk(config: Option<VisibilityConfig>) -> Self {
        config.map_or_else(
            || Self { metric: String::new(), metrics: false, samples: false },
            |config| Self {
                metric: config.metric_name,
                metrics: config.cloud_watch_metrics_enabled,
                samples: config.sampled_requests_enabled,
            },
        )
    }
}

impl Rule {
    /// The rule in AWS's form.
    pub(super) fn sdk(&self, name: &str) -> Result<sdk::Rule> {
        let rule = sdk::Rule::builder().name(name).priority(self.priority);
        let rule = rule.visibility_config(self.visibility.sdk()?);
        let rule = match (&self.statement, self.count) {
            // The rules of a group have their own actions.
            (Statement::Managed(_), false) => rule.override_action(OverrideAction::builder().none(none()).build()),
            (Statement::Managed(_), true) => rule.override_action(OverrideAction::builder().count(count()).build()),
            (_, false) => rule.action(RuleAction::builder().block(BlockAction::builder().build()).build()),
            (_, true) => rule.action(counting()),
        };
        rule.statement(self.statement.sdk()?).build().explain()
    }

    /// The name, and the rule that AWS returned.
    pub(super) fn from_sdk(rule: sdk::Rule) -> (String, Self) {
        let counted = rule.override_action().is_some_and(|action| action.count().is_some())
            || rule.action().is_some_and(|action| action.count().is_some());
        let blocks = rule.action().is_none_or(|action| action.block().is_some() || action.count().is_some());
        let statement = rule.statement().and_then(Statement::from_sdk).filter(|_| blocks);
        let args = Self {
            priority: rule.priority,
            statement: statement.unwrap_or_else(|| Statement::Other(format!("{:?} {:?}", rule.action, rule.statement))),
            count: counted,
            visibility: Visibility::from_sdk(rule.visibility_config),
        };
        (rule.name, args)
    }
}

impl Statement {
    /// AWS's managed rule group with this name.
    #[must_use]
    pub fn aws(name: &str) -> Self {
        Self::Managed(ManagedRules { vendor: "AWS".to_owned(), name: name.to_owned(), counted: BTreeSet::new() })
    }

    fn sdk(&self) -> Result<sdk::Statement> {
        let statement = sdk::Statement::builder();
        Ok(match self {
            Self::Managed(managed) => {
                let counted = managed
                    .counted
                    .iter()
                    .map(|rule| RuleActionOverride::builder().name(rule).action_to_use(counting()).build().explain());
                let counted = counted.collect::<Result<Vec<_>>>()?;
                let group = ManagedRuleGroupStatement::builder().vendor_name(&managed.vendor).name(&managed.name);
                let group = group.set_rule_action_overrides(Some(counted).filter(|rules| !rules.is_empty()));
                statement.managed_rule_group_statement(group.build().explain()?).build()
            }
            Self::RateLimit(limit) => {
                let rate = RateBasedStatement::builder().limit(limit.requests).evaluation_window_sec(limit.window);
                let rate = rate.aggregate_key_type(RateBasedStatementAggregateKeyType::Ip);
                statement.rate_based_statement(rate.build().explain()?).build()
            }
            Self::Other(_) => return Err(Error::invalid("an unknown statement can be read, but not created")),
        })
    }

    /// `None` if it has settings that payinfra does not support.
    fn from_sdk(statement: &sdk::Statement) -> Option<Self> {
        if let Some(group) = statement.managed_rule_group_statement() {
            let plain = group.scope_down_statement().is_none()
                && group.version().is_none()
                && group.excluded_rules().is_empty()
                && group.managed_rule_group_configs().is_empty();
            let counted = group.rule_action_overrides().iter();
            let counted = counted.map(|rule| rule.action_to_use()?.count().map(|_| rule.name().to_owned()));
            let counted = counted.collect::<Option<_>>()?;
            let managed = ManagedRules { vendor: group.vendor_name.clone(), name: group.name.clone(), counted };
            return plain.then_some(Self::Managed(managed));
        }
        let rate = statement.rate_based_statement()?;
        let plain =
            rate.scope_down_statement().is_none() && rate.aggregate_key_type == RateBasedStatementAggregateKeyType::Ip;
        // Older responses have no window.
        let window = if rate.evaluation_window_sec == 0 { 300 } else { rate.evaluation_window_sec };
        plain.then_some(Self::RateLimit(RateLimit { requests: rate.limit, window }))
    }
}

fn none() -> NoneAction {
    NoneAction::builder().build()
}

fn count() -> CountAction {
    CountAction::builder().build()
}

fn counting() -> RuleAction {
    RuleAction::builder().count(count()).build()
}

#[cfg(test)]
mod tests {
    use aws_sdk_wafv2::types::AllowAction;

    use super::*;

    fn rule(statement: Statement, count: bool) -> Rule {
        Rule { priority: 1, statement, count, visibility: Visibility::of("metric") }
    }

    #[test]
    fn reads_what_it_writes() -> Result<()> {
        let counted = BTreeSet::from(["SizeRestrictions_BODY".to_owned()]);
        let group = ManagedRules { vendor: "AWS".to_owned(), name: "AWSManagedRulesCommonRuleSet".to_owned(), counted };
        for statement in [
            Statement::aws("AWSManagedRulesSQLiRuleSet"),
            Statement::Managed(group),
            Statement::RateLimit(RateLimit { requests: 2_000, window: 300 }),
        ] {
            for count in [false, true] {
                let rule = rule(statement.clone(), count);
                assert_eq!(Rule::from_sdk(rule.sdk("name")?), ("name".to_owned(), rule));
            }
        }
        Ok(())
    }

    #[test]
    fn what_lets_more_through_is_seen() -> Result<()> {
        let limit = rule(Statement::RateLimit(RateLimit { requests: 2_000, window: 300 }), false);
        let mut changed = limit.sdk("name")?;
        changed.action = Some(RuleAction::builder().allow(AllowAction::builder().build()).build());
        assert!(matches!(Rule::from_sdk(changed).1.statement, Statement::Other(_)));

        let mut changed = limit.sdk("name")?;
        let inner = changed.statement.clone();
        if let Some(rate) = changed.statement.as_mut().and_then(|statement| statement.rate_based_statement.as_mut()) {
            rate.scope_down_statement = inner.map(Box::new);
        }
        assert!(matches!(Rule::from_sdk(changed).1.statement, Statement::Other(_)));
        Ok(())
    }
}
