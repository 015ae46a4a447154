//! Members of an org and invitations into it.

use std::sync::Arc;

use creel_api::{
    AcceptInvitation, CreateInvitation, ErrorCode, Invitation, Joined, Member, NewInvitation, SignUpMode,
};
use creel_domain::{Actor, Email, InvitationId, MemberRole, Patience, UserId};
use creel_store::{StoredInvitation, StoredMember};

use super::{
    sign_in::{hash, secret},
    tokens::{PREFIX, readable},
};
use crate::{
    Control,
    http::{
        auth::Caller,
        failure::{Answer, Failure},
        needs::Need,
    },
};

/// No code of ours is longer.
const CODE_BYTES: usize = 256;

fn member(stored: StoredMember) -> Member {
    Member {
        user: stored.user,
        name: stored.name,
        role: stored.role,
        created_at: stored.created_at,
    }
}

fn invitation(stored: &StoredInvitation) -> Invitation {
    Invitation {
        id: stored.id,
        role: stored.role,
        invited_by: stored.by,
        created_at: stored.created_at,
        expires_at: stored.expires_at,
        email: stored.email.clone(),
    }
}

pub(crate) async fn list(control: &Control, caller: &Caller) -> Answer<Vec<Member>> {
    let members = control.store.org(caller.org).members().await?;
    Ok(members.into_iter().map(member).collect())
}

pub(crate) async fn set_role(
    control: &Control,
    caller: &Caller,
    user: UserId,
    role: MemberRole,
) -> Answer<Member> {
    let org = caller.org(control);
    Ok(member(org.set_role(user, role, caller.role).await?))
}

pub(crate) async fn remove(control: &Control, caller: &Caller, user: UserId) -> Answer<()> {
    let org = caller.org(control);
    Ok(org.remove_member(user, Some(caller.role)).await?)
}

/// The caller leaves; only the last owner cannot.
pub(crate) async fn leave(control: &Control, caller: &Caller) -> Answer<()> {
    let org = caller.org(control);
    Ok(org.remove_member(caller.user, None).await?)
}

pub(crate) async fn invitations(control: &Control, caller: &Caller) -> Answer<Vec<Invitation>> {
    let open = control.store.org(caller.org).invitations().await?;
    Ok(open.iter().map(invitation).collect())
}

/// Whoever invites somebody by mail never learns the code: it shows that the mail was read.
pub(crate) async fn invite(
    control: &Control,
    caller: &Caller,
    create: CreateInvitation,
) -> Answer<NewInvitation> {
    let role = create.role;
    if !caller.role.may_grant(role) {
        return Err(Failure::new(
            ErrorCode::Forbidden,
            format!("The role {} may not invite somebody as {role}.", caller.role),
        ));
    }
    let code = secret("")?;
    let new = creel_store::NewInvitation {
        role,
        by: caller.user,
        hash: hash(&code),
    };
    let org = caller.org(control);
    let (stored, code) = match create.email {
        Some(email) => {
            may_invite(control, caller, &email).await?;
            let stored = org.invite_by_mail(new, email).await?;
            control.mailer.ring();
            (stored, None)
        }
        None => (org.invite(new).await?, Some(code)),
    };
    Ok(NewInvitation {
        invitation: invitation(&stored),
        code,
    })
}

/// Nobody's mailbox is filled by strangers, nor ours with strangers' mail.
async fn may_invite(control: &Control, caller: &Caller, email: &Email) -> Answer<()> {
    let mailbox = hash(&format!("invited mailbox\n{email}"));
    let org = hash(&format!("inviting org\n{}", caller.org));
    let keys = vec![(mailbox, Patience::MAILBOX), (org, Patience::INVITING)];
    if control.store.platform().may_try(keys).await? {
        return Ok(());
    }
    Err(Failure::new(
        ErrorCode::Busy,
        "Many mails were sent to this address or for this org in a short time: wait a while, or invite without \
         `email` and pass the code on yourself.",
    ))
}

pub(crate) async fn revoke(control: &Control, caller: &Caller, invitation: InvitationId) -> Answer<()> {
    let org = caller.org(control);
    Ok(org.revoke_invitation(invitation).await?)
}

/// `caller` joins; without one a user is made.
pub(crate) async fn accept(
    control: &Control,
    caller: Option<Caller>,
    guest: Arc<Actor>,
    accept: &AcceptInvitation,
) -> Answer<Joined> {
    if let Some(caller) = &caller {
        caller.may(Some(Need::Everything))?;
    }
    let name = match (&accept.name, &caller) {
        (Some(name), _) => readable(name)?,
        (None, Some(caller)) => caller.user_name.clone(),
        (None, None) => {
            return Err(Failure::invalid(
                "`name` is missing: say what the others shall call you.",
            ));
        }
    };
    let unknown = || {
        Failure::not_found(
            "The invitation is not valid: it was used, revoked or is too old. Ask for a new one.",
        )
    };
    if accept.code.is_empty() || accept.code.len() > CODE_BYTES {
        return Err(unknown());
    }
    if caller.is_none() && control.sign_up == SignUpMode::Closed {
        return Err(Failure::new(
            ErrorCode::Forbidden,
            "Nobody can become a user here: sign in as one first.",
        ));
    }
    let token = secret(PREFIX)?;
    let (user, actor) = match caller {
        Some(caller) => (Some(caller.user), caller.actor),
        None => (None, guest),
    };
    let platform = control.store.platform().acting(actor);
    let access = platform
        .accept_invitation(hash(&accept.code), user, name, hash(&token))
        .await?
        .ok_or_else(unknown)?;
    Ok(Joined {
        org: access.org,
        org_name: access.org_name,
        user: access.user,
        role: access.role,
        secret: token,
    })
}
