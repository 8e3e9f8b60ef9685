//! Stores audit records in S3.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use payment_core::{Audit, Entry, Fault, Written};

use crate::fault::{fault, odd};

/// The audit bucket of each region. Its default encryption uses its own key.
#[derive(Clone, Debug, Default)]
pub struct S3Audit {
    buckets: BTreeMap<String, (Client, String)>,
}

impl S3Audit {
    /// Adds the bucket `bucket` in `region`. A custom endpoint requires path-style addressing.
    #[must_use]
    pub fn with(mut self, region: &str, sdk: &SdkConfig, bucket: &str) -> Self {
        let own = sdk.endpoint_url().is_some();
        let config = aws_sdk_s3::config::Builder::from(sdk).force_path_style(own).build();
        self.buckets.insert(region.to_owned(), (Client::from_conf(config), bucket.to_owned()));
        self
    }
}

impl Audit for S3Audit {
    /// Existing objects are not overwritten, so repeats create no versions. The SDK sends a checksum, which a bucket
    /// with object lock requires.
    async fn write(&self, region: &str, entry: &Entry) -> Result<Written, Fault> {
        let bucket = self.buckets.get(region).ok_or_else(|| odd(&format!("no audit bucket in {region}")));
        let (client, bucket) = bucket?;
        let call = client.put_object().bucket(bucket).key(&entry.key).if_none_match("*");
        let call = call.content_type("application/json").body(entry.body.clone().into_bytes().into());
        match call.send().await {
            Ok(_) => Ok(Written::New),
            Err(error) if error.code() == Some("PreconditionFailed") => Ok(Written::Exists),
            Err(error) => Err(fault("s3:PutObject", &error)),
        }
    }
}
