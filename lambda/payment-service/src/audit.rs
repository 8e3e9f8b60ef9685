//! Audit records as objects of a bucket.

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use payment_core::{Audit, Entry, Fault};

use crate::fault::fault;

/// The audit bucket. It encrypts what is put into it with its own key.
#[derive(Clone, Debug)]
pub struct S3Audit {
    client: Client,
    bucket: String,
}

impl S3Audit {
    /// The bucket `bucket`. An endpoint of one's own has no host name per bucket.
    #[must_use]
    pub fn new(sdk: &SdkConfig, bucket: &str) -> Self {
        let own = sdk.endpoint_url().is_some();
        let config = aws_sdk_s3::config::Builder::from(sdk).force_path_style(own).build();
        Self { client: Client::from_conf(config), bucket: bucket.to_owned() }
    }
}

impl Audit for S3Audit {
    /// What is there is never written again, so that repeats make no versions.
    async fn write(&self, entry: &Entry) -> Result<(), Fault> {
        let call = self.client.put_object().bucket(&self.bucket).key(&entry.key).if_none_match("*");
        let call = call.content_type("application/json").body(entry.body.clone().into_bytes().into());
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("PreconditionFailed") => Ok(()),
            Err(error) => Err(fault("s3:PutObject", &error)),
        }
    }
}
