//! Variables of the databases (M-11 to M-14).

use payinfra_engine::counted;
use payinfra_stack::{Problem, Spanned, number, one_of};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::phase::Phase;

/// The variables as they are written.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DatabaseVariables {
    /// The version of Aurora `PostgreSQL`, such as 16.6, which Aurora Global Database must support.
    #[schemars(with = "Option<String>", extend("pattern" = "^[0-9]{2}\\.[0-9]{1,2}$"))]
    engine_version: Option<Spanned<String>>,
    /// The name of the database in the cluster; by default `payments`.
    #[schemars(with = "Option<String>", extend("pattern" = "^[a-z][a-z0-9_]{0,62}$"))]
    name: Option<Spanned<String>>,
    /// The master user, whose password Secrets Manager generates and stores; by default `payments`.
    #[schemars(with = "Option<String>", extend("pattern" = "^[a-z][a-z0-9_]{0,62}$"))]
    username: Option<Spanned<String>>,
    /// The instance class, such as db.r6g.large; Aurora Global Database does not support burstable classes.
    #[schemars(with = "Option<String>", extend("pattern" = "^db\\.[a-z0-9]+\\.[a-z0-9]+$"))]
    instance_class: Option<Spanned<String>>,
    /// The retention of backups in days, from 1 to 35; by default 7, and 35 in the phase `production`.
    #[schemars(with = "Option<i32>", range(min = 1, max = 35))]
    backup_retention_days: Option<Spanned<i32>>,
    /// The daily backup window in UTC, at least half an hour; by default 03:00-04:00.
    #[schemars(with = "Option<String>", extend("pattern" = "^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}$"))]
    backup_window: Option<Spanned<String>>,
    /// The retention of Performance Insights in days: 7, a multiple of 31, or 731; by default 7.
    #[schemars(with = "Option<i32>")]
    performance_insights_days: Option<Spanned<i32>>,
    /// The interval of enhanced monitoring in seconds: 1, 5, 10, 15, 30 or 60; by default 60.
    #[schemars(with = "Option<i32>")]
    monitoring_interval: Option<Spanned<i32>>,
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
/// User names that RDS or `PostgreSQL` reserve.
const RESERVED: [&str; 6] = ["admin", "postgres", "rds_superuser", "rdsadmin", "root", "user"];
const MINUTES_OF_A_DAY: u32 = 24 * 60;

impl DatabaseVariables {
    pub(super) fn check(self, phase: Phase) -> Result<DatabaseConfig, Problem> {
        let days = if phase == Phase::Production { 35 } else { 7 };
        Ok(DatabaseConfig {
            engine_version: self.engine_version.map_or_else(|| Ok("16.6".to_owned()), version)?,
            name: self.name.map_or_else(|| Ok("payments".to_owned()), |name| identifier("name", name))?,
            username: self.username.map_or_else(|| Ok("payments".to_owned()), username)?,
            instance_class: self.instance_class.map_or_else(|| Ok("db.r6g.large".to_owned()), class)?,
            backup_retention_days: number("backup_retention_days", self.backup_retention_days.as_ref(), days, 1..=35)?,
            backup_window: self.backup_window.map_or_else(|| Ok("03:00-04:00".to_owned()), window)?,
            performance_insights_days: self.performance_insights_days.as_ref().map_or(Ok(7), insights)?,
            monitoring_interval: one_of("monitoring_interval", self.monitoring_interval.as_ref(), 60, &MONITORING)?,
        })
    }
}

fn version(given: Spanned<String>) -> Result<String, Problem> {
    let text = given.get_ref();
    let digits = |part: &str| !part.is_empty() && part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let major = text.split_once('.').filter(|(major, minor)| digits(major) && digits(minor));
    let Some((major, _)) = major else {
        return Err(Problem::new(format!("`{text}` is not a version of Aurora PostgreSQL"), given.span())
            .hint("write major and minor version, such as 16.6"));
    };
    if !major.parse().is_ok_and(|major| MAJOR.contains(&major)) {
        return Err(Problem::new(
            format!("Aurora Global Database does not support Aurora PostgreSQL {text}"),
            given.span(),
        )
        .hint(format!("use a version from {} to {}, such as 16.6", MAJOR.start(), MAJOR.end())));
    }
    Ok(given.into_inner())
}

fn identifier(variable: &str, given: Spanned<String>) -> Result<String, Problem> {
    let text = given.get_ref();
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if text.len() > 63 || !text.starts_with(|first: char| first.is_ascii_lowercase()) || !text.bytes().all(fits) {
        return Err(Problem::new(
            format!("`{text}` is not a valid value of the database's `{variable}`"),
            given.span(),
        )
        .hint("use up to 63 lower-case letters, digits and underscores, starting with a letter"));
    }
    Ok(given.into_inner())
}

fn username(given: Spanned<String>) -> Result<String, Problem> {
    if RESERVED.contains(&given.get_ref().as_str()) {
        return Err(Problem::new(format!("the user name `{}` is reserved", given.get_ref()), given.span())
            .hint("choose another name, such as payments"));
    }
    identifier("username", given)
}

fn class(given: Spanned<String>) -> Result<String, Problem> {
    let text = given.get_ref();
    let fits = |part: &&str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
    match text.split('.').collect::<Vec<_>>()[..] {
        ["db", family, size] if [family, size].iter().all(fits) => {
            // Memory-optimized classes only: AWS's "Requirements of an Aurora global database".
            if !(family.starts_with('r') || family.starts_with('x')) {
                return Err(Problem::new(format!("Aurora Global Database does not support {text}"), given.span())
                    .hint("use a memory-optimized class, such as db.r6g.large"));
            }
        }
        _ => {
            return Err(Problem::new(format!("`{text}` is not an instance class"), given.span())
                .hint("use a class such as db.r6g.large"));
        }
    }
    Ok(given.into_inner())
}

fn window(given: Spanned<String>) -> Result<String, Problem> {
    let minute = |time: &str| {
        let (hours, minutes) = time.split_once(':').filter(|_| time.len() == 5)?;
        let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
        (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
    };
    let text = given.get_ref();
    let times = text.split_once('-').and_then(|(from, to)| Some((minute(from)?, minute(to)?)));
    let Some((from, to)) = times else {
        return Err(Problem::new(format!("`{text}` is not a daily window"), given.span())
            .hint("write start and end in UTC, such as 03:00-04:00"));
    };
    if (to + MINUTES_OF_A_DAY - from) % MINUTES_OF_A_DAY < 30 {
        return Err(Problem::new(format!("the window {text} is too short"), given.span())
            .hint("RDS requires at least half an hour"));
    }
    Ok(given.into_inner())
}

fn insights(given: &Spanned<i32>) -> Result<i32, Problem> {
    let days = *given.get_ref();
    if days == 7 || days == 731 || (days % 31 == 0 && (1..=23).contains(&(days / 31))) {
        return Ok(days);
    }
    let retention = counted(days, "day", "days");
    Err(Problem::new(format!("Performance Insights does not support a retention of {retention}"), given.span())
        .hint("use 7, a multiple of 31 up to 713, or 731"))
}
