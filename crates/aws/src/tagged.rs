//! Resources with their tags, where AWS returns the tags one resource at a time.

use futures_util::future::try_join_all;
use payinfra_engine::{Class, Error, Result, Tags};

use crate::error::Unless;

/// Ids with their tags, where AWS tells these one by one. What went since it was listed is left out.
pub(crate) async fn tagged(
    them: impl Iterator<Item = (String, impl Future<Output = Result<Tags>>)>,
) -> Result<Vec<(String, Tags)>> {
    let tagged =
        them.map(async |(id, tags)| Ok::<_, Error>(tags.await.unless(Class::NotFound)?.map(|tags| (id, tags))));
    Ok(try_join_all(tagged).await?.into_iter().flatten().collect())
}
