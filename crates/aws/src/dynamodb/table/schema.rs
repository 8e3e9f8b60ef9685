//! The form of a table and its conversion to the SDK's types: attributes, indexes, billing, stream.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{
    self as sdk, AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, ProjectionType,
    ProvisionedThroughput, ScalarAttributeType, SseSpecification, SseType, StreamSpecification, StreamViewType,
};
use payinfra_engine::{Ref, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Table;
use crate::{Explain, Need};

/// A key attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// The type of its values.
    #[serde(rename = "type")]
    pub kind: AttributeType,
}

/// The types of key attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AttributeType {
    /// Binary.
    Binary,
    /// Number.
    Number,
    /// String.
    String,
}

/// A global secondary index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// The partition key.
    pub hash_key: Attribute,
    /// The sort key.
    pub range_key: Option<Attribute>,
    /// The projected attributes.
    pub projection: Projection,
}

/// The attributes in an index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Projection {
    /// All attributes.
    #[default]
    All,
    /// Only the keys.
    KeysOnly,
    /// The keys and these attributes.
    Include(BTreeSet<String>),
}

/// The billing mode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Billing {
    /// Pay per request.
    #[default]
    OnDemand,
    /// Provisioned: capacity units of the table and of each index.
    Provisioned {
        /// Read capacity units (up to 4 KiB per second).
        read: i64,
        /// Write capacity units (up to 1 KiB per second).
        write: i64,
    },
}

/// The content of a stream record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StreamView {
    /// The key.
    KeysOnly,
    /// The new item.
    NewImage,
    /// The old item.
    OldImage,
    /// Both.
    NewAndOldImages,
}

impl Attribute {
    /// A string attribute.
    #[must_use]
    pub fn string(name: &str) -> Self {
        Self { name: name.to_owned(), kind: AttributeType::String }
    }

    /// A number attribute.
    #[must_use]
    pub fn number(name: &str) -> Self {
        Self { name: name.to_owned(), kind: AttributeType::Number }
    }

    fn sdk(&self) -> Result<AttributeDefinition> {
        let kind = match self.kind {
            AttributeType::Binary => ScalarAttributeType::B,
            AttributeType::Number => ScalarAttributeType::N,
            AttributeType::String => ScalarAttributeType::S,
        };
        AttributeDefinition::builder().attribute_name(&self.name).attribute_type(kind).build().explain()
    }
}

impl Table {
    pub(super) fn key(&self) -> Result<Vec<KeySchemaElement>> {
        key_sdk(&self.hash_key, self.range_key.as_ref())
    }

    /// The attributes of the keys of the table and of these indexes, and no others: AWS rejects attributes that no key
    /// uses.
    pub(super) fn attributes<'a>(&self, indexes: impl Iterator<Item = &'a Index>) -> Result<Vec<AttributeDefinition>> {
        let own = std::iter::once(&self.hash_key).chain(&self.range_key);
        let of_indexes = indexes.flat_map(|index| std::iter::once(&index.hash_key).chain(&index.range_key));
        own.chain(of_indexes).collect::<BTreeSet<_>>().into_iter().map(Attribute::sdk).collect()
    }
}

impl Index {
    /// In the form for a new table.
    pub(super) fn sdk(&self, name: &str, billing: &Billing) -> Result<GlobalSecondaryIndex> {
        let index = GlobalSecondaryIndex::builder().index_name(name);
        let index = index.set_key_schema(Some(self.key()?)).projection(self.projection.sdk());
        index.set_provisioned_throughput(billing.throughput()?).build().explain()
    }

    pub(super) fn key(&self) -> Result<Vec<KeySchemaElement>> {
        key_sdk(&self.hash_key, self.range_key.as_ref())
    }
}

impl Projection {
    pub(super) fn sdk(&self) -> sdk::Projection {
        let (kind, attributes) = match self {
            Self::All => (ProjectionType::All, None),
            Self::KeysOnly => (ProjectionType::KeysOnly, None),
            Self::Include(attributes) => (ProjectionType::Include, Some(attributes.iter().cloned().collect())),
        };
        sdk::Projection::builder().projection_type(kind).set_non_key_attributes(attributes).build()
    }

    fn of(projection: Option<sdk::Projection>) -> Self {
        let Some(projection) = projection else { return Self::All };
        match projection.projection_type {
            Some(ProjectionType::KeysOnly) => Self::KeysOnly,
            Some(ProjectionType::Include) => {
                Self::Include(projection.non_key_attributes.unwrap_or_default().into_iter().collect())
            }
            _ => Self::All,
        }
    }
}

impl Billing {
    pub(super) fn mode(&self) -> BillingMode {
        match self {
            Self::OnDemand => BillingMode::PayPerRequest,
            Self::Provisioned { .. } => BillingMode::Provisioned,
        }
    }

    pub(super) fn throughput(&self) -> Result<Option<ProvisionedThroughput>> {
        let Self::Provisioned { read, write } = self else { return Ok(None) };
        let throughput = ProvisionedThroughput::builder().read_capacity_units(*read).write_capacity_units(*write);
        throughput.build().explain().map(Some)
    }

    /// A table without a billing mode is provisioned (AWS-FACTS §6.1).
    pub(super) fn of(table: &sdk::TableDescription) -> Self {
        let mode = table.billing_mode_summary.as_ref().and_then(|summary| summary.billing_mode.as_ref());
        if mode == Some(&BillingMode::PayPerRequest) {
            return Self::OnDemand;
        }
        let units = table.provisioned_throughput.as_ref();
        let of = |units: Option<i64>| units.unwrap_or_default();
        Self::Provisioned {
            read: of(units.and_then(|units| units.read_capacity_units)),
            write: of(units.and_then(|units| units.write_capacity_units)),
        }
    }
}

impl StreamView {
    pub(super) fn sdk(self) -> Result<StreamSpecification> {
        let view = match self {
            Self::KeysOnly => StreamViewType::KeysOnly,
            Self::NewImage => StreamViewType::NewImage,
            Self::OldImage => StreamViewType::OldImage,
            Self::NewAndOldImages => StreamViewType::NewAndOldImages,
        };
        StreamSpecification::builder().stream_enabled(true).stream_view_type(view).build().explain()
    }

    pub(super) fn of(stream: &StreamSpecification) -> Option<Self> {
        match stream.stream_view_type.as_ref().filter(|_| stream.stream_enabled)? {
            StreamViewType::KeysOnly => Some(Self::KeysOnly),
            StreamViewType::NewImage => Some(Self::NewImage),
            StreamViewType::OldImage => Some(Self::OldImage),
            _ => Some(Self::NewAndOldImages),
        }
    }
}

/// Encryption with a customer managed key.
pub(super) fn encrypted(key: &Ref<String>) -> Result<SseSpecification> {
    let sse = SseSpecification::builder().enabled(true).sse_type(SseType::Kms);
    Ok(sse.kms_master_key_id(key.known()?).build())
}

fn key_sdk(hash: &Attribute, range: Option<&Attribute>) -> Result<Vec<KeySchemaElement>> {
    let element = |attribute: &Attribute, kind| {
        KeySchemaElement::builder().attribute_name(&attribute.name).key_type(kind).build().explain()
    };
    let hash = std::iter::once(element(hash, KeyType::Hash));
    hash.chain(range.map(|range| element(range, KeyType::Range))).collect()
}

/// The key attributes of `table`.
pub(super) fn key(
    table: &sdk::TableDescription,
    schema: &[KeySchemaElement],
) -> Result<(Attribute, Option<Attribute>)> {
    let attribute = |wanted: KeyType| {
        let name = schema.iter().find(|element| element.key_type == wanted)?.attribute_name();
        let kind = table.attribute_definitions().iter().find(|attribute| attribute.attribute_name == name);
        let kind = match kind.map(|attribute| &attribute.attribute_type) {
            Some(ScalarAttributeType::B) => AttributeType::Binary,
            Some(ScalarAttributeType::N) => AttributeType::Number,
            _ => AttributeType::String,
        };
        Some(Attribute { name: name.to_owned(), kind })
    };
    Ok((attribute(KeyType::Hash).need("KeySchema")?, attribute(KeyType::Range)))
}

/// The indexes of `table` that are not being deleted.
pub(super) fn indexes(table: &sdk::TableDescription) -> Result<BTreeMap<String, Index>> {
    let indexes = table.global_secondary_indexes().iter();
    let indexes = indexes.filter(|index| index.index_status != Some(sdk::IndexStatus::Deleting));
    let indexes = indexes.map(|index| {
        let (hash_key, range_key) = key(table, index.key_schema())?;
        let projection = Projection::of(index.projection.clone());
        Ok((index.index_name.clone().need("IndexName")?, Index { hash_key, range_key, projection }))
    });
    indexes.collect()
}
