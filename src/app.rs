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
use crate::metrics::Figures;
use crate::pipeline::Pipeline;
use crate::watch::{Watch, standing};
use crate::{cli, rulebook};
use anyhow::Context;
use delivery::{Delivery, Desk};
use detection::{Limits, Shown};
use feed::{Feed, Held};
use keywatch_alerting::{Egress, Outbound, check_credentials};
use keywatch_aws::lookup::Pace;
use keywatch_dashboard::{CredentialInfo, Credentials, Dashboard, Options};
use keywatch_event::EventTime;
use keywatch_ingest::provider::Normalizer;
use keywatch_rules::RuleSet;
use keywatch_secrets::SecretManager;
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
    let book = rulebook::in_force(&config.supplied)?;
    let rules = Arc::new(book.set);
    let (settings, shown) = (config.supplied.settings(), Shown::new(&rules));
    let limits = Limits::of(&settings);
    let outbound = Outbound { egress: Egress::new(config.egress.clone()), secrets: config.secrets.clone() };
    let missing = check_credentials(&config.receivers, &outbound).await;
    anyhow::ensure!(missing.is_empty(), "{}", joined(&missing));
    let store = Store::open(&config.database).await?;
    let mut delivery = Delivery::start(store.clone(), &config, &outbound)?;
    let desk = Arc::new(delivery.desk());
    let mut watch = watch_over_sources(&store, &rules).await?;
    let mut pipeline = Pipeline::start(store.clone(), rules, settings, desk).await?;
    let surroundings = surroundings(&config, &store).await?;
    let mut sources = Sources::start(Configured::all(&config.sources, &config.live), &surroundings);
    watch.attend(sources.subjects(), &config.patience);
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!(
            "cannot listen on {}; choose another address with --listen or end the program that has it",
            config.listen
        )
    })?;
    let base_url = format!("http://{}", listener.local_addr()?);
    let credentials = credentials(&config.secrets);
    let figures =
        Figures::start(store.clone(), shown.informant(), sources.informant(), Arc::clone(&credentials))
            .await?;
    let (ask, asked) = mpsc::channel(1);
    let parts = Parts {
        store: &store,
        shown: &shown,
        sources: &sources,
        figures: &figures,
        desk: delivery.desk(),
        credentials,
    };
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
        watch,
        surroundings,
        desk: delivery.desk(),
        delivery: &mut delivery,
        asked,
        shown: &shown,
        figures: &figures,
        limits,
        config,
        held: Held::default(),
    };
    let fed = Box::pin(feeding.until(stop, reload)).await;
    sources.stop().await;
    shut.send_replace(true);
    tasks.spawn(delivery.finish());
    let ended = finish(tasks).await;
    store.close().await?;
    fed.and(ended)
}

/// The watch over sources, with what the store remembers of them.
async fn watch_over_sources(store: &Store, rules: &RuleSet) -> anyhow::Result<Watch> {
    Ok(Watch::new(rules, &standing(store, rules).await?, &store.learned().await?))
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
    credentials: Credentials,
}

/// How Keywatch's own secrets are, for whoever asks.
fn credentials(secrets: &SecretManager) -> Credentials {
    let secrets = secrets.clone();
    Arc::new(move || secrets.health().into_iter().map(told_of).collect())
}

fn told_of(health: keywatch_secrets::Health) -> CredentialInfo {
    CredentialInfo {
        reference: health.reference.to_string(),
        fetched_secs: health.fetched_ago.map(|ago| ago.as_secs()),
        stale: health.stale,
        error: health.error.map(|error| error.to_string()).unwrap_or_default(),
    }
}

fn dashboard(config: &Config, parts: Parts<'_>, ask: mpsc::Sender<oneshot::Sender<()>>) -> Dashboard {
    let Parts { store, shown, sources, figures, desk, credentials } = parts;
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
        credentials,
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
