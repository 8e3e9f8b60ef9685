//! Functions, with their versions, aliases, event source mappings and permissions.

use serde_json::Value;

use super::Inventory;
use crate::Bench;

impl Inventory {
    pub(super) async fn functions(&mut self, bench: &Bench, region: &str) {
        let lambda = aws_sdk_lambda::Client::new(&bench.sdk(region));
        let functions = lambda.list_functions().into_paginator().items().send();
        for it in functions.collect::<Result<Vec<_>, _>>().await.unwrap() {
            let name = it.function_name().unwrap_or("?");
            self.note(region, "lambda.function", Some(name));
            let versions = lambda.list_versions_by_function().function_name(name).into_paginator().items().send();
            // A number is never used again, so replaced versions are counted, and not compared by number.
            for (index, it) in versions.collect::<Result<Vec<_>, _>>().await.unwrap().into_iter().enumerate() {
                if it.version() != Some("$LATEST") {
                    self.note(region, "lambda.version", Some(&format!("{name} {index}")));
                }
            }
            let aliases = lambda.list_aliases().function_name(name).send().await.unwrap();
            let mut qualifiers = vec![None];
            for it in aliases.aliases() {
                self.note(region, "lambda.alias", it.name().map(|alias| format!("{name}:{alias}")).as_deref());
                qualifiers.push(it.name().map(str::to_owned));
            }
            for qualifier in qualifiers {
                let call = lambda.get_policy().function_name(name).set_qualifier(qualifier.clone());
                // A function without a policy has none to be found.
                let Ok(found) = call.send().await else { continue };
                let policy: Value = serde_json::from_str(found.policy().unwrap()).unwrap();
                for statement in policy["Statement"].as_array().unwrap() {
                    let id = format!("{name}:{}:{}", qualifier.as_deref().unwrap_or(""), statement["Sid"]);
                    self.note(region, "lambda.permission", Some(&id));
                }
            }
        }
        let mappings = lambda.list_event_source_mappings().send().await.unwrap();
        for it in mappings.event_source_mappings() {
            // Its id is chosen by AWS, and the ARN of a stream contains a time.
            let source = it.event_source_arn().map(|arn| arn.split("/stream/").next().unwrap_or(arn).to_owned());
            self.note(region, "lambda.event-source-mapping", source.as_deref());
        }
    }
}
