//! What can go wrong, and what the engine may do about it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::secret::without;

/// The result of everything in the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is; the engine decides by this alone whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// The thing does not exist (or is not yet visible).
    NotFound,
    /// Something else is in the way for now: a dependant that still goes, a change in progress.
    Conflict,
    /// Something made a moment ago, such as a role, is not yet known everywhere.
    Eventual,
    /// Too many calls; the same call works later.
    Throttled,
    /// Nobody knows whether the call took effect: a time-out, a reset, an HTTP 5xx.
    Ambiguous,
    /// The name is taken, and not by us.
    Foreign,
    /// A quota of the account is used up; trying again does not help.
    Quota,
    /// The credentials may not do this, or are missing.
    Denied,
    /// The credentials have expired. The request had no effect; fresh ones may be provided at any moment.
    Expired,
    /// The caller's input is wrong.
    Invalid,
    /// Somebody else holds the lock, or the lease was lost.
    Locked,
    /// A plan or a state is older than what is stored.
    Stale,
    /// Ctrl-C.
    Cancelled,
    /// Anything else; final.
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
    /// A failure of `class`.
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

    /// Wrong input.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Class::Invalid, message)
    }

    /// A final failure.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Class::Failed, message)
    }

    /// With the API call that failed, such as `ec2:CreateSubnet`.
    #[must_use]
    pub fn call(mut self, call: impl Into<String>) -> Self {
        self.0.call = Some(call.into());
        self
    }

    /// With AWS's error code.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// With AWS's request id.
    #[must_use]
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.0.request_id = Some(id.into());
        self
    }

    /// With the next step for the reader.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// With the id of what has the place of ours, so that it can be imported.
    #[must_use]
    pub fn taken(mut self, id: impl Into<String>) -> Self {
        self.0.taken = Some(id.into());
        self
    }

    /// With the time after which AWS said to come again.
    #[must_use]
    pub fn after(mut self, after: Duration) -> Self {
        self.0.after = Some(after);
        self
    }

    /// With the failure underneath.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// The same failure without `secrets` in anything that it says.
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
        // What is underneath tells all that it knows, so that only its text is kept.
        let mut cause = inner.source.as_deref().map(|source| source as &dyn std::error::Error);
        let mut causes = Vec::new();
        while let Some(error) = cause {
            causes.push(without(&error.to_string(), secrets));
            cause = error.source();
        }
        if causes.is_empty() { self } else { self.source(causes.join(": ")) }
    }

    /// The same failure with the place where it happened in front of its message: `PLACE: MESSAGE`.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.0.message = format!("{place}: {}", self.0.message);
        self
    }

    /// The same failure in another class.
    #[must_use]
    pub fn into_class(mut self, class: Class) -> Self {
        self.0.class = class;
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn class(&self) -> Class {
        self.0.class
    }

    /// What happened, without the call and the hint.
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

    /// What the reader can do about it.
    #[must_use]
    pub fn get_hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The id of what has the place of ours.
    #[must_use]
    pub fn get_taken(&self) -> Option<&str> {
        self.0.taken.as_deref()
    }

    /// When AWS said to come again.
    #[must_use]
    pub fn get_after(&self) -> Option<Duration> {
        self.0.after
    }

    /// Whether it is of this class.
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
