//! The API description in the OpenAPI format, generated from the limits and routes in the code.

use payment_core::{Currency, FIELDS, LONGEST_DESCRIPTION, LONGEST_ID, LONGEST_WHOLE};
use serde_json::{Map, Value, json};

use crate::routes::{BODY, MOST_REFUSALS, ROUTES, Route};

/// The document, which is committed as `lambda/openapi.json`.
#[must_use]
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in &ROUTES {
        let operations = paths.entry(route.path).or_insert_with(|| json!({}));
        operations[route.method.to_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Payment service",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Idempotent payments, each with an audit record. Amounts are decimal numbers.",
            "license": { "name": "Apache-2.0" },
        },
        "paths": paths,
        "components": { "schemas": schemas(), "securitySchemes": {
            "key": { "type": "apiKey", "in": "header", "name": "x-api-key" },
        } },
    })
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({ "operationId": route.name, "summary": route.summary, "responses": responses(route) });
    let parameters: Vec<Value> = route.parameters().collect();
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if route.keyed() {
        operation["security"] = json!([{ "key": [] }]);
    }
    if route.method == "POST" {
        operation["requestBody"] = json!({
            "required": true,
            "description": format!("The maximum size is {BODY} bytes."),
            "content": { "application/json": { "schema": schema("Request") } },
        });
    }
    operation
}

fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    for status in route.statuses.iter().chain(&MOST_REFUSALS) {
        let shown = if *status == 200 || (*status == 503 && !route.keyed()) { route.shows } else { "Error" };
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
    responses.into()
}

fn description(status: u16) -> &'static str {
    match status {
        200 => "Success; a repeat of a request gets the same response.",
        400 => "The request is invalid: `error` has the reason, `field` the field.",
        401 => "The API key is missing or invalid.",
        404 => "The payment does not exist.",
        405 => "The path does not support this method.",
        408 => "The body was not received in time.",
        409 => "A different payment with this `transactionId` exists.",
        413 => "The body is too large.",
        429 => "Too many connections from this address.",
        500 => "Internal error; the request can be retried.",
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
