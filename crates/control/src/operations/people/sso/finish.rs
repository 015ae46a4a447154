//! A browser comes back from a provider: who is it, and what becomes of them here.

use creel_api::{ErrorCode, SignUpMode};
use creel_domain::{Patience, SsoNewcomers};
use creel_store::{Met, NewIdentity, Newcomers, StoredSsoAttempt};
use serde::Deserialize;

use super::{check_domain, failed, link, not_allowed};
use crate::{
    Control,
    http::{
        failure::{Answer, Failure},
        visitor::Visitor,
    },
    issuers::fetch::word,
    operations::{
        people::{enter, guesser_key, sign_up::org_name},
        sign_in::{hash, secret},
        sso::named,
    },
    sso::{CODE_BYTES, Provider, Returned, Secrets},
};

/// Longer ones are none of ours.
const STATE_BYTES: usize = 256;

/// With what a provider sends a browser back. Providers add words of their own.
#[derive(Deserialize)]
pub(crate) struct Query {
    state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// Where the browser lands, and the secret of its session if it has a new one.
pub(crate) struct Landing {
    pub(crate) path: String,
    pub(crate) session: Option<String>,
}

pub(super) fn over() -> Failure {
    Failure::new(
        ErrorCode::SsoOver,
        "This sign-in took longer than ten minutes, was finished already, or was begun in another browser or at \
         another address. Begin again.",
    )
}

pub(crate) async fn finish(
    control: &Control,
    visitor: &Visitor,
    name: &str,
    browser: Option<&str>,
    query: &Query,
) -> Answer<Landing> {
    let platform = visitor.platform(control);
    let guesser = guesser_key(visitor);
    let keys = guesser.map(|guesser| (guesser, Patience::ADDRESS));
    if !platform.may_try(keys.into_iter().collect()).await? {
        return Err(Failure::new(
            ErrorCode::TooManyAttempts,
            "Too many sign-ins from your network failed: wait some minutes, then begin again.",
        ));
    }
    let provider = named(control, name).await?;
    let state = query.state.as_deref().filter(|state| state.len() <= STATE_BYTES);
    let (Some(browser), Some(state)) = (browser, state) else {
        return Err(over());
    };
    let secrets = Secrets::of(browser, state);
    let attempt = platform.finish_sso(hash(state), secrets.browser, provider.stored.id);
    let attempt = attempt.await?.ok_or_else(over)?;
    let identity = ask(control, &provider, query, &secrets).await?;
    check_domain(&provider.stored, &identity)?;
    let landing = match attempt.link {
        Some(asked) => link::finish(control, visitor, &provider, asked, identity).await?,
        None => enter(control, visitor, &provider, attempt, identity).await?,
    };
    platform
        .forgive(Vec::new(), guesser.into_iter().collect())
        .await?;
    Ok(landing)
}

/// Who the provider says that it is.
async fn ask(
    control: &Control,
    provider: &Provider,
    query: &Query,
    secrets: &Secrets,
) -> Answer<NewIdentity> {
    let label = &provider.stored.label;
    match query.error.as_deref() {
        None => {}
        Some("access_denied" | "consent_required" | "interaction_required" | "login_required") => {
            return Err(Failure::new(
                ErrorCode::SsoDenied,
                format!(
                    "At {label} it was declined, so nobody was signed in. Begin again to agree, or sign in another way."
                ),
            ));
        }
        Some("temporarily_unavailable" | "server_error") => {
            return Err(Failure::new(
                ErrorCode::SsoUnreachable,
                format!(
                    "{label} has a fault at the moment. Try again in a little while, or sign in another way."
                ),
            ));
        }
        Some(error) => {
            let error = word(error);
            tracing::warn!(error, provider = %provider.stored.name, "a sign-in provider refused");
            return Err(Failure::new(
                ErrorCode::SsoNotBelieved,
                format!(
                    "{label} refused with `{error}`. Begin again; if it stays so, tell whoever runs this Creel."
                ),
            ));
        }
    }
    let code = query.code.as_deref();
    let code = code.filter(|code| (1..=CODE_BYTES).contains(&code.len()));
    let returned = Returned {
        code: code.ok_or_else(over)?,
        issuer: query.iss.as_deref(),
    };
    let found = control
        .sso
        .finish(provider, &returned, secrets, control.clock.now())
        .await;
    found.map_err(|error| failed(&provider.stored, &error))
}

/// What becomes of somebody whom nobody knows.
fn newcomers(control: &Control, provider: &Provider, invitation: Option<[u8; 32]>, name: &str) -> Newcomers {
    match (provider.stored.newcomers, invitation, control.sign_up) {
        (SsoNewcomers::Nobody, ..) => Newcomers::Nobody,
        // Whoever runs the platform has said so for this provider, whatever holds for sign-up by mail.
        (SsoNewcomers::Join(role), None, _) | (SsoNewcomers::Join(role), _, SignUpMode::Closed) => {
            Newcomers::Join(control.issuers.org(), role)
        }
        (_, _, SignUpMode::Closed) => Newcomers::Nobody,
        (_, Some(code), _) => Newcomers::Invited(code),
        (SsoNewcomers::SignUp, None, SignUpMode::Open) => Newcomers::OwnOrg(org_name(name)),
        (_, None, _) => Newcomers::Nobody,
    }
}

async fn enter(
    control: &Control,
    visitor: &Visitor,
    provider: &Provider,
    attempt: StoredSsoAttempt,
    identity: NewIdentity,
) -> Answer<Landing> {
    let platform = visitor.platform(control);
    let newcomers = newcomers(control, provider, attempt.invitation, &identity.name);
    let invited = matches!(newcomers, Newcomers::Invited(_));
    let (user, joined) = match platform.meet(identity, newcomers).await? {
        Met::Known(user) => (user, false),
        Met::New(user) => (user, invited),
        Met::Stranger => {
            return Err(not_allowed(format!(
                "Nobody here is known by this account of {}. Ask a member for an invitation and open its link, or \
                 sign in another way and link it under Account.",
                provider.stored.label
            )));
        }
    };
    let person = platform.person(user).await?;
    if person.second_factor {
        let ticket = secret("")?;
        platform.open_half_session(user, hash(&ticket)).await?;
        // Behind the #, which no server sees; without a code of the app it opens nothing.
        return Ok(Landing {
            path: format!("/#second-factor={ticket}&to={}", attempt.return_to),
            session: None,
        });
    }
    let signed_in = enter::place(visitor, control, user, None).await?;
    let via = format!("sign-in provider {}", provider.stored.name);
    let visitor = visitor.known(user, &person.name, via);
    let session = enter::open_session(control, &visitor, signed_in.org, user).await?;
    Ok(Landing {
        path: match joined {
            true => "/#joined".to_owned(),
            false => attempt.return_to,
        },
        session: Some(session),
    })
}
