//! How a command ends when it does not end well: 1 failed, 2 wrong usage; a reader that went away is no failure.
use std::fmt::Display;
use std::io;
use std::process::ExitCode;

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The flags do not fit together: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// It did not work: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// Whoever read stdout has seen enough (`esker consume ... | head`): exit code 0, not a word.
    #[error("stdout was closed")]
    Closed,
}

impl Failure {
    /// Exit code 1 with the error's own words.
    pub fn of(error: impl Display) -> Self {
        Self::Failed(error.to_string())
    }

    /// An error of writing to stdout.
    pub fn of_stdout(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(format!("cannot write to stdout: {error}")),
        }
    }

    /// Says it on stderr and gives the exit code.
    pub fn end(&self) -> ExitCode {
        match self {
            Self::Usage(text) => {
                eprintln!("esker: {text}");
                ExitCode::from(2)
            }
            Self::Failed(text) => {
                eprintln!("esker: {text}");
                ExitCode::FAILURE
            }
            Self::Closed => ExitCode::SUCCESS,
        }
    }
}
