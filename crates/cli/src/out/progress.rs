//! What is shown while something takes longer than a second: a spinner or a bar on a terminal, a line
//! for each new sentence elsewhere, nothing for programs that asked for JSON.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::table::cut;

/// Room for the spinner and the elapsed time next to the sentence.
const SENTENCE_COLUMNS: usize = 66;

/// What is over sooner needs no words in a log.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct Progress {
    began: Instant,
    bar: Option<ProgressBar>,
    lines: bool,
    said: String,
}

impl Progress {
    pub(crate) fn new(json: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = (terminal && !json).then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(style("{spinner} {msg} {elapsed:.dim}"));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self {
            began: Instant::now(),
            bar,
            lines: !terminal && !json,
            said: String::new(),
        }
    }

    /// What is going on now. Sentences that differ by a number only are one line in a log.
    pub(crate) fn say(&mut self, sentence: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(cut(sentence, SENTENCE_COLUMNS));
        }
        let gist: String = sentence.chars().filter(|c| !c.is_ascii_digit()).collect();
        if self.lines && gist != self.said && self.began.elapsed() >= PATIENCE {
            eprintln!("{sentence}");
            self.said = gist;
        }
    }

    /// How far it is, of 100.
    pub(crate) fn percent(&mut self, percent: u8, sentence: &str) {
        if let Some(bar) = &self.bar {
            bar.set_style(style("{bar:24} {pos:>3} % {msg} {elapsed:.dim}"));
            bar.set_length(100);
            bar.set_position(percent.into());
        }
        self.say(sentence);
    }

    /// A spinner without words: something is being waited for.
    pub(crate) fn quiet(&mut self) {
        self.lines = false;
        self.say("");
    }

    pub(crate) fn finish(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
