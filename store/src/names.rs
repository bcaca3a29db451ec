//! Texts that repeat (principals, operations, secrets …) as small integers.
//!
//! Invariant: what is remembered here is in the database, or will be once the running transaction
//! commits. When a transaction does not commit, its whole [`Names`] is thrown away with it.

use crate::bulk::Bulk;
use hashbrown::{HashMap, HashSet};
use sqlx::{Arguments, Row, SqliteConnection};
use std::sync::LazyLock;

/// Most texts remembered; beyond it memory is emptied and filled again from the database.
/// 200,000 texts of about 100 bytes and their table are about 30 MiB.
const KNOWN_MAX: usize = 200_000;

static FIND: LazyLock<Bulk> =
    LazyLock::new(|| Bulk::new("SELECT text, id FROM names WHERE text IN (", "?", ")"));
static ADD: LazyLock<Bulk> = LazyLock::new(|| Bulk::insert("INTO names (id, text)", 2, ""));

/// The texts known so far.
#[derive(Debug)]
pub(crate) struct Names {
    known: HashMap<Box<str>, i64>,
    next: i64,
}

impl Names {
    /// Nothing remembered; new ids go on after those in the database.
    pub(crate) async fn load(conn: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let last = "SELECT coalesce(max(id), 0) FROM names";
        let last: i64 = sqlx::query_scalar(last).fetch_one(conn).await?;
        Ok(Self { known: HashMap::new(), next: last + 1 })
    }

    /// The id of a text that was [learned](Self::learn).
    ///
    /// # Errors
    /// When it was not: a defect in the caller.
    pub(crate) fn id(&self, text: &str) -> Result<i64, sqlx::Error> {
        let unknown = || sqlx::Error::Encode(format!("`{text}` was not interned first").into());
        self.known.get(text).copied().ok_or_else(unknown)
    }

    /// Sees to it that every one of `texts` has an id.
    pub(crate) async fn learn<'t>(
        &mut self,
        conn: &mut SqliteConnection,
        texts: impl Iterator<Item = &'t str>,
    ) -> Result<(), sqlx::Error> {
        let mut unknown = HashSet::new();
        let mut asked = Vec::new();
        for text in texts {
            if !self.known.contains_key(text) && unknown.insert(text) {
                asked.push(text);
            }
        }
        let bind = |text: &&str, to: &mut sqlx::sqlite::SqliteArguments| to.add(*text);
        for row in FIND.fetch(conn, &asked, bind).await? {
            self.known.insert(row.try_get::<String, _>(0)?.into(), row.try_get(1)?);
        }
        asked.retain(|text| !self.known.contains_key(*text));
        let fresh: Vec<(i64, &str)> = (self.next..).zip(asked).collect();
        ADD.execute(conn, &fresh, |(id, text), to| {
            to.add(*id)?;
            to.add(*text)
        })
        .await?;
        for (id, text) in fresh {
            self.known.insert(text.into(), id);
            self.next = id + 1;
        }
        Ok(())
    }

    /// Keeps memory bounded; called between transactions.
    pub(crate) fn trim(&mut self) {
        if self.known.len() > KNOWN_MAX {
            self.known = HashMap::new();
        }
    }
}
