//! Sending a browser to a provider, with a secret by which it is known when it comes back.

use creel_api::{Secret, SsoChoice};
use creel_store::{NewSsoAttempt, SsoLink};

use super::{failed, ours};
use crate::{
    Control,
    http::{
        failure::{Answer, Failure},
        visitor::Visitor,
    },
    operations::{
        people::good_code,
        sign_in::{hash, secret},
        sso::named,
    },
    sso::Secrets,
};

/// Characters of the browser's secret.
const SECRET_CHARS: usize = 64;

/// Where the browser goes, and the secret that it keeps meanwhile.
pub(crate) struct Begun {
    pub(crate) url: String,
    pub(crate) browser: String,
}

/// The buttons of the sign-in page.
pub(crate) async fn choices(control: &Control) -> Answer<Vec<SsoChoice>> {
    let all = control.store.platform().sso_providers().await?;
    let choice = |provider: creel_store::StoredSsoProvider| SsoChoice {
        name: provider.name,
        label: provider.label,
    };
    Ok(all.into_iter().map(choice).collect())
}

/// `browser`: the secret that the browser has already, for another sign-in in another tab.
pub(crate) async fn begin(
    control: &Control,
    visitor: &Visitor,
    name: &str,
    browser: Option<&str>,
    invitation: Option<&Secret>,
    return_to: Option<&str>,
    link: Option<SsoLink>,
) -> Answer<Begun> {
    let provider = named(control, name).await?;
    let return_to = return_to.unwrap_or("/");
    if !ours(return_to) {
        return Err(Failure::invalid(
            "`return_to` must be a path of this Creel, such as /device.",
        ));
    }
    let platform = visitor.platform(control);
    let invitation = match invitation.map(Secret::reveal) {
        None => None,
        Some(code) if good_code(code) && platform.is_invited(hash(code)).await? => Some(hash(code)),
        Some(_) => {
            return Err(Failure::not_found(
                "The invitation is not valid: it was used, revoked or is too old. Ask for a new one.",
            ));
        }
    };
    let known = |text: &&str| text.len() == SECRET_CHARS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let browser = match browser.filter(known) {
        Some(browser) => browser.to_owned(),
        None => secret("")?,
    };
    let state = secret("")?;
    let secrets = Secrets::of(&browser, &state);
    let url = control.sso.begin(&provider, &state, &secrets).await;
    let url = url.map_err(|error| failed(&provider.stored, &error))?;
    platform
        .begin_sso(NewSsoAttempt {
            hash: hash(&state),
            provider: provider.stored.id,
            browser: secrets.browser,
            network: visitor.network.clone(),
            invitation,
            return_to: return_to.to_owned(),
            link,
        })
        .await?;
    Ok(Begun {
        url: url.to_string(),
        browser,
    })
}
