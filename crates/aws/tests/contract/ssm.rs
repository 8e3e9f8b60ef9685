//! Examples of Systems Manager.

use payinfra_aws::ssm::Parameter;
use payinfra_aws::{Aws, Explain};
use payinfra_engine::{Class, Cloud, Resource, Result, Secret, Tags, Text};

use crate::example::{Again, Example, examples, form, graph, region};
use crate::life::{access, site};

examples![parameter];

fn args(name: &str) -> Parameter {
    Parameter {
        name: name.to_owned(),
        description: "an example".to_owned(),
        value: Secret::new(Text::from("first")),
        tags: Tags::new(),
    }
}

fn parameter() -> Result<Example> {
    Example::new(graph("parameter"), &region(), args("/contract/example"))?
        .again(Again::Taken)
        .change(|parameter: &mut Parameter| parameter.value = Secret::new(Text::from("second")))?
        .change(|parameter: &mut Parameter| parameter.description.push_str(" for more"))
}

#[tokio::test]
async fn a_parameter_of_others_is_refused() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let site = site(&region(), Parameter::KIND, "theirs")?;
    let name = "/contract/theirs";
    let call = cx.ssm().put_parameter().name(name).value("theirs").r#type(aws_sdk_ssm::types::ParameterType::String);
    call.send().await.explain()?;
    let wanted = form(&Parameter { tags: site.owner.tags(), ..args(name) })?;
    let class = |error: payinfra_engine::Error| error.class();
    assert_eq!(aws.create(&site, &wanted).await.map_err(class), Err(Class::Foreign));
    assert_eq!(aws.recover(&site, &wanted).await.map_err(class), Err(Class::Foreign));
    cx.ssm().delete_parameter().name(name).send().await.explain().map(drop)
}
