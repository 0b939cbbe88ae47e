//! What an engine's containers run.

use std::{
    env::consts::{ARCH, OS},
    fmt,
};

use bollard::models::SystemVersion;

use super::{Engine, EngineError, Operation, Result};

/// An operating system and an architecture, in Docker's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    pub os: String,
    pub arch: String,
}

impl Platform {
    /// What this program was built for.
    #[must_use]
    pub fn of_this_program() -> Self {
        Self { os: docker_os(OS).into(), arch: docker_arch(ARCH).into() }
    }

    /// What an engine says that its containers run; if it does not, this program's architecture is assumed.
    pub(super) fn of(found: &SystemVersion) -> Self {
        let assumed = Self::linux();
        Self { os: found.os.clone().unwrap_or(assumed.os), arch: found.arch.clone().unwrap_or(assumed.arch) }
    }

    /// Linux containers of this program's architecture.
    #[must_use]
    pub fn linux() -> Self {
        Self { os: "linux".into(), ..Self::of_this_program() }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.arch)
    }
}

fn docker_os(os: &str) -> &str {
    if os == "macos" { "darwin" } else { os }
}

fn docker_arch(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

impl Engine {
    /// What the engine's containers run. An engine takes milliseconds to tell, so it is asked once.
    pub async fn platform(&self) -> Result<Platform> {
        if let Some(platform) = &self.platform {
            return Ok(platform.clone());
        }
        let version = self.docker.version().await;
        let version = version.map_err(|source| EngineError::new(Operation::Inspect, "engine", source))?;
        Ok(Platform::of(&version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_spelled_as_docker_spells_it() {
        let spelled = |os, arch| format!("{}/{}", docker_os(os), docker_arch(arch));
        assert_eq!(spelled("linux", "x86_64"), "linux/amd64");
        assert_eq!(spelled("macos", "aarch64"), "darwin/arm64");
        assert_eq!(spelled("linux", "s390x"), "linux/s390x");
    }
}
