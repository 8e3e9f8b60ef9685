//! What services make by themselves: log groups, and the network interfaces of functions.
//!
//! ECS developer guide: Container Insights (`/aws/ecs/containerinsights/CLUSTER/performance`); RDS user guide: Enhanced
//! Monitoring (`RDSOSMetrics`), Publishing database logs to CloudWatch Logs. Functions make theirs when they run, which
//! the emulator does.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use hyper::{
    Method, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use serde_json::{Value, json};

use crate::{action::Request, answer::Answer, route::Scope};

/// A resource: service, region, id.
type Owner = (&'static str, String, String);

/// The resources whose services make something.
#[derive(Debug, Default)]
pub(crate) struct Services {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The log groups to which services write for a resource, by the feature that writes.
    writers: BTreeMap<(Owner, &'static str), Vec<String>>,
    /// The interfaces of functions, by region and name.
    functions: BTreeMap<(String, String), Value>,
}

impl Services {
    pub(super) fn clear(&self) {
        *self.lock() = State::default();
    }

    /// The functions with interfaces.
    pub(super) fn functions(&self) -> Vec<Value> {
        self.lock().functions.values().cloned().collect()
    }

    /// Notes a successful call, and returns the log groups that services make after it.
    pub(super) fn note(&self, request: &Request, answer: &Answer) -> Vec<String> {
        let mut state = self.lock();
        let region = request.scope.region.as_str();
        let before = state.groups(region);
        match request.scope.service.as_str() {
            "ecs" => state.note_cluster(request),
            "rds" => state.note_database(request),
            "lambda" => state.note_function(request, answer),
            "logs" if request.action == "DeleteLogGroup" => {
                // A service that still writes makes it again.
                let deleted = request.json();
                let deleted = deleted.get("logGroupName").and_then(Value::as_str).unwrap_or_default();
                return before.into_iter().filter(|group| group == deleted).collect();
            }
            _ => {}
        }
        state.groups(region).into_iter().filter(|group| !before.contains(group)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The log groups to which services write in a region.
    fn groups(&self, region: &str) -> Vec<String> {
        let mut groups: Vec<_> = self
            .writers
            .iter()
            .filter(|(((_, of, _), _), _)| of == region)
            .flat_map(|(_, groups)| groups.clone())
            .collect();
        groups.sort();
        groups.dedup();
        groups
    }

    fn set(&mut self, owner: Owner, feature: &'static str, groups: Vec<String>) {
        if groups.is_empty() {
            self.writers.remove(&(owner, feature));
        } else {
            self.writers.insert((owner, feature), groups);
        }
    }

    fn note_cluster(&mut self, request: &Request) {
        let asked = request.json();
        let text = |member: &str| asked.get(member).and_then(Value::as_str);
        let named = text("clusterName").or_else(|| text("cluster")).unwrap_or("default");
        let name = named.rsplit('/').next().unwrap_or(named).to_owned();
        let owner = ("ecs", request.scope.region.clone(), name.clone());
        match request.action.as_str() {
            "DeleteCluster" => self.set(owner, "insights", Vec::new()),
            "CreateCluster" | "UpdateCluster" | "UpdateClusterSettings" => {
                let mut settings = asked.get("settings").and_then(Value::as_array).into_iter().flatten();
                let is_insights =
                    |setting: &&Value| setting.get("name").is_some_and(|name| name == "containerInsights");
                let Some(setting) = settings.find(is_insights) else { return };
                let is_on = setting.get("value").is_some_and(|value| value != "disabled");
                let group = format!("/aws/ecs/containerinsights/{name}/performance");
                self.set(owner, "insights", if is_on { vec![group] } else { Vec::new() });
            }
            _ => {}
        }
    }

    fn note_database(&mut self, request: &Request) {
        let is_instance = request.action.ends_with("DBInstance");
        let (kind, parameter) =
            if is_instance { ("instance", "DBInstanceIdentifier") } else { ("cluster", "DBClusterIdentifier") };
        let Some(id) = request.form(parameter) else { return };
        let owner = (if is_instance { "rds" } else { "rds cluster" }, request.scope.region.clone(), id.to_lowercase());
        match request.action.as_str() {
            "DeleteDBInstance" | "DeleteDBCluster" => {
                self.set(owner.clone(), "monitoring", Vec::new());
                self.set(owner, "exports", Vec::new());
            }
            "CreateDBInstance" | "CreateDBCluster" | "ModifyDBInstance" | "ModifyDBCluster" => {
                if let Some(interval) = request.form("MonitoringInterval") {
                    let groups = if interval == "0" { Vec::new() } else { vec!["RDSOSMetrics".to_owned()] };
                    self.set(owner.clone(), "monitoring", groups);
                }
                let parameters = request.parameters();
                let listed = |prefix: &str| {
                    let values = parameters.iter().filter(|(key, _)| key.starts_with(prefix));
                    values.map(|(_, log)| format!("/aws/rds/{kind}/{}/{log}", owner.2)).collect::<Vec<_>>()
                };
                let mut exports = self.writers.get(&(owner.clone(), "exports")).cloned().unwrap_or_default();
                exports.extend(listed("EnableCloudwatchLogsExports."));
                exports.extend(listed("CloudwatchLogsExportConfiguration.EnableLogTypes."));
                let disabled = listed("CloudwatchLogsExportConfiguration.DisableLogTypes.");
                exports.retain(|group| !disabled.contains(group));
                self.set(owner, "exports", exports);
            }
            _ => {}
        }
    }

    fn note_function(&mut self, request: &Request, answer: &Answer) {
        let region = request.scope.region.clone();
        match request.action.as_str() {
            "DeleteFunction" => {
                let name = request.uri.path().rsplit('/').next().unwrap_or_default();
                self.functions.remove(&(region, name.to_owned()));
            }
            "CreateFunction" | "UpdateFunctionConfiguration" => {
                let answered: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                let name = answered.get("FunctionName").and_then(Value::as_str).unwrap_or_default();
                let part =
                    |member: &str| answered.pointer(&format!("/VpcConfig/{member}")).cloned().unwrap_or(json!([]));
                let function = json!({
                    "region": region,
                    "name": name,
                    "subnets": part("SubnetIds"),
                    "groups": part("SecurityGroupIds"),
                });
                self.functions.insert((region, name.to_owned()), function);
            }
            _ => {}
        }
    }
}

/// The call with which a service makes a log group, in the region of another call; `None` for one without a signature.
pub(super) fn create_log_group(call: &Request, group: &str) -> Option<Request> {
    let mut headers = call.headers.clone();
    let signed = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let signed = signed.replace(&format!("/{}/aws4_request", call.scope.service), "/logs/aws4_request");
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&signed).ok()?);
    headers.insert("x-amz-target", HeaderValue::from_static("Logs_20140328.CreateLogGroup"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
    let scope = Scope { service: "logs".to_owned(), ..call.scope.clone() };
    let body = json!({ "logGroupName": group }).to_string();
    Some(Request::new(scope, Method::POST, Uri::from_static("/"), headers, Bytes::from(body)))
}
