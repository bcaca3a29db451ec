//! Wiring: store → pipeline → sources → delivery → dashboard, and teardown in reverse.

mod detection;
mod feed;
mod live;
mod receivers;
mod sources;
mod telling;

use crate::clock::{self, SystemClock};
use crate::config::Config;
use crate::pipeline::Pipeline;
use crate::{cli, rulebook};
use anyhow::Context;
use detection::{Limits, Shown};
use feed::Feed;
use keywatch_alerting::{Deliverer, Egress, OsRandom, Outbound, Wake, check_credentials};
use keywatch_aws::lookup::Pace;
use keywatch_dashboard::{Dashboard, Options};
use keywatch_event::EventTime;
use keywatch_ingest::provider::Normalizer;
use keywatch_store::Store;
use live::Surroundings;
use sources::Sources;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What a running service offers to whoever started it.
pub(crate) struct Running {
    /// Where the dashboard is reached.
    pub(crate) base_url: String,
    /// Signs in whoever opens it first.
    pub(crate) login_link: String,
}

/// Runs the service until `stop` is done; `started` hears of it when all parts stand.
///
/// # Errors
/// What could not be opened, or why it had to stop. Nothing committed is lost by stopping.
pub(crate) async fn run(
    config: Config,
    stop: impl Future<Output = ()>,
    started: impl FnOnce(&Running),
) -> anyhow::Result<()> {
    let book = rulebook::load(&config.supplied.rules)?.told(&config.supplied.surroundings());
    let rules = Arc::new(book.set);
    let (settings, shown) = (config.supplied.settings(), Shown::new(&rules));
    let limits = Limits::of(&settings);
    let outbound = Outbound { egress: Egress::new(config.egress.clone()), secrets: config.secrets.clone() };
    let missing = check_credentials(&config.receivers, &outbound).await;
    anyhow::ensure!(missing.is_empty(), "{}", joined(&missing));
    let store = Store::open(&config.database).await?;
    let policy = telling::policy(&config);
    let routing = Arc::new(telling::Timed(policy.plan.clone()));
    let mut pipeline = Pipeline::start(store.clone(), rules, settings, routing).await?;
    let surroundings = surroundings(&config, &store).await?;
    let mut sources = Sources::start(&config.sources, &config.live, &surroundings)?;
    let deliverer = Deliverer::new(
        store.clone(),
        &config.receivers,
        &outbound,
        Arc::new(SystemClock),
        Arc::new(OsRandom),
    )
    .map_err(|problems| anyhow::anyhow!("{}", joined(&problems)))?
    .with_policy(policy, &outbound)?;
    let wake = deliverer.wake();
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!(
            "cannot listen on {}; choose another address with --listen or end the program that has it",
            config.listen
        )
    })?;
    let base_url = format!("http://{}", listener.local_addr()?);
    let dashboard = dashboard(&config, &store, &shown, &sources, &wake);
    let (shut, shutting) = watch::channel(false);
    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let until = shutting.clone();
    tasks.spawn(async move { Ok(deliverer.run(until).await?) });
    let (router, until) = (dashboard.router(), shutting.clone());
    tasks.spawn(async move {
        keywatch_dashboard::serve(listener, router, stopped(until)).await;
        Ok(())
    });
    // Listened for before anybody is told that the service stands: unheard, SIGHUP would end it.
    let reload = signal(SignalKind::hangup())?;
    started(&Running { login_link: dashboard.login_link(&base_url)?, base_url });
    let feeding = Feed {
        pipeline: &mut pipeline,
        sources: &mut sources,
        wake: &wake,
        shown: &shown,
        limits,
        config: config.path,
        supplied: config.supplied,
        evicted: 0,
    };
    let fed = feeding.until(stop, reload).await;
    sources.stop().await;
    shut.send_replace(true);
    let ended = finish(tasks).await;
    store.close().await?;
    fed.and(ended)
}

/// What sources that are asked over the network share.
async fn surroundings(config: &Config, store: &Store) -> anyhow::Result<Surroundings> {
    Ok(Surroundings {
        secrets: config.secrets.clone(),
        positions: Arc::new(store.positions().await?),
        pace: Pace::default(),
    })
}

fn joined(problems: &[keywatch_alerting::Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn dashboard(config: &Config, store: &Store, shown: &Shown, sources: &Sources, wake: &Wake) -> Dashboard {
    let normalizer = Normalizer::new();
    let normalize = move |raw: &[u8], received_at: EventTime| {
        let event = normalizer.normalize(raw, received_at).ok()??;
        serde_json::to_string_pretty(&event).ok()
    };
    let outbound = Outbound { egress: Egress::new(config.egress.clone()), secrets: config.secrets.clone() };
    let options = Options {
        hosts: config.hosts.clone(),
        https: config.https,
        normalize: Arc::new(normalize),
        sources: sources.informant(),
        routing: Arc::new(telling::policy(config).plan),
        silences: telling::silences(&config.policy.gate.silences),
        receivers: Arc::new(receivers::Configured::new(&config.receivers, &outbound)),
        changed: {
            let wake = wake.clone();
            Arc::new(move || wake.wake())
        },
    };
    Dashboard::new(store.clone(), shown.informant(), Arc::new(clock::now), options)
}

async fn stopped(mut shutting: watch::Receiver<bool>) {
    let _gone = shutting.wait_for(|shut| *shut).await;
}

/// Waits for the parts to end; the delivery loop gives running sends their time.
async fn finish(mut tasks: JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    let all = async {
        let mut ended = Ok(());
        while let Some(task) = tasks.join_next().await {
            ended = ended.and(task.context("a part of the service panicked").and_then(|result| result));
        }
        ended
    };
    let limit = keywatch_alerting::STOP_TIMEOUT + Duration::from_secs(3);
    tokio::time::timeout(limit, all).await.unwrap_or(Ok(()))
}

/// Done when the program is asked to end: SIGINT or SIGTERM.
///
/// # Errors
/// When the signals cannot be listened for.
pub(crate) fn ended_by_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        cli::say("stopping; what is being stored and sent is finished first");
    })
}

/// Logs go to standard error; `KEYWATCH_LOG` sets what is logged (`info`, `keywatch=debug` …).
pub(crate) fn start_logging(usual: &str) {
    use tracing_subscriber::EnvFilter;
    let asked = crate::config::environment("KEYWATCH_LOG");
    let filter =
        EnvFilter::try_new(asked.as_deref().unwrap_or(usual)).unwrap_or_else(|_| EnvFilter::new("info"));
    let _already = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
