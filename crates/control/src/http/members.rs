//! `/v1/members` and `/v1/invitations`.

use std::sync::Arc;

use axum::{Json as Answered, extract::State, http::StatusCode};
use creel_api::{
    AcceptInvitation, CreateInvitation, InvitationList, Joined, Member, MemberList, NewInvitation,
    PatchMember, Problem,
};
use creel_domain::{InvitationId, UserId};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::{Caller, MaybeCaller},
    extract::{Json, Path},
    failure::Answer,
    origin::Guest,
};
use crate::{Control, operations::members};

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(patch, remove))
        .routes(routes!(leave))
        .routes(routes!(invitations, invite))
        .routes(routes!(accept))
        .routes(routes!(revoke))
}

/// Who belongs to the org.
#[utoipa::path(get, path = "/v1/members", tag = "members",
    responses((status = 200, body = MemberList), (status = "default", body = Problem)))]
async fn list(caller: Caller, State(control): State<Arc<Control>>) -> Answer<Answered<MemberList>> {
    let items = members::list(&control, &caller).await?;
    Ok(Answered(MemberList { items }))
}

/// Gives a member another role. Only owners make and unmake owners, and one always stays.
#[utoipa::path(patch, path = "/v1/members/{user}", tag = "members", request_body = PatchMember,
    params(("user" = UserId, Path)),
    responses((status = 200, body = Member), (status = "default", body = Problem)))]
async fn patch(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(user): Path<UserId>,
    body: Json<PatchMember>,
) -> Answer<Answered<Member>> {
    let member = members::set_role(&control, &caller, user, body.value.role).await?;
    Ok(Answered(member))
}

/// Removes a member: their tokens and sessions in this org end at once.
#[utoipa::path(delete, path = "/v1/members/{user}", tag = "members", params(("user" = UserId, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn remove(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(user): Path<UserId>,
) -> Answer<StatusCode> {
    members::remove(&control, &caller, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The caller leaves the org. The last owner cannot.
#[utoipa::path(post, path = "/v1/leave", tag = "members",
    responses((status = 204), (status = "default", body = Problem)))]
async fn leave(caller: Caller, State(control): State<Arc<Control>>) -> Answer<StatusCode> {
    members::leave(&control, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Invitations that nobody has accepted yet, without their codes.
#[utoipa::path(get, path = "/v1/invitations", tag = "members",
    responses((status = 200, body = InvitationList), (status = "default", body = Problem)))]
async fn invitations(
    caller: Caller,
    State(control): State<Arc<Control>>,
) -> Answer<Answered<InvitationList>> {
    let items = members::invitations(&control, &caller).await?;
    Ok(Answered(InvitationList { items }))
}

/// Invites one person, within seven days. The answer holds the code, which is not shown again; with `email` it is
/// mailed there instead.
#[utoipa::path(post, path = "/v1/invitations", tag = "members", request_body = CreateInvitation,
    responses((status = 201, body = NewInvitation), (status = "default", body = Problem)))]
async fn invite(
    caller: Caller,
    State(control): State<Arc<Control>>,
    body: Json<CreateInvitation>,
) -> Answer<(StatusCode, Answered<NewInvitation>)> {
    let invitation = members::invite(&control, &caller, body.value).await?;
    Ok((StatusCode::CREATED, Answered(invitation)))
}

/// Takes an invitation back.
#[utoipa::path(delete, path = "/v1/invitations/{invitation}", tag = "members",
    params(("invitation" = InvitationId, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn revoke(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(invitation): Path<InvitationId>,
) -> Answer<StatusCode> {
    members::revoke(&control, &caller, invitation).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Accepts an invitation: whoever sends a token of another org joins as who they are, anybody else as a
/// new user. The answer holds a token for the org, which is not shown again.
#[utoipa::path(post, path = "/v1/invitations/accept", tag = "members", request_body = AcceptInvitation,
    security(()),
    responses((status = 201, body = Joined), (status = "default", body = Problem)))]
async fn accept(
    MaybeCaller(caller): MaybeCaller,
    Guest(actor): Guest,
    State(control): State<Arc<Control>>,
    body: Json<AcceptInvitation>,
) -> Answer<(StatusCode, Answered<Joined>)> {
    let joined = members::accept(&control, caller, actor, &body.value).await?;
    Ok((StatusCode::CREATED, Answered(joined)))
}
