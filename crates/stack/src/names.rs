//! Names of resources, all of which include the environment's suffix.

use std::fmt;
use std::fmt::Write as _;

use payinfra_engine::{Error, Region, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The maximum length of an S3 bucket name.
const BUCKET: usize = 63;
/// The maximum length of a load balancer or target group name.
const BALANCER: usize = 32;
/// The maximum length of an IAM role name.
const ROLE: usize = 64;
/// The maximum length of a database cluster or instance name.
const DATABASE: usize = 63;

/// The suffix that distinguishes the environments of an organization: lower-case letters, digits and inner hyphens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suffix(String);

impl Suffix {
    /// Parses a suffix.
    ///
    /// # Errors
    /// If it is empty or has a character that is invalid in some AWS name.
    pub fn parse(text: &str) -> Result<Self> {
        label("suffix", text).map(Self)
    }

    /// A placeholder, where the suffix does not matter.
    pub(crate) fn any() -> Self {
        Self("x".to_owned())
    }
}

impl fmt::Display for Suffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The twelve digits of an AWS account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[0-9]{12}$"))]
pub struct AccountId(String);

impl AccountId {
    /// The id that stands for the account where it is not known yet. AWS assigns it to nobody.
    pub const PLACEHOLDER: &'static str = "000000000000";

    /// A placeholder account, where only the length of names matters.
    #[must_use]
    pub fn any() -> Self {
        Self(Self::PLACEHOLDER.to_owned())
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AccountId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self(text));
        }
        Err(Error::invalid(format!("`{text}` is not an account id"))
            .hint("write twelve digits in quotes, such as \"123456789012\""))
    }
}

impl From<AccountId> for String {
    fn from(id: AccountId) -> Self {
        id.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The form of a stack's names, such as `payment-{type}-{workspace}-{suffix}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameForm(String);

impl NameForm {
    /// The form with these placeholders: `{type}`, `{workspace}` and `{suffix}`.
    #[must_use]
    pub fn new(form: &str) -> Self {
        Self(form.to_owned())
    }

    /// Whether names include the workspace. Without it, only the suffix distinguishes workspaces.
    #[must_use]
    pub fn has_workspace(&self) -> bool {
        self.0.contains(WORKSPACE)
    }

    /// Checks that every name has its type and the suffix, and is valid in AWS.
    ///
    /// # Errors
    /// If it does not.
    pub(crate) fn check(&self) -> Result<()> {
        let has_once = |placeholder: &str| self.0.matches(placeholder).count() == 1;
        let example = [TYPE, WORKSPACE, SUFFIX].iter().fold(self.0.clone(), |text, it| text.replacen(it, "x", 1));
        if has_once(TYPE) && has_once(SUFFIX) && label("form", &example).is_ok() {
            return Ok(());
        }
        Err(Error::invalid(format!("`{}` is not a form of names", self.0)).hint(format!(
            "write {TYPE} and {SUFFIX} once, {WORKSPACE} at most once, and lower-case letters, digits and inner hyphens"
        )))
    }
}

const TYPE: &str = "{type}";
const WORKSPACE: &str = "{workspace}";
const SUFFIX: &str = "{suffix}";

/// The names of one workspace.
#[derive(Clone, Debug)]
pub struct Names {
    /// What is before and after the type of the resource.
    around: [String; 2],
    has_workspace: bool,
    suffix: Suffix,
    account: AccountId,
}

impl Names {
    /// The names of `workspace` in `account`, in this form.
    ///
    /// # Errors
    /// If the form is invalid, or the workspace's name has a character that is invalid in some AWS name.
    pub fn new(form: &NameForm, workspace: &str, suffix: &Suffix, account: &AccountId) -> Result<Self> {
        form.check()?;
        let filled = form.0.replace(WORKSPACE, &label("workspace", workspace)?).replace(SUFFIX, &suffix.0);
        let (before, after) = filled.split_once(TYPE).unwrap_or_default();
        Ok(Self {
            around: [before.to_owned(), after.to_owned()],
            has_workspace: form.has_workspace(),
            suffix: suffix.clone(),
            account: account.clone(),
        })
    }

    /// The name of a regional resource: `payment-vpc-production-abc123`.
    #[must_use]
    pub fn name(&self, resource_type: &str) -> String {
        let [before, after] = &self.around;
        format!("{before}{resource_type}{after}")
    }

    /// The part that every name contains, with the suffix: `-production-abc123`.
    #[must_use]
    pub fn mark(&self) -> &str {
        let [before, after] = &self.around;
        // The suffix may also be a part of the text around it, so the longer one decides.
        match (before.contains(&self.suffix.0), after.contains(&self.suffix.0)) {
            (true, false) => before,
            (false, _) => after,
            (true, true) => {
                if before.len() > after.len() {
                    before
                } else {
                    after
                }
            }
        }
    }

    /// The name of a role. Roles are global, so it includes the region that the role is for.
    ///
    /// # Errors
    /// If it is too long for IAM.
    pub fn role(&self, resource_type: &str, region: &Region) -> Result<String> {
        self.short("role", ROLE, format!("{}-{region}", self.name(resource_type)))
    }

    /// The name of a database cluster or instance. Names within a global database differ by region (AWS-FACTS §4.2).
    ///
    /// # Errors
    /// If it is invalid in RDS.
    pub fn database(&self, resource_type: &str, region: &Region) -> Result<String> {
        let name = format!("{}-{region}", self.name(resource_type));
        if name.contains("--") {
            return Err(Error::invalid(format!("the name `{name}` is invalid in RDS: it has two hyphens in a row"))
                .hint("remove the second hyphen from the suffix or the workspace's name"));
        }
        self.short("database", DATABASE, name)
    }

    /// The name of a bucket. Bucket names are globally unique, so it includes the region and a hash of the account id.
    ///
    /// # Errors
    /// If it is too long for S3.
    pub fn bucket(&self, resource_type: &str, region: &Region) -> Result<String> {
        self.short("bucket", BUCKET, format!("{}-{region}-{}", self.name(resource_type), hash(self.account.as_str())))
    }

    /// The name of a load balancer or a target group. If it would be too long, a hash replaces everything except the
    /// type and the suffix.
    ///
    /// # Errors
    /// If even that is too long for Elastic Load Balancing.
    pub fn balancer(&self, resource_type: &str) -> Result<String> {
        let name = self.name(resource_type);
        if name.len() <= BALANCER {
            return Ok(name);
        }
        self.short("load balancer", BALANCER, format!("{resource_type}-{}-{}", hash(&name), self.suffix))
    }

    /// The suffix, which even the shortest name includes.
    #[must_use]
    pub fn suffix(&self) -> &Suffix {
        &self.suffix
    }

    /// The account of the names.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    fn short(&self, what: &str, most: usize, name: String) -> Result<String> {
        if name.len() <= most {
            return Ok(name);
        }
        let over = name.len() - most;
        let part = if self.has_workspace { "the suffix or the workspace's name" } else { "the suffix" };
        Err(Error::invalid(format!(
            "the {what} name `{name}` has {} characters, but AWS accepts at most {most}",
            name.len()
        ))
        .hint(format!("shorten {part} by {over}")))
    }
}

/// An eight-digit hash of `text`.
fn hash(text: &str) -> String {
    Sha256::digest(text)[..4].iter().fold(String::new(), |mut digits, byte| {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// Checks that the text is valid in a bucket name, the strictest of all names.
fn label(what: &str, text: &str) -> Result<String> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.is_empty() || !text.bytes().all(fits) || text.starts_with('-') || text.ends_with('-') {
        return Err(Error::invalid(format!("`{text}` is not a valid {what}: it is part of bucket names"))
            .hint("use lower-case letters, digits and inner hyphens"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn names(suffix: &str) -> Result<Names> {
        let form = NameForm::new("payment-{type}-{workspace}-{suffix}");
        Names::new(&form, "production", &Suffix::parse(suffix)?, &AccountId::try_from("123456789012".to_owned())?)
    }

    #[test]
    fn x01_names_carry_workspace_and_suffix() -> Result<()> {
        let names = names("abc123")?;
        let region = Region::new("us-east-1");
        assert_eq!(names.name("vpc"), "payment-vpc-production-abc123");
        assert_eq!(names.role("flow-logs", &region)?, "payment-flow-logs-production-abc123-us-east-1");
        assert_eq!(names.bucket("transactions", &region)?, "payment-transactions-production-abc123-us-east-1-2a33349e");
        Ok(())
    }

    #[test]
    fn x01_a_form_decides_the_order() -> Result<()> {
        let names =
            |form: &str| Names::new(&NameForm::new(form), "production", &Suffix::parse("s1")?, &AccountId::any());
        for (form, name, mark) in [
            ("payment-{suffix}-{type}", "payment-s1-api", "payment-s1-"),
            ("{type}-{suffix}", "api-s1", "-s1"),
            ("pays1-{type}-{suffix}-{workspace}", "pays1-api-s1-production", "-s1-production"),
        ] {
            let names = names(form)?;
            assert_eq!((names.name("api"), names.mark()), (name.to_owned(), mark));
        }
        for form in [
            "pay-{type}",
            "{suffix}-{suffix}-{type}",
            "{type}-{suffix}-{region}",
            "Pay-{type}-{suffix}",
            "{type}{suffix}-",
        ] {
            assert!(names(form).is_err(), "{form}");
        }
        let error = names("{type}-{suffix}")?.bucket(&"long".repeat(20), &Region::new("us-east-1")).unwrap_err();
        assert_eq!(error.get_hint(), Some("shorten the suffix by 39"));
        Ok(())
    }

    #[test]
    fn x01_a_long_name_of_a_load_balancer_keeps_type_and_suffix() -> Result<()> {
        assert_eq!(names("abc123")?.balancer("green")?, "payment-green-production-abc123");
        let green = names("abc123-and-more")?.balancer("green")?;
        assert_eq!(green, "green-b522f3bc-abc123-and-more");
        assert_ne!(green, names("abc123-and-more")?.balancer("blue")?);
        let error = names("abc123-and-more-and-more")?.balancer("green").unwrap_err();
        assert!(error.message().contains("has 39 characters, but AWS accepts at most 32"), "{error}");
        Ok(())
    }

    #[test]
    fn x01_a_database_has_one_hyphen_at_a_time() -> Result<()> {
        let (region, names) = (Region::new("us-east-1"), names("abc123")?);
        assert_eq!(names.database("db-cluster", &region)?, "payment-db-cluster-production-abc123-us-east-1");
        let error = self::names("a--b")?.database("db-cluster", &region).unwrap_err();
        assert!(error.message().contains("two hyphens in a row"), "{error}");
        Ok(())
    }

    #[test]
    fn x01_a_name_over_the_limit_is_refused() -> Result<()> {
        let error = names("a-very-long-suffix-indeed")?.bucket("transactions", &Region::new("us-east-1")).unwrap_err();
        assert!(error.message().contains("has 76 characters, but AWS accepts at most 63"), "{error}");
        assert_eq!(error.get_hint(), Some("shorten the suffix or the workspace's name by 13"));
        Ok(())
    }

    #[test]
    fn x01_a_suffix_that_no_name_takes_is_refused() {
        for text in ["", "-a", "a-", "A", "a_b", "a b", "ä"] {
            assert!(Suffix::parse(text).is_err(), "{text}");
        }
    }
}
