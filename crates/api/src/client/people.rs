//! Signing in, and what people keep about themselves.

use creel_domain::BrowserSessionId;
use reqwest::Method;

use super::{Client, Error, body};
use crate::{
    BrowserSessionList, ConfirmTotp, Me, Proof, RecoveryCodes, SecondFactor, SetEmail, SetPassword, SignIn,
    SignInResult, SignOutEverywhere, TotpEnrolment,
};

impl Client {
    pub async fn sign_in(&self, sign_in: &SignIn) -> Result<SignInResult, Error> {
        self.json(body(self.request(Method::POST, &["v1", "sign-in"], &[]), sign_in))
            .await
    }

    pub async fn second_factor(&self, factor: &SecondFactor) -> Result<SignInResult, Error> {
        let request = self.request(Method::POST, &["v1", "sign-in", "second-factor"], &[]);
        self.json(body(request, factor)).await
    }

    pub async fn me(&self) -> Result<Me, Error> {
        self.json(self.get(&["v1", "me"])).await
    }

    pub async fn set_email(&self, set: &SetEmail) -> Result<(), Error> {
        self.done(body(self.request(Method::PUT, &["v1", "me", "email"], &[]), set))
            .await
    }

    pub async fn set_password(&self, set: &SetPassword) -> Result<(), Error> {
        self.done(body(
            self.request(Method::PUT, &["v1", "me", "password"], &[]),
            set,
        ))
        .await
    }

    pub async fn enrol_totp(&self, proof: &Proof) -> Result<TotpEnrolment, Error> {
        self.json(body(
            self.request(Method::POST, &["v1", "me", "totp"], &[]),
            proof,
        ))
        .await
    }

    pub async fn confirm_totp(&self, confirm: &ConfirmTotp) -> Result<RecoveryCodes, Error> {
        let request = self.request(Method::POST, &["v1", "me", "totp", "confirm"], &[]);
        self.json(body(request, confirm)).await
    }

    pub async fn disable_totp(&self, proof: &Proof) -> Result<(), Error> {
        let request = self.request(Method::POST, &["v1", "me", "totp", "disable"], &[]);
        self.done(body(request, proof)).await
    }

    pub async fn browser_sessions(&self) -> Result<BrowserSessionList, Error> {
        self.json(self.get(&["v1", "browser-sessions"])).await
    }

    pub async fn end_browser_session(&self, session: BrowserSessionId) -> Result<(), Error> {
        let session = session.to_string();
        self.done(self.request(Method::DELETE, &["v1", "browser-sessions", &session], &[]))
            .await
    }

    pub async fn sign_out_everywhere(&self, what: &SignOutEverywhere) -> Result<(), Error> {
        let request = self.request(Method::POST, &["v1", "sign-out-everywhere"], &[]);
        self.done(body(request, what)).await
    }
}
