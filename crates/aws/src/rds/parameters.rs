//! Parameters of engines, in groups of clusters and of instances.

use std::collections::BTreeMap;

use aws_sdk_rds::types::{ApplyMethod, Parameter};

/// The maximum number of parameters per call.
const AT_ONCE: usize = 20;

/// The changes of a group, in as many parts as calls are needed.
pub(super) struct Changes {
    pub(super) set: Vec<Vec<Parameter>>,
    pub(super) reset: Vec<Vec<Parameter>>,
}

/// The changes from `was` to `want` of a group with the parameters `all`, each applied in its own way: AWS rejects an
/// immediate change of a static parameter, and a dynamic parameter that waits for a reboot would wait forever.
pub(super) fn changes(was: &BTreeMap<String, String>, want: &BTreeMap<String, String>, all: Vec<Parameter>) -> Changes {
    let method = |parameter: Parameter| {
        let waits = parameter.apply_type.as_deref() == Some("static");
        let method = if waits { ApplyMethod::PendingReboot } else { ApplyMethod::Immediate };
        Some((parameter.parameter_name?, method))
    };
    let methods: BTreeMap<_, _> = all.into_iter().filter_map(method).collect();
    let parameter = |name: &String, value: Option<&String>| {
        let method = methods.get(name).cloned().unwrap_or(ApplyMethod::Immediate);
        let parameter = Parameter::builder().parameter_name(name).apply_method(method);
        parameter.set_parameter_value(value.cloned()).build()
    };
    let new = want.iter().filter(|(name, value)| was.get(*name) != Some(value));
    let gone = was.keys().filter(|name| !want.contains_key(*name));
    let parts = |all: Vec<Parameter>| all.chunks(AT_ONCE).map(<[_]>::to_vec).collect();
    Changes {
        set: parts(new.map(|(name, value)| parameter(name, Some(value))).collect()),
        reset: parts(gone.map(|name| parameter(name, None)).collect()),
    }
}

/// The values of parameters that differ from the engine's defaults.
pub(super) fn values(set: Vec<Parameter>) -> BTreeMap<String, String> {
    set.into_iter().filter_map(|parameter| Some((parameter.parameter_name?, parameter.parameter_value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_static_parameter_waits_for_a_reboot() {
        let known = |name, kind| Parameter::builder().parameter_name(name).apply_type(kind).build();
        let all = vec![known("rds.force_ssl", "dynamic"), known("shared_buffers", "static")];
        let was = BTreeMap::from([("shared_buffers".to_owned(), "1".to_owned())]);
        let want = BTreeMap::from([("rds.force_ssl".to_owned(), "1".to_owned())]);
        let found = changes(&was, &want, all);
        assert_eq!(found.set[0][0].apply_method, Some(ApplyMethod::Immediate));
        assert_eq!(found.reset[0][0].apply_method, Some(ApplyMethod::PendingReboot));
        assert_eq!((found.set.len(), found.reset.len()), (1, 1));
    }
}
