//! Rejects: bytes that could not be read, kept whole.

use crate::commit::int;
use crate::key::short_hash;
use crate::raw::pack;
use keywatch_event::Reject;
use keywatch_event::scrubbed::marks;
use sqlx::SqliteConnection;

/// What was written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Rejects not stored before.
    pub(crate) fresh: usize,
    /// Kinds of secret values that were scrubbed from them, once per reject.
    pub(crate) scrubbed: Vec<&'static str>,
}

/// Writes the rejects not stored before. Reading a file again doubles nothing: a reject is the same
/// when place, kind of reason and bytes are.
pub(crate) async fn write(
    conn: &mut SqliteConnection,
    rejects: &[Reject],
    now: i64,
) -> Result<Written, sqlx::Error> {
    let mut written = Written::default();
    for reject in rejects {
        let place = reject.place.to_string();
        let key = short_hash(&[place.as_bytes(), reject.reason.kind().as_bytes(), &reject.bytes]);
        let zstd = pack(&reject.bytes).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let done = sqlx::query(
            "INSERT INTO rejects (key, place, line, record, kind, reason, bytes_len, received_at, zstd)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
        )
        .bind(key.as_slice())
        .bind(&*reject.place.name)
        .bind(i64::try_from(reject.place.line).unwrap_or(i64::MAX))
        .bind(i64::from(reject.place.record))
        .bind(reject.reason.kind())
        .bind(reject.reason.to_string())
        .bind(int(reject.bytes.len()))
        .bind(now)
        .bind(zstd)
        .execute(&mut *conn)
        .await?;
        if done.rows_affected() > 0 {
            written.fresh += 1;
            written.scrubbed.extend(marks(&reject.bytes));
        }
    }
    Ok(written)
}
