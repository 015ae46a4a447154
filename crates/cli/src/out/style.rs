//! Colour, where it is wanted: a terminal, no `NO_COLOR`, not a dumb one.

use std::io::IsTerminal;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    colour: bool,
}

pub(crate) fn stderr() -> Style {
    Style {
        colour: std::io::stderr().is_terminal() && wanted(|name| std::env::var(name).ok()),
    }
}

pub(crate) fn stdout() -> Style {
    Style {
        colour: std::io::stdout().is_terminal() && wanted(|name| std::env::var(name).ok()),
    }
}

fn wanted(variable: impl Fn(&str) -> Option<String>) -> bool {
    variable("NO_COLOR").is_none_or(|value| value.is_empty())
        && variable("TERM").is_some_and(|term| term != "dumb")
}

impl Style {
    fn paint(self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    pub(crate) fn error(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    pub(crate) fn warning(self, text: &str) -> String {
        self.paint("1;33", text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }
}

/// Text from a sandbox or a model, made safe for a terminal: control characters cannot move the cursor, set
/// the title or paint over what stands there. Line ends and tabs stay.
pub(crate) fn plain(text: &str) -> std::borrow::Cow<'_, str> {
    let tame = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    if text.chars().all(tame) {
        return text.into();
    }
    text.chars()
        .map(|c| if tame(c) { c } else { '\u{fffd}' })
        .collect::<String>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_off_where_it_is_not_wanted() {
        let with = |no_color: Option<&str>, term: Option<&str>| {
            wanted(|name| if name == "NO_COLOR" { no_color } else { term }.map(str::to_owned))
        };
        assert!(with(None, Some("xterm")) && with(Some(""), Some("xterm")));
        assert!(!with(Some("1"), Some("xterm")) && !with(None, Some("dumb")) && !with(None, None));
    }

    #[test]
    fn what_an_agent_says_cannot_drive_the_terminal() {
        assert_eq!(plain("a\tb\n"), "a\tb\n");
        assert_eq!(
            plain("\x1b]0;title\x07\rx\u{9b}2J"),
            "\u{fffd}]0;title\u{fffd}\u{fffd}x\u{fffd}2J"
        );
    }
}
