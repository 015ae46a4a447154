//! `creel operator …`: who runs the platform.

use clap::Subcommand;
use creel_api::Operator;
use creel_domain::{Email, UserId};

use crate::{
    context::Context,
    failure::{Failure, Result},
    out::{self, table::Table},
};

#[derive(Debug, Subcommand)]
pub(crate) enum OperatorCommand {
    /// List the operators
    #[command(visible_alias = "list")]
    Ls,
    /// Make a user an operator
    Add {
        /// The address that they sign in with, verified
        email: Email,
    },
    /// Make an operator an ordinary user again; one is always left
    Rm {
        /// Their id, as `creel operator ls` shows it
        user: UserId,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

pub(crate) async fn run(command: OperatorCommand, context: &Context) -> Result<()> {
    match command {
        OperatorCommand::Ls => {
            let operators = context.client.operators().await?.items;
            context.out.show(&operators, || table(&operators))
        }
        OperatorCommand::Add { email } => {
            let operator = context.client.add_operator(email).await?;
            context.out.show(&operator, || {
                let name = &operator.name;
                if operator.second_factor {
                    format!("{name} is an operator now")
                } else {
                    format!(
                        "{name} is an operator now, and enters no other org before setting up a second factor"
                    )
                }
            })
        }
        OperatorCommand::Rm { user, yes } => {
            if !yes && !out::confirm(&format!("take the platform out of the hands of {user}"))? {
                return Err(Failure::sentence("nothing was changed"));
            }
            context.client.remove_operator(user).await?;
            context.out.show(&user, || user.to_string())
        }
    }
}

fn table(operators: &[Operator]) -> String {
    let mut table = Table::new(&["NAME", "ADDRESS", "SECOND FACTOR", "ID"]).gives_way(1);
    for operator in operators {
        table.row([
            operator.name.clone(),
            operator
                .email
                .as_ref()
                .map_or_else(|| "-".to_owned(), ToString::to_string),
            if operator.second_factor { "yes" } else { "no" }.to_owned(),
            operator.user.to_string(),
        ]);
    }
    table.render()
}
