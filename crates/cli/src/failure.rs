//! Errors of commands, and how they are displayed.

use std::fmt::Write as _;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use payinfra_aws::Quota;
use payinfra_engine::{Address, Class, Error};
use payinfra_stack::{ConfigError, Stacks};

use crate::program::named;
use crate::screen::{ADDRESS, DIM, ERROR, HELP};

/// The error of a command.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error in the configuration, with a location that can be shown.
    Configuration(Box<Misconfigured>),
    /// Any other error.
    Other(Error),
}

/// An error in the configuration, with the source text.
#[derive(Debug)]
pub(crate) struct Misconfigured {
    error: ConfigError,
    text: NamedSource<String>,
}

impl Failure {
    /// An error in the configuration with the source `text`.
    pub(crate) fn in_configuration(error: ConfigError, text: &str, stacks: Stacks) -> Self {
        if error.span.is_none() {
            return Self::Other(error.into());
        }
        let text = NamedSource::new(&error.source_name, payinfra_stack::without_secrets(text, stacks));
        let hint = error.hint.or_else(|| Some("`payinfra schema` prints the schema of this file".to_owned()));
        let error = ConfigError { hint, ..error };
        Self::Configuration(Box::new(Misconfigured { error, text }))
    }

    /// Converts it to an error of the engine.
    pub(crate) fn error(self) -> Error {
        match self {
            Self::Configuration(wrong) => wrong.error.into(),
            Self::Other(error) => error,
        }
    }

    /// The text to display.
    pub(crate) fn render(&self) -> String {
        match self {
            Self::Configuration(wrong) => {
                let theme = GraphicalTheme::unicode();
                let handler = GraphicalReportHandler::new_themed(theme).with_width(120).with_links(false);
                let mut text = String::new();
                for wrong in wrong.each() {
                    if handler.render_report(&mut text, &wrong).is_err() {
                        line(&mut text, &wrong.error.to_string());
                    }
                }
                text
            }
            Self::Other(error) => block(None, error),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Misconfigured {
    /// Each problem as an error of its own, with the source text.
    fn each(&self) -> impl Iterator<Item = Self> {
        let first = ConfigError { others: Vec::new(), ..self.error.clone() };
        let all = std::iter::once(first).chain(self.error.others.iter().cloned());
        all.map(|error| Self { error, text: self.text.clone() })
    }
}

impl std::fmt::Display for Misconfigured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&named(&self.error.message))
    }
}

impl std::error::Error for Misconfigured {}

impl Diagnostic for Misconfigured {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.error.hint.as_ref().map(|hint| Box::new(named(hint)) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.text)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.error.span.clone()?;
        Some(Box::new(std::iter::once(LabeledSpan::underline(span))))
    }
}

/// The chain of causes below an error, for `-v`.
pub(crate) fn causes(error: &Error) -> String {
    let mut text = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        line(&mut text, &format!("  {DIM}caused by{DIM:#}: {}", named(&error.to_string())));
        cause = error.source();
    }
    text
}

/// One error as a block: address, message, API call, AWS's error code and request id, hint.
pub(crate) fn block(address: Option<&Address>, error: &Error) -> String {
    let mut text = String::new();
    let place = address.map_or_else(String::new, |address| format!("{ADDRESS}{address}{ADDRESS:#}: "));
    line(&mut text, &format!("{ERROR}error{ERROR:#}: {place}{}", named(error.message())));
    if let Some(call) = error.get_call() {
        line(&mut text, &format!("  {DIM}call{DIM:#}: {call}"));
    }
    if let Some(code) = error.get_code() {
        line(&mut text, &format!("  {DIM}code{DIM:#}: {code}"));
    }
    if let Some(request) = error.get_request_id() {
        line(&mut text, &format!("  {DIM}request{DIM:#}: {request}"));
    }
    if let Some(hint) = help(address, error) {
        line(&mut text, &format!("  {HELP}help{HELP:#}: {}", named(&hint)));
    }
    text
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

/// What to do about an error of the resource at `address`.
pub(crate) fn help(address: Option<&Address>, error: &Error) -> Option<String> {
    let own = error.get_hint().map(str::to_owned);
    own.or_else(|| raised(address?, error)).or_else(|| advice(error.class()).map(str::to_owned))
}

/// How to raise the quota that a resource at `address` has reached.
fn raised(address: &Address, error: &Error) -> Option<String> {
    let quota = Quota::of(&address.kind).filter(|_| error.class() == Class::Quota)?;
    let Quota { service, code, name, .. } = quota;
    let Some(code) = code else { return Some(format!("delete one that is not needed: AWS does not raise {name}")) };
    let region = &address.region;
    let read =
        format!("aws service-quotas get-service-quota --region {region} --service-code {service} --quota-code {code}");
    let request = quota.request(region, "NUMBER").unwrap_or_default();
    Some(format!("the quota is {name}; `{read}` shows it, and `{request}` requests more"))
}

/// The hint for errors that bring none of their own.
fn advice(class: Class) -> Option<&'static str> {
    Some(match class {
        Class::NotFound => "the resource was deleted or is not visible yet; run apply again",
        Class::Conflict => {
            "AWS rejects the request for now; run apply again when the condition in the message has cleared"
        }
        Class::Eventual => "a recent change is not visible everywhere in AWS yet; run apply again",
        Class::Throttled => "AWS is throttling requests; run apply again in a minute",
        Class::Ambiguous => "check the network; the next apply resumes operations that were started",
        Class::Foreign => {
            "the existing resource has no owner tags of this deployment; import it, delete it, or choose another name"
        }
        Class::Quota => "request a quota increase from AWS, or delete unused resources",
        Class::Denied => "check the credentials and their permissions",
        Class::Locked => "wait for the other run to finish, or see `payinfra unlock`",
        Class::Stale => "the state has changed since it was read; run the command again",
        _ => return None,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn a_quota_that_is_reached_is_named_with_the_command_that_asks_for_more() {
        let error = Error::new(Class::Quota, "too many").code("AddressLimitExceeded");
        let address = |text: &str| text.parse::<Address>().unwrap();
        let of = |text| help(Some(&address(text)), &error).unwrap();
        let eip = of("us-east-1/ec2.eip/nat-0");
        assert!(eip.contains("EC2-VPC Elastic IPs") && eip.contains("--quota-code L-0263D0A3 --desired-value NUMBER"));
        assert!(of("us-east-1/cloudtrail.trail/main").contains("AWS does not raise Trails per Region"));
        assert_eq!(help(None, &error), Some(of("us-east-1/sns.topic/alarms")));
        assert_eq!(help(None, &error.hint("own")).as_deref(), Some("own"));
    }
}
