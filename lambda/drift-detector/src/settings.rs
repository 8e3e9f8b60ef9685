//! The settings from the environment.

use payinfra_engine::IgnoredTags;
use thiserror::Error;

/// The settings of the function: which deployment it is for, and where its state is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `STACK`: the stack.
    pub stack: String,
    /// `WORKSPACE`: the workspace.
    pub workspace: String,
    /// `STATE_BUCKET`: the bucket of the state.
    pub bucket: String,
    /// `STATE_REGION`: the region of the bucket and the table.
    pub state_region: String,
    /// `LOCK_TABLE`: the table of the lock.
    pub table: String,
    /// `IGNORE_TAGS`: patterns of the keys of tags of others, separated by commas; none if it is not set.
    pub ignored_tags: IgnoredTags,
    /// `AWS_REGION`, which Lambda sets: the primary region, in which metrics are published.
    pub region: String,
}

/// An invalid environment.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the environment variable {0} is not set")]
pub struct SettingsError(&'static str);

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// The first variable that is missing.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let need = |name: &'static str| variable(name).filter(|value| !value.is_empty()).ok_or(SettingsError(name));
        Ok(Self {
            stack: need("STACK")?,
            workspace: need("WORKSPACE")?,
            bucket: need("STATE_BUCKET")?,
            state_region: need("STATE_REGION")?,
            table: need("LOCK_TABLE")?,
            ignored_tags: patterns(variable("IGNORE_TAGS").as_deref()),
            region: need("AWS_REGION")?,
        })
    }
}

fn patterns(listed: Option<&str>) -> IgnoredTags {
    IgnoredTags::new(listed.unwrap_or_default().split(',').filter(|pattern| !pattern.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_which_variable_is_missing() {
        let all = ["STACK", "WORKSPACE", "STATE_BUCKET", "STATE_REGION", "LOCK_TABLE", "AWS_REGION"];
        for missing in all {
            let value = |name: &str| Some(if name == missing { String::new() } else { name.to_lowercase() });
            assert_eq!(Settings::read(value), Err(SettingsError(missing)));
        }
        let read = Settings::read(|name| Some(name.to_lowercase()));
        assert_eq!(read.map(|settings| settings.state_region).as_deref(), Ok("state_region"));
    }

    #[test]
    fn tags_of_others_are_separated_by_commas() {
        assert_eq!(patterns(Some("org:*,owner")), IgnoredTags::new(["org:*", "owner"]));
        assert_eq!(patterns(Some("")), IgnoredTags::default());
        assert_eq!(patterns(None), IgnoredTags::default());
    }
}
