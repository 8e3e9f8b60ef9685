//! Checks each request against AWS's model of its service, which botocore has.
//!
//! `python/models.py` makes a small table of a model, once for each set of pinned packages. An operation's line is read
//! when the operation is first called.

mod cbor;
mod check;
mod document;
mod known;
mod path;
mod read;
mod refusal;
mod shape;

use std::{
    collections::HashMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use sha2::{Digest, Sha256};

use crate::{
    action::{Protocol, Request},
    answer::Answer,
    error::{Error, Result},
    venv,
};
use check::{Broken, Rule};
pub(crate) use document::Roles;
use shape::Operation;
pub(crate) use shape::Paging;

/// The variable with the file to which each checked request adds a line, for a count over many processes.
const LOG: &str = "PAYINFRA_LOCAL_CHECKED";

/// The models of one set of packages, shared by all emulated AWSs of this process.
#[derive(Debug)]
pub(crate) struct Models {
    python: PathBuf,
    /// The folder of the tables.
    folder: PathBuf,
    services: Mutex<HashMap<&'static str, Arc<Service>>>,
    log: Option<Mutex<fs::File>>,
}

/// A service's table, with the operations that were called.
#[derive(Debug)]
struct Service {
    /// The name of botocore's folder.
    name: &'static str,
    table: String,
    called: Mutex<HashMap<String, Option<Arc<Operation>>>>,
}

/// A request that the model refuses.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) answer: Answer,
    /// Members, constraints and values.
    pub(crate) message: String,
}

impl Models {
    /// The models in the packages of an interpreter.
    ///
    /// # Errors
    /// If the folder of the tables cannot be made.
    pub(crate) fn open(python: &Path) -> Result<Arc<Self>> {
        static OPEN: LazyLock<Mutex<HashMap<PathBuf, Arc<Models>>>> = LazyLock::new(Mutex::default);

        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(models) = open.get(python) {
            return Ok(Arc::clone(models));
        }
        let script = venv::file("python/models.py");
        let text = fs::read(&script).map_err(Error::file(&script))?;
        let digest = Sha256::digest(&text).iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        let packages = python.parent().and_then(Path::parent).unwrap_or(python);
        let folder = packages.join(format!("models-{digest:08x}"));
        fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        let log = match std::env::var_os(LOG).filter(|path| !path.is_empty()) {
            Some(path) => {
                let file = fs::File::options().create(true).append(true).open(&path).map_err(Error::file(path))?;
                Some(Mutex::new(file))
            }
            None => None,
        };
        let models = Self { python: python.to_owned(), folder, services: Mutex::default(), log };
        let models = Arc::new(models);
        open.insert(python.to_owned(), Arc::clone(&models));
        Ok(models)
    }

    /// Refuses a request that the model of its service doesn't allow.
    pub(crate) async fn refuse(self: &Arc<Self>, request: &Request, roles: &Roles) -> Option<Refused> {
        let service = self.service(folder(request)?).await?;
        let operation = service.operation(request)?;
        let found = broken(service.name, &operation, request, roles);
        self.count(service.name, &operation.name, !found.is_empty());
        if found.is_empty() {
            return None;
        }
        let message = refusal::message(&found);
        Some(Refused { answer: refusal::answer(request, &found, &message), message })
    }

    /// How the response to a request is paged; `None` if it is not.
    pub(crate) async fn paging(self: &Arc<Self>, request: &Request) -> Option<Paging> {
        self.service(folder(request)?).await?.operation(request)?.paging.clone()
    }

    /// The members of a request, by the model's names; `None` if the model has no such operation.
    pub(crate) async fn input(self: &Arc<Self>, request: &Request) -> Option<serde_json::Value> {
        let operation = self.service(folder(request)?).await?.operation(request)?;
        read::input(request, &operation).ok().map(|input| input.value)
    }

    /// The table of a service, which the first caller reads.
    async fn service(self: &Arc<Self>, name: &'static str) -> Option<Arc<Service>> {
        if let Some(service) = self.services.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Some(Arc::clone(service));
        }
        let models = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || models.read(name)).await;
        match read.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic())) {
            Ok(table) => {
                let service = Arc::new(Service { name, table, called: Mutex::default() });
                let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
                Some(Arc::clone(services.entry(name).or_insert(service)))
            }
            Err(error) => {
                tracing::error!("requests to {name} are not checked: {error}");
                None
            }
        }
    }

    fn read(&self, service: &str) -> Result<String> {
        let table = self.folder.join(service);
        if !table.exists() {
            let mut command = Command::new(&self.python);
            command.arg("-s").arg(venv::file("python/models.py")).arg(service).arg(&table);
            let output = command.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null()).output();
            let output = output.map_err(|error| Error::Install { step: "models.py", output: error.to_string() })?;
            if !output.status.success() {
                let output = String::from_utf8_lossy(&output.stderr).into_owned();
                return Err(Error::Install { step: "models.py", output });
            }
        }
        fs::read_to_string(&table).map_err(Error::file(table))
    }

    /// Counts a checked request; see [`LOG`].
    fn count(&self, service: &str, operation: &str, is_refused: bool) {
        if let Some(log) = &self.log {
            let line = format!("{service} {operation}{}\n", if is_refused { " refused" } else { "" });
            // One write, so that lines of several processes don't mix. A missing line only makes the count smaller.
            let _lost = log.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
        }
    }
}

/// What a request breaks.
fn broken(service: &str, operation: &Operation, request: &Request, roles: &Roles) -> Vec<Broken> {
    let input = match read::input(request, operation) {
        Ok(input) => input,
        Err(reason) => {
            let value = String::from_utf8_lossy(&request.body).into_owned();
            return vec![Broken {
                path: "body".to_owned(),
                value: format!("{reason}: {value}"),
                rule: Rule::Type("a document"),
            }];
        }
    };
    let unknown = input.unknown.into_iter();
    let mut found: Vec<Broken> =
        unknown.map(|path| Broken { path, value: String::new(), rule: Rule::Unknown }).collect();
    found.extend(check::broken(operation, &input.value));
    found.retain(|broken| !known::is_wrong(service, &operation.name, broken));
    found.extend(document::broken(service, &operation.name, &input.value));
    if service == "iam" && found.is_empty() {
        found.extend(roles.broken(&operation.name, &input.value));
    }
    found
}

impl Service {
    fn operation(&self, request: &Request) -> Option<Arc<Operation>> {
        let name = match request.protocol {
            // The record's names of REST operations are not always AWS's.
            Protocol::RestJson | Protocol::RestXml => self.named(request)?,
            _ => request.action.clone(),
        };
        let mut called = self.called.lock().unwrap_or_else(PoisonError::into_inner);
        let found = called.entry(name).or_insert_with_key(|name| {
            let starts = |line: &&str| line.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('\t'));
            self.table.lines().find(starts).and_then(Operation::parse).map(Arc::new)
        });
        found.clone()
    }

    /// The operation whose path a request has; the one with the most fixed parts if there are several.
    fn named(&self, request: &Request) -> Option<String> {
        let query = request.uri.query().unwrap_or_default();
        let has = |(name, value): (&str, &str)| {
            crate::route::query(query, name).is_some_and(|found| value.is_empty() || found == value)
        };
        let head = |line: &'_ str| -> Option<(usize, String)> {
            let mut parts = line.split('\t');
            let (name, method, path) = (parts.next()?, parts.next()?, parts.next()?);
            let matches = method == request.method.as_str()
                && path::literals(path).all(has)
                && path::parameters(path, request.uri.path()).is_some();
            let fixed = path.split(['/', '?', '&']).filter(|part| !part.starts_with('{')).count();
            matches.then(|| (fixed * 2 - usize::from(path.contains("+}")), name.to_owned()))
        };
        self.table.lines().filter_map(head).max_by_key(|(fixed, _)| *fixed).map(|(_, name)| name)
    }
}

/// botocore's folder for the service of a request.
fn folder(request: &Request) -> Option<&'static str> {
    let target = request.header("x-amz-target").unwrap_or_default();
    let service = request.scope.service.as_str();
    Some(match service {
        "apigateway" if request.uri.path().starts_with("/v2/") => "apigatewayv2",
        "dynamodb" if target.starts_with("DynamoDBStreams") => "dynamodbstreams",
        "elasticloadbalancing" => {
            if request.form("Version").is_some_and(|version| version.starts_with("2012")) {
                "elb"
            } else {
                "elbv2"
            }
        }
        _ => SERVICES.iter().find(|(signing, _)| *signing == service)?.1,
    })
}

/// The services whose requests are checked: those of the stacks, their functions and tests. Signing names with botocore's
/// folders.
const SERVICES: &[(&str, &str)] = &[
    ("acm", "acm"),
    ("apigateway", "apigateway"),
    ("application-autoscaling", "application-autoscaling"),
    ("cloudtrail", "cloudtrail"),
    ("dynamodb", "dynamodb"),
    ("ec2", "ec2"),
    ("ecr", "ecr"),
    ("ecs", "ecs"),
    ("events", "events"),
    ("iam", "iam"),
    ("kms", "kms"),
    ("lambda", "lambda"),
    ("logs", "logs"),
    ("monitoring", "cloudwatch"),
    ("rds", "rds"),
    ("route53", "route53"),
    ("s3", "s3"),
    ("scheduler", "scheduler"),
    ("secretsmanager", "secretsmanager"),
    ("servicequotas", "service-quotas"),
    ("sns", "sns"),
    ("sqs", "sqs"),
    ("ssm", "ssm"),
    ("states", "stepfunctions"),
    ("sts", "sts"),
    ("tagging", "resourcegroupstaggingapi"),
    ("wafv2", "wafv2"),
];

#[cfg(test)]
mod tests;
