//! A secret in an environment variable: for development, because the environment is inherited by children, listed by
//! tools, and cannot be zeroed.

use secrecy::zeroize::Zeroizing;

use super::{Error, Secret, StoreContent, StoreProblem, without_line_break};

/// The environment that secrets are read from: the process's own, and perhaps one more variable. With it, `dev` needs neither
/// a file nor a change of the process's environment.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    development: Option<(String, Secret)>,
}

impl Environment {
    /// Returns the process's own environment.
    #[must_use]
    pub fn process() -> Self {
        Self::default()
    }

    /// Returns the process's own environment, except that the variable `name` holds `secret`.
    #[must_use]
    pub fn with_development(name: impl Into<String>, secret: Secret) -> Self {
        Self { development: Some((name.into(), secret)) }
    }

    fn read(&self, name: &str) -> Result<Secret, Error> {
        if let Some((_, secret)) = self.development.as_ref().filter(|(known, _)| known == name) {
            return Ok(secret.clone());
        }
        let error = |problem| Error { location: format!("environment variable {name}"), problem };
        let value = std::env::var_os(name).ok_or_else(|| error(StoreProblem::Unset))?;
        let bytes = Zeroizing::new(value.into_encoded_bytes());
        Secret::from_slice(without_line_break(&bytes)).map_err(|invalid| error(StoreProblem::Invalid(invalid)))
    }
}

/// The store of one variable, which does not change while the process runs.
#[derive(Debug)]
pub struct VariableStore {
    name: String,
    environment: Environment,
}

impl VariableStore {
    pub(super) fn new(name: &str, environment: &Environment) -> VariableStore {
        VariableStore { name: name.to_owned(), environment: environment.clone() }
    }

    pub(super) fn fetch(&self) -> Result<StoreContent, Error> {
        Ok(StoreContent { current: self.environment.read(&self.name)?, previous: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(environment: &Environment, name: &str) -> Result<Secret, Error> {
        VariableStore::new(name, environment).fetch().map(|content| content.current)
    }

    #[test]
    fn the_process_environment_is_read() {
        // Set by cargo for every test.
        assert_eq!(read(&Environment::process(), "CARGO_PKG_NAME").unwrap().expose(), b"asteroid-gateway");
    }

    #[test]
    fn an_unset_variable_is_named() {
        let error = read(&Environment::process(), "ASTEROID_GATEWAY_TEST_UNSET").unwrap_err();
        assert_eq!(error.problem, StoreProblem::Unset);
        assert_eq!(
            error.to_string(),
            "environment variable ASTEROID_GATEWAY_TEST_UNSET: is not set; set it to the API key"
        );
    }

    #[test]
    fn a_development_variable_overrides_that_of_the_process() {
        let environment = Environment::with_development("CARGO_PKG_NAME", Secret::new("sk-dev-0123456789").unwrap());
        assert_eq!(read(&environment, "CARGO_PKG_NAME").unwrap().expose(), b"sk-dev-0123456789");
        let path = std::env::var("PATH").unwrap();
        assert_eq!(read(&environment, "PATH").unwrap().expose(), path.as_bytes());
        assert!(!format!("{environment:?}").contains("sk-dev"));
    }
}
