//! Rejects: bytes that could not be read, kept whole.

use crate::commit::int;
use crate::key::short_hash;
use crate::raw::pack;
use keywatch_event::Reject;
use sqlx::SqliteConnection;

/// Writes the rejects not stored before; returns how many those are. Reading a file again
/// doubles nothing: a reject is the same when place, kind of reason and bytes are.
pub(crate) async fn write(
    conn: &mut SqliteConnection,
    rejects: &[Reject],
    now: i64,
) -> Result<usize, sqlx::Error> {
    let mut fresh = 0;
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
        fresh += usize::try_from(done.rows_affected()).unwrap_or(0);
    }
    Ok(fresh)
}
