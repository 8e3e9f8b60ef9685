//! Examples of Systems Manager.

use aws_sdk_ssm::types::ParameterType;
use payinfra_aws::ssm::{ApiKeyParameter, Parameter};
use payinfra_aws::{Aws, Explain, Need};
use payinfra_engine::{Class, Cloud, Id, Ref, Resource, Result, Secret, Tags, Text};

use crate::apigateway::key_args;
use crate::example::{Again, Example, examples, form, graph, region};
use crate::kms::key_for;
use crate::life::{access, site};

examples![api_key_parameter, parameter];

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

fn api_key_parameter() -> Result<Example> {
    let mut graph = graph("api-key-parameter");
    let first = graph.add(&region(), "first", key_args("first-of-parameter"))?;
    let second = graph.add(&region(), "second", key_args("second-of-parameter"))?;
    let kms_keys = [key_for(&mut graph, "kms-first", &[])?, key_for(&mut graph, "kms-second", &[])?];
    let [kms_key, other] = kms_keys.map(|key| key.outputs.arn);
    let args = ApiKeyParameter {
        name: "/contract/api-key".to_owned(),
        description: "an example".to_owned(),
        api_key: first.id,
        kms_key,
        tags: Tags::new(),
    };
    Example::new(graph, &region(), args)?
        .again(Again::Taken)
        .change(|parameter: &mut ApiKeyParameter| parameter.api_key = second.id)?
        .change(|parameter: &mut ApiKeyParameter| parameter.kms_key = other)?
        .change(|parameter: &mut ApiKeyParameter| parameter.description.push_str(" for more"))
}

/// G-09: the parameter has the value of the key and is encrypted; a value that others write is drift; neither is in what
/// a read returns, or in the message of an error.
#[tokio::test]
async fn g09_the_value_of_an_api_key_is_compared_and_never_returned() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let made = cx.apigateway().create_api_key().name("contract-g09").send().await.explain()?;
    let (key, value) = (made.id.need("Id")?, made.value.need("Value")?);
    let site = site(&region(), ApiKeyParameter::KIND, "g09")?;
    let kms_key = "arn:aws:kms:us-east-1:123456789012:key/any";
    let wanted = form(&ApiKeyParameter {
        name: "/contract/g09".to_owned(),
        description: String::new(),
        api_key: Ref::Known(Id::new(&key)),
        kms_key: Ref::from(kms_key),
        tags: site.owner.tags(),
    })?;
    let id = aws.create(&site, &wanted).await?;
    let read = async || {
        let ids = std::slice::from_ref(&id);
        aws.read(&region(), ApiKeyParameter::KIND, ids).await?.pop().need("Parameter")
    };
    let stored = async || {
        let call = cx.ssm().get_parameter().name(&id).with_decryption(true);
        call.send().await.explain()?.parameter.need("Parameter")
    };
    let parameter = stored().await?;
    assert_eq!((parameter.value.as_deref(), parameter.r#type), (Some(&*value), Some(ParameterType::SecureString)));
    let live = read().await?;
    assert_eq!(live.args, wanted);
    assert!(!format!("{live:?}").contains(&value));

    let theirs = "another value of at least 20 characters";
    cx.ssm().put_parameter().name(&id).value(theirs).overwrite(true).send().await.explain()?;
    let live = read().await?;
    assert_eq!(live.args["api_key"], "(another value)");
    assert!(!format!("{live:?}").contains(theirs));
    aws.update(&site, &wanted, &live).await?;
    assert_eq!((stored().await?.value, read().await?.args), (Some(value.clone()), wanted.clone()));

    // A second create fails without repeating the value.
    let error = aws.create(&site, &wanted).await.err().need("error")?;
    assert!(!format!("{error:?} {error}").contains(&value));
    aws.delete(&site, &read().await?).await?;
    cx.apigateway().delete_api_key().api_key(key).send().await.explain().map(drop)
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
