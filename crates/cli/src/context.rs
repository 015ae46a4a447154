//! What every client command needs: the client, and whether to speak JSON.

use creel_api::client::Client;

use crate::{args::Global, failure::Result, out::Out, settings};

pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) out: Out,
}

impl Context {
    pub(crate) fn new(global: &Global) -> Result<Self> {
        let settings = settings::resolve(global)?;
        Ok(Self {
            client: Client::new(&settings.url, settings.token)?,
            out: Out::new(global.json),
        })
    }
}
