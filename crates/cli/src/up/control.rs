//! `creel control`: the child that speaks to the world, without root's rights from its first moment.

use super::{
    account::{self, Account},
    args::ControlArgs,
};
use crate::failure::{Failure, Result};

pub(crate) fn run(args: ControlArgs) -> Result<()> {
    let account = Account {
        uid: args.uid,
        gid: args.gid,
    };
    account.become_for_good()?;
    account::die_with(args.parent)?;
    Err(Failure::sentence(format!(
        "control is not linked in yet ({})",
        args.data.display()
    )))
}
