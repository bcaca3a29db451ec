//! A batch that a defect of ours keeps from being judged or stored, taken apart until what cannot be
//! kept stands alone.
//!
//! One record, or what follows from it, must not end the watch over all others, at every start anew.
//! It becomes a reject with its bytes and its place, and is told of; everything else is kept as if it
//! had come in smaller batches. After each failure the rules begin again with what the store knows.

use super::{Failed, Found, Notice, Pipeline, Stepped};
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use keywatch_event::{Evaluation, Reject, RejectReason};
use keywatch_ingest::{Batch, RawRecord};
use std::any::Any;
use std::panic::AssertUnwindSafe;

/// Failures after which nothing of it is isolated any more: two records of a batch of a thousand, or ten that
/// stand side by side. Each costs reading again what the rules remember, a second or two.
const FAILURES_MAX: usize = 24;

impl Pipeline {
    /// Takes one batch to the end: when this returns, it is on disk with all that follows from it,
    /// and with `alongside`, what its source said of itself. `notice` is asked when the store has begun
    /// to keep the batch, once of everything it finds. A record that is not to be kept for a defect of ours is a
    /// reject.
    ///
    /// # Errors
    /// [`Failed`] for whatever is no defect, such as a full disk, and when more fails than can be a
    /// record's fault. Parts of the batch may be stored then; the same batch again is right.
    pub(crate) async fn step(
        &mut self,
        batch: &Batch,
        alongside: Evaluation,
        notice: Notice<'_>,
        now: DateTime<Utc>,
    ) -> Result<Stepped, Failed> {
        let mut answer = None;
        let mut asked = |found: &Found| answer.insert(notice(found)).clone();
        match self.guarded(batch, alongside.clone(), &mut asked, now).await {
            Err(failed) if failed.is_defect() => {
                tracing::error!("{failed}; the batch is taken apart to find what it is about");
                let mut said = alongside;
                let has_answered = answer.is_some();
                said.changes.extend(answer.unwrap_or_default());
                let mut again = |found: &Found| {
                    // What it said in the first attempt goes with the batch; it does not say that twice.
                    let leaks = if has_answered { Default::default() } else { found.leaks.clone() };
                    notice(&Found { leaks, defects: found.defects.clone() })
                };
                self.apart(batch, said, &mut again, now).await
            }
            done => done,
        }
    }

    async fn apart(
        &mut self,
        batch: &Batch,
        said: Evaluation,
        notice: Notice<'_>,
        now: DateTime<Utc>,
    ) -> Result<Stepped, Failed> {
        let (mut total, mut rejects) = (Stepped::default(), batch.rejects.clone());
        let mut waiting = vec![batch.records.as_slice()];
        let mut failures = 0;
        self.restart().await?;
        while let Some(records) = waiting.pop() {
            let mut part = Batch::default();
            for record in records {
                part.push(batch.raw(record), record.place.clone());
            }
            match self.guarded(&part, Evaluation::default(), &mut |_| Vec::new(), now).await {
                Ok(stepped) => total.add(stepped),
                Err(failed) if failed.is_defect() && failures < FAILURES_MAX => {
                    failures += 1;
                    self.restart().await?;
                    match records {
                        [] => {}
                        [record] => rejects.push(reject(batch, record, &failed)),
                        _ => {
                            let (first, second) = records.split_at(records.len() / 2);
                            waiting.extend([second, first]);
                        }
                    }
                }
                Err(failed) => return Err(failed),
            }
        }
        let rest =
            Batch { rejects, skipped: batch.skipped, advances: batch.advances.clone(), ..Batch::default() };
        total.add(self.guarded(&rest, said, notice, now).await?);
        Ok(total)
    }

    /// A batch whose end by a panic is a failure like another.
    async fn guarded(
        &mut self,
        batch: &Batch,
        alongside: Evaluation,
        notice: Notice<'_>,
        now: DateTime<Utc>,
    ) -> Result<Stepped, Failed> {
        // What a panic leaves half done is the engine, which is not used again, and a transaction that
        // is dropped.
        let stepped = AssertUnwindSafe(self.attempt(batch, alongside, notice, now)).catch_unwind().await;
        stepped.map_err(|panic| Failed::Panic(text(&*panic)))?.map_err(Failed::Store)
    }
}

fn reject(batch: &Batch, record: &RawRecord, failed: &Failed) -> Reject {
    tracing::error!(place = %record.place, "a record is kept as a reject, because it was not judged: {failed}");
    let reason = RejectReason::Defect(failed.to_string());
    Reject { place: record.place.clone(), reason, bytes: batch.raw(record).to_vec() }
}

/// What somebody said who panicked.
fn text(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().map(ToString::to_string);
    said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "nothing was said".to_owned())
}
