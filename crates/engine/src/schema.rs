//! The JSON schemas of the types that arguments and outputs are made of.
//!
//! Arguments can contain references. Outputs are values that a read returned, so a schema of outputs has none.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use crate::address::{Address, Region};
use crate::pointer::Pointer;
use crate::reference::{Id, Ref, Secret, Sensitive, Text};
use crate::tags::Tags;
use crate::waiver::Scope;

/// The JSON schemas of a kind.
#[derive(Clone, Debug, Serialize)]
pub struct Schemas {
    /// The schema of its arguments.
    pub args: Schema,
    /// The schema of its outputs, besides the `id` that every resource has.
    pub outputs: Schema,
}

impl Schemas {
    pub(crate) fn of<Args: JsonSchema, Outputs: JsonSchema>() -> Self {
        let draft = SchemaSettings::draft2020_12;
        Self {
            args: draft().for_deserialize().into_generator().into_root_schema_for::<Args>(),
            outputs: draft().for_serialize().into_generator().into_root_schema_for::<Outputs>(),
        }
    }
}

/// The pattern of a reference: `REGION/KIND/NAME#OUTPUT`.
pub const REFERENCE: &str = r"^[^/#\s]+/[^/#\s]+/[^/#\s]+#.+$";
/// The pattern of an address: `REGION/KIND/NAME`.
pub const ADDRESS: &str = r"^[^/#\s]+/[^/#\s]+/[^/#\s]+$";

impl JsonSchema for Pointer {
    fn schema_name() -> Cow<'static, str> {
        "Reference".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A reference to an output of another resource or lookup, known once that one exists. The \
                            output is `id` or one of the kind's outputs; a path such as `zones/0` leads into it.",
            "type": "object",
            "properties": { "$ref": { "description": "REGION/KIND/NAME#OUTPUT", "type": "string", "pattern": REFERENCE } },
            "required": ["$ref"],
            "additionalProperties": false,
        })
    }
}

impl<T: JsonSchema> JsonSchema for Ref<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Ref_{}", T::schema_name()).into()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("payinfra_engine::Ref<{}>", T::schema_id()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        if generator.contract().is_serialize() {
            return value;
        }
        json_schema!({ "anyOf": [value, generator.subschema_for::<Pointer>()] })
    }
}

impl<R> JsonSchema for Id<R> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Id".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let reference = generator.subschema_for::<Pointer>();
        json_schema!({
            "description": "A string, or parts that are joined to one string: strings and references.",
            "anyOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": { "$text": { "type": "array", "items": { "anyOf": [{ "type": "string" }, reference] } } },
                    "required": ["$text"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}

impl<T: JsonSchema> JsonSchema for Secret<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Secret_{}", T::schema_name()).into()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("payinfra_engine::Secret<{}>", T::schema_id()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({
            "description": "A secret. It is never shown, and the state has only a digest of it.",
            "type": "object",
            "properties": { "$secret": value },
            "required": ["$secret"],
            "additionalProperties": false,
        })
    }
}

impl<T: JsonSchema> JsonSchema for Sensitive<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Sensitive_{}", T::schema_name()).into()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("payinfra_engine::Sensitive<{}>", T::schema_id()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<T>(), generator.subschema_for::<Secret<T>>()] })
    }
}

impl JsonSchema for Tags {
    fn schema_name() -> Cow<'static, str> {
        "Tags".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = generator.subschema_for::<BTreeMap<String, String>>();
        schema.insert("description".to_owned(), "Tags: keys and values.".into());
        schema
    }
}

impl JsonSchema for Region {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Region".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

impl JsonSchema for Address {
    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "REGION/KIND/NAME", "type": "string", "pattern": ADDRESS })
    }
}

impl JsonSchema for Scope {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Scope".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<Address>(), { "const": Self::EVERYWHERE }] })
    }
}
