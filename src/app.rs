//! Wiring: store → pipeline → sources → delivery → dashboard, and teardown in reverse.

mod delivery;
mod detection;
mod feed;
mod live;
mod receivers;
mod sources;
mod telling;

use crate::clock;
use crate::config::Config;
use crate::config::section::{Log, LogFormat};
use crate::metrics::Figures;
use crate::pipeline::Pipeline;
use crate::{cli, rulebook};
use anyhow::Context;
use delivery::{Delivery, Desk};
use detection::{Limits, Shown};
use feed::Feed;
use keywatch_alerting::{Egress, Outbound, check_credentials};
use keywatch_aws::lookup::Pace;
use keywatch_dashboard::{Dashboard, Options};
use keywatch_event::EventTime;
use keywatch_ingest::provider::Normalizer;
use keywatch_store::Store;
use live::Surroundings;
use sources::{Configured, Sources};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
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
    let mut delivery = Delivery::start(store.clone(), &config, &outbound)?;
    let desk = Arc::new(delivery.desk());
    let mut pipeline = Pipeline::start(store.clone(), rules, settings, desk).await?;
    let surroundings = surroundings(&config, &store).await?;
    let mut sources = Sources::start(Configured::all(&config.sources, &config.live), &surroundings);
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!(
            "cannot listen on {}; choose another address with --listen or end the program that has it",
            config.listen
        )
    })?;
    let base_url = format!("http://{}", listener.local_addr()?);
    let figures = Figures::start(store.clone(), shown.informant(), sources.informant()).await?;
    let (ask, asked) = mpsc::channel(1);
    let parts =
        Parts { store: &store, shown: &shown, sources: &sources, figures: &figures, desk: delivery.desk() };
    let dashboard = dashboard(&config, parts, ask);
    let (shut, shutting) = watch::channel(false);
    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    watch_from_outside(&config, (&store, &shown), dashboard.probes(), &shutting, &mut tasks).await?;
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
        store: store.clone(),
        sources: &mut sources,
        surroundings,
        desk: delivery.desk(),
        delivery: &mut delivery,
        asked,
        shown: &shown,
        figures: &figures,
        limits,
        config,
        evicted: 0,
    };
    let fed = Box::pin(feeding.until(stop, reload)).await;
    sources.stop().await;
    shut.send_replace(true);
    tasks.spawn(delivery.finish());
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
        logging_pace: keywatch_gcp::logging::Pace::default(),
    })
}

/// Lets others watch: probes at an address of their own, and figures sent to CloudWatch.
async fn watch_from_outside(
    config: &Config,
    (store, shown): (&Store, &Shown),
    probes: axum::Router,
    shutting: &watch::Receiver<bool>,
    tasks: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    if let Some(at) = config.metrics_listen {
        answer_probes(at, probes, shutting.clone(), tasks).await?;
    }
    if let Some(section) = &config.cloudwatch {
        let publisher = crate::cloudwatch::publisher(section, store, &shown.names()).await?;
        let until = shutting.clone();
        tasks.spawn(async move {
            publisher.run(until).await;
            Ok(())
        });
    }
    Ok(())
}

/// Answers probes at an address of their own.
async fn answer_probes(
    at: SocketAddr,
    probes: axum::Router,
    shutting: watch::Receiver<bool>,
    tasks: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(at).await;
    let listener =
        listener.with_context(|| format!("cannot listen on {at}; choose another `metrics.listen`"))?;
    tasks.spawn(async move {
        keywatch_dashboard::serve(listener, probes, stopped(shutting)).await;
        Ok(())
    });
    Ok(())
}

fn joined(problems: &[keywatch_alerting::Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What the dashboard shows.
struct Parts<'p> {
    store: &'p Store,
    shown: &'p Shown,
    sources: &'p Sources,
    figures: &'p Figures,
    desk: Desk,
}

fn dashboard(config: &Config, parts: Parts<'_>, ask: mpsc::Sender<oneshot::Sender<()>>) -> Dashboard {
    let Parts { store, shown, sources, figures, desk } = parts;
    let figures = figures.clone();
    let normalizer = Normalizer::new();
    let normalize = move |raw: &[u8], received_at: EventTime| {
        let event = normalizer.normalize(raw, received_at).ok()??;
        serde_json::to_string_pretty(&event).ok()
    };
    let options = Options {
        hosts: config.hosts.clone(),
        https: config.https,
        normalize: Arc::new(normalize),
        sources: sources.informant(),
        reload: Arc::new(move || Box::pin(reload(ask.clone()))),
        metrics: Arc::new(move || {
            let figures = figures.clone();
            Box::pin(async move { figures.text().await })
        }),
        routing: Arc::new(desk.clone()),
        receivers: Arc::new(desk.clone()),
        silences: {
            let desk = desk.clone();
            Arc::new(move || desk.silences())
        },
        changed: Arc::new(move || desk.wake()),
    };
    Dashboard::new(store.clone(), shown.informant(), Arc::new(clock::now), options)
}

/// Has the configuration read again, and waits until that was tried.
async fn reload(ask: mpsc::Sender<oneshot::Sender<()>>) {
    let (answer, answered) = oneshot::channel();
    // A service that is ending answers nobody.
    if ask.send(answer).await.is_ok() {
        let _ending = answered.await;
    }
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

/// A level alone is that of Keywatch's own parts. Libraries stay at `warn` unless they are named:
/// at `trace` some of them write what they send, credentials included.
fn directives(asked: &str) -> String {
    let is_level = asked.parse::<tracing::Level>().is_ok() || asked == "off";
    if is_level { format!("warn,keywatch={asked}") } else { asked.to_owned() }
}

/// Logs go to standard error. `log` says what and how; `KEYWATCH_LOG` (`info`, `keywatch=debug` …)
/// beats its level, and what cannot be read counts as `info`.
///
/// Control characters of what is logged are escaped in both formats, so no message becomes two lines.
pub(crate) fn start_logging(log: &Log) {
    use tracing_subscriber::EnvFilter;
    let asked = crate::config::environment("KEYWATCH_LOG").unwrap_or_else(|| log.level.clone());
    let filter =
        EnvFilter::try_new(directives(&asked)).unwrap_or_else(|_| EnvFilter::new("warn,keywatch=info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _already = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_ansi(false).try_init(),
    };
}
