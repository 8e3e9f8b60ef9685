//! The permissions for the state: its bucket, the table of its lock, and the key of both.

use std::collections::BTreeSet;

use payinfra_aws::{Extent, Statement, USE_KEY};
use payinfra_stack::{Configuration, StateConfig};

/// The key that `bootstrap` creates.
const ALIAS: &str = "alias/payinfra-state";

/// Where the state is.
pub(super) struct Place {
    /// The accounts; `*` if the configuration lists none.
    accounts: Vec<String>,
    bucket: Option<String>,
    region: String,
    table: String,
}

impl Default for Place {
    fn default() -> Self {
        let StateConfig { bucket, region, table, .. } = StateConfig::default();
        Self { accounts: vec!["*".to_owned()], bucket, region, table }
    }
}

impl Place {
    /// The place that a configuration names; `None` for a folder.
    pub(super) fn of(configuration: &Configuration) -> Option<Self> {
        let StateConfig { bucket, region, table, path } = configuration.state.clone();
        let mut accounts: Vec<_> = configuration.aws.account_ids.iter().map(ToString::to_string).collect();
        if accounts.is_empty() {
            accounts.push("*".to_owned());
        }
        path.is_none().then_some(Self { accounts, bucket, region, table })
    }

    /// To read the state and its history; with [`Extent::Change`], also to write them, to hold the lock, and for `bootstrap`.
    pub(super) fn statements(&self, extent: Extent) -> Vec<Statement> {
        let changes = extent == Extent::Change;
        let allow = |sid: &str, read: &[&'static str], change: &[&'static str]| {
            Statement::allow(sid, read.iter().chain(change.iter().filter(|_| changes)).copied())
        };
        let buckets: BTreeSet<_> = match &self.bucket {
            Some(bucket) => BTreeSet::from([format!("arn:aws:s3:::{bucket}")]),
            None => self.accounts.iter().map(|account| format!("arn:aws:s3:::payinfra-state-{account}")).collect(),
        };
        let on = |statement: Statement, resources: &mut dyn Iterator<Item = String>| {
            resources.fold(statement, Statement::on)
        };
        let here = |service: &str, rest: &str| {
            let arns =
                self.accounts.iter().map(|account| format!("arn:aws:{service}:{}:{account}:{rest}", self.region));
            arns.collect::<Vec<_>>().into_iter()
        };
        let mut statements = vec![
            on(allow("StateBucket", READ_BUCKET, CHANGE_BUCKET), &mut buckets.iter().cloned()),
            on(
                allow("StateObjects", READ_OBJECTS, &["s3:PutObject"]),
                &mut buckets.iter().map(|bucket| format!("{bucket}/*")),
            ),
            on(
                allow("StateLock", &["dynamodb:GetItem"], CHANGE_LOCK),
                &mut here("dynamodb", &format!("table/{}", self.table)),
            ),
        ];
        let used = on(allow("StateKeyInUse", &["kms:Decrypt"], USE_KEY), &mut here("kms", "key/*"));
        let through = ["dynamodb", "s3"].map(|service| format!("{service}.{}.amazonaws.com", self.region));
        let through = through.into_iter();
        statements.push(through.fold(used, |statement, it| statement.when("StringEquals", "kms:ViaService", it)));
        if changes {
            // Superseded entries are deleted with all versions.
            let journal = Statement::allow("StateJournal", ["s3:DeleteObjectVersion"]);
            statements.push(on(journal, &mut buckets.iter().map(|bucket| format!("{bucket}/*/journal/*"))));
            let key = here("kms", "key/*").chain(here("kms", ALIAS));
            statements.push(on(Statement::allow("StateKey", CHANGE_KEY.iter().copied()), &mut { key }));
            statements.push(Statement::allow("StateKeyOfBootstrap", ["kms:CreateKey", "kms:ListKeys"]).on("*"));
        }
        statements
    }
}

/// To read the states of other workspaces in these buckets, which may belong to other accounts.
pub(super) fn others(buckets: &BTreeSet<String>) -> Vec<Statement> {
    if buckets.is_empty() {
        return Vec::new();
    }
    let read = Statement::allow("OtherStates", ["s3:GetObject"]);
    let read = buckets.iter().fold(read, |statement, bucket| statement.on(format!("arn:aws:s3:::{bucket}/*")));
    let open = Statement::allow("KeysOfOtherStates", ["kms:Decrypt"]).on("arn:aws:kms:*:*:key/*");
    vec![read, open.when("StringLike", "kms:ViaService", "s3.*.amazonaws.com")]
}

const READ_BUCKET: &[&str] = &["s3:ListBucket", "s3:ListBucketVersions"];
const READ_OBJECTS: &[&str] = &["s3:GetObject", "s3:GetObjectVersion"];

/// What `bootstrap` checks and sets.
const CHANGE_BUCKET: &[&str] = &[
    "s3:CreateBucket",
    "s3:GetBucketOwnershipControls",
    "s3:GetBucketPolicy",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketTagging",
    "s3:GetBucketVersioning",
    "s3:GetEncryptionConfiguration",
    "s3:GetLifecycleConfiguration",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketTagging",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:TagResource",
];

/// To hold the lock, and what `bootstrap` checks and sets.
const CHANGE_LOCK: &[&str] = &[
    "dynamodb:CreateTable",
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:DescribeTable",
    "dynamodb:ListTagsOfResource",
    "dynamodb:PutItem",
    "dynamodb:TagResource",
    "dynamodb:UpdateContinuousBackups",
    "dynamodb:UpdateItem",
    "dynamodb:UpdateTable",
];

/// What `bootstrap` checks and sets.
const CHANGE_KEY: &[&str] = &[
    "kms:CreateAlias",
    "kms:DescribeKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyRotationStatus",
    "kms:ListResourceTags",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
];
