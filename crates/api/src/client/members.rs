//! Members, invitations and tokens of the caller's org.

use creel_domain::{InvitationId, MemberRole, TokenId, UserId};
use reqwest::Method;

use super::{Client, Error, body};
use crate::{
    AcceptInvitation, AccessToken, CreateAccessToken, CreateInvitation, CreateToken, InvitationList, Joined,
    Member, MemberList, NewInvitation, NewToken, PatchMember, TokenList,
};

impl Client {
    pub async fn members(&self) -> Result<MemberList, Error> {
        self.json(self.get(&["v1", "members"])).await
    }

    pub async fn set_role(&self, user: UserId, role: MemberRole) -> Result<Member, Error> {
        let request = self.request(Method::PATCH, &["v1", "members", &user.to_string()], &[]);
        self.json(body(request, &PatchMember { role })).await
    }

    pub async fn remove_member(&self, user: UserId) -> Result<(), Error> {
        self.done(self.request(Method::DELETE, &["v1", "members", &user.to_string()], &[]))
            .await
    }

    pub async fn leave(&self) -> Result<(), Error> {
        self.done(self.request(Method::POST, &["v1", "leave"], &[])).await
    }

    pub async fn invitations(&self) -> Result<InvitationList, Error> {
        self.json(self.get(&["v1", "invitations"])).await
    }

    pub async fn invite(&self, create: &CreateInvitation) -> Result<NewInvitation, Error> {
        let request = self.request(Method::POST, &["v1", "invitations"], &[]);
        self.json(body(request, create)).await
    }

    pub async fn revoke_invitation(&self, invitation: InvitationId) -> Result<(), Error> {
        let invitation = invitation.to_string();
        self.done(self.request(Method::DELETE, &["v1", "invitations", &invitation], &[]))
            .await
    }

    /// Joins the org that the code is for.
    pub async fn accept_invitation(&self, accept: &AcceptInvitation) -> Result<Joined, Error> {
        let request = self.request(Method::POST, &["v1", "invitations", "accept"], &[]);
        self.json(body(request, accept)).await
    }

    pub async fn tokens(&self) -> Result<TokenList, Error> {
        self.json(self.get(&["v1", "tokens"])).await
    }

    pub async fn create_token(&self, token: &CreateToken) -> Result<NewToken, Error> {
        self.json(body(self.request(Method::POST, &["v1", "tokens"], &[]), token))
            .await
    }

    /// A JWT for the caller, good for minutes.
    pub async fn access_token(&self, create: &CreateAccessToken) -> Result<AccessToken, Error> {
        let request = self.request(Method::POST, &["v1", "access-tokens"], &[]);
        self.json(body(request, create)).await
    }

    pub async fn revoke_token(&self, token: TokenId) -> Result<(), Error> {
        self.done(self.request(Method::DELETE, &["v1", "tokens", &token.to_string()], &[]))
            .await
    }
}
