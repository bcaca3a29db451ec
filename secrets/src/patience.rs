//! How often a backend is asked the same question before it counts as unavailable.
//!
//! The only place that retries: the SDKs' own retries are turned off, so that what a backend costs
//! is the same for all of them and can be read here.

use crate::backend::Backend;
use crate::document::Document;
use crate::failure::Failure;
use crate::{SecretRef, Settings};
use std::time::Duration;

/// Questions per fetch. With the default timeout a fetch ends after 3 × 10 s plus two pauses.
const ATTEMPTS_MAX: u32 = 3;
/// First pause between two attempts; it doubles.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest pause between two attempts, whatever the backend asks for.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Asks until there is an answer, `ATTEMPTS_MAX` times at most.
pub(crate) async fn fetch(
    backend: &dyn Backend,
    reference: &SecretRef,
    settings: &Settings,
) -> Result<Document, Failure> {
    let mut attempt = 1;
    loop {
        let answer = settings.clock.within(settings.timeout, backend.fetch(reference)).await;
        let outcome = answer.unwrap_or_else(|| Err(late(settings.timeout)));
        match outcome {
            Err(failure) if failure.again && attempt < ATTEMPTS_MAX => {
                settings.clock.sleep(pause(attempt, failure.after)).await;
                attempt += 1;
            }
            settled => return settled,
        }
    }
}

fn late(timeout: Duration) -> Failure {
    Failure::unavailable(
        format!("no answer within {timeout:?}"),
        "see whether its address is right and reachable from here, and whether it is well",
    )
}

/// What the backend asked for, or a doubling pause, half of it left to chance so that many
/// Keywatches do not come back together.
fn pause(attempt: u32, asked: Option<Duration>) -> Duration {
    let longest = PAUSE * 2u32.saturating_pow(attempt - 1);
    // Without a random source the pause is merely less scattered.
    let chance = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
    asked.unwrap_or_else(|| longest.mul_f64(0.5 + chance / 2.0)).min(PAUSE_MAX)
}
