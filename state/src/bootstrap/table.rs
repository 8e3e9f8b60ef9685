//! The lock table and its settings.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, PointInTimeRecoverySpecification,
    PointInTimeRecoveryStatus, ScalarAttributeType, SseSpecification, SseStatus, SseType, TableDescription,
    TableStatus, Tag,
};
use payinfra_engine::{Class, Error, Result};
use payinfra_sdk::{Explain, Need, Unless};

use super::{Found, Made, PATIENCE, TAG, TIMEOUT, read_back};
use crate::clock;
use crate::retry::{patiently, timeouts};

/// The partition key, its only key attribute.
const KEY: &str = "LockID";
/// How long the table may take to be created or updated.
const SETTLES: Duration = Duration::from_mins(5);

/// Retries a call to `DynamoDB`. All calls here are idempotent.
macro_rules! call {
    ($call:expr) => {{
        let call = $call;
        patiently(|| async { call.clone().send().await.explain() }).await
    }};
}

/// The settings of a lock table, in the order in which they are applied.
#[derive(Clone, Copy)]
enum Setting {
    Tags,
    Billing,
    Encryption,
    Recovery,
    Protection,
}

impl Setting {
    const ALL: [Self; 5] = [Self::Tags, Self::Billing, Self::Encryption, Self::Recovery, Self::Protection];

    fn name(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::Billing => "billing",
            Self::Encryption => "encryption",
            Self::Recovery => "point-in-time recovery",
            Self::Protection => "deletion protection",
        }
    }
}

pub(super) struct Table<'a> {
    client: Client,
    name: &'a str,
}

impl<'a> Table<'a> {
    pub(super) fn new(config: &SdkConfig, name: &'a str) -> Self {
        let config = aws_sdk_dynamodb::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts(TIMEOUT));
        Self { client: Client::from_conf(config.build()), name }
    }

    /// Whether it exists, and whether bootstrap created it.
    pub(super) async fn find(&self) -> Result<Found> {
        let Some(table) = self.describe().await? else { return Ok(Found::Missing) };
        let fits = matches!(table.key_schema(), [key] if key.attribute_name() == KEY);
        if !fits {
            let text = format!("table `{}` is not a lock table: its key schema is not `{KEY}` alone", self.name);
            return Err(Error::new(Class::Foreign, text).hint("set another `table` in `[state]` of payinfra.toml"));
        }
        let tagged = self.is_tagged(table.table_arn().need("TableArn")?).await?;
        Ok(if tagged { Found::Ours } else { Found::Untagged })
    }

    async fn describe(&self) -> Result<Option<TableDescription>> {
        let answer = call!(self.client.describe_table().table_name(self.name)).unless(Class::NotFound)?;
        Ok(answer.and_then(|answer| answer.table))
    }

    /// Creates it if it is missing, and repairs its settings.
    pub(super) async fn ensure(&self, found: Found, key: &str) -> Result<Made> {
        if found == Found::Missing {
            self.create(key).await?;
        }
        let what = format!("table `{}`", self.name);
        let mut repaired = Vec::new();
        for setting in Setting::ALL {
            if !self.has(setting, key).await? {
                self.set(setting, key).await?;
                repaired.push(read_back(&what, setting.name(), PATIENCE, || self.has(setting, key)).await?);
            }
        }
        Ok(Made::new(self.name, found, repaired))
    }

    async fn create(&self, key: &str) -> Result<()> {
        let attribute = AttributeDefinition::builder().attribute_name(KEY).attribute_type(ScalarAttributeType::S);
        let hash = KeySchemaElement::builder().attribute_name(KEY).key_type(KeyType::Hash);
        let call = self.client.create_table().table_name(self.name);
        let call = call
            .attribute_definitions(attribute.build().explain()?)
            .key_schema(hash.build().explain()?)
            .billing_mode(BillingMode::PayPerRequest)
            .sse_specification(encrypted(key))
            .deletion_protection_enabled(true)
            .tags(tag()?);
        let create = || async {
            match call.clone().send().await.explain() {
                // An earlier attempt whose response was lost, or another bootstrap at the same time.
                Err(error) if error.get_code() == Some("ResourceInUseException") => Ok(()),
                answer => answer.map(|_| ()),
            }
        };
        patiently(create).await
    }

    /// The table, once it is active.
    async fn settled(&self) -> Result<TableDescription> {
        let begun = clock::now();
        let mut pause = Duration::from_millis(100);
        while clock::now().saturating_sub(begun) < SETTLES {
            if let Some(table) = self.describe().await? {
                let changes = table.sse_description().and_then(|sse| sse.status()) == Some(&SseStatus::Updating);
                if table.table_status() == Some(&TableStatus::Active) && !changes {
                    return Ok(table);
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(3));
        }
        Err(Error::failed(format!("table `{}` is not active after {} s", self.name, SETTLES.as_secs())))
    }

    async fn has(&self, setting: Setting, key: &str) -> Result<bool> {
        let table = self.settled().await?;
        Ok(match setting {
            Setting::Tags => self.is_tagged(table.table_arn().need("TableArn")?).await?,
            Setting::Billing => {
                let mode = table.billing_mode_summary().and_then(|summary| summary.billing_mode());
                mode == Some(&BillingMode::PayPerRequest)
            }
            Setting::Encryption => table.sse_description().is_some_and(|sse| {
                matches!(sse.status(), Some(SseStatus::Enabled | SseStatus::Enabling))
                    && sse.kms_master_key_arn() == Some(key)
            }),
            Setting::Protection => table.deletion_protection_enabled() == Some(true),
            Setting::Recovery => {
                let answer = call!(self.client.describe_continuous_backups().table_name(self.name))?;
                let backups = answer.continuous_backups_description;
                let recovery = backups.and_then(|backups| backups.point_in_time_recovery_description);
                let status = recovery.and_then(|recovery| recovery.point_in_time_recovery_status);
                status == Some(PointInTimeRecoveryStatus::Enabled)
            }
        })
    }

    async fn set(&self, setting: Setting, key: &str) -> Result<()> {
        let update = self.client.update_table().table_name(self.name);
        match setting {
            // Keep tags of others.
            Setting::Tags => {
                let table = self.settled().await?;
                let arn = table.table_arn().need("TableArn")?;
                call!(self.client.tag_resource().resource_arn(arn).tags(tag()?)).map(drop)
            }
            Setting::Billing => call!(update.billing_mode(BillingMode::PayPerRequest)).map(drop),
            Setting::Encryption => call!(update.sse_specification(encrypted(key))).map(drop),
            Setting::Protection => call!(update.deletion_protection_enabled(true)).map(drop),
            Setting::Recovery => {
                let on = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true).build();
                let call = self.client.update_continuous_backups().table_name(self.name);
                call!(call.point_in_time_recovery_specification(on.explain()?)).map(drop)
            }
        }
    }

    async fn is_tagged(&self, arn: &str) -> Result<bool> {
        let ours = tag()?;
        let mut next = None;
        loop {
            let page = call!(self.client.list_tags_of_resource().resource_arn(arn).set_next_token(next))?;
            if page.tags().contains(&ours) {
                return Ok(true);
            }
            next = page.next_token;
            if next.is_none() {
                return Ok(false);
            }
        }
    }
}

fn encrypted(key: &str) -> SseSpecification {
    SseSpecification::builder().enabled(true).sse_type(SseType::Kms).kms_master_key_id(key).build()
}

fn tag() -> Result<Tag> {
    Tag::builder().key(TAG.0).value(TAG.1).build().explain()
}
