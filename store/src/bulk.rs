//! Statements over many rows at once.
//!
//! One statement per row costs a round trip to the database thread each; one statement of any
//! length is compiled anew each time. So a list is cut into runs of a few fixed lengths, whose
//! statements stay compiled.

use sqlx::Arguments;
use sqlx::SqliteConnection;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteRow};

/// Rows per statement, longest first. 256 rows of the widest table (29 columns) are 7,424
/// variables; SQLite takes 32,766.
const RUNS: [usize; 4] = [256, 32, 4, 1];

/// A statement with a repeated part.
#[derive(Debug)]
pub(crate) struct Bulk {
    runs: Vec<(usize, String)>,
    columns: usize,
}

impl Bulk {
    /// `row` repeated between `head` and `tail`, joined by commas: `(?,?)` or `?`.
    pub(crate) fn new(head: &str, row: &str, tail: &str) -> Self {
        let sql = |rows: usize| format!("{head} {} {tail}", vec![row; rows].join(","));
        let runs = RUNS.iter().map(|&rows| (rows, sql(rows))).collect();
        Self { runs, columns: row.matches('?').count() }
    }

    /// An `INSERT` of rows with `columns` values each.
    pub(crate) fn insert(into: &str, columns: usize, tail: &str) -> Self {
        let row = format!("({})", vec!["?"; columns].join(","));
        Self::new(&format!("INSERT {into} VALUES"), &row, tail)
    }

    /// Executes over all of `rows`; returns how many rows the database changed.
    pub(crate) async fn execute<T: Sync>(
        &'static self,
        conn: &mut SqliteConnection,
        rows: &[T],
        bind: impl Fn(&T, &mut SqliteArguments) -> Result<(), BoxDynError> + Send,
    ) -> Result<u64, sqlx::Error> {
        let mut changed = 0;
        let mut rest = rows;
        while let Some((sql, run, after)) = self.next_run(rest) {
            let arguments = self.arguments(run.iter(), &bind)?;
            changed += sqlx::query_with(sql, arguments).execute(&mut *conn).await?.rows_affected();
            rest = after;
        }
        Ok(changed)
    }

    /// Queries with all of `rows`, which are members of a set: the last of them is asked about again
    /// to fill a run. Returns every row the database answered.
    pub(crate) async fn fetch<T: Sync>(
        &'static self,
        conn: &mut SqliteConnection,
        rows: &[T],
        bind: impl Fn(&T, &mut SqliteArguments) -> Result<(), BoxDynError> + Send,
    ) -> Result<Vec<SqliteRow>, sqlx::Error> {
        let mut found = Vec::new();
        let longest = self.runs.first().map_or(1, |(rows, _)| *rows);
        for part in rows.chunks(longest) {
            let fits = self.runs.iter().rev().find(|(rows, _)| *rows >= part.len());
            let Some(((rows, sql), last)) = fits.zip(part.last()) else { continue };
            let filling = std::iter::repeat_n(last, rows - part.len());
            let arguments = self.arguments(part.iter().chain(filling), &bind)?;
            found.extend(sqlx::query_with(sql.as_str(), arguments).fetch_all(&mut *conn).await?);
        }
        Ok(found)
    }

    fn next_run<'r, T>(&'static self, rest: &'r [T]) -> Option<(&'static str, &'r [T], &'r [T])> {
        let (rows, sql) = self.runs.iter().find(|(rows, _)| *rows <= rest.len())?;
        let (run, after) = rest.split_at_checked(*rows)?;
        Some((sql.as_str(), run, after))
    }

    fn arguments<'r, T: 'r>(
        &self,
        rows: impl Iterator<Item = &'r T>,
        bind: impl Fn(&T, &mut SqliteArguments) -> Result<(), BoxDynError>,
    ) -> Result<SqliteArguments, sqlx::Error> {
        let mut arguments = SqliteArguments::default();
        arguments.reserve(rows.size_hint().0 * self.columns, 0);
        for row in rows {
            bind(row, &mut arguments).map_err(sqlx::Error::Encode)?;
        }
        debug_assert_eq!(arguments.len() % self.columns, 0, "values per row");
        Ok(arguments)
    }
}
