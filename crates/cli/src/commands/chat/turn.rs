//! One turn on a terminal: text as it comes, tools by name, Ctrl-C to stop.

use creel_api::{ChatRequest, client::TurnStream};
use creel_domain::{SessionName, TurnEvent};
use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, OptionFuture},
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    context::Context,
    failure::Result,
    out::{progress::Progress, style, table::cut},
};

/// How much of a tool's arguments or output is shown.
const TOOL_COLUMNS: usize = 60;

pub(super) struct Conversation<'a> {
    pub(super) context: &'a Context,
    pub(super) agent: &'a str,
    pub(super) session: &'a SessionName,
}

pub(super) enum Ended {
    Done,
    /// The agent's reason, as a sentence.
    Failed(String),
    Cancelled,
    /// A second Ctrl-C: nobody waits any more.
    Left,
}

impl Conversation<'_> {
    pub(super) async fn say(&self, message: &str) -> Result<Ended> {
        let request = ChatRequest {
            message: message.to_owned(),
            session: self.session.clone(),
        };
        // One listener for the whole turn: a Ctrl-C between two of its waits must not be lost.
        let mut interrupts = signal(SignalKind::interrupt())?;
        let mut progress = Progress::new(self.context.out.json);
        let events = tokio::select! {
            events = self.context.client.chat(self.agent, &request) => events?,
            _ = interrupts.recv() => return Ok(Ended::Left),
        };
        progress.quiet();
        self.show(events, progress, interrupts).await
    }

    async fn show(
        &self,
        mut events: TurnStream,
        progress: Progress,
        mut interrupts: Signal,
    ) -> Result<Ended> {
        let out = self.context.out;
        let mut screen = Screen {
            json: out.json,
            streamed: String::new(),
            progress: Some(progress),
        };
        // What the first Ctrl-C sets off.
        let mut stopping: OptionFuture<BoxFuture<'_, _>> = None.into();
        let mut stopped = false;
        loop {
            let event = tokio::select! {
                event = events.next() => match event {
                    Some(event) => event?,
                    None => return Ok(Ended::Failed("the turn ended without an answer".to_owned())),
                },
                Some(answer) = &mut stopping => {
                    answer?;
                    stopping = None.into();
                    continue;
                }
                _ = interrupts.recv() => {
                    if stopped {
                        return Ok(Ended::Left);
                    }
                    stopped = true;
                    screen.remark("Stopping (Ctrl-C again to leave)");
                    stopping = Some(self.context.client.cancel_turn(self.agent, events.turn).boxed()).into();
                    continue;
                }
            };
            if out.json {
                out.json_line(&event.event)?;
            }
            match event.event {
                TurnEvent::Started => screen.begin(),
                TurnEvent::Text { delta } => screen.text(&delta, self.context)?,
                TurnEvent::ToolStarted { name, arguments, .. } => {
                    screen.remark(&format!("{name} {}", one_line(&arguments)));
                }
                TurnEvent::ToolFinished { ok, output, .. } => {
                    let sign = if ok { "=" } else { "failed:" };
                    screen.remark(&format!("  {sign} {}", one_line(&output)));
                }
                TurnEvent::Done { text } => {
                    screen.finish(&text, self.context)?;
                    return Ok(Ended::Done);
                }
                TurnEvent::Failed(failure) => {
                    screen.end_line(self.context)?;
                    return Ok(Ended::Failed(format!(
                        "{} ({})",
                        style::plain(&failure.message),
                        failure.code
                    )));
                }
                TurnEvent::Cancelled => {
                    screen.end_line(self.context)?;
                    return Ok(Ended::Cancelled);
                }
            }
        }
    }
}

/// What stands on the terminal so far.
struct Screen {
    json: bool,
    streamed: String,
    progress: Option<Progress>,
}

impl Screen {
    fn text(&mut self, delta: &str, context: &Context) -> Result<()> {
        self.progress = None;
        if !self.json {
            context.out.piece(&style::plain(delta))?;
        }
        self.streamed.push_str(delta);
        Ok(())
    }

    /// The runtime has the message. When it crashed and has it for a second time, what came before is void.
    fn begin(&mut self) {
        if !self.streamed.is_empty() {
            self.remark("The agent's runtime ended and begins anew:");
            self.streamed.clear();
        }
    }

    /// Dimly, on standard error, on a line of its own.
    fn remark(&mut self, text: &str) {
        self.progress = None;
        if self.json {
            return;
        }
        if !self.streamed.is_empty() && !self.streamed.ends_with('\n') {
            eprintln!();
        }
        eprintln!("{}", style::stderr().dim(&style::plain(text)));
    }

    /// The whole answer is known: what was not streamed is printed now.
    fn finish(&mut self, text: &str, context: &Context) -> Result<()> {
        self.progress = None;
        let rest = text.strip_prefix(self.streamed.as_str());
        match rest {
            Some(rest) if !self.json => context.out.piece(&style::plain(rest))?,
            _ => {}
        }
        self.streamed.push_str(rest.unwrap_or_default());
        self.end_line(context)
    }

    fn end_line(&mut self, context: &Context) -> Result<()> {
        self.progress = None;
        if !self.json && !self.streamed.is_empty() && !self.streamed.ends_with('\n') {
            context.out.piece("\n")?;
        }
        Ok(())
    }
}

fn one_line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    cut(&text, TOOL_COLUMNS)
}
