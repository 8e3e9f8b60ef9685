//! What AWS measures of an instance: Performance Insights and enhanced monitoring.

use aws_sdk_rds::operation::create_db_instance::builders::CreateDBInstanceFluentBuilder;
use aws_sdk_rds::operation::modify_db_instance::builders::ModifyDBInstanceFluentBuilder;
use aws_sdk_rds::types::DbInstance;
use payinfra_engine::{Ref, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Performance Insights: what the database waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Insights {
    /// The retention in days: 7, a multiple of 31, or 731.
    pub days: i32,
    /// The ARN of the KMS key; it cannot be changed while Performance Insights is enabled.
    pub kms_key: Ref<String>,
}

/// Enhanced monitoring of the operating system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Monitoring {
    /// The interval in seconds: 1, 5, 10, 15, 30 or 60.
    pub interval: i32,
    /// The ARN of the role that writes the metrics.
    pub role: Ref<String>,
}

/// Both, of an instance that AWS describes.
pub(super) fn of(instance: &DbInstance) -> (Option<Insights>, Option<Monitoring>) {
    let on = instance.performance_insights_enabled == Some(true);
    let interval = instance.monitoring_interval.unwrap_or_default();
    let text = |text: &Option<String>| Ref::Known(text.clone().unwrap_or_default());
    let insights = on.then(|| Insights {
        days: instance.performance_insights_retention_period.unwrap_or_default(),
        kms_key: text(&instance.performance_insights_kms_key_id),
    });
    let monitoring = (interval > 0).then(|| Monitoring { interval, role: text(&instance.monitoring_role_arn) });
    (insights, monitoring)
}

/// Both, as they are declared.
#[derive(Clone, Copy)]
pub(super) struct Measured<'a> {
    pub(super) insights: Option<&'a Insights>,
    pub(super) monitoring: Option<&'a Monitoring>,
}

impl Measured<'_> {
    /// Adds both to a create.
    pub(super) fn create(self, call: CreateDBInstanceFluentBuilder) -> Result<CreateDBInstanceFluentBuilder> {
        let call = match self.insights {
            Some(insights) => call
                .enable_performance_insights(true)
                .performance_insights_kms_key_id(insights.kms_key.known()?)
                .performance_insights_retention_period(insights.days),
            None => call.enable_performance_insights(false),
        };
        Ok(match self.monitoring {
            Some(monitoring) => {
                call.monitoring_interval(monitoring.interval).monitoring_role_arn(monitoring.role.known()?)
            }
            None => call.monitoring_interval(0),
        })
    }

    /// Adds the changes from `was` to a modification.
    pub(super) fn modify(
        self,
        was: Measured<'_>,
        call: ModifyDBInstanceFluentBuilder,
    ) -> Result<ModifyDBInstanceFluentBuilder> {
        let call = match (self.insights, was.insights) {
            (Some(insights), was) if Some(insights) != was => {
                let key = insights.kms_key.known()?;
                // If it is already enabled, AWS rejects even the same key.
                let key = was.is_none_or(|was| was.kms_key != insights.kms_key).then_some(key);
                let call = call.enable_performance_insights(true).set_performance_insights_kms_key_id(key.cloned());
                call.performance_insights_retention_period(insights.days)
            }
            (None, Some(_)) => call.enable_performance_insights(false),
            _ => call,
        };
        Ok(match (self.monitoring, was.monitoring) {
            (Some(monitoring), was) if Some(monitoring) != was => {
                call.monitoring_interval(monitoring.interval).monitoring_role_arn(monitoring.role.known()?)
            }
            // The reset values of AWS-FACTS §6.2.
            (None, Some(_)) => call.monitoring_interval(0).monitoring_role_arn(""),
            _ => call,
        })
    }
}
