//! What cannot be seen, and what would let it be seen: `keywatch doctor`.
//!
//! Three steps. `ask` asks providers, read-only, and yields facts. One file per provider turns facts
//! into blind spots, and does nothing else. `blind` says which rules that costs, from what the loaded
//! rules look for. What could not be asked is told as not known, and never counts as seen.

mod ask;
mod aws;
mod azure;
mod blind;
mod clock;
mod command;
mod gcp;
mod kinds;
mod stored;
#[cfg(test)]
mod testing;
mod vault;

pub(crate) use ask::{Step, examine};
pub(crate) use blind::{Cost, cost};

use keywatch_event::{Observed, Provider};
use kinds::Kind;

/// What was found about one source.
#[derive(Clone, Debug)]
pub(crate) struct Checkup {
    /// Its name.
    pub(crate) source: String,
    /// What it is, in words.
    pub(crate) kind: String,
    /// Whose records it brings, when that is known.
    pub(crate) provider: Option<Provider>,
    pub(crate) findings: Findings,
}

/// What was found, in the order it was looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    /// What cannot be seen.
    pub(crate) spots: Vec<Spot>,
    /// What could not be asked.
    pub(crate) unknown: Vec<Unknown>,
    /// What was looked at and is as it should be.
    pub(crate) sound: Vec<String>,
}

/// Something that cannot be seen.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    /// Its name for machines, the same for ever.
    pub(crate) id: &'static str,
    /// What cannot be seen, or can go unseen.
    pub(crate) what: String,
    /// Why.
    pub(crate) why: String,
    /// Commands that mend it.
    pub(crate) mend: Vec<String>,
    pub(crate) lost: Lost,
}

/// A question without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// What is not known.
    pub(crate) what: String,
    /// What it takes to know.
    pub(crate) needs: String,
    /// What was answered instead.
    pub(crate) said: String,
}

/// What a blind spot takes from the rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lost {
    /// Kinds of events of which none comes.
    pub(crate) wholly: Vec<&'static Kind>,
    /// Kinds of events of which some do not come.
    pub(crate) partly: Vec<&'static Kind>,
    /// What is no longer noticed about the source itself.
    pub(crate) observed: Option<Observed>,
    /// Whether addresses say nothing of who calls.
    pub(crate) addresses: bool,
}

impl Lost {
    /// No kind of event is lost.
    pub(crate) fn nothing() -> Self {
        Self::default()
    }

    /// Of these kinds nothing comes.
    pub(crate) fn wholly(kinds: impl IntoIterator<Item = &'static Kind>) -> Self {
        Self { wholly: kinds.into_iter().collect(), ..Self::default() }
    }

    /// Of these kinds not everything comes.
    pub(crate) fn partly(kinds: impl IntoIterator<Item = &'static Kind>) -> Self {
        Self { partly: kinds.into_iter().collect(), ..Self::default() }
    }

    /// Every event has the same address.
    pub(crate) fn addresses() -> Self {
        Self { addresses: true, ..Self::default() }
    }

    /// Nobody notices this about the source.
    pub(crate) fn observed(observed: Observed) -> Self {
        Self { observed: Some(observed), ..Self::default() }
    }
}

impl Findings {
    fn spot(&mut self, spot: Spot) {
        self.spots.push(spot);
    }

    fn sound(&mut self, what: impl Into<String>) {
        self.sound.push(what.into());
    }

    fn unknown(&mut self, what: impl Into<String>, needs: impl Into<String>, said: impl Into<String>) {
        let unknown = Unknown { what: what.into(), needs: needs.into(), said: said.into() };
        if !self.unknown.contains(&unknown) {
            self.unknown.push(unknown);
        }
    }
}
