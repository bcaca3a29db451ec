//! `keywatch serve`: the service.

use super::files::Files;
use super::say;
use crate::{app, config, logging};
use anyhow::Context;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Run the service: follow audit files, raise and deliver alerts, show the dashboard.
///
/// SIGHUP reads the rule files again; rules with a mistake change nothing. SIGTERM ends the
/// service after what is being stored and sent is finished.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    files: Files,
    /// The database file, instead of the configured one
    #[arg(long)]
    database: Option<PathBuf>,
    /// Where the dashboard listens, instead of the configured address
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// What is logged, instead of the configured level: info, debug, info,sqlx=debug …
    #[arg(long)]
    log: Option<String>,
    /// How log lines are written, instead of the configured format: text or json
    #[arg(long)]
    log_format: Option<String>,
}

impl Serve {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let layers = self
            .files
            .layers(&[])
            .and_flag("--database", "database", self.database.as_ref().map(|path| path.display()))
            .and_flag("--listen", "listen", self.listen)
            .and_flag("--log", "log.level", self.log)
            .and_flag("--log-format", "log.format", self.log_format);
        let config = config::load(&layers)?;
        logging::start(&config.log);
        config.notices.iter().for_each(|notice| tracing::warn!("{notice}"));
        let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
        runtime.block_on(async {
            let stop = app::ended_by_signal()?;
            let secrets = config.secrets.clone();
            secrets.require_all(&config.secrets_needed()).await?;
            let serving = app::run(config, stop, |running| {
                say(&format!("keywatch: dashboard on {}", running.base_url));
                say(&format!("keywatch: sign in once, within 15 minutes: {}", running.login_link));
            });
            let ended = tokio::select! {
                ended = serving => ended,
                never = secrets.tend() => match never {},
            };
            secrets.clear();
            ended
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
