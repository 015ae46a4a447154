//! `creel schedule …`: messages that an agent is sent by the clock, asleep or not.

mod shown;
mod when;

use std::io::Read as _;

use clap::Subcommand;
use creel_api::{CreateSchedule, PatchSchedule, Schedule};
use creel_domain::{Missed, Name, Overlap, SessionName};

use self::when::{ChangedWhen, WhenArgs};
use crate::{
    context::Context,
    failure::{Failure, Result},
    out,
};

/// One more than a message may have: the server says what is too long.
const MESSAGE_BYTES: u64 = 256 * 1024 + 1;

#[derive(Debug, Subcommand)]
pub(crate) enum ScheduleCommand {
    /// Have an agent told something by the clock
    #[command(override_usage = "creel schedule add [OPTIONS] <AGENT> <NAME> <MESSAGE>")]
    #[command(after_help = "\
Examples:
  creel schedule add scout daily-report --cron \"0 9 * * 1-5\" \\
      --zone Europe/Berlin \"Write the report\"
  creel schedule add scout look --every 30m \"Look at the queue\"
  creel schedule add scout party --at 2026-12-24T18:00 \\
      --zone Europe/Berlin \"Wish everybody a merry Christmas\"")]
    Add {
        /// Name or id
        agent: String,
        /// Of the schedule; its own within the agent
        name: Name,
        #[command(flatten)]
        when: WhenArgs,
        #[command(flatten)]
        how: HowArgs,
        /// Make it paused
        #[arg(long)]
        paused: bool,
        /// What the agent is told; `-` for standard input
        message: String,
    },
    /// List an agent's schedules
    #[command(visible_alias = "list")]
    Ls {
        /// Name or id
        agent: String,
    },
    /// Show all about one schedule
    Show { agent: String, schedule: String },
    /// Change a schedule; what is not named stays
    Set {
        agent: String,
        schedule: String,
        #[command(flatten)]
        when: ChangedWhen,
        #[command(flatten)]
        how: HowArgs,
        /// What the agent is told; `-` for standard input
        #[arg(long, value_name = "TEXT")]
        message: Option<String>,
    },
    /// Stop a schedule until it is resumed
    Pause { agent: String, schedule: String },
    /// Let a schedule go on with its next time
    Resume { agent: String, schedule: String },
    /// Tell the agent now
    Run { agent: String, schedule: String },
    /// List what came of a schedule's times, the newest first
    Runs {
        agent: String,
        schedule: String,
        /// How many, at most 200
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u32,
    },
    /// Remove a schedule and its history
    Rm {
        agent: String,
        schedule: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct HowArgs {
    /// The conversation in which the agent is told; one of the schedule's own when absent
    #[arg(long, value_name = "NAME")]
    session: Option<SessionName>,
    /// Times that go by while Creel does not run: skip, once (one run for all of them) or all (the newest 24)
    #[arg(long, value_name = "HOW")]
    missed: Option<Missed>,
    /// A time at which the run before is still under way: skip or queue
    #[arg(long, value_name = "HOW")]
    overlap: Option<Overlap>,
}

pub(crate) async fn run(command: ScheduleCommand, context: &Context) -> Result<()> {
    let client = &context.client;
    match command {
        ScheduleCommand::Add {
            agent,
            name,
            when,
            how,
            paused,
            message,
        } => {
            let create = CreateSchedule {
                name,
                when: when.when()?,
                message: text(message)?,
                session: how.session,
                enabled: Some(!paused),
                missed: how.missed,
                overlap: how.overlap,
            };
            // The same key for the same call: a lost answer does not make a second one.
            let key = uuid::Uuid::now_v7().to_string();
            let made = match client.create_schedule(&agent, &create, &key).await {
                Err(error) if error.is_passing() && error.code().is_none() => {
                    client.create_schedule(&agent, &create, &key).await?
                }
                answer => answer?,
            };
            report(&made, context)
        }
        ScheduleCommand::Ls { agent } => {
            let items = client.schedules(&agent).await?.items;
            if items.is_empty() && !context.out.json {
                context.out.note("There is no schedule.");
                return Ok(());
            }
            context.out.show(&items, || shown::list(&items))
        }
        ScheduleCommand::Show { agent, schedule } => {
            let schedule = client.schedule(&agent, &schedule).await?;
            context.out.show(&schedule, || shown::whole(&schedule))
        }
        ScheduleCommand::Set {
            agent,
            schedule,
            when,
            how,
            message,
        } => {
            let found = client.schedule(&agent, &schedule).await?;
            let patch = PatchSchedule {
                when: when.when(&found.when)?,
                message: message.map(text).transpose()?,
                session: how.session,
                enabled: None,
                missed: how.missed,
                overlap: how.overlap,
            };
            if patch == PatchSchedule::default() {
                return Err(Failure::wrong_use(
                    "nothing to change: see `creel schedule set --help`",
                ));
            }
            change(&agent, &found, &patch, context).await
        }
        ScheduleCommand::Pause { agent, schedule } => enable(&agent, &schedule, false, context).await,
        ScheduleCommand::Resume { agent, schedule } => enable(&agent, &schedule, true, context).await,
        ScheduleCommand::Run { agent, schedule } => {
            let key = uuid::Uuid::now_v7().to_string();
            let run = client.run_schedule(&agent, &schedule, &key).await?;
            let turn = run.turn.map(|turn| turn.to_string()).unwrap_or_default();
            context.out.show(&run, || turn)
        }
        ScheduleCommand::Runs {
            agent,
            schedule,
            limit,
        } => {
            let runs = client.schedule_runs(&agent, &schedule, limit, None).await?.items;
            if runs.is_empty() && !context.out.json {
                context.out.note("It has not run yet.");
                return Ok(());
            }
            context.out.show(&runs, || shown::runs(&runs))
        }
        ScheduleCommand::Rm { agent, schedule, yes } => {
            if !yes && !out::confirm(&format!("remove the schedule {schedule} and its history"))? {
                return Err(Failure::sentence("nothing was removed"));
            }
            client.remove_schedule(&agent, &schedule).await?;
            context.out.show(&schedule, || schedule.clone())
        }
    }
}

/// As it is, or all of standard input.
fn text(message: String) -> Result<String> {
    if message != "-" {
        return Ok(message);
    }
    let mut text = String::new();
    let read = std::io::stdin().take(MESSAGE_BYTES).read_to_string(&mut text);
    read.map_err(|error| {
        Failure::sentence(format!(
            "the message on standard input cannot be read as text: {error}"
        ))
    })?;
    Ok(text)
}

async fn enable(agent: &str, schedule: &str, enabled: bool, context: &Context) -> Result<()> {
    let found = context.client.schedule(agent, schedule).await?;
    let patch = PatchSchedule {
        enabled: Some(enabled),
        ..PatchSchedule::default()
    };
    change(agent, &found, &patch, context).await
}

async fn change(agent: &str, found: &Schedule, patch: &PatchSchedule, context: &Context) -> Result<()> {
    let id = found.id.to_string();
    let changed = context
        .client
        .patch_schedule(agent, &id, found.revision, patch)
        .await?;
    report(&changed, context)
}

/// Its name, and when it comes next.
fn report(schedule: &Schedule, context: &Context) -> Result<()> {
    context.out.show(schedule, || schedule.name.to_string())?;
    context.out.note(&shown::next(schedule));
    Ok(())
}
