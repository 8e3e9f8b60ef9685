//! The errors with which services refuse requests that break their models.

use std::fmt::Write;

use super::check::{Broken, Rule};
use crate::{
    action::{Protocol, Request},
    answer::{self, Answer},
};

/// The longest part of a value that a message repeats, in characters.
const SHOWN: usize = 256;

/// AWS's message for broken constraints: member, constraint and value.
pub(super) fn message(all: &[Broken]) -> String {
    let plural = if all.len() == 1 { "" } else { "s" };
    let mut text = format!("{} validation error{plural} detected: ", all.len());
    for (index, Broken { path, value, rule }) in all.iter().enumerate() {
        let separator = if index == 0 { "" } else { "; " };
        let value = if *rule == Rule::Required {
            "null".to_owned()
        } else {
            let shown: String = value.chars().take(SHOWN).collect();
            let more = if shown.len() < value.len() { "…" } else { "" };
            format!("'{shown}{more}'")
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}Value {value} at '{path}' failed to satisfy constraint: {}", rule.text());
    }
    text
}

/// The answer of the service.
pub(super) fn answer(request: &Request, all: &[Broken], message: &str) -> Answer {
    let first = all.first().map(|broken| &broken.rule);
    answer::error(request, 400, code(request, first), message)
}

/// The service's code, from its API reference (Common Errors, and the errors of its operations).
fn code(request: &Request, rule: Option<&Rule>) -> &'static str {
    let service = request.scope.service.as_str();
    match (request.protocol, rule) {
        (_, Some(Rule::Document(_) | Rule::Size(_))) => document(service, rule),
        (Protocol::Ec2, Some(Rule::Required)) => "MissingParameter",
        (Protocol::Ec2, Some(Rule::Unknown)) => "UnknownParameter",
        (Protocol::Ec2, _) => "InvalidParameterValue",
        (Protocol::Json | Protocol::RestJson | Protocol::Cbor, Some(Rule::Type(_))) if service != "apigateway" => {
            "SerializationException"
        }
        (Protocol::Query, Some(Rule::Type(_))) => "MalformedInput",
        (Protocol::S3, Some(Rule::Unknown | Rule::Required)) => "MalformedXML",
        (Protocol::S3, _) => "InvalidArgument",
        (Protocol::RestXml, _) => "InvalidInput",
        (Protocol::Query, _) => match service {
            "sns" => "InvalidParameter",
            "rds" => "InvalidParameterValue",
            _ => "ValidationError",
        },
        _ => match service {
            "apigateway" => "BadRequestException",
            "ecr" | "ecs" | "logs" => "InvalidParameterException",
            _ => "ValidationException",
        },
    }
}

/// The service's code for documents within members.
fn document(service: &str, rule: Option<&Rule>) -> &'static str {
    match (service, rule) {
        ("iam", Some(Rule::Size(_))) => "LimitExceeded",
        ("iam", _) => "MalformedPolicyDocument",
        ("s3", _) => "MalformedPolicy",
        ("kms" | "secretsmanager", _) => "MalformedPolicyDocumentException",
        ("ec2", _) => "InvalidPolicyDocument",
        ("ecs", _) => "ClientException",
        ("events", _) => "InvalidEventPatternException",
        ("logs", _) => "InvalidParameterException",
        ("monitoring", _) => "InvalidParameterInput",
        ("sqs", _) => "InvalidAttributeValue",
        _ => "InvalidParameter",
    }
}
