//! The command line.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;

/// Answers export requests with the rows of SQL queries that are named in a file.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "sql-source", version)]
pub struct Arguments {
    /// Where the platform is.
    #[command(flatten)]
    pub platform: export_source::Arguments,
    /// The file of resources (TOML).
    #[arg(long, env = "RESOURCES", value_name = "FILE")]
    pub resources: PathBuf,
    /// The database, `postgres://USER:PASSWORD@HOST/DATABASE`, of a user that may read what the queries need and
    /// nothing else. Better in the environment or a file: others see a command line.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// File that holds the URL of the database.
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE", required_unless_present = "database_url")]
    pub database_url_file: Option<PathBuf>,
    /// How long a query may run, in seconds, with the time that the platform needs to take its rows.
    #[arg(long, env = "STATEMENT_TIMEOUT_SECONDS", value_name = "SECONDS", default_value_t = 3600)]
    pub statement_timeout: u64,
    /// Only look whether the database takes all queries.
    #[arg(long)]
    pub check: bool,
    /// Only write the rows of a resource to standard output, as the request in this file (the JSON of an event)
    /// would get them.
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    pub print: Option<PathBuf>,
}

impl Arguments {
    /// The URL of the database.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn database_url(&self) -> anyhow::Result<String> {
        match (&self.database_url, &self.database_url_file) {
            (Some(url), _) => Ok(url.clone()),
            (None, Some(file)) => Ok(std::fs::read_to_string(file)
                .with_context(|| format!("the file {}", file.display()))?
                .trim()
                .to_owned()),
            (None, None) => anyhow::bail!("the URL of the database is needed"),
        }
    }

    /// How long a query may run.
    pub fn statement_timeout(&self) -> Duration {
        Duration::from_secs(self.statement_timeout)
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
        assert!(Arguments::try_parse_from(["sql-source", "--resources", "r.toml"]).is_err());
        let url_in_file = ["sql-source", "--resources", "r.toml", "--database-url-file", "url", "--check"];
        assert!(Arguments::try_parse_from(url_in_file).is_ok_and(|arguments| arguments.check));
    }
}
