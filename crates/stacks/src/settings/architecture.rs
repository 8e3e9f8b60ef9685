//! The instruction set of a function's package.

use payinfra_aws::lambda;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An instruction set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "FunctionArchitecture")]
pub enum Architecture {
    /// Graviton.
    #[default]
    Arm64,
    /// Intel and AMD.
    #[serde(rename = "x86_64")]
    X86_64,
}

impl Architecture {
    /// For the function.
    pub(crate) fn of_function(self) -> lambda::Architecture {
        match self {
            Self::Arm64 => lambda::Architecture::Arm64,
            Self::X86_64 => lambda::Architecture::X86_64,
        }
    }
}
