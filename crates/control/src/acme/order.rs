//! One certificate, from the order to the chain.

use std::time::Duration;

use creel_store::NewCertificate;
use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount, NewOrder, Order, OrderStatus,
    RetryPolicy,
};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{Acme, Problem, http::Authority, validity::validity};
use crate::Control;

/// For the authority to look at what it is to find, and again to write the certificate.
const PATIENCE: Duration = Duration::from_secs(40);

pub(super) async fn obtain(
    control: &Control,
    acme: &Acme,
    authority: &Authority,
    host: &str,
) -> Result<NewCertificate, Problem> {
    let account = account(control, acme, authority).await?;
    let names = [Identifier::Dns(host.to_owned())];
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    offer(control, acme, host, &mut order).await?;
    let retries = RetryPolicy::default().timeout(PATIENCE);
    match order.poll_ready(&retries).await? {
        OrderStatus::Ready | OrderStatus::Valid => {}
        _ => return Err(Problem::Said(refused(&mut order).await)),
    }
    let key = Zeroizing::new(order.finalize().await?);
    let chain = order.poll_certificate(&retries).await?;
    let (from, until) = validity(&chain)?;
    Ok(NewCertificate {
        renew_at: renewal(from, until),
        issued_at: from,
        not_after: until,
        pem: Zeroizing::new(format!("{chain}\n{}", key.as_str())),
    })
}

/// With a third of its life left.
fn renewal(from: Timestamp, until: Timestamp) -> Timestamp {
    let third = until.duration_since(from) / 3;
    until.saturating_sub(third).unwrap_or(until)
}

/// Who we are there: known from before, or made now.
async fn account(control: &Control, acme: &Acme, authority: &Authority) -> Result<Account, Problem> {
    let platform = control.store.platform();
    let directory = &acme.settings.directory;
    let builder = || Account::builder_with_http(Box::new(authority.clone()));
    let kept = match platform.acme_account(directory).await? {
        Some(kept) => kept,
        None => {
            let contact = format!("mailto:{}", acme.settings.email);
            let new = NewAccount {
                contact: &[&contact],
                terms_of_service_agreed: true,
                only_return_existing: false,
            };
            let (_, credentials) = builder().create(&new, directory.clone(), None).await?;
            let text = Zeroizing::new(serde_json::to_string(&credentials).map_err(Error::from)?);
            platform.add_acme_account(directory, &text).await?
        }
    };
    let credentials = serde_json::from_str(&kept).map_err(Error::from)?;
    Ok(builder().from_credentials(credentials).await?)
}

/// Has what the authority is to find lie ready, and tells it so.
async fn offer(control: &Control, acme: &Acme, host: &str, order: &mut Order) -> Result<(), Problem> {
    let kind = || match acme.settings.plain {
        true => ChallengeType::Http01,
        false => ChallengeType::TlsAlpn01,
    };
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let mut challenge = authorization
            .challenge(kind())
            .ok_or(Error::Unsupported("the challenge that the listeners allow"))?;
        let (token, proof) = (challenge.token.clone(), challenge.key_authorization());
        let platform = control.store.platform();
        let kept = platform.set_challenge(host.to_owned(), token, proof.as_str().to_owned());
        kept.await?;
        challenge.set_ready().await?;
    }
    Ok(())
}

/// What the authority did not like.
async fn refused(order: &mut Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else {
            break;
        };
        let mut problems = state
            .challenges
            .iter()
            .filter_map(|challenge| challenge.error.as_ref());
        if let Some(detail) = problems.find_map(|problem| problem.detail.clone()) {
            return detail;
        }
    }
    "the authority does not say why".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_got_anew_with_a_third_of_its_life_left() {
        let at = |day: i64| Timestamp::from_second(day * 86_400).expect("in range");
        assert_eq!(renewal(at(0), at(90)), at(60));
        assert_eq!(renewal(at(9), at(9)), at(9));
    }
}
