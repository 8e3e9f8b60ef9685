//! The match of a request's path and a path of the model.

use crate::route::decode;

/// The parameters in a request's path, or `None` if it is another operation's path.
pub(crate) fn parameters(pattern: &str, path: &str) -> Option<Vec<(String, String)>> {
    let pattern = pattern.split('?').next().unwrap_or_default();
    let mut expected = pattern.trim_matches('/').split('/').peekable();
    let mut rest = path.trim_start_matches('/');
    let mut found = Vec::new();
    while let Some(part) = expected.next() {
        let parameter = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        let (segment, after) = match parameter {
            // A greedy parameter takes everything that the segments after it leave.
            Some(name) if name.ends_with('+') => {
                let after: usize = expected.clone().map(|part| part.len() + 1).sum();
                let end = rest.trim_end_matches('/').len().checked_sub(after)?;
                (rest.get(..end)?, rest.get(end..)?.trim_start_matches('/'))
            }
            _ => rest.split_once('/').unwrap_or((rest, "")),
        };
        match parameter {
            Some(_) if segment.is_empty() => return None,
            Some(name) => {
                // A plus sign in a path is itself.
                let value = decode(&segment.replace('+', "%2B"));
                found.push((name.trim_end_matches('+').to_owned(), value));
            }
            None if part != segment => return None,
            None => {}
        }
        rest = after;
    }
    rest.trim_matches('/').is_empty().then_some(found)
}

/// The parameters of the query that the path of the model names, such as `policy` in `/{Bucket}?policy`.
pub(crate) fn literals(pattern: &str) -> impl Iterator<Item = (&str, &str)> {
    let query = pattern.split_once('?').map_or("", |(_, query)| query);
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_parameters() {
        for (pattern, path, expected) in [
            ("/2015-03-31/functions/{FunctionName}/code", "/2015-03-31/functions/f/code", Some("FunctionName=f")),
            ("/2015-03-31/functions/", "/2015-03-31/functions", Some("")),
            ("/2015-03-31/functions/{FunctionName}", "/2015-03-31/functions/", None),
            ("/2015-03-31/functions/{FunctionName}", "/2015-03-31/functions/a/b", None),
            ("/{Bucket}/{Key+}?tagging", "/b/a%20/b+c", Some("Bucket=b Key=a /b+c")),
            ("/tags/{ResourceArn+}/end", "/tags/arn:a/b/end", Some("ResourceArn=arn:a/b")),
            ("/", "/", Some("")),
        ] {
            let found = parameters(pattern, path);
            let found = found
                .map(|found| found.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "));
            assert_eq!(found.as_deref(), expected, "{path}");
        }
        assert_eq!(literals("/{Bucket}?list-type=2&x").collect::<Vec<_>>(), [("list-type", "2"), ("x", "")]);
    }
}
