//! The parameters that other systems read (G-09).

use payinfra_aws::ssm::{ApiKeyParameter, Parameter};
use payinfra_components::rest_api::Api;
use payinfra_components::tables::GlobalTable;
use payinfra_engine::{Graph, Result, Secret, Text};

use super::Part;

/// Declares the parameters of a region. The one with the value of the API key is encrypted.
pub(super) fn parameters(graph: &mut Graph, part: &Part<'_>, payments: &GlobalTable, api: &Api) -> Result<()> {
    let site = &part.site;
    let all = [
        ("table-name", "The table of payments", Text::from(&payments.table.id)),
        ("bucket-name", "The bucket of audit records", Text::from(part.buckets.audit.as_str())),
    ];
    for (name, description, value) in all {
        let parameter = Parameter {
            name: format!("/{}", site.names.name(name)),
            description: description.to_owned(),
            value: Secret::new(value),
            tags: site.named(name),
        };
        graph.add(site.region(), name, parameter)?;
    }
    let name = "api-key";
    let parameter = ApiKeyParameter {
        name: format!("/{}", site.names.name(name)),
        description: "The API key of the first client".to_owned(),
        api_key: api.key.id.clone(),
        kms_key: part.keys.application.outputs.arn.clone(),
        tags: site.named(name),
    };
    graph.add(site.region(), name, parameter).map(drop)
}
