//! Sign-in providers, as operators of the platform add, try and remove them.

use creel_api::{AddSsoProvider, Secret, SsoProvider, SsoTest};
use creel_domain::{Act, Email, Name, SsoKind, SsoNewcomers};
use creel_store::{NewSsoProvider, StoredSsoProvider};
use zeroize::Zeroizing;

use super::{operators, tokens::readable};
use crate::{
    Control,
    http::{
        auth::Caller,
        failure::{Answer, Failure, sentence},
    },
    sso::{Error, Provider},
};

/// Of a client id or secret, in bytes.
const CLIENT_BYTES: usize = 4096;
/// Of an issuer's address.
const ISSUER_BYTES: usize = 1024;
/// Allowed domains of one provider.
const DOMAINS: usize = 100;
const GITHUB: &str = "https://github.com";
/// Where anybody may have an account.
const OPEN_TO_ALL: [&str; 2] = [GITHUB, "https://accounts.google.com"];

pub(crate) fn callback(control: &Control, name: &Name) -> String {
    format!("{}/sign-in/callback/{name}", control.public_url)
}

fn shown(control: &Control, stored: StoredSsoProvider) -> SsoProvider {
    SsoProvider {
        callback_url: callback(control, &stored.name),
        name: stored.name,
        label: stored.label,
        kind: stored.kind,
        issuer: stored.issuer,
        client_id: stored.client_id,
        has_client_secret: stored.has_client_secret,
        newcomers: stored.newcomers,
        email_domains: stored.email_domains,
        created_at: stored.created_at,
    }
}

fn missing(name: &str) -> Failure {
    let shown: String = name.chars().take(60).collect();
    Failure::not_found(format!("There is no sign-in provider `{shown}`."))
}

/// A provider with all that is needed to speak to it.
pub(crate) async fn named(control: &Control, name: &str) -> Answer<Provider> {
    let name: Name = name.parse().map_err(|_| missing(name))?;
    let found = control.store.platform().sso_provider(name.clone()).await?;
    let (stored, client_secret) = found.ok_or_else(|| missing(name.as_str()))?;
    Ok(Provider {
        callback: callback(control, &stored.name),
        stored,
        client_secret,
    })
}

/// The domain of an address, as addresses are compared.
fn domain(text: &str) -> Answer<String> {
    let text = text.trim().trim_start_matches('@');
    let email: Result<Email, _> = format!("x@{text}").parse();
    let domain = email.map(|email| email.domain().to_owned()).map_err(|_| {
        let shown: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
        Failure::invalid(format!(
            "`email_domains`: `{shown}` is no domain: write it as example.com."
        ))
    })?;
    Ok(domain)
}

fn issuer(add: &AddSsoProvider) -> Answer<String> {
    let issuer = match (add.kind, &add.issuer) {
        (SsoKind::Github, None) => GITHUB,
        (SsoKind::Github, Some(own)) => own.trim_end_matches('/'),
        (SsoKind::Oidc, Some(issuer)) => issuer,
        (SsoKind::Oidc, None) => {
            return Err(Failure::invalid(
                "`issuer` is missing: say exactly how the provider calls itself.",
            ));
        }
    };
    if issuer.len() > ISSUER_BYTES {
        return Err(Failure::invalid(format!(
            "`issuer` is longer than {ISSUER_BYTES} bytes."
        )));
    }
    Ok(issuer.to_owned())
}

fn good_client(name: &str, text: &str) -> Answer<()> {
    if (1..=CLIENT_BYTES).contains(&text.len()) && text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Ok(());
    }
    Err(Failure::invalid(format!(
        "`{name}` must be 1 to {CLIENT_BYTES} visible ASCII characters."
    )))
}

fn unfit(error: &Error) -> Failure {
    Failure::invalid(format!(
        "`issuer`: nobody could sign in there. {}",
        sentence(&error.to_string())
    ))
}

/// The provider is asked first: one that nobody could sign in with is not added.
pub(crate) async fn add(control: &Control, caller: &Caller, add: AddSsoProvider) -> Answer<SsoProvider> {
    // Who says who people are is who they are: an operator's token alone must not be enough.
    operators::prove(control, caller).await?;
    let issuer = issuer(&add)?;
    good_client("client_id", &add.client_id)?;
    let secret = add.client_secret.as_ref().map(Secret::reveal);
    match secret {
        Some(secret) => good_client("client_secret", secret)?,
        None if add.kind == SsoKind::Github => {
            return Err(Failure::invalid("`client_secret` is missing: GitHub wants one."));
        }
        None => {}
    }
    let label = readable(add.label.as_deref().unwrap_or(add.name.as_str()))?;
    if add.email_domains.len() > DOMAINS {
        return Err(Failure::invalid(format!(
            "`email_domains` names more than {DOMAINS} domains."
        )));
    }
    let mut email_domains = add
        .email_domains
        .iter()
        .map(|text| domain(text))
        .collect::<Answer<Vec<_>>>()?;
    email_domains.sort();
    email_domains.dedup();
    let everybody = matches!(add.newcomers, SsoNewcomers::Join(_)) && email_domains.is_empty();
    if everybody && OPEN_TO_ALL.contains(&issuer.as_str()) {
        return Err(Failure::invalid(
            "`email_domains` is missing: anybody may have an account there, and all of them would become members.",
        ));
    }
    control
        .sso
        .look(add.kind, &issuer, secret.is_some())
        .await
        .map_err(|error| unfit(&error))?;
    let new = NewSsoProvider {
        name: add.name,
        label,
        kind: add.kind,
        issuer,
        client_id: add.client_id,
        client_secret: secret.map(|secret| Zeroizing::new(secret.to_owned())),
        newcomers: add.newcomers,
        email_domains,
    };
    let platform = caller.platform(control);
    Ok(shown(control, platform.add_sso_provider(caller.org, new).await?))
}

pub(crate) async fn list(control: &Control) -> Answer<Vec<SsoProvider>> {
    let all = control.store.platform().sso_providers().await?;
    Ok(all.into_iter().map(|stored| shown(control, stored)).collect())
}

pub(crate) async fn remove(control: &Control, caller: &Caller, name: &str) -> Answer<()> {
    operators::prove(control, caller).await?;
    let parsed: Name = name.parse().map_err(|_| missing(name))?;
    let platform = caller.platform(control);
    let removed = platform.remove_sso_provider(caller.org, parsed).await;
    removed.map_err(|error| match error {
        creel_store::Error::NotFound(_) => missing(name),
        other => other.into(),
    })
}

pub(crate) async fn test(control: &Control, caller: &Caller, name: &str) -> Answer<SsoTest> {
    let provider = named(control, name).await?.stored;
    let act = Act::new("sso.test").on("sso_provider", provider.id);
    caller.org(control).record(act.named(&provider.name)).await?;
    Ok(match control.sso.test(&provider).await {
        Ok(detail) => SsoTest { ok: true, detail },
        Err(error) => SsoTest {
            ok: false,
            detail: sentence(&error.to_string()),
        },
    })
}
