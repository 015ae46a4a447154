//! `creel sign-in`: a link that opens the web page once.

use crate::{context::Context, failure::Result};

pub(crate) async fn run(context: &Context) -> Result<()> {
    let link = context.client.sign_in_link().await?;
    let url = format!("{}{}", context.client.url(), link.path);
    if context.out.json {
        return context
            .out
            .json(&serde_json::json!({ "url": url, "expires_at": link.expires_at }));
    }
    context.out.text(&url)?;
    context
        .out
        .note(&format!("It opens once, until {:.0}.", link.expires_at));
    Ok(())
}
