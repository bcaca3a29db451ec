//! Which file is which: gives each file found to the stream it belongs to.
//!
//! By identity first, by content second, as new last. Never by name alone, except that a name
//! says which neighbours of a watched file are its rotated forms.

use super::super::walk::{FileId, ReadFailure};
use super::content::Content;
use super::look::{Candidate, Role};
use super::mark::Mark;
use super::stream::Stream;
use super::{Follower, source_of};
use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

impl Follower {
    /// Finds out which file stands where. False when not everything could be looked at, so that
    /// a file not found need not be gone.
    pub(super) fn look(&mut self) -> bool {
        let watched: HashSet<PathBuf> = self.watches.iter().map(|watch| watch.path.clone()).collect();
        for stream in &mut self.streams {
            if let Some(path) = stream.path.take() {
                stream.last_path = path;
            }
        }
        let known: HashMap<FileId, usize> =
            self.streams.iter().enumerate().map(|(at, stream)| (stream.mark.id(), at)).collect();
        let (mut claimed, mut strangers, mut all_seen) = (HashSet::new(), Vec::new(), true);
        for number in 0..self.watches.len() {
            let Some(watch) = self.watches.get(number) else { continue };
            let (candidates, failures) = watch.candidates(&watched);
            for failure in &failures {
                self.tell(failure);
                all_seen &= failure.kind == ErrorKind::NotFound;
            }
            self.begin(number, &candidates);
            for candidate in candidates {
                if !claimed.insert(candidate.id) {
                    continue;
                }
                match known.get(&candidate.id) {
                    Some(at) if self.recognises(*at, &candidate) => {}
                    _ => strangers.push((number, candidate)),
                }
            }
        }
        for (watch, candidate) in strangers {
            self.receive(watch, candidate);
        }
        for stream in self.streams.iter_mut().filter(|stream| stream.path.is_none()) {
            stream.look_at_open_file();
        }
        all_seen
    }

    /// At the first look at a watched file: its siblings were rotated before following began,
    /// unless a stored position says otherwise.
    fn begin(&mut self, number: usize, candidates: &[Candidate]) {
        let Some(watch) = self.watches.get_mut(number).filter(|watch| watch.since.is_none()) else { return };
        let source = source_of(&watch.path);
        let stored = self.streams.iter().filter(|stream| *stream.source == *source);
        let newest = stored.map(|stream| stream.mark.modified).max();
        let siblings = || candidates.iter().filter(|candidate| candidate.role == Role::Sibling);
        if newest.is_none() {
            watch.ignored = siblings().map(|sibling| (sibling.id, sibling.state.1)).collect();
        }
        let newest_sibling = siblings().map(|sibling| sibling.state.1).max();
        watch.since = newest.or(newest_sibling).or(Some(i64::MIN));
    }

    /// Whether a file with a known identity still holds what was read of it.
    fn recognises(&mut self, at: usize, candidate: &Candidate) -> bool {
        let Some(stream) = self.streams.get_mut(at) else { return false };
        let is_unread = stream.mark.offset == 0 && stream.mark.head_len == 0;
        let holds = stream.seen == candidate.state
            || is_unread
            || match Content::open(&candidate.path).and_then(|content| content.matches(&stream.mark)) {
                Ok(holds) => holds,
                Err(error) => {
                    let failure = ReadFailure::new(&candidate.path, &error);
                    self.tell(&failure);
                    return self.settle(at, candidate);
                }
            };
        if holds {
            return self.settle(at, candidate);
        }
        stream.displace();
        // Another file that was given the number of a deleted one is nothing to tell.
        if stream.mark.done || stream.last_path != candidate.path {
            return false;
        }
        let (path, offset) = (candidate.path.display(), stream.mark.offset);
        let text = format!(
            "{path} was truncated or overwritten after byte {offset} was read; it is read again from its \
             beginning. Lines written just before are lost unless a copy holds them: rotate by renaming"
        );
        self.miss(&text);
        false
    }

    fn settle(&mut self, at: usize, candidate: &Candidate) -> bool {
        if let Some(stream) = self.streams.get_mut(at) {
            stream.path = Some(candidate.path.clone());
            stream.saw(candidate.state);
        }
        true
    }

    /// A file of unknown identity: the copy or compressed form of one that is missing, or new.
    fn receive(&mut self, number: usize, candidate: Candidate) {
        let Some(watch) = self.watches.get(number) else { return };
        if watch.ignored.get(&candidate.id) == Some(&candidate.state.1) {
            return;
        }
        if let Some(at) = self.owner_of(&watch.path, &candidate) {
            if let Some(stream) = self.streams.get_mut(at) {
                stream.adopt(candidate.path, candidate.id, candidate.state);
            }
            return;
        }
        let is_new =
            candidate.role != Role::Sibling || watch.since.is_some_and(|since| candidate.state.1 >= since);
        if !is_new {
            if let Some(watch) = self.watches.get_mut(number) {
                watch.ignored.insert(candidate.id, candidate.state.1);
            }
            return;
        }
        let source = source_of(if candidate.role == Role::Member { &candidate.path } else { &watch.path });
        let at = self.add(source.into(), Mark::at_start(candidate.id));
        self.settle(at, &candidate);
    }

    /// The missing file below `watched` whose content the candidate holds.
    fn owner_of(&self, watched: &Path, candidate: &Candidate) -> Option<usize> {
        let belongs = |stream: &Stream| {
            stream.path.is_none() && stream.mark.head_len > 0 && Path::new(&*stream.name).starts_with(watched)
        };
        let mut missing = self.streams.iter().enumerate().filter(|(_, stream)| belongs(stream)).peekable();
        missing.peek()?;
        let content = Content::open(&candidate.path).ok()?;
        missing.find(|(_, stream)| content.matches(&stream.mark).unwrap_or(false)).map(|(at, _)| at)
    }
}
