//! The form of a table in our words and in the SDK's: attributes, indexes, billing, stream.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{
    self as sdk, AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, ProjectionType,
    ProvisionedThroughput, ScalarAttributeType, SseSpecification, SseType, StreamSpecification, StreamViewType,
};
use payinfra_engine::{Ref, Result};
use serde::{Deserialize, Serialize};

use super::Table;
use crate::{Explain, Need};

/// An attribute of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// The type that its values must have.
    #[serde(rename = "type")]
    pub kind: AttributeType,
}

/// The types that keys can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttributeType {
    /// Bytes.
    Binary,
    /// A number.
    Number,
    /// Text.
    String,
}

/// Another way to find items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// The attribute that groups the items.
    pub hash_key: Attribute,
    /// The attribute that sorts them.
    pub range_key: Option<Attribute>,
    /// What is found of them.
    pub projection: Projection,
}

/// What an index has of an item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Projection {
    /// All of it.
    #[default]
    All,
    /// The keys.
    KeysOnly,
    /// The keys and these attributes.
    Include(BTreeSet<String>),
}

/// How reads and writes are paid for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Billing {
    /// By the request.
    #[default]
    OnDemand,
    /// By the hour, for so many a second, in the table and in each index.
    Provisioned {
        /// Reads of up to 4 KiB.
        read: i64,
        /// Writes of up to 1 KiB.
        write: i64,
    },
}

/// What a stream shows of each change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamView {
    /// The key.
    KeysOnly,
    /// What the item became.
    NewImage,
    /// What the item was.
    OldImage,
    /// Both.
    NewAndOldImages,
}

impl Attribute {
    /// A text.
    #[must_use]
    pub fn string(name: &str) -> Self {
        Self { name: name.to_owned(), kind: AttributeType::String }
    }

    /// A number.
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

    /// The attributes of the table's key and of these indexes, and no others: AWS refuses what no key uses.
    pub(super) fn attributes<'a>(&self, indexes: impl Iterator<Item = &'a Index>) -> Result<Vec<AttributeDefinition>> {
        let own = std::iter::once(&self.hash_key).chain(&self.range_key);
        let of_indexes = indexes.flat_map(|index| std::iter::once(&index.hash_key).chain(&index.range_key));
        own.chain(of_indexes).collect::<BTreeSet<_>>().into_iter().map(Attribute::sdk).collect()
    }
}

impl Index {
    /// As a new table takes it.
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

    /// A table that says nothing is paid for by the hour (AWS-FACTS §6.1).
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

/// Encryption under a key of the account's own.
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

/// The attributes of a key of `table`.
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

/// The indexes of `table` that are not on their way out.
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
