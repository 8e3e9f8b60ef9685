//! Errors, and their classes, which decide about retries.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::mask::without;

/// The result type of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The class of a failure. The engine decides by it alone whether to retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// The resource does not exist, or is not visible yet.
    NotFound,
    /// Something prevents the call for now: a dependent that is still being deleted, a change in progress.
    Conflict,
    /// A recent change, such as a new role, has not propagated yet.
    Eventual,
    /// Throttled; the same call succeeds later.
    Throttled,
    /// It is unknown whether the call took effect: a timeout, a connection reset, an HTTP 5xx.
    Ambiguous,
    /// A resource with this name exists, and it is not ours.
    Foreign,
    /// A quota of the account is exhausted; a retry does not help.
    Quota,
    /// The credentials are missing or lack a permission.
    Denied,
    /// The credentials have expired. The request had no effect; new credentials may become available at any time.
    Expired,
    /// The input is invalid.
    Invalid,
    /// Another process holds the lock, or the lease was lost.
    Locked,
    /// A plan or state is older than what is stored.
    Stale,
    /// Cancelled by the user.
    Cancelled,
    /// Any other failure; final.
    Failed,
}

/// A failure: its class, what happened, where, and what to do next.
#[derive(Clone, Debug)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    class: Class,
    message: String,
    call: Option<String>,
    code: Option<String>,
    request_id: Option<String>,
    hint: Option<String>,
    taken: Option<String>,
    after: Option<Duration>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `class`.
    #[must_use]
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            class,
            message: message.into(),
            call: None,
            code: None,
            request_id: None,
            hint: None,
            taken: None,
            after: None,
            source: None,
        }))
    }

    /// An error of class [`Class::Invalid`].
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Class::Invalid, message)
    }

    /// An error of class [`Class::Failed`].
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Class::Failed, message)
    }

    /// Adds the API call that failed, such as `ec2:CreateSubnet`.
    #[must_use]
    pub fn call(mut self, call: impl Into<String>) -> Self {
        self.0.call = Some(call.into());
        self
    }

    /// Adds AWS's error code.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Adds AWS's request id.
    #[must_use]
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.0.request_id = Some(id.into());
        self
    }

    /// Adds a hint: what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the id of the existing resource with the same name, so that it can be imported.
    #[must_use]
    pub fn taken(mut self, id: impl Into<String>) -> Self {
        self.0.taken = Some(id.into());
        self
    }

    /// Adds the time after which AWS asks to retry.
    #[must_use]
    pub fn after(mut self, after: Duration) -> Self {
        self.0.after = Some(after);
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// The same error with `secrets` removed from all of its texts.
    #[must_use]
    pub fn without(mut self, secrets: &[String]) -> Self {
        if secrets.is_empty() {
            return self;
        }
        let inner = &mut self.0;
        inner.message = without(&inner.message, secrets);
        for text in [&mut inner.call, &mut inner.code, &mut inner.hint, &mut inner.taken].into_iter().flatten() {
            *text = without(text, secrets);
        }
        // The cause may contain secrets as well, so keep only its redacted text.
        let mut cause = inner.source.as_deref().map(|source| source as &dyn std::error::Error);
        let mut causes = Vec::new();
        while let Some(error) = cause {
            causes.push(without(&error.to_string(), secrets));
            cause = error.source();
        }
        if causes.is_empty() { self } else { self.source(causes.join(": ")) }
    }

    /// The same error with a place before its message: `PLACE: MESSAGE`.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.0.message = format!("{place}: {}", self.0.message);
        self
    }

    /// The same error with another class.
    #[must_use]
    pub fn into_class(mut self, class: Class) -> Self {
        self.0.class = class;
        self
    }

    /// The class of the failure.
    #[must_use]
    pub fn class(&self) -> Class {
        self.0.class
    }

    /// The message, without the call and the hint.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The API call that failed.
    #[must_use]
    pub fn get_call(&self) -> Option<&str> {
        self.0.call.as_deref()
    }

    /// AWS's error code.
    #[must_use]
    pub fn get_code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// AWS's request id.
    #[must_use]
    pub fn get_request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// What to do next.
    #[must_use]
    pub fn get_hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The id of the existing resource with the same name.
    #[must_use]
    pub fn get_taken(&self) -> Option<&str> {
        self.0.taken.as_deref()
    }

    /// The time after which AWS asks to retry.
    #[must_use]
    pub fn get_after(&self) -> Option<Duration> {
        self.0.after
    }

    /// Whether the error has this class.
    #[must_use]
    pub fn is(&self, class: Class) -> bool {
        self.0.class == class
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(call) = &self.0.call {
            write!(f, "{call}: ")?;
        }
        if let Some(code) = &self.0.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(&self.0.message)?;
        if let Some(id) = &self.0.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
