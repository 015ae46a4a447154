//! Tells the other controls on the same database that an event was appended, and hears it from them.
//!
//! A notification in the writing transaction would make all commits wait for each other, so it follows in
//! one of its own, one for many. One that a crash swallows is made good by looking every now and then.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::Address;
use crate::Error;

const LOOK_EVERY: Duration = Duration::from_secs(15);
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

pub(super) async fn carry(address: Address, news: Arc<watch::Sender<u64>>, told: Arc<Notify>, me: Uuid) {
    loop {
        if let Err(error) = carry_once(&address, &news, &told, me).await {
            tracing::warn!(%error, "news of other controls come late: the database cannot be heard");
        }
        tokio::time::sleep(RECONNECT_AFTER).await;
    }
}

async fn carry_once(
    address: &Address,
    news: &Arc<watch::Sender<u64>>,
    told: &Notify,
    me: Uuid,
) -> Result<(), Error> {
    let (mine, heard) = (me.to_string(), Arc::clone(news));
    let client = address
        .connect(move |who| {
            if who != mine {
                bump(&heard);
            }
        })
        .await?;
    client.batch_execute("LISTEN creel_news").await?;
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            () = told.notified() => client.batch_execute(&format!("NOTIFY creel_news, '{me}'")).await?,
            _ = look.tick() => {
                client.batch_execute("").await?;
                bump(news);
            }
        }
    }
}

pub(super) fn bump(news: &watch::Sender<u64>) {
    news.send_modify(|count| *count = count.wrapping_add(1));
}
