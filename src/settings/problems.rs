//! The list of everything wrong with the settings, so that an operator mends them in one go.

use std::fmt;

/// One wrong setting: which variable, and what to do about it. Never contains a value that may be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Name of the variable as the README's table spells it.
    pub variable: String,
    /// What is wrong and what to write instead.
    pub sentence: String,
}

/// All problems found, in the order of the settings table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Notes a problem and goes on, so that the next one is found as well.
    pub fn add(&mut self, variable: &str, sentence: impl Into<String>) {
        self.0.push(Problem {
            variable: variable.to_owned(),
            sentence: sentence.into(),
        });
    }

    /// `Ok(value)` when nothing was wrong.
    ///
    /// # Errors
    /// The problems themselves.
    pub fn none_or<T>(self, value: T) -> Result<T, Problems> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }

    /// The problems one by one.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Portcullis cannot start with these settings:")?;
        for problem in &self.0 {
            writeln!(f, "  {} {}", problem.variable, problem.sentence)?;
        }
        write!(f, "The README's settings table explains each of them.")
    }
}

impl std::error::Error for Problems {}
