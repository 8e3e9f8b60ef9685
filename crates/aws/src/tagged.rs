//! Ids with their tags, for services that return tags one resource at a time.

use futures_util::future::try_join_all;
use payinfra_engine::{Class, Error, Result, Tags};

use crate::error::Unless;

/// Ids with their tags. Resources that were deleted since the list call are omitted.
pub(crate) async fn tagged(
    them: impl Iterator<Item = (String, impl Future<Output = Result<Tags>>)>,
) -> Result<Vec<(String, Tags)>> {
    let tagged =
        them.map(async |(id, tags)| Ok::<_, Error>(tags.await.unless(Class::NotFound)?.map(|tags| (id, tags))));
    Ok(try_join_all(tagged).await?.into_iter().flatten().collect())
}
