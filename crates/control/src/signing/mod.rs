//! The keys that sign access tokens: made, published and forgotten by age, the same for every control.
//!
//! The table is the truth. Each control keeps what it read for a minute, far less than a key is published before it
//! signs, and looks again, though not often, when a token names a key that it does not know.

mod rotation;

use std::{sync::Arc, time::Duration};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use creel_store::NewSigningKey;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::{sync::Mutex, time::Instant};
use zeroize::Zeroizing;

use crate::{
    Control,
    http::failure::{Answer, Failure},
    jwt::Key,
};

/// What was read is good for so long.
const KEPT: Duration = Duration::from_secs(60);
/// For an unknown key the table is looked at no more often than this.
const LOOK_AGAIN_EVERY: Duration = Duration::from_secs(5);
/// The `typ` of our tokens: no ID token passes for one.
pub(crate) const KIND: &str = "at+jwt";

/// What a control knows of the keys.
#[derive(Default)]
pub(crate) struct Signing(Mutex<Option<Arc<Keys>>>);

struct Keys {
    read_at: Instant,
    all: Vec<Signer>,
    /// Place of the one that signs.
    signs: usize,
}

struct Signer {
    id: String,
    private: EncodingKey,
    public: Value,
    key: Key,
}

/// A new private key for ES256, as PKCS 8.
pub(crate) fn new_private_key() -> Answer<Zeroizing<Vec<u8>>> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(Failure::internal)?;
    let der = pair.to_pkcs8v1().map_err(Failure::internal)?;
    Ok(Zeroizing::new(der.as_ref().to_vec()))
}

impl Signer {
    fn new(id: String, private: &[u8]) -> Answer<Self> {
        let private = EncodingKey::from_ec_der(private);
        let mut jwk = Jwk::from_encoding_key(&private, Algorithm::ES256).map_err(Failure::internal)?;
        jwk.common.key_id = Some(id.clone());
        jwk.common.public_key_use = Some(jsonwebtoken::jwk::PublicKeyUse::Signature);
        let public = serde_json::to_value(&jwk).map_err(Failure::internal)?;
        let key = Key::public(&jwk).ok_or_else(|| Failure::internal(std::fmt::Error))?;
        Ok(Self {
            id,
            private,
            public,
            key,
        })
    }
}

impl Signing {
    /// Keys that are recent enough, and by their age the right ones.
    async fn keys(&self, control: &Control, recent: Duration) -> Answer<Arc<Keys>> {
        // Whoever comes meanwhile waits and finds what was read.
        let mut known = self.0.lock().await;
        if let Some(keys) = known.as_ref().filter(|keys| keys.read_at.elapsed() < recent) {
            return Ok(Arc::clone(keys));
        }
        let keys = Arc::new(read(control).await?);
        *known = Some(Arc::clone(&keys));
        Ok(keys)
    }

    /// Signs claims with the key whose turn it is.
    pub(crate) async fn sign(&self, control: &Control, claims: &impl Serialize) -> Answer<String> {
        let keys = self.keys(control, KEPT).await?;
        let signer = &keys.all[keys.signs];
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some(KIND.to_owned());
        header.kid = Some(signer.id.clone());
        encode(&header, claims, &signer.private).map_err(Failure::internal)
    }

    /// The key of this name.
    pub(crate) async fn key(&self, control: &Control, id: &str) -> Answer<Option<Key>> {
        let find = |keys: &Keys| {
            let mut all = keys.all.iter();
            all.find(|signer| signer.id == id)
                .map(|signer| signer.key.clone())
        };
        match find(&*self.keys(control, KEPT).await?) {
            Some(key) => Ok(Some(key)),
            None => Ok(find(&*self.keys(control, LOOK_AGAIN_EVERY).await?)),
        }
    }

    /// What is published: RFC 7517.
    pub(crate) async fn published(&self, control: &Control) -> Answer<Value> {
        let keys = self.keys(control, KEPT).await?;
        let all: Vec<_> = keys.all.iter().map(|signer| &signer.public).collect();
        Ok(json!({ "keys": all }))
    }
}

/// Reads the table, and brings it to where it should be by now.
async fn read(control: &Control) -> Answer<Keys> {
    let platform = control.store.platform();
    let now = control.clock.now();
    loop {
        let stored = platform.signing_keys().await?;
        let from: Vec<Timestamp> = stored.iter().map(|key| key.signs_from).collect();
        let plan = rotation::plan(&from, now);
        if let Some(signs_from) = plan.make {
            let new = NewSigningKey {
                private: Zeroizing::new(BASE64.encode(new_private_key()?)),
                signs_from,
            };
            let newest = stored.last().map(|key| key.id.clone());
            // Of two controls that find one missing, one makes it.
            if platform.add_signing_key(new, newest).await? {
                tracing::info!(%signs_from, "a new key for access tokens was made");
            }
            continue;
        }
        if let Some(signs) = plan.signs {
            let forgotten = plan.forget.iter().map(|place| stored[*place].id.clone());
            let forgotten: Vec<_> = forgotten.collect();
            for id in &forgotten {
                platform.remove_signing_key(id.clone()).await?;
                tracing::info!(key = id, "an old key for access tokens was forgotten");
            }
            let signs = stored[signs].id.clone();
            let mut all = Vec::new();
            for key in stored.into_iter().filter(|key| !forgotten.contains(&key.id)) {
                let private = BASE64.decode(key.private.as_bytes()).map_err(Failure::internal)?;
                all.push(Signer::new(key.id, &Zeroizing::new(private))?);
            }
            let signs = all.iter().position(|signer| signer.id == signs).unwrap_or(0);
            return Ok(Keys {
                read_at: Instant::now(),
                all,
                signs,
            });
        }
    }
}
