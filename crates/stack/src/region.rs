//! Names of regions.

use toml::Spanned;

use crate::problem::Problem;

pub(crate) fn not_a_region(name: &Spanned<String>) -> Problem {
    Problem::new(format!("`{}` is not a region", name.get_ref()), name.span())
        .hint("use a region name such as us-east-1")
}

pub(crate) fn is_region(name: &str) -> bool {
    let parts: Vec<_> = name.split('-').collect();
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    matches!(&parts[..], [words @ .., number]
        if words.len() >= 2 && words.iter().all(letters) && number.len() == 1 && number.as_bytes()[0].is_ascii_digit())
}
