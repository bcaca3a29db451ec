//! `keywatch normalize`: audit files as normalised events, one JSON object per line.

use super::output::visible;
use super::{NOTHING_READABLE, say};
use crate::clock;
use clap::Args;
use keywatch_event::{EventTime, RejectReason};
use keywatch_ingest::provider::Normalizer;
use keywatch_ingest::scrub;
use keywatch_ingest::source::Reader;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Print audit files as normalised events, one JSON object per line.
///
/// What cannot be read goes to standard error with its reason and place.
#[derive(Debug, Args)]
pub(crate) struct Normalize {
    /// Files, folders (searched), or - for standard input; any carrier, gzip or not
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

impl Normalize {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let normalizer = Normalizer::new();
        let mut reader = Reader::new(self.paths);
        let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
        let (mut events, mut skipped, mut rejects) = (0_u64, 0_u64, 0_u64);
        let reject = |place: &dyn std::fmt::Display, reason: &RejectReason| {
            say(&format!("reject {}: {}", visible(&place.to_string()), visible(&reason.to_string())));
        };
        while let Some(batch) = reader.next_batch(1024, 4 << 20) {
            let batch = scrub::clean(&batch).unwrap_or(batch);
            skipped += batch.skipped;
            rejects += batch.rejects.len() as u64;
            batch.rejects.iter().for_each(|r| reject(&r.place, &r.reason));
            for record in &batch.records {
                match normalizer.normalize(batch.raw(record), EventTime::from(clock::now())) {
                    Ok(Some(event)) => {
                        events += 1;
                        serde_json::to_writer(&mut out, &event)?;
                        out.write_all(b"\n")?;
                    }
                    Ok(None) => skipped += 1,
                    Err(reason) => {
                        rejects += 1;
                        reject(&record.place, &reason);
                    }
                }
            }
        }
        out.flush()?;
        for failure in reader.failures() {
            say(&format!("keywatch: {}", visible(&failure.to_string())));
        }
        let unreadable = events + skipped == 0 && (rejects > 0 || !reader.failures().is_empty());
        Ok(if unreadable { ExitCode::from(NOTHING_READABLE) } else { ExitCode::SUCCESS })
    }
}
