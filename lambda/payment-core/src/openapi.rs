//! API descriptions in the OpenAPI format, generated from the limits of the core and the routes of an API.

use serde_json::{Map, Value, json};

use crate::amount::{Currency, LONGEST_WHOLE};
use crate::payment::{FIELDS, LONGEST_BODY, LONGEST_DESCRIPTION, LONGEST_ID};

/// An API: what is described beside the payments themselves.
#[derive(Clone, Copy, Debug)]
pub struct Api {
    /// The title.
    pub title: &'static str,
    /// The routes.
    pub routes: &'static [Route],
    /// The statuses that every route may have.
    pub refusals: &'static [u16],
    /// The statuses that API Gateway itself returns, without the id of the request.
    pub gateway: &'static [u16],
}

/// A route and its responses.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The method.
    pub method: &'static str,
    /// The path, whose parameter in braces is a payment's id.
    pub path: &'static str,
    /// The id of the operation.
    pub name: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Query parameters without a value.
    pub flags: &'static [&'static str],
    /// Whether it requires an API key.
    pub keyed: bool,
    /// The schema of a successful response.
    pub shows: &'static str,
    /// The statuses whose response has that schema.
    pub showing: &'static [u16],
    /// The other statuses.
    pub statuses: &'static [u16],
}

impl Api {
    /// The document.
    #[must_use]
    pub fn document(&self) -> Value {
        let mut paths = Map::new();
        for route in self.routes {
            let operations = paths.entry(route.path).or_insert_with(|| json!({}));
            operations[route.method.to_lowercase()] = self.operation(route);
        }
        let mut schemas = schemas();
        if let (false, Some(schemas)) = (self.routes.iter().any(|it| it.shows == "Health"), schemas.as_object_mut()) {
            schemas.remove("Health");
        }
        json!({
            "openapi": "3.0.3",
            "info": {
                "title": self.title,
                "version": env!("CARGO_PKG_VERSION"),
                "description": "Idempotent payments, each with an audit record. Amounts are decimal numbers.",
                "license": { "name": "Apache-2.0" },
            },
            "paths": paths,
            "components": { "schemas": schemas, "securitySchemes": {
                "key": { "type": "apiKey", "in": "header", "name": "x-api-key" },
            } },
        })
    }

    fn operation(&self, route: &Route) -> Value {
        let responses = self.responses(route);
        let mut operation = json!({ "operationId": route.name, "summary": route.summary, "responses": responses });
        let parameters: Vec<Value> = route.parameters().collect();
        if !parameters.is_empty() {
            operation["parameters"] = parameters.into();
        }
        if route.keyed {
            operation["security"] = json!([{ "key": [] }]);
        }
        if route.method == "POST" {
            operation["requestBody"] = json!({
                "required": true,
                "description": format!("The maximum size is {LONGEST_BODY} bytes."),
                "content": { "application/json": { "schema": schema("Request") } },
            });
        }
        operation
    }

    fn responses(&self, route: &Route) -> Value {
        let mut responses = Map::new();
        for status in route.showing.iter().chain(route.statuses).chain(self.refusals) {
            let shown = if route.showing.contains(status) { route.shows } else { "Error" };
            let mut headers = json!({ "x-correlation-id": { "schema": { "type": "string" } } });
            if matches!(status, 429 | 503) {
                headers["retry-after"] = json!({ "schema": { "type": "integer" } });
            }
            let response = json!({
                "description": description(*status),
                "headers": headers,
                "content": { "application/json": { "schema": schema(shown) } },
            });
            responses.insert(status.to_string(), response);
        }
        for status in self.gateway {
            let response = json!({
                "description": description(*status),
                "content": { "application/json": { "schema": schema("Error") } },
            });
            responses.insert(status.to_string(), response);
        }
        responses.into()
    }
}

impl Route {
    fn parameters(&self) -> impl Iterator<Item = Value> {
        let id = self.path.split_once('{').and_then(|(_, rest)| rest.strip_suffix('}')).map(|name| {
            let schema = json!({ "type": "string", "minLength": 1, "maxLength": LONGEST_ID });
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        });
        let flags = self.flags.iter().map(|name| {
            json!({ "name": name, "in": "query", "allowEmptyValue": true, "schema": { "type": "string", "maxLength": 0 } })
        });
        id.into_iter().chain(flags)
    }
}

fn description(status: u16) -> &'static str {
    match status {
        200 => "Success; a repeat of a request gets the same response.",
        400 => "The request is invalid: `error` has the reason, `field` the field.",
        401 => "The API key is missing or invalid.",
        403 => "API Gateway: the API key is missing or invalid.",
        404 => "The payment does not exist.",
        405 => "The path does not support this method.",
        408 => "The body was not received in time.",
        409 => "A different payment with this `transactionId` exists.",
        413 => "The body is too large.",
        429 => "Too many requests or connections.",
        500 => "Internal error; the request can be retried.",
        502 => "API Gateway: the function failed; the request can be retried.",
        504 => "API Gateway: the function did not respond in time; the request can be retried.",
        _ => "Temporarily unavailable; the request can be retried.",
    }
}

fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// All currency codes, sorted.
fn currencies() -> Vec<String> {
    let letters = || 'A'..='Z';
    let codes = letters().flat_map(|first| {
        letters().flat_map(move |second| letters().map(move |third| String::from_iter([first, second, third])))
    });
    codes.filter(|code| Currency::parse(code).is_ok()).collect()
}

fn schemas() -> Value {
    let id = json!({
        "type": "string", "minLength": 1, "maxLength": LONGEST_ID, "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$",
    });
    let currency = json!({ "type": "string", "enum": currencies(), "description": "An ISO 4217 code." });
    let amount = json!({ "type": "string", "pattern": format!("^(0|[1-9][0-9]{{0,{}}})([.][0-9]{{1,4}})?$", LONGEST_WHOLE - 1) });
    let description = json!({ "type": "string", "maxLength": LONGEST_DESCRIPTION });
    let mut request = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["transactionId", "customerId", "amount"],
        "properties": {},
    });
    for field in FIELDS {
        request["properties"][field] = match field {
            "amount" => json!({ "oneOf": [amount, { "type": "number", "minimum": 0, "exclusiveMinimum": true }] }),
            "currency" => currency.clone(),
            "description" => description.clone(),
            _ => id.clone(),
        };
    }
    json!({
        "Request": request,
        "Payment": {
            "type": "object",
            "additionalProperties": false,
            "required": ["acceptedAt", "amount", "currency", "customerId", "status", "transactionId"],
            "properties": {
                "acceptedAt": { "type": "string", "format": "date-time" },
                "amount": amount,
                "currency": currency,
                "customerId": id,
                "description": description,
                "status": { "type": "string", "enum": ["accepted", "pending"] },
                "transactionId": id,
            },
        },
        "Health": {
            "type": "object",
            "required": ["phase", "region", "status"],
            "properties": {
                "phase": { "type": "string" }, "region": { "type": "string" }, "status": { "type": "string" },
            },
        },
        "Error": {
            "type": "object",
            "additionalProperties": false,
            "required": ["error"],
            "properties": {
                "error": { "type": "string" },
                "field": { "type": "string", "nullable": true },
                "transactionId": id,
            },
        },
    })
}
