//! Variables of the databases (M-11 to M-14).

use payinfra_engine::{Error, Result, counted};
use payinfra_stack::Section;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::phase::Phase;
use crate::settings::database::{Named, postgresql};
use crate::settings::window;

/// The variables as they are written.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DatabaseVariables {
    /// The version of Aurora `PostgreSQL`, such as 16.6, which Aurora Global Database must support.
    #[schemars(extend("pattern" = "^[0-9]{2}\\.[0-9]{1,2}$"))]
    engine_version: String,
    /// The name of the database in the cluster.
    #[schemars(extend("pattern" = "^[a-z][a-z0-9_]{0,62}$"))]
    name: String,
    /// The master user, whose password Secrets Manager generates and stores.
    #[schemars(extend("pattern" = "^[a-z][a-z0-9_]{0,62}$"))]
    username: String,
    /// The instance class, such as db.r6g.large; Aurora Global Database does not support burstable classes.
    #[schemars(extend("pattern" = "^db\\.[a-z0-9]+\\.[a-z0-9]+$"))]
    instance_class: String,
    /// The retention of backups in days, from 1 to 35; by default 7, and 35 in the phase `production`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 35))]
    backup_retention_days: Option<i32>,
    /// The daily backup window in UTC, at least half an hour.
    #[schemars(extend("pattern" = "^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}$"))]
    backup_window: String,
    /// The retention of Performance Insights in days: 7, a multiple of 31, or 731.
    performance_insights_days: i32,
    /// The interval of enhanced monitoring in seconds: 1, 5, 10, 15, 30 or 60.
    monitoring_interval: i32,
}

impl Default for DatabaseVariables {
    fn default() -> Self {
        Self {
            engine_version: "16.6".to_owned(),
            name: "payments".to_owned(),
            username: "payments".to_owned(),
            instance_class: "db.r6g.large".to_owned(),
            backup_retention_days: None,
            backup_window: "03:00-04:00".to_owned(),
            performance_insights_days: 7,
            monitoring_interval: 60,
        }
    }
}

/// The databases of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatabaseConfig {
    /// The version of Aurora `PostgreSQL`.
    pub engine_version: String,
    /// The name of the database in the cluster.
    pub name: String,
    /// The master user.
    pub username: String,
    /// The instance class.
    pub instance_class: String,
    /// The retention of backups in days.
    pub backup_retention_days: i32,
    /// The daily backup window in UTC.
    pub backup_window: String,
    /// The retention of Performance Insights in days.
    pub performance_insights_days: i32,
    /// The interval of enhanced monitoring in seconds.
    pub monitoring_interval: i32,
}

/// The oldest and the newest major version that Aurora Global Database supports.
const MAJOR: std::ops::RangeInclusive<u32> = 13..=17;
const MONITORING: [i32; 6] = [1, 5, 10, 15, 30, 60];

impl DatabaseVariables {
    /// The databases in `phase`.
    pub(super) fn in_phase(self, phase: Phase) -> DatabaseConfig {
        let days = if phase == Phase::Production { 35 } else { 7 };
        DatabaseConfig {
            engine_version: self.engine_version,
            name: self.name,
            username: self.username,
            instance_class: self.instance_class,
            backup_retention_days: self.backup_retention_days.unwrap_or(days),
            backup_window: self.backup_window,
            performance_insights_days: self.performance_insights_days,
            monitoring_interval: self.monitoring_interval,
        }
    }
}

impl DatabaseConfig {
    pub(super) fn check(&self, section: &mut Section<'_>) {
        section.check("engine_version", version(&self.engine_version));
        for (variable, named, name) in
            [("name", Named::Database, &self.name), ("username", Named::User, &self.username)]
        {
            if section.check(variable, identifier(variable, name)).is_some() {
                section.check(variable, postgresql(named, name));
            }
        }
        section.check("instance_class", class(&self.instance_class));
        section.number("backup_retention_days", self.backup_retention_days, 1..=35);
        section.check("backup_window", window(&self.backup_window));
        section.check("performance_insights_days", insights(self.performance_insights_days));
        section.one_of("monitoring_interval", self.monitoring_interval, &MONITORING);
    }
}

fn version(text: &str) -> Result<()> {
    let digits = |part: &str| !part.is_empty() && part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let major = text.split_once('.').filter(|(major, minor)| digits(major) && digits(minor));
    let Some((major, _)) = major else {
        return Err(Error::invalid(format!("`{text}` is not a version of Aurora PostgreSQL"))
            .hint("write major and minor version, such as 16.6"));
    };
    if !major.parse().is_ok_and(|major| MAJOR.contains(&major)) {
        return Err(Error::invalid(format!("Aurora Global Database does not support Aurora PostgreSQL {text}"))
            .hint(format!("use a version from {} to {}, such as 16.6", MAJOR.start(), MAJOR.end())));
    }
    Ok(())
}

fn identifier(variable: &str, text: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if text.len() > 63 || !text.starts_with(|first: char| first.is_ascii_lowercase()) || !text.bytes().all(fits) {
        return Err(Error::invalid(format!("`{text}` is not a valid value of the database's `{variable}`"))
            .hint("use up to 63 lower-case letters, digits and underscores, starting with a letter"));
    }
    Ok(())
}

fn class(text: &str) -> Result<()> {
    let fits = |part: &&str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
    match text.split('.').collect::<Vec<_>>()[..] {
        ["db", family, size] if [family, size].iter().all(fits) => {
            // Memory-optimized classes only: AWS's "Requirements of an Aurora global database".
            if family.starts_with('r') || family.starts_with('x') {
                return Ok(());
            }
            Err(Error::invalid(format!("Aurora Global Database does not support {text}"))
                .hint("use a memory-optimized class, such as db.r6g.large"))
        }
        _ => Err(Error::invalid(format!("`{text}` is not an instance class")).hint("use a class such as db.r6g.large")),
    }
}

fn insights(days: i32) -> Result<()> {
    if days == 7 || days == 731 || (days % 31 == 0 && (1..=23).contains(&(days / 31))) {
        return Ok(());
    }
    let retention = counted(days, "day", "days");
    Err(Error::invalid(format!("Performance Insights does not support a retention of {retention}"))
        .hint("use 7, a multiple of 31 up to 713, or 731"))
}
