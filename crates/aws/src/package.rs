//! The packages of Lambda functions: zip files, by the hash of their content.
//!
//! The arguments of a function have only the hash, so states, plans and histories stay small and the same build is never
//! a change. The content is provided with [`crate::Access::provide`] before an apply, and looked up by its hash in the one
//! call that uploads it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_types::Blob;
use payinfra_engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The SHA-256 digest of a package, in base64: Lambda's `CodeSha256`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CodeSha256(String);

impl CodeSha256 {
    /// The digest of `package`, a zip file.
    #[must_use]
    pub fn of(package: &[u8]) -> Self {
        Self(aws_smithy_types::base64::encode(Sha256::digest(package)))
    }

    /// A digest in AWS's form.
    pub(crate) fn from_aws(digest: impl Into<String>) -> Self {
        Self(digest.into())
    }

    /// The digest in AWS's form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The maximum size of a package that is uploaded in a call, in bytes (Lambda UG: Lambda quotas).
const LARGEST: usize = 50 * 1024 * 1024;

/// The packages that functions can be created from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packages(Arc<Mutex<HashMap<CodeSha256, Blob>>>);

impl Packages {
    /// Adds a zip file.
    pub(crate) fn add(&self, package: Vec<u8>) -> Result<CodeSha256> {
        if package.len() > LARGEST {
            let size = package.len();
            return Err(Error::invalid(format!("the package has {size} bytes; Lambda accepts at most {LARGEST}"))
                .hint("strip the symbols of the program, or remove what it does not need"));
        }
        let digest = CodeSha256::of(&package);
        let mut packages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        packages.entry(digest.clone()).or_insert_with(|| Blob::new(package));
        Ok(digest)
    }

    /// The content of the package with this digest.
    pub(crate) fn get(&self, digest: &CodeSha256) -> Result<Blob> {
        let packages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        packages.get(digest).cloned().ok_or_else(|| {
            Error::invalid(format!("no package with the SHA-256 digest {} is provided", digest.as_str()))
                .hint("build the package again from the same source, or point the configuration to its file")
        })
    }
}

#[cfg(test)]
mod tests {
    use payinfra_engine::Class;

    use super::*;

    #[test]
    fn a_package_is_found_by_its_digest() -> Result<()> {
        let packages = Packages::default();
        let digest = packages.add(b"abc".to_vec())?;
        assert_eq!(digest.as_str(), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        assert_eq!(packages.get(&digest)?.as_ref(), b"abc");
        let missing = packages.get(&CodeSha256::of(b"other")).map_err(|error| error.class());
        assert_eq!(missing.err(), Some(Class::Invalid));
        assert!(packages.add(vec![0; LARGEST + 1]).is_err());
        Ok(())
    }
}
