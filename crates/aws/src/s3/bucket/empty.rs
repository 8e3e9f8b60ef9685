//! Empties a bucket: versions, delete markers, multipart uploads.

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Error, Result};

use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// The number of pages of a thousand that one delete call removes; the engine repeats the call.
const PAGES: usize = 1_000;

/// Whether `bucket` has neither versions nor delete markers.
pub(super) async fn is_empty(cx: &Cx, bucket: &str) -> Result<bool> {
    let page = cx.s3().list_object_versions().bucket(bucket).max_keys(1).send().await.explain()?;
    Ok(page.versions().is_empty() && page.delete_markers().is_empty())
}

/// Removes everything. Replication and logs may still write, so it continues until the bucket is empty.
pub(super) async fn empty(cx: &Cx, bucket: &str) -> Result<()> {
    for _ in 0..PAGES {
        let (objects, uploads) = (empty_page(cx, bucket).await?, abort_uploads(cx, bucket).await?);
        if !objects && !uploads {
            return Ok(());
        }
    }
    Err(Error::new(Class::Conflict, format!("the bucket `{bucket}` still has objects")))
}

/// Removes up to a thousand versions and delete markers; returns whether there were any.
async fn empty_page(cx: &Cx, bucket: &str) -> Result<bool> {
    // Always the first page, because removed versions are no longer listed.
    let page = cx.s3().list_object_versions().bucket(bucket).send().await.explain()?;
    let versions = page.versions.unwrap_or_default().into_iter().map(|object| (object.key, object.version_id));
    let markers = page.delete_markers.unwrap_or_default().into_iter().map(|marker| (marker.key, marker.version_id));
    let objects = versions.chain(markers).map(|(key, version)| {
        ObjectIdentifier::builder().key(key.need("Key")?).set_version_id(version).build().explain()
    });
    let objects = objects.collect::<Result<Vec<_>>>()?;
    if objects.is_empty() {
        return Ok(false);
    }
    let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build().explain()?;
    let done = cx.s3().delete_objects().bucket(bucket).delete(delete).send().await.explain()?;
    // The status is 200 even if nothing was deleted (AWS-FACTS §0.10).
    match done.errors.unwrap_or_default().into_iter().next() {
        None => Ok(true),
        Some(error) => {
            let code = error.code.unwrap_or_default();
            let class = if code == "AccessDenied" { Class::Denied } else { Class::Conflict };
            let message = format!("`{}`: {}", error.key.unwrap_or_default(), error.message.unwrap_or_default());
            Err(Error::new(class, message).call("s3:DeleteObjects").code(code))
        }
    }
}

/// Aborts up to a thousand multipart uploads; returns whether there were any.
async fn abort_uploads(cx: &Cx, bucket: &str) -> Result<bool> {
    let page = cx.s3().list_multipart_uploads().bucket(bucket).send().await.explain()?;
    let uploads = page.uploads.unwrap_or_default();
    let found = !uploads.is_empty();
    let aborts = uploads.into_iter().map(|upload| async {
        let call = cx.s3().abort_multipart_upload().bucket(bucket).key(upload.key.need("Key")?);
        let call = call.upload_id(upload.upload_id.need("UploadId")?);
        call.send().await.explain().unless_code(&["NoSuchUpload"]).map(drop)
    });
    try_join_all(aborts).await?;
    Ok(found)
}
