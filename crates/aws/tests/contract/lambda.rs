//! Examples of Lambda.

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::dynamodb::StreamView;
use payinfra_aws::ec2::SecurityGroup;
use payinfra_aws::lambda::{
    Additional, Alias, Architecture, EventInvokeConfig, EventSourceMapping, Function, LogFormat, Logging, Permission,
    StartingPosition, Version,
};
use payinfra_aws::logs::LogGroup;
use payinfra_aws::{Aws, CodeSha256, Explain, Need};
use payinfra_engine::{Class, Cloud, Graph, Node, Ref, Resource, Result, Secret, Status, Tags, Text};
use serde_json::json;

use crate::dynamodb::stream_for;
use crate::ec2::{network, part};
use crate::example::{Again, Example, examples, form, graph, region};
use crate::iam::role_for;
use crate::kms::key_for;
use crate::life::{access, site};
use crate::sns::topic_for;

examples![
    alias,
    event_invoke_config,
    event_source_mapping,
    event_source_mapping_of_queue,
    function,
    permission,
    version
];

/// The packages of the examples: empty zip files with a comment.
pub(crate) fn packages() -> [Vec<u8>; 2] {
    ["first", "other"].map(|comment| {
        let mut zip = b"PK\x05\x06".to_vec();
        zip.extend([0; 16]);
        zip.extend([5, 0]);
        zip.extend(comment.bytes());
        zip
    })
}

fn code() -> [CodeSha256; 2] {
    packages().map(|package| CodeSha256::of(&package))
}

fn args(role: Ref<String>, name: &str) -> Function {
    let [code, _] = code();
    Function {
        name: format!("contract-{name}"),
        description: "an example".to_owned(),
        role,
        code,
        runtime: "provided.al2023".to_owned(),
        handler: "bootstrap".to_owned(),
        architecture: Architecture::Arm64,
        memory: 512,
        timeout: 10,
        storage: 512,
        environment: BTreeMap::new(),
        kms_key: None,
        subnets: BTreeSet::new(),
        groups: BTreeSet::new(),
        tracing: false,
        logging: Logging { group: format!("/aws/lambda/contract-{name}").into(), format: LogFormat::Text },
        dead_letter: None,
        reserved_concurrency: None,
        tags: Tags::new(),
    }
}

/// A function that APIs and events can invoke.
pub(crate) fn function_for(graph: &mut Graph, name: &str) -> Result<Node<Function>> {
    let role = role_for(graph, &format!("{name}-role"), "lambda.amazonaws.com")?;
    let args = args(role.outputs.arn, &format!("{}-{name}", graph.workspace));
    graph.add(&region(), name, args)
}

fn version_of(function: &Node<Function>, definition: &str) -> Version {
    let [code, _] = code();
    Version { function: function.id.clone(), code, definition: definition.to_owned() }
}

fn function() -> Result<Example> {
    let mut graph = graph("function");
    let role = role_for(&mut graph, "role", "lambda.amazonaws.com")?;
    let other = role_for(&mut graph, "other", "lambda.amazonaws.com")?.outputs.arn;
    let key = key_for(&mut graph, "key", &["lambda.amazonaws.com"])?.outputs.arn;
    let topic = topic_for(&mut graph, "topic")?.outputs.arn;
    let name = "/contract/function".to_owned();
    let log = LogGroup { name: name.into(), retention_days: None, kms_key: None, tags: Tags::new() };
    let log = graph.add(&region(), "log", log)?;
    let vpc = graph.add(&region(), "vpc", network())?;
    let subnets = [0, 1].map(|index| graph.add(&region(), &format!("subnet-{index}"), part(&vpc, index)));
    let subnets = subnets.into_iter().map(|subnet| Ok(subnet?.id)).collect::<Result<BTreeSet<_>>>()?;
    let group = SecurityGroup {
        vpc: vpc.id.clone(),
        name: "contract-function".to_owned(),
        description: "of the function".to_owned(),
        ingress: BTreeSet::new(),
        egress: BTreeSet::new(),
        tags: Tags::new(),
    };
    let group = graph.add(&region(), "group", group)?;
    let environment = |topic: &Ref<String>, stage: &str| {
        let stage = Text::from(stage.to_owned());
        let pairs = [("TOPIC".to_owned(), Secret::new(Text::from(topic))), ("STAGE".to_owned(), Secret::new(stage))];
        BTreeMap::from(pairs)
    };
    let args = Function { environment: environment(&topic, "test"), ..args(role.outputs.arn, "example") };
    let [_, newer] = code();
    let logging = Logging { group: log.id.into(), format: LogFormat::Json };
    Example::new(graph, &region(), args)?
        .again(Again::Taken)
        .change(|function: &mut Function| function.code = newer)?
        .change(|function: &mut Function| {
            function.architecture = Architecture::X86_64;
            function.description.push_str(" for more");
            function.memory = 1_024;
            function.timeout = 30;
            function.storage = 1_024;
            function.tracing = true;
        })?
        .change(|function: &mut Function| {
            "python3.13".clone_into(&mut function.runtime);
            "app.handler".clone_into(&mut function.handler);
            function.role = other;
        })?
        .change(|function: &mut Function| {
            function.environment = environment(&topic, "live");
            function.kms_key = Some(key);
            function.dead_letter = Some(topic.clone());
            function.logging = logging;
            function.reserved_concurrency = Some(20);
        })?
        .change(|function: &mut Function| {
            function.environment = BTreeMap::new();
            function.kms_key = None;
            function.dead_letter = None;
            function.reserved_concurrency = None;
        })?
        .change(|function: &mut Function| (function.subnets, function.groups) = (subnets, BTreeSet::from([group.id])))
}

fn version() -> Result<Example> {
    let mut graph = graph("function-version");
    let function = function_for(&mut graph, "function")?;
    let version = version_of(&function, "first");
    Ok(Example::new(graph, &region(), version)?.again(Again::Same))
}

fn alias() -> Result<Example> {
    let mut graph = graph("function-alias");
    let function = function_for(&mut graph, "function")?;
    let version = graph.add(&region(), "version", version_of(&function, "first"))?;
    let alias = Alias {
        function: function.id,
        name: "live".to_owned(),
        description: "an example".to_owned(),
        version: "$LATEST".into(),
        additional: None,
    };
    let additional = |weight: u8| Some(Additional { version: version.outputs.number.clone(), weight });
    Example::new(graph, &region(), alias)?
        .again(Again::Taken)
        .change(|alias: &mut Alias| alias.description.push_str(" for more"))?
        .change(|alias: &mut Alias| alias.additional = additional(7))?
        .change(|alias: &mut Alias| alias.additional = additional(100))?
        .change(|alias: &mut Alias| (alias.version, alias.additional) = (version.outputs.number.clone(), None))
}

fn permission() -> Result<Example> {
    let mut graph = graph("function-permission");
    let function = function_for(&mut graph, "function")?;
    let permission = Permission {
        function: function.id,
        qualifier: None,
        statement: "events".to_owned(),
        action: "lambda:InvokeFunction".to_owned(),
        principal: "events.amazonaws.com".to_owned(),
        source_arn: Some(Text::from("arn:aws:events:us-east-1:123456789012:rule/contract-*")),
        source_account: Some("123456789012".to_owned()),
    };
    Ok(Example::new(graph, &region(), permission)?.again(Again::Taken))
}

fn event_invoke_config() -> Result<Example> {
    let mut graph = graph("asynchronous");
    let function = function_for(&mut graph, "function")?;
    let topic = topic_for(&mut graph, "topic")?.outputs.arn;
    let config = EventInvokeConfig {
        function: function.id,
        qualifier: None,
        maximum_age: 3_600,
        maximum_retries: 1,
        on_success: None,
        on_failure: Some(topic.clone()),
    };
    Example::new(graph, &region(), config)?
        .again(Again::Taken)
        .change(|config: &mut EventInvokeConfig| (config.maximum_age, config.maximum_retries) = (60, 0))?
        .change(|config: &mut EventInvokeConfig| (config.on_success, config.on_failure) = (Some(topic), None))
}

fn mapping(function: &Node<Function>, source: Ref<String>) -> EventSourceMapping {
    EventSourceMapping {
        function: function.id.clone(),
        qualifier: None,
        source,
        starting_position: None,
        enabled: false,
        batch_size: 10,
        batching_window: 0,
        parallelization: None,
        maximum_age: None,
        maximum_retries: None,
        bisect: None,
        maximum_concurrency: None,
        report_item_failures: false,
        filters: BTreeSet::new(),
        on_failure: None,
        tags: Tags::new(),
    }
}

fn event_source_mapping() -> Result<Example> {
    let mut graph = graph("event-source-mapping");
    let function = function_for(&mut graph, "function")?;
    let other = function_for(&mut graph, "other")?;
    let version = graph.add(&region(), "version", version_of(&other, "first"))?;
    let topic = topic_for(&mut graph, "topic")?.outputs.arn;
    let stream = stream_for(&mut graph, StreamView::NewImage)?;
    let starting_position = Some(StartingPosition::TrimHorizon);
    let args = EventSourceMapping { starting_position, ..mapping(&function, stream) };
    Example::new(graph, &region(), args)?
        .again(Again::Taken)
        .change(|mapping: &mut EventSourceMapping| {
            mapping.batch_size = 100;
            mapping.batching_window = 5;
            mapping.parallelization = Some(2);
            mapping.maximum_age = Some(3_600);
            mapping.maximum_retries = Some(5);
            mapping.bisect = Some(true);
            mapping.report_item_failures = true;
            mapping.filters = BTreeSet::from([json!({ "eventName": ["INSERT"] }).to_string()]);
            mapping.on_failure = Some(topic);
        })?
        .change(|mapping: &mut EventSourceMapping| {
            (mapping.function, mapping.qualifier) = (other.id, Some(version.outputs.number));
        })?
        .change(|mapping: &mut EventSourceMapping| {
            mapping.report_item_failures = false;
            mapping.filters = BTreeSet::new();
            mapping.on_failure = None;
        })
}

fn event_source_mapping_of_queue() -> Result<Example> {
    let mut graph = graph("event-source-mapping-of-queue");
    let function = function_for(&mut graph, "function")?;
    let queue = "arn:aws:sqs:us-east-1:123456789012:contract-example";
    Example::new(graph, &region(), mapping(&function, queue.into()))?
        .again(Again::Taken)
        .change(|mapping: &mut EventSourceMapping| mapping.maximum_concurrency = Some(5))?
        .change(|mapping: &mut EventSourceMapping| mapping.enabled = true)
}

#[tokio::test]
async fn a_function_of_others_is_refused_and_one_update_waits_for_another() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let site = site(&region(), Function::KIND, "theirs")?;
    let role = Ref::from("arn:aws:iam::123456789012:role/contract");
    let wanted = Function { tags: site.owner.tags(), ..args(role, "theirs") };
    let name = wanted.name.clone();
    let theirs = form(&Function { tags: Tags::new(), ..wanted })?;
    let id = aws.create(&site, &theirs).await?;
    let class = |error: payinfra_engine::Error| error.class();
    let found = aws.recover(&site, &theirs).await;
    assert_eq!(found.map_err(class), Err(Class::Foreign), "it has no tags");
    let live = aws.read(&region(), Function::KIND, &[id]).await?.pop().need("Function")?;
    assert_eq!(live.status, Status::Pending, "it is being created");
    let early = cx.lambda().update_function_configuration().function_name(&name).timeout(5).send().await.explain();
    assert_eq!(early.map(drop).map_err(class), Err(Class::Conflict));
    let mut unprovided = theirs.clone();
    unprovided["code"] = json!(CodeSha256::of(b"not provided"));
    let refused = aws.create(&site, &unprovided).await;
    assert_eq!(refused.map_err(class), Err(Class::Invalid), "its code is not provided");
    cx.lambda().delete_function().function_name(name).send().await.explain().map(drop)
}

#[tokio::test]
async fn a_version_needs_a_change_and_the_code_it_names() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let (site, of_function) =
        (site(&region(), Version::KIND, "version")?, site(&region(), Function::KIND, "versions")?);
    let role = Ref::from("arn:aws:iam::123456789012:role/contract");
    let function = args(role, "versions");
    let name = function.name.clone();
    aws.create(&of_function, &form(&function)?).await?;
    let [code, other] = code();
    let version =
        |code: &CodeSha256, definition: &str| json!({ "function": name, "code": code, "definition": definition });
    let begun = tokio::time::Instant::now();
    let id = loop {
        match aws.create(&site, &version(&code, "one")).await {
            Err(error) if error.is(Class::Conflict) && begun.elapsed().as_secs() < 30 => {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            made => break made?,
        }
    };
    assert_eq!(id, format!("{name}:1"));
    for refused in [version(&other, "two"), version(&code, "two")] {
        let refused = aws.create(&site, &refused).await.map_err(|error| error.class());
        assert_eq!(refused, Err(Class::Failed));
    }
    assert_eq!(aws.recover(&site, &version(&code, "one")).await?, Some(id));
    cx.lambda().delete_function().function_name(name).send().await.explain().map(drop)
}
