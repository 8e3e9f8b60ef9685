//! The JSON schema of CIDR blocks.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// Stands for a network in schemas: the crate of the type has no schema without a feature that would compile every AWS
/// client again.
pub(crate) struct Cidr;

impl JsonSchema for Cidr {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Cidr".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "A CIDR block, such as `10.0.0.0/16`.", "type": "string", "pattern": "^[0-9a-fA-F.:]+/[0-9]+$" })
    }
}
