//! Functions with a qualifier: a version or an alias.

use payinfra_engine::{Error, Id, Ref, Result};

/// `NAME`, or `NAME:QUALIFIER`, which is the id of a version or alias.
pub(super) fn name<R>(function: &Ref<Id<R>>, qualifier: Option<&Ref<String>>) -> Result<String> {
    let function = function.known()?;
    Ok(match qualifier {
        Some(qualifier) => format!("{function}:{}", qualifier.known()?),
        None => function.to_string(),
    })
}

/// Function and qualifier of `NAME:QUALIFIER`; names contain no colons.
pub(super) fn parts<R>(id: &Id<R>) -> Result<(&str, &str)> {
    id.as_str().split_once(':').ok_or_else(|| {
        Error::invalid(format!("`{id}` is not the id of a version or alias"))
            .hint("write FUNCTION:VERSION or FUNCTION:ALIAS")
    })
}

/// Function and qualifier of `NAME` or `NAME:QUALIFIER`.
pub(super) fn split<R>(name: &str) -> (Ref<Id<R>>, Option<Ref<String>>) {
    let (function, qualifier) = name.split_once(':').map_or((name, None), |(name, qualifier)| (name, Some(qualifier)));
    (Ref::Known(Id::new(function)), qualifier.map(|qualifier| Ref::Known(qualifier.to_owned())))
}

/// `NAME` or `NAME:QUALIFIER` in a function's ARN.
pub(super) fn in_arn(arn: &str) -> &str {
    arn.split_once(":function:").map_or(arn, |(_, name)| name)
}

/// The URI with which API Gateway invokes the function, version or alias `arn`.
pub(super) fn invoke_arn(region: &str, arn: &str) -> String {
    format!("arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{arn}/invocations")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lambda::Function;

    #[test]
    fn names_are_taken_apart() -> Result<()> {
        let arn = "arn:aws:lambda:us-east-1:123456789012:function:payment:live";
        assert_eq!(in_arn(arn), "payment:live");
        let (function, qualifier) = split::<Function>(in_arn(arn));
        assert_eq!(
            (name(&function, qualifier.as_ref())?, name(&function, None)?),
            ("payment:live".into(), "payment".into())
        );
        assert_eq!(parts(&Id::<Function>::new("payment:3"))?, ("payment", "3"));
        assert!(parts(&Id::<Function>::new("payment")).is_err());
        Ok(())
    }
}
