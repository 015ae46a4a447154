//! How the nouns seal and open their values.

use creel_domain::OrgId;
use zeroize::Zeroizing;

use super::{
    data_key::Sealed,
    ring::{newest, still_newest},
};
use crate::{
    Error, Org, Platform,
    tx::{Body, Tx},
};

/// A rotation that comes in between is met once; more of them are somebody's doing.
const TRIES: u32 = 4;

impl Org {
    /// One transaction that keeps a value, sealed with the org's newest key, also when a rotation begins meanwhile.
    pub(crate) async fn write_sealed<T, F>(&self, place: &str, value: &str, body: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx, Sealed) -> Body<'t, T> + Clone + Send + 'static,
    {
        for _ in 0..TRIES {
            let key = self.store.ring.sealing_key(self).await?;
            let sealed = key.seal(self.id, place, value)?;
            let (org, body) = (self.id, body.clone());
            let outcome = self
                .write(move |tx| {
                    Box::pin(async move {
                        still_newest(tx, org, sealed.key_version).await?;
                        body(tx, sealed).await
                    })
                })
                .await;
            if !matches!(outcome, Err(Error::KeyMoved)) {
                return outcome;
            }
        }
        Err(Error::Busy)
    }

    /// Fails with [`Error::KeyGone`] when it was sealed anew since it was read: read it again.
    pub(crate) async fn open_sealed(
        &self,
        place: &str,
        key_version: u64,
        sealed: &[u8],
    ) -> Result<Zeroizing<String>, Error> {
        let ring = &self.store.ring;
        if key_version == 0 {
            return ring.derived(self.id, place, sealed);
        }
        let key = ring.org_key(self, key_version).await?;
        key.open(self.id, place, sealed)
    }

    /// Reads something sealed and opens it, again when it was sealed anew in between.
    pub(crate) async fn read_sealed<T, R>(&self, read: impl Fn() -> R) -> Result<T, Error>
    where
        R: Future<Output = Result<T, Error>>,
    {
        for _ in 1..TRIES {
            match read().await {
                Err(Error::KeyGone) => {}
                outcome => return outcome,
            }
        }
        read().await
    }

    pub(super) async fn newest_key(&self) -> Result<u64, Error> {
        let org = self.id;
        self.read(move |tx| Box::pin(newest(tx, org))).await
    }
}

impl Platform {
    /// `org`: whose value it is, or nobody's.
    pub(crate) fn seal(&self, org: OrgId, place: &str, value: &str) -> Result<Sealed, Error> {
        self.store.ring.platform().seal(org, place, value)
    }

    pub(crate) async fn open_sealed(
        &self,
        org: OrgId,
        place: &str,
        key_version: u64,
        sealed: &[u8],
    ) -> Result<Zeroizing<String>, Error> {
        let ring = &self.store.ring;
        match ring.platform().open(org, place, key_version, sealed) {
            // Another control has made a newer key.
            Err(Error::StaleKeys) => {
                ring.refresh(self).await?;
                let opened = ring.platform().open(org, place, key_version, sealed);
                opened.map_err(|error| match error {
                    Error::StaleKeys => Error::KeyGone,
                    error => error,
                })
            }
            outcome => outcome,
        }
    }
}
