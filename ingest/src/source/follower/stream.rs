//! One file being followed, whatever it is called by now.
//!
//! Reads on from its mark; gives out a line when it is complete, or when it never will be.

use super::super::dating::{Dater, LOOK, Track};
use super::super::inflate::{damage_of, is_cut_short};
use super::super::pump::{Fill, Pump, Pumped};
use super::super::splitter::Splitter;
use super::super::walk::FileId;
use super::content::Content;
use super::mark::{Mark, SAMPLE_BYTES};
use crate::Batch;
use keywatch_event::RejectReason;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file and how far it has been read.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: u64,
    /// The source it belongs to: `file:` and the path at which it was found.
    pub(super) source: Arc<str>,
    /// Name in the places of its records.
    pub(super) name: Arc<str>,
    /// How far its records were handed out.
    pub(super) mark: Mark,
    /// How far the store has confirmed them; `None` when it knows nothing of the file.
    pub(super) kept: Option<Mark>,
    /// Where it stands now; `None` when it was deleted, or not found.
    pub(super) path: Option<PathBuf>,
    /// Where it stood when it was last found.
    pub(super) last_path: PathBuf,
    /// Size on disk and time of the last change, as last seen.
    pub(super) seen: (u64, i64),
    /// Idle polls since anything happened to it.
    pub(super) idle_polls: u32,
    /// Whether its file was overwritten, so that its rest is only to be found in a copy.
    pub(super) displaced: bool,
    /// How its times go, while old records are read.
    pub(super) track: Track,
    /// Whether it filled a whole batch and came no further in time: others are read before it.
    pub(super) is_tired: bool,
    /// What of its mark was last looked at to be handed out.
    pub(super) handed: Option<(FileId, u64, bool)>,
    /// Whether what is left is to be given out although it is incomplete.
    finishing: bool,
    content: Option<Content>,
    live: Option<Live>,
}

struct Live {
    reader: Box<dyn Read + Send>,
    pump: Pump,
    /// Nothing more will come.
    ended: bool,
    /// Why it ended early, when it did.
    damage: Option<RejectReason>,
    /// Compression that breaks off, as of a file still being written, with the state seen then.
    cut_short: Option<(RejectReason, (u64, i64))>,
    /// There was nothing more to read.
    dry: bool,
    is_gzip: bool,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Live").field("ended", &self.ended).field("dry", &self.dry).finish_non_exhaustive()
    }
}

impl Stream {
    pub(super) fn new(id: u64, source: Arc<str>, name: Arc<str>, mark: Mark) -> Self {
        let seen = (mark.size, mark.modified);
        let last_path = PathBuf::from(&*name);
        Self {
            id,
            source,
            name,
            mark,
            kept: None,
            path: None,
            last_path,
            seen,
            idle_polls: 0,
            displaced: false,
            track: Track::default(),
            is_tired: false,
            handed: None,
            finishing: false,
            content: None,
            live: None,
        }
    }

    /// Whether it stands where it was first found, so that its writer may go on.
    pub(super) fn is_at_home(&self) -> bool {
        self.path.as_deref() == Some(Path::new(&*self.name))
    }

    /// Takes note of the file's state on disk.
    pub(super) fn saw(&mut self, state: (u64, i64)) {
        if self.seen != state {
            self.seen = state;
            self.idle_polls = 0;
            // It is written to after all.
            self.finishing = self.live.as_ref().is_some_and(|live| live.ended);
        }
        self.mark.modified = state.1;
    }

    pub(super) const fn is_open(&self) -> bool {
        self.content.is_some()
    }

    /// Whether there is nothing to read before the file changes. A line may have begun.
    pub(super) const fn is_settled(&self) -> bool {
        self.mark.size == self.seen.0
    }

    /// Whether there is something to read, or to give out.
    pub(super) const fn is_unread(&self) -> bool {
        !self.is_settled() || self.finishing
    }

    /// Finds out when what is read next happened, if nothing is known of that.
    pub(super) fn date(&mut self, dater: &Dater) {
        if self.track.at.is_none() {
            self.track.at = self.next_records().ok().and_then(|batch| dater.earliest(&batch));
        }
    }

    /// A few of the records behind the mark, which stays where it is. None of a packed file that was begun:
    /// it would be unpacked up to there, only to look.
    fn next_records(&self) -> io::Result<Batch> {
        let content = match (&self.content, &self.path) {
            (Some(content), _) => content.clone(),
            (None, Some(path)) => Content::open(path)?,
            (None, None) => return Ok(Batch::default()),
        };
        let mut fill = Fill::new(LOOK.0, LOOK.1);
        if content.id == self.mark.id() && (self.mark.offset == 0 || !content.is_gzip) {
            let splitter = Splitter::following(self.mark.offset, self.mark.line.max(1));
            // What cannot be read is told when it is read.
            Pump::new(splitter, Arc::clone(&self.name))
                .run(&mut *content.reader(self.mark.offset)?, &mut fill);
        }
        Ok(fill.batch)
    }

    fn is_kept(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.same_progress(&self.mark))
    }

    /// Reads on into `fill`.
    ///
    /// # Errors
    /// When the file cannot be opened or read; it is tried again at the next call.
    pub(super) fn read(&mut self, fill: &mut Fill) -> io::Result<()> {
        if !self.is_unread() || !self.open()? {
            return Ok(());
        }
        let Some(live) = &mut self.live else { return Ok(()) };
        let outcome = if live.ended { Ok(()) } else { live.run(fill, self.seen) };
        if self.finishing && live.dry {
            live.ended = true;
            live.damage = live.cut_short.take().map(|(reason, _)| reason);
        }
        let finished = live.ended && live.pump.flush(fill);
        if finished && let Some(reason) = live.damage.take() {
            fill.damaged(&self.name, live.pump.splitter.safe().1, reason);
        }
        if finished || (live.dry && !live.is_gzip) {
            self.mark.size = self.seen.0;
        }
        self.move_mark();
        if finished {
            (self.mark.done, self.finishing) = (true, false);
        }
        if finished || outcome.is_err() {
            self.live = None;
        }
        outcome
    }

    /// Whether there is something to read from.
    fn open(&mut self) -> io::Result<bool> {
        match self.live.as_ref().map(|live| &live.cut_short) {
            Some(Some((_, state))) if *state == self.seen && !self.finishing => return Ok(false),
            Some(Some((_, state))) if *state != self.seen => {}
            Some(_) => return Ok(true),
            None => {}
        }
        if self.content.is_none() {
            // One byte does not tell yet whether it is compressed.
            let Some(path) = self.path.as_ref().filter(|_| self.seen.0 > 1 || self.finishing) else {
                return Ok(false);
            };
            let content = Content::open(path)?;
            // Replaced since it was looked at: the next look will tell.
            if content.id != self.mark.id() {
                return Ok(false);
            }
            self.content = Some(content);
        }
        let Some(content) = &self.content else { return Ok(false) };
        self.mark.done = false;
        let splitter = Splitter::following(self.mark.offset, self.mark.line.max(1));
        let reader = content.reader(self.mark.offset)?;
        let pump = Pump::new(splitter, Arc::clone(&self.name));
        let is_gzip = content.is_gzip;
        self.live =
            Some(Live { reader, pump, ended: false, damage: None, cut_short: None, dry: false, is_gzip });
        Ok(true)
    }

    fn move_mark(&mut self) {
        let (Some(live), Some(content)) = (&self.live, &self.content) else { return };
        if self.mark.head_len < SAMPLE_BYTES
            && let Ok(head) = content.head()
        {
            self.mark.extend_head(&head);
        }
        let (offset, next_line) = live.pump.splitter.safe();
        if offset == self.mark.offset {
            return;
        }
        (self.mark.offset, self.mark.line) = (offset, next_line);
        self.idle_polls = 0;
        let tail = live.pump.splitter.before_safe();
        if tail.is_empty() {
            self.mark.set_tail(&content.before(offset).unwrap_or_default());
        } else {
            self.mark.set_tail(tail);
        }
    }

    /// Nothing more will come: what is left is given out at the next reading.
    pub(super) const fn finish(&mut self) {
        self.finishing = true;
    }

    /// Whether its compression broke off and the file has not changed since.
    pub(super) fn is_cut_short(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.cut_short.is_some() && !live.ended)
    }

    /// Gives its file back when the store has all that was read of it, or when it can be opened
    /// again at its path.
    pub(super) fn close(&mut self) {
        if self.is_kept() || self.path.is_some() {
            self.live = None;
            self.content = None;
        }
    }

    /// The file was overwritten: the rest of what it held can only stand in a copy.
    pub(super) fn displace(&mut self) {
        self.live = None;
        self.content = None;
        self.displaced = true;
        (self.mark.dev, self.mark.inode) = (0, 0);
    }

    /// The same content stands in another file now.
    pub(super) fn adopt(&mut self, path: PathBuf, id: FileId, state: (u64, i64)) {
        // The open file goes on being read if it was not truncated: its writer may not be done.
        let holds = self.content.as_ref().is_some_and(|content| content.matches(&self.mark).unwrap_or(false));
        if !holds {
            self.live = None;
            self.content = None;
        }
        (self.mark.dev, self.mark.inode) = id;
        self.displaced = false;
        self.path = Some(path);
        self.saw(state);
    }

    /// What to say when it went away too soon.
    pub(super) fn what_is_lost(&self) -> String {
        let (name, offset) = (&self.name, self.mark.offset);
        format!("{name} went away before its end was seen: anything after byte {offset} is lost")
    }

    /// Goes back to what the store has.
    pub(super) fn reset(&mut self) {
        let (dev, inode) = self.mark.id();
        let kept = self.kept.clone().unwrap_or_else(|| self.mark.rewound());
        self.mark = Mark { dev, inode, ..kept };
        self.finishing = false;
        self.live = None;
        self.track = Track::default();
    }

    /// Looks at the open file itself, when it has no name any more.
    pub(super) fn look_at_open_file(&mut self) {
        if let Some(Ok(state)) = self.content.as_ref().map(Content::state) {
            self.saw(state);
        }
    }
}

impl Live {
    fn run(&mut self, fill: &mut Fill, seen: (u64, i64)) -> io::Result<()> {
        self.dry = false;
        match self.pump.run(&mut *self.reader, fill) {
            Pumped::Full => {}
            Pumped::Dry => (self.dry, self.ended) = (true, self.is_gzip),
            Pumped::Broke(error) => {
                let reason = damage_of(error)?;
                self.dry = true;
                if is_cut_short(&reason) {
                    self.cut_short = Some((reason, seen));
                } else {
                    (self.damage, self.ended) = (Some(reason), true);
                }
            }
        }
        Ok(())
    }
}
