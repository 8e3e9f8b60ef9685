//! The integration of a method: what it invokes.

use std::collections::BTreeMap;

use aws_sdk_apigateway::types as sdk;
use payinfra_engine::{Ref, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a method invokes, and how requests and responses are mapped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Integration {
    /// The type.
    pub kind: IntegrationType,
    /// What is invoked: the `invoke_arn` of a function or alias, or a URL. None for [`IntegrationType::Mock`].
    pub uri: Option<Ref<String>>,
    /// The HTTP method with which it is invoked, `POST` for functions. None for [`IntegrationType::Mock`].
    pub http_method: Option<String>,
    /// The timeout in milliseconds, 50 to 29,000.
    pub timeout_millis: i32,
    /// Templates of the request by content type, such as `{"statusCode": 200}` for a mock.
    pub request_templates: BTreeMap<String, String>,
    /// Mappings of parameters: `integration.request.header.x` from `method.request.header.x`.
    pub request_parameters: BTreeMap<String, String>,
    /// The responses by status code; none for proxies, which return the response as it is.
    pub responses: BTreeMap<String, IntegrationResponse>,
}

/// The type of an integration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IntegrationType {
    /// A function that gets the whole request, and whose result is the response.
    AwsProxy,
    /// An HTTP endpoint that gets the whole request, and whose response is returned.
    HttpProxy,
    /// No invocation: the response is made from the templates, for CORS preflight requests.
    Mock,
    /// Another one, by AWS's name; only returned by reads.
    #[serde(untagged)]
    Other(String),
}

/// A response of an integration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IntegrationResponse {
    /// A pattern of errors or status codes that lead to this response; the default response if empty.
    pub selection_pattern: String,
    /// Values of parameters: `method.response.header.Access-Control-Allow-Origin` is `'*'`.
    pub parameters: BTreeMap<String, String>,
    /// Templates of the body by content type.
    pub templates: BTreeMap<String, String>,
}

impl IntegrationType {
    pub(super) fn sdk(&self) -> sdk::IntegrationType {
        match self {
            Self::AwsProxy => sdk::IntegrationType::AwsProxy,
            Self::HttpProxy => sdk::IntegrationType::HttpProxy,
            Self::Mock => sdk::IntegrationType::Mock,
            Self::Other(name) => sdk::IntegrationType::from(name.as_str()),
        }
    }

    fn from(kind: Option<sdk::IntegrationType>) -> Self {
        match kind {
            Some(sdk::IntegrationType::AwsProxy) => Self::AwsProxy,
            Some(sdk::IntegrationType::HttpProxy) => Self::HttpProxy,
            Some(sdk::IntegrationType::Mock) => Self::Mock,
            other => Self::Other(other.map(|kind| kind.as_str().to_owned()).unwrap_or_default()),
        }
    }
}

impl Integration {
    /// From API Gateway's form; a method whose creation was interrupted has none.
    pub(super) fn from(integration: Option<sdk::Integration>) -> Self {
        let integration = integration.unwrap_or_else(|| sdk::Integration::builder().build());
        let responses = integration.integration_responses.unwrap_or_default().into_iter();
        let kind = IntegrationType::from(integration.r#type);
        let invokes = kind != IntegrationType::Mock;
        Self {
            uri: integration.uri.filter(|uri| invokes && !uri.is_empty()).map(Ref::Known),
            http_method: integration.http_method.filter(|_| invokes),
            kind,
            timeout_millis: integration.timeout_in_millis,
            request_templates: integration.request_templates.unwrap_or_default().into_iter().collect(),
            request_parameters: integration.request_parameters.unwrap_or_default().into_iter().collect(),
            responses: responses.map(|(status, response)| (status, IntegrationResponse::from(response))).collect(),
        }
    }

    pub(super) fn known_uri(&self) -> Result<Option<String>> {
        Ok(self.uri.as_ref().map(Ref::known).transpose()?.cloned())
    }
}

impl IntegrationResponse {
    fn from(response: sdk::IntegrationResponse) -> Self {
        Self {
            selection_pattern: response.selection_pattern.unwrap_or_default(),
            parameters: response.response_parameters.unwrap_or_default().into_iter().collect(),
            templates: response.response_templates.unwrap_or_default().into_iter().collect(),
        }
    }
}
