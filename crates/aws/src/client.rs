//! Access to AWS: one client per service and region, and the context of calls.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_types::Blob;
use payinfra_engine::{Class, Error, Guard, IgnoredTags, Region, Result, Site};
use payinfra_sdk::is_local;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::dns;
use crate::limit::Limits;
use crate::package::{CodeSha256, Packages};
use crate::{Explain, Need};

/// The credentials to use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// A profile of the shared configuration files.
    pub profile: Option<String>,
    /// A role to assume with these credentials.
    pub role: Option<String>,
}

/// Access to one account: credentials, clients, limits.
#[derive(Clone, Debug)]
pub struct Access {
    config: SdkConfig,
    account: String,
    limits: Limits,
    packages: Packages,
    /// The DNS server to ask, whatever the configuration says.
    resolver: Option<SocketAddr>,
    ignored_tags: IgnoredTags,
    regions: Arc<Mutex<HashMap<Region, Arc<Clients>>>>,
}

/// The region of IAM and the other account-wide services.
const HOME: &str = "us-east-1";

/// The timeout for `GetCallerIdentity`.
const PATIENCE: Duration = Duration::from_secs(30);

impl Access {
    /// Signs in, and asks AWS for the account: the first call of every command.
    ///
    /// # Errors
    /// If there are no credentials, they are rejected, AWS cannot be reached, or `PAYINFRA_RESOLVER` is not valid.
    pub async fn open(identity: &Identity) -> Result<Self> {
        Self::open_in(identity, HOME).await
    }

    /// The same through the endpoint in `region`, for when [`Self::open`]'s, `us-east-1`, does not respond.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_in(identity: &Identity, region: &str) -> Result<Self> {
        let resolver = dns::by_environment()?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(aws_config::Region::new(region.to_owned()))
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().connect_timeout(Duration::from_secs(3)).build());
        if let Some(profile) = &identity.profile {
            defined(profile)?;
            // Not the default provider chain, in which credentials in the environment take precedence over the profile.
            let provider = ProfileFileCredentialsProvider::builder().profile_name(profile).build();
            loader = loader.profile_name(profile).credentials_provider(provider);
        }
        let mut config = loader.load().await;
        if let Some(role) = &identity.role {
            let provider = aws_config::sts::AssumeRoleProvider::builder(role)
                .configure(&config)
                .session_name("payinfra")
                .build_from_provider(config.credentials_provider().ok_or_else(no_credentials)?)
                .await;
            let provider = aws_credential_types::provider::SharedCredentialsProvider::new(provider);
            config = config.into_builder().credentials_provider(provider).build();
        }
        Ok(Self { resolver, ..Self::sign_in(config).await? })
    }

    async fn sign_in(mut config: SdkConfig) -> Result<Self> {
        let clock = Clock::default();
        let mut asked = caller(&config, &clock).await;
        if let Some(time) = clock.source() {
            config = config.into_builder().time_source(time).build();
            if asked.is_err() {
                asked = caller(&config, &clock).await;
            }
        }
        Ok(Self {
            config,
            account: asked?,
            limits: Limits::new(),
            packages: Packages::default(),
            resolver: None,
            ignored_tags: IgnoredTags::default(),
            regions: Arc::default(),
        })
    }

    /// Signs in to an emulated AWS: dummy credentials, no profile files, no metadata service, whatever the environment
    /// is.
    ///
    /// # Errors
    /// If it does not respond.
    pub async fn emulated(endpoint: &str) -> Result<Self> {
        Self::emulated_as(endpoint, "test").await
    }

    /// The same with this access key, by which the emulated AWS tells clients apart.
    ///
    /// # Errors
    /// As [`Self::emulated`].
    pub async fn emulated_as(endpoint: &str, access_key: &str) -> Result<Self> {
        let credentials = aws_credential_types::Credentials::from_keys(access_key, "test", None);
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(aws_config::Region::from_static(HOME))
            .endpoint_url(endpoint)
            .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::disabled())
            .build();
        Self::sign_in(config).await
    }

    /// The same, with this DNS server instead of those of the configuration and the system.
    #[must_use]
    pub fn with_resolver(self, resolver: SocketAddr) -> Self {
        Self { resolver: Some(resolver), ..self }
    }

    /// The account's id: twelve digits.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Whether all calls go to an emulated AWS on this machine.
    #[must_use]
    pub fn is_emulated(&self) -> bool {
        self.config.endpoint_url().is_some_and(is_local)
    }

    /// The account's alias, if it has one and the credentials may read it.
    pub async fn alias(&self) -> Option<String> {
        let conf = aws_sdk_iam::config::Builder::from(&self.config).retry_config(RetryConfig::standard()).build();
        let asked = aws_sdk_iam::Client::from_conf(conf).list_account_aliases().send();
        let answer = tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()?;
        answer.account_aliases.into_iter().next()
    }

    /// The SDK configuration for `region`, without the limits: for the state store.
    #[must_use]
    pub fn config(&self, region: &str) -> SdkConfig {
        self.config.clone().into_builder().region(aws_config::Region::new(region.to_owned())).build()
    }

    /// Provides the package of Lambda functions, a zip file, and returns its digest, by which their arguments name it.
    ///
    /// # Errors
    /// If it is larger than Lambda accepts.
    pub fn provide(&self, package: Vec<u8>) -> Result<CodeSha256> {
        self.packages.add(package)
    }

    /// The same access, which leaves tags of others alone.
    #[must_use]
    pub fn ignoring(self, ignored_tags: IgnoredTags) -> Self {
        Self { ignored_tags, ..self }
    }

    pub(crate) fn ignored_tags(&self) -> &IgnoredTags {
        &self.ignored_tags
    }

    pub(crate) fn guard(&self, guard: Guard) {
        self.limits.gate().set(guard);
    }

    fn clients(&self, region: &Region) -> Arc<Clients> {
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        let clients = regions.entry(region.clone()).or_insert_with(|| {
            let name = if region.as_str() == Region::GLOBAL { HOME } else { region.as_str() };
            Arc::new(Clients::new(self.config(name), self.limits.clone()))
        });
        Arc::clone(clients)
    }

    /// The context for calls in `region`.
    #[must_use]
    pub fn cx(&self, region: &Region) -> Cx {
        Cx { access: self.clone(), clients: self.clients(region), region: region.clone(), site: None }
    }
}

/// Checks that a shared configuration file defines `profile`.
fn defined(profile: &str) -> Result<()> {
    let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE")).map(PathBuf::from);
    let file = |variable: &str, name: &str| {
        let own = std::env::var_os(variable).map(PathBuf::from);
        own.or_else(|| home.as_ref().map(|home| home.join(".aws").join(name)))
    };
    let files = [file("AWS_CONFIG_FILE", "config"), file("AWS_SHARED_CREDENTIALS_FILE", "credentials")];
    let files: Vec<_> = files.into_iter().flatten().collect();
    let texts = files.iter().filter_map(|file| std::fs::read_to_string(file).ok());
    let names: BTreeSet<_> = texts.flat_map(|text| profiles(&text)).collect();
    if names.contains(profile) {
        return Ok(());
    }
    let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.into_iter().collect::<Vec<_>>().join(", ") };
    let message = format!("the AWS profile `{profile}` is not defined in {}", files.join(" or "));
    Err(Error::new(Class::Denied, message).hint(format!("correct `[aws] profile`; defined profiles: {names}")))
}

/// The profiles that a shared configuration file defines: `[profile a]`, in the credentials file `[a]`.
fn profiles(text: &str) -> Vec<String> {
    let headers = text.lines().filter_map(|line| line.trim().strip_prefix('[')?.split(']').next());
    let names = headers.filter(|name| !name.starts_with("sso-session ") && !name.starts_with("services "));
    names.map(|name| name.strip_prefix("profile ").unwrap_or(name).trim().to_owned()).collect()
}

async fn caller(config: &SdkConfig, clock: &Clock) -> Result<String> {
    let conf = aws_sdk_sts::config::Builder::from(config).retry_config(RetryConfig::standard());
    let conf = conf.interceptor(clock.clone()).build();
    let asked = aws_sdk_sts::Client::from_conf(conf).get_caller_identity().send();
    let asked = tokio::time::timeout(PATIENCE, asked)
        .await
        .map_err(|_| Error::new(Class::Denied, "AWS did not respond in time").call("sts:GetCallerIdentity"))?;
    match asked.explain() {
        Ok(answer) => answer.account.need("Account"),
        Err(error) if error.message().contains("credentials") => Err(no_credentials().source(error)),
        Err(error) => Err(error.hint("check the network, AWS_ENDPOINT_URL and the credentials")),
    }
}

fn no_credentials() -> Error {
    Error::new(Class::Denied, "no AWS credentials")
        .hint("set AWS_PROFILE, `[aws] profile` in payinfra.toml, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
}

/// The clients of one region, each created on first use, because building one is expensive and cloning it is cheap.
macro_rules! clients {
    ($($(#[$doc:meta])* $service:ident: $sdk:ident,)*) => {
        #[derive(Debug)]
        struct Clients {
            config: SdkConfig,
            limits: Limits,
            $($service: OnceLock<$sdk::Client>,)*
            s3: OnceLock<aws_sdk_s3::Client>,
        }

        impl Clients {
            fn new(config: SdkConfig, limits: Limits) -> Self {
                Self { config, limits, $($service: OnceLock::new(),)* s3: OnceLock::new() }
            }
        }

        impl Cx {
            $($(#[$doc])*
            #[must_use]
            pub fn $service(&self) -> &$sdk::Client {
                let Clients { config, limits, $service, .. } = &*self.clients;
                $service.get_or_init(|| $sdk::Client::new(&limits.config(config, stringify!($service))))
            })*
        }
    };
}

clients! {
    /// ACM in this region.
    acm: aws_sdk_acm,
    /// API Gateway, version 1, in this region.
    apigateway: aws_sdk_apigateway,
    /// API Gateway, version 2, in this region.
    apigatewayv2: aws_sdk_apigatewayv2,
    /// Application Auto Scaling in this region.
    application_autoscaling: aws_sdk_applicationautoscaling,
    /// CloudTrail in this region.
    cloudtrail: aws_sdk_cloudtrail,
    /// CloudWatch in this region.
    cloudwatch: aws_sdk_cloudwatch,
    /// DynamoDB in this region.
    dynamodb: aws_sdk_dynamodb,
    /// EC2 in this region.
    ec2: aws_sdk_ec2,
    /// ECS in this region.
    ecs: aws_sdk_ecs,
    /// Elastic Load Balancing in this region.
    elbv2: aws_sdk_elasticloadbalancingv2,
    /// EventBridge in this region.
    eventbridge: aws_sdk_eventbridge,
    /// IAM.
    iam: aws_sdk_iam,
    /// KMS in this region.
    kms: aws_sdk_kms,
    /// Lambda in this region.
    lambda: aws_sdk_lambda,
    /// CloudWatch Logs in this region.
    logs: aws_sdk_cloudwatchlogs,
    /// RDS in this region.
    rds: aws_sdk_rds,
    /// Route 53.
    route53: aws_sdk_route53,
    /// Secrets Manager in this region.
    secretsmanager: aws_sdk_secretsmanager,
    /// Service Quotas in this region.
    servicequotas: aws_sdk_servicequotas,
    /// SNS in this region.
    sns: aws_sdk_sns,
    /// Systems Manager in this region.
    ssm: aws_sdk_ssm,
    /// WAF in this region.
    wafv2: aws_sdk_wafv2,
}

/// The context of a call: the clients of its region, and the token of its resource.
#[derive(Clone, Debug)]
pub struct Cx {
    access: Access,
    clients: Arc<Clients>,
    region: Region,
    site: Option<Site>,
}

impl Cx {
    /// The same region, for the resource at `site`.
    #[must_use]
    pub fn at(mut self, site: &Site) -> Self {
        self.site = Some(site.clone());
        self
    }

    /// The same context in another region, for kinds that span two regions.
    #[must_use]
    pub fn in_region(&self, region: &Region) -> Self {
        Self { clients: self.access.clients(region), region: region.clone(), ..self.clone() }
    }

    /// The region of the resource.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The account's id.
    #[must_use]
    pub fn account(&self) -> &str {
        self.access.account()
    }

    /// The DNS server to ask, whatever the configuration says.
    pub(crate) fn resolver(&self) -> Option<SocketAddr> {
        self.access.resolver
    }

    /// The tags that belong to others. [`Aws`](crate::Aws) removes them from what a kind reads as its `tags`; a kind that reads
    /// others, or writes all tags at once, does it itself.
    pub(crate) fn ignored_tags(&self) -> &IgnoredTags {
        self.access.ignored_tags()
    }

    /// The content of the package with this digest.
    pub(crate) fn package(&self, digest: &CodeSha256) -> Result<Blob> {
        self.access.packages.get(digest)
    }

    /// The idempotency token of this generation of the resource: the same for every attempt to create it.
    ///
    /// # Errors
    /// Outside of `create` and `recover`.
    pub fn token(&self) -> Result<&str> {
        self.site
            .as_ref()
            .map(|site| site.token.as_str())
            .ok_or_else(|| Error::failed("an idempotency token is available only during a create"))
    }

    /// Whether `id` is an earlier generation of the resource, which `recover` must not return.
    #[must_use]
    pub fn is_known(&self, id: &str) -> bool {
        self.site.as_ref().is_some_and(|site| site.known.has(id))
    }

    /// Whether an earlier create of this resource may have succeeded. Only then can a resource without tags, or with
    /// tags that are not visible yet, be ours.
    #[must_use]
    pub fn begun(&self) -> bool {
        self.site.as_ref().is_some_and(|site| site.begun)
    }

    /// Whether a delete takes a final snapshot.
    #[must_use]
    pub fn final_snapshot(&self) -> bool {
        self.site.as_ref().is_some_and(|site| site.final_snapshot)
    }

    /// S3 in this region. Emulators do not support virtual-hosted buckets, so a custom endpoint uses path-style
    /// addressing.
    #[must_use]
    pub fn s3(&self) -> &aws_sdk_s3::Client {
        let clients = &self.clients;
        clients.s3.get_or_init(|| {
            let config = clients.limits.config(&clients.config, "s3");
            let own = config.endpoint_url().is_some();
            aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(own).build())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_profiles_of_both_files() {
        let text = "[default]\nregion = eu-west-1\n[profile bank]\n[sso-session bank]\n[ops]\n# [profile none]\n";
        assert_eq!(profiles(text), ["default", "bank", "ops"]);
    }
}
