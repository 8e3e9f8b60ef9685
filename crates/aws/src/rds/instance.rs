//! A database instance of its own, such as one of `PostgreSQL`: not a member of an Aurora cluster.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_rds::types::{self as sdk, CloudwatchLogsExportConfiguration};
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields, fulfils,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::final_snapshot::delete_with_snapshot;
use super::master::{self, stored, tagged};
use super::monitoring::{self, Measured};
use super::{Insights, Master, Monitoring, ParameterGroup, SubnetGroup, cluster, downgrade, instances, tags, unseen};
use crate::error::{Unless, ours};
use crate::refs::known;
use crate::{Cx, Explain, Need};

/// An encrypted instance with storage of its own. RDS applies another parameter group, and changed static parameters, at
/// the next restart of the instance.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "AWS's own members")]
pub struct Instance {
    /// The name, in lower case, unique in the region.
    pub name: String,
    /// The engine, such as `postgres`.
    pub engine: String,
    /// The engine's version.
    pub engine_version: String,
    /// The instance class, such as `db.m6g.large`.
    pub class: String,
    /// The size of the storage in GB, which can only grow.
    pub storage: i32,
    /// The type of the storage: `gp2` or `gp3`.
    pub storage_type: String,
    /// Whether a standby in another zone takes over when the instance or its zone fails.
    pub multi_az: bool,
    /// The name of the initial database.
    pub database: Option<String>,
    /// The master user's name.
    pub username: String,
    /// The master user's password.
    pub master: Master,
    /// The port.
    pub port: i32,
    /// The subnet group.
    pub subnet_group: Ref<Id<SubnetGroup>>,
    /// The ids of the security groups.
    pub security_groups: BTreeSet<Ref<String>>,
    /// The parameter group.
    pub parameter_group: Ref<Id<ParameterGroup>>,
    /// Whether it can have a public address.
    pub publicly_accessible: bool,
    /// The ARN of the KMS key of the storage, the backups and the snapshots.
    pub kms_key: Ref<String>,
    /// Whether IAM database authentication is enabled.
    pub iam_authentication: bool,
    /// The backup retention in days, 1 to 35.
    pub backup_retention_days: i32,
    /// The daily backup window, in UTC: `03:00-04:00`.
    pub backup_window: String,
    /// Whether snapshots get the instance's tags.
    pub copy_tags_to_snapshots: bool,
    /// Whether AWS installs minor versions automatically.
    pub auto_minor_version_upgrade: bool,
    /// The logs that are exported to `CloudWatch`, in `/aws/rds/instance/NAME/LOG`. RDS creates missing groups
    /// unencrypted and without retention.
    pub log_exports: BTreeSet<String>,
    /// Performance Insights.
    pub insights: Option<Insights>,
    /// Enhanced monitoring.
    pub monitoring: Option<Monitoring>,
    /// Whether deletion protection is enabled.
    pub deletion_protection: Option<bool>,
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct InstanceOutputs {
    /// The ARN.
    pub arn: Ref<String>,
    /// The immutable resource id, for IAM authentication policies.
    pub resource_id: Ref<String>,
    /// The host name of the endpoint.
    pub endpoint: Ref<String>,
    /// The ARN of the secret with the master user's password.
    pub master: Ref<String>,
}

impl Instance {
    /// The tags, including the one that stores a field.
    fn all_tags(&self) -> Result<Tags> {
        tagged(&self.tags, Some(&self.master))
    }

    fn measured(&self) -> Measured<'_> {
        Measured { insights: self.insights.as_ref(), monitoring: self.monitoring.as_ref() }
    }

    /// Whether `is` differs in a value that `ModifyDBInstance` can set and AWS shows.
    fn differs(&self, is: &Self) -> bool {
        let managed = matches!(self.master, Master::Managed { .. });
        (managed && self.master != is.master)
            || !fulfils(&is.engine_version, &self.engine_version)
            || self.class != is.class
            || self.storage != is.storage
            || self.storage_type != is.storage_type
            || self.multi_az != is.multi_az
            || self.port != is.port
            || self.security_groups != is.security_groups
            || self.parameter_group != is.parameter_group
            || self.publicly_accessible != is.publicly_accessible
            || self.iam_authentication != is.iam_authentication
            || self.backup_retention_days != is.backup_retention_days
            || self.backup_window != is.backup_window
            || self.copy_tags_to_snapshots != is.copy_tags_to_snapshots
            || self.auto_minor_version_upgrade != is.auto_minor_version_upgrade
            || self.log_exports != is.log_exports
            || self.insights != is.insights
            || self.monitoring != is.monitoring
            || self.deletion_protection != is.deletion_protection
    }

    /// Whether `shown` still differs from the desired values; omitted values are disabled or unmanaged.
    fn lacks(&self, shown: &Self) -> bool {
        let insights = self.insights.clone().or_else(|| shown.insights.clone());
        let monitoring = self.monitoring.clone().or_else(|| shown.monitoring.clone());
        let deletion_protection = self.deletion_protection.or(shown.deletion_protection);
        Self { insights, monitoring, deletion_protection, ..self.clone() }.differs(shown)
    }

    /// Only what differs is sent: RDS counts the same storage as a change, after which it refuses others for hours.
    async fn modify(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let was = &live.args;
        let call = cx.rds().modify_db_instance().db_instance_identifier(&live.id);
        // Otherwise the change waits for the maintenance window.
        let call = call.apply_immediately(true);
        let call = if fulfils(&was.engine_version, &self.engine_version) {
            call
        } else {
            call.engine_version(&self.engine_version).allow_major_version_upgrade(true)
        };
        let class = (self.class != was.class).then(|| self.class.clone());
        let storage_type = (self.storage_type != was.storage_type).then(|| self.storage_type.clone());
        let call = call.set_db_instance_class(class).set_storage_type(storage_type);
        let call = call.set_allocated_storage((self.storage != was.storage).then_some(self.storage));
        let call = call.set_multi_az((self.multi_az != was.multi_az).then_some(self.multi_az));
        let call = call.set_db_port_number((self.port != was.port).then_some(self.port));
        let call = call.set_vpc_security_group_ids(Some(known(&self.security_groups)?));
        let call = call.db_parameter_group_name(self.parameter_group.known()?);
        let call = call.publicly_accessible(self.publicly_accessible);
        let call = call.enable_iam_database_authentication(self.iam_authentication);
        let call =
            call.backup_retention_period(self.backup_retention_days).preferred_backup_window(&self.backup_window);
        let call = call.copy_tags_to_snapshot(self.copy_tags_to_snapshots);
        let call = call.auto_minor_version_upgrade(self.auto_minor_version_upgrade);
        let protection = (self.deletion_protection != was.deletion_protection)
            .then_some(self.deletion_protection.unwrap_or_default());
        let call = call.set_deletion_protection(protection);
        let new: Vec<_> = self.log_exports.difference(&was.log_exports).cloned().collect();
        let gone: Vec<_> = was.log_exports.difference(&self.log_exports).cloned().collect();
        let exports = (!new.is_empty() || !gone.is_empty()).then(|| {
            let exports = CloudwatchLogsExportConfiguration::builder();
            exports.set_enable_log_types(Some(new)).set_disable_log_types(Some(gone)).build()
        });
        let call = call.set_cloudwatch_logs_export_configuration(exports);
        let call = match &self.master {
            master if *master == was.master => call,
            Master::Managed { kms_key } => {
                call.manage_master_user_password(true).master_user_secret_kms_key_id(kms_key.known()?)
            }
            Master::Stored { arn } => {
                let managed = matches!(was.master, Master::Managed { .. });
                let call = call.set_manage_master_user_password(managed.then_some(false));
                call.master_user_password(stored(cx, arn.known()?).await?)
            }
        };
        self.measured().modify(was.measured(), call)?.send().await.explain().map(drop)
    }
}

impl Resource for Instance {
    type Cx = Cx;
    const KIND: &'static str = "rds.instance";
    const REPLACE: Fields = fields!(Self: name, engine, database, username, subnet_group, kms_key);
    const KEY: Fields = fields!(Self: name);
    const AT_LEAST: Fields = fields!(Self: engine_version);
    const NETWORK: Fields = fields!(Self: subnet_group, security_groups);
    const KEEPS_DATA: bool = true;
    const SHIELD: Option<&'static str> = Some("deletion_protection");
    const TIMEOUT: Duration = Duration::from_hours(2);
    const EXPECTED: Expected = Expected::millis(330_000, 240_000);
    type Outputs = InstanceOutputs;

    /// A standby is a copy of the instance.
    fn expected(&self) -> Expected {
        if self.multi_az { Self::EXPECTED.and(Expected::millis(270_000, 0)) } else { Self::EXPECTED }
    }

    fn refused(&self, live: &Self) -> Vec<String> {
        let mut refused = downgrade(&self.engine_version, &live.engine_version);
        if self.storage < live.storage {
            refused.push(format!("`storage` cannot shrink from {} GB to {} GB", live.storage, self.storage));
        }
        refused
    }

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.rds().create_db_instance().db_instance_identifier(&self.name).engine(&self.engine);
        let call = call.engine_version(&self.engine_version).db_instance_class(&self.class).port(self.port);
        let call = call.allocated_storage(self.storage).storage_type(&self.storage_type).multi_az(self.multi_az);
        let call = call.set_db_name(self.database.clone()).master_username(&self.username);
        let call = match &self.master {
            Master::Managed { kms_key } => {
                call.manage_master_user_password(true).master_user_secret_kms_key_id(kms_key.known()?)
            }
            Master::Stored { arn } => call.master_user_password(stored(cx, arn.known()?).await?),
        };
        let call = call.db_subnet_group_name(self.subnet_group.known()?);
        let call = call.set_vpc_security_group_ids(Some(known(&self.security_groups)?));
        let call = call.db_parameter_group_name(self.parameter_group.known()?);
        let call = call.publicly_accessible(self.publicly_accessible);
        let call = call.storage_encrypted(true).kms_key_id(self.kms_key.known()?);
        let call = call.enable_iam_database_authentication(self.iam_authentication);
        let call =
            call.backup_retention_period(self.backup_retention_days).preferred_backup_window(&self.backup_window);
        let call = call.copy_tags_to_snapshot(self.copy_tags_to_snapshots);
        let call = call.auto_minor_version_upgrade(self.auto_minor_version_upgrade);
        let call = call.set_enable_cloudwatch_logs_exports(Some(self.log_exports.iter().cloned().collect()));
        let call = call.set_deletion_protection(self.deletion_protection).set_tags(Some(tags::sdk(&self.all_tags()?)));
        self.measured().create(call)?.send().await.explain()?;
        Ok(Id::new(&self.name))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        ours(Self::read(cx, &[Id::new(&self.name)]).await?.pop(), "database instance", owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        instances::existing(cx, ids).await?.into_iter().map(live).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        if self.master != live.args.master || self.differs(&live.args) {
            self.modify(cx, live).await?;
            let shown = Self::read(cx, std::slice::from_ref(&live.id)).await?.pop();
            if shown.is_some_and(|shown| shown.status == Status::Ready && self.lacks(&shown.args)) {
                return Err(unseen(live.id.as_str()));
            }
        }
        // After the password, so that the tag never names a secret whose password the instance does not have.
        tags::sync(cx, live.outputs.arn.known()?, &live.args.all_tags()?, &self.all_tags()?).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let Some(now) = Self::read(cx, std::slice::from_ref(&live.id)).await?.pop() else { return Ok(()) };
        if now.status == Status::Deleting {
            return Ok(());
        }
        if now.args.deletion_protection == Some(true) {
            return Err(Error::failed(format!("deletion protection is enabled for {}", live.id)));
        }
        let call = || cx.rds().delete_db_instance().db_instance_identifier(&live.id).delete_automated_backups(true);
        if cx.final_snapshot() {
            let resource = now.outputs.resource_id.known()?;
            let deleted = delete_with_snapshot(live.id.as_str(), resource, |snapshot| async {
                let call = call().skip_final_snapshot(false).final_db_snapshot_identifier(snapshot);
                Ok(call.send().await.explain().unless_code(&["DBSnapshotAlreadyExists"])?.is_some())
            });
            return deleted.await.unless(Class::NotFound).map(drop);
        }
        call().skip_final_snapshot(true).send().await.explain().unless(Class::NotFound).map(drop)
    }

    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        instances::is_absent(cx, id).await
    }
}

/// A pending change counts as the current value, so that one that waits for the maintenance window is shown as drift
/// immediately (AWS-FACTS §1.5).
fn live(instance: sdk::DbInstance) -> Result<Live<Instance>> {
    let (insights, monitoring) = monitoring::of(&instance);
    let name = instance.db_instance_identifier.need("DBInstanceIdentifier")?;
    let (master, secret, tags) = master::read(instance.master_user_secret, &tags::from(instance.tag_list));
    let pending = instance.pending_modified_values.unwrap_or_else(|| sdk::PendingModifiedValues::builder().build());
    let mut log_exports: BTreeSet<_> =
        instance.enabled_cloudwatch_logs_exports.unwrap_or_default().into_iter().collect();
    if let Some(exports) = pending.pending_cloudwatch_logs_exports {
        log_exports.extend(exports.log_types_to_enable.unwrap_or_default());
        log_exports.retain(|log| !exports.log_types_to_disable.as_ref().is_some_and(|gone| gone.contains(log)));
    }
    let port = instance.endpoint.as_ref().and_then(|endpoint| endpoint.port);
    let endpoint = instance.endpoint.and_then(|endpoint| endpoint.address);
    let groups = instance.vpc_security_groups.unwrap_or_default().into_iter();
    let parameters = instance.db_parameter_groups.unwrap_or_default().pop();
    let subnets = instance.db_subnet_group.and_then(|group| group.db_subnet_group_name);
    let iam = pending.iam_database_authentication_enabled.or(instance.iam_database_authentication_enabled);
    Ok(Live {
        id: Id::new(&name),
        status: status(instance.db_instance_status.as_deref()),
        args: Instance {
            name,
            engine: instance.engine.unwrap_or_default(),
            engine_version: pending.engine_version.or(instance.engine_version).unwrap_or_default(),
            class: pending.db_instance_class.or(instance.db_instance_class).unwrap_or_default(),
            storage: pending.allocated_storage.or(instance.allocated_storage).unwrap_or_default(),
            storage_type: pending.storage_type.or(instance.storage_type).unwrap_or_default(),
            multi_az: pending.multi_az.or(instance.multi_az).unwrap_or_default(),
            database: instance.db_name,
            username: instance.master_username.unwrap_or_default(),
            // A password that nothing of ours knows.
            master: master.unwrap_or_else(|| Master::Stored { arn: Ref::Known(String::new()) }),
            port: pending.port.or(port).unwrap_or_default(),
            subnet_group: Ref::Known(Id::new(subnets.unwrap_or_default())),
            security_groups: groups.filter_map(|group| group.vpc_security_group_id).map(Ref::Known).collect(),
            parameter_group: Ref::Known(Id::new(
                parameters.and_then(|group| group.db_parameter_group_name).unwrap_or_default(),
            )),
            publicly_accessible: instance.publicly_accessible.unwrap_or_default(),
            kms_key: Ref::Known(instance.kms_key_id.unwrap_or_default()),
            iam_authentication: iam.unwrap_or_default(),
            backup_retention_days: pending
                .backup_retention_period
                .or(instance.backup_retention_period)
                .unwrap_or_default(),
            backup_window: instance.preferred_backup_window.unwrap_or_default(),
            copy_tags_to_snapshots: instance.copy_tags_to_snapshot.unwrap_or_default(),
            auto_minor_version_upgrade: instance.auto_minor_version_upgrade.unwrap_or_default(),
            log_exports,
            insights,
            monitoring,
            deletion_protection: Some(instance.deletion_protection.unwrap_or_default()),
            tags,
        },
        outputs: InstanceOutputs {
            arn: Ref::Known(instance.db_instance_arn.need("DBInstanceArn")?),
            resource_id: Ref::Known(instance.dbi_resource_id.unwrap_or_default()),
            endpoint: Ref::Known(endpoint.unwrap_or_default()),
            master: Ref::Known(secret),
        },
    })
}

/// A failed resource is replaced, so only an instance that never had data counts as failed.
fn status(status: Option<&str>) -> Status {
    match status {
        Some(status @ ("incompatible-create" | "insufficient-capacity")) => Status::Failed(status.to_owned()),
        other => cluster::status(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_the_window_is_seen_now() -> Result<()> {
        let exports = sdk::PendingCloudwatchLogsExports::builder();
        let exports = exports.log_types_to_enable("upgrade").log_types_to_disable("postgresql").build();
        let pending = sdk::PendingModifiedValues::builder().db_instance_class("db.m6g.xlarge").allocated_storage(200);
        let pending = pending.multi_az(false).engine_version("16.6").pending_cloudwatch_logs_exports(exports).build();
        let instance = sdk::DbInstance::builder().db_instance_identifier("i").db_instance_arn("arn");
        let instance = instance.db_instance_class("db.m6g.large").allocated_storage(100).multi_az(true);
        let instance = instance.engine_version("16.4").enabled_cloudwatch_logs_exports("postgresql");
        let args = live(instance.pending_modified_values(pending).build())?.args;
        assert_eq!(
            (&*args.class, args.storage, args.multi_az, &*args.engine_version),
            ("db.m6g.xlarge", 200, false, "16.6")
        );
        assert_eq!(args.log_exports, BTreeSet::from(["upgrade".to_owned()]));
        Ok(())
    }

    #[test]
    fn storage_only_grows() -> Result<()> {
        let of = |storage| {
            live(
                sdk::DbInstance::builder()
                    .db_instance_identifier("i")
                    .db_instance_arn("arn")
                    .allocated_storage(storage)
                    .build(),
            )
        };
        let (small, large) = (of(100)?.args, of(200)?.args);
        assert_eq!(small.refused(&large), ["`storage` cannot shrink from 200 GB to 100 GB"]);
        assert_eq!(large.refused(&small), Vec::<String>::new());
        Ok(())
    }

    #[test]
    fn only_what_never_had_data_is_replaced() {
        assert_eq!(status(Some("incompatible-create")), Status::Failed("incompatible-create".to_owned()));
        assert_eq!(status(Some("storage-full")), Status::Pending);
        assert_eq!(status(Some("available")), Status::Ready);
    }
}
