//! `creel supervisor`: the child that owns the sandboxes.

use super::{account, args::SupervisorArgs};
use crate::failure::{Failure, Result};

pub(crate) fn run(args: SupervisorArgs) -> Result<()> {
    account::die_with(args.parent)?;
    Err(Failure::sentence(format!(
        "the supervisor is not linked in yet ({})",
        args.data.display()
    )))
}
