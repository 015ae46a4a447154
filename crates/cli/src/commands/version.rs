//! `creel version`: of this program, and of the server if it answers.

use crate::{context::Context, failure::Result};

pub(crate) async fn run(context: &Context) -> Result<()> {
    let client = env!("CARGO_PKG_VERSION");
    let server = context.client.version().await;
    if context.out.json {
        let server = server.ok().map(|server| server.version);
        return context
            .out
            .json(&serde_json::json!({ "client": client, "server": server }));
    }
    context.out.text(&format!("client {client}"))?;
    match server {
        Ok(server) => context.out.text(&format!("server {}", server.version)),
        Err(error) => {
            context.out.note(&format!("server unknown: {error}"));
            Ok(())
        }
    }
}
