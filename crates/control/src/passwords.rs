//! Argon2id, at most so much of it at a time: each run takes a core for a while, and 19 MiB.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::rand;
use creel_api::ErrorCode;
use creel_store::PasswordHash;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::http::failure::{Answer, Failure};

/// Runs that wait for a core. Past it whoever comes is told to come back.
pub(crate) const MAX_WAITING: usize = 64;
/// How long one waits for a core.
const WAIT: Duration = Duration::from_secs(10);

/// What a run costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) memory_kib: u32,
    pub(crate) passes: u32,
    pub(crate) lanes: u32,
}

impl Cost {
    /// OWASP's first choice with little memory.
    pub(crate) const OWASP: Self = Self {
        memory_kib: 19 * 1024,
        passes: 2,
        lanes: 1,
    };

    fn of(stored: &PasswordHash) -> Self {
        Self {
            memory_kib: stored.memory_kib,
            passes: stored.passes,
            lanes: stored.lanes,
        }
    }
}

pub(crate) struct Passwords {
    cost: Cost,
    cores: Arc<Semaphore>,
    places: Arc<Semaphore>,
    runs: AtomicU64,
}

impl Passwords {
    pub(crate) fn new(cost: Cost) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            cost,
            cores: Arc::new(Semaphore::new(cores)),
            places: Arc::new(Semaphore::new(cores + MAX_WAITING)),
            runs: AtomicU64::new(0),
        }
    }

    /// How many runs there were: what a known and an unknown address cost can be compared by it.
    #[cfg(test)]
    pub(crate) fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    pub(crate) async fn hash(&self, password: &str) -> Answer<PasswordHash> {
        let mut salt = [0; 16];
        rand::fill(&mut salt).map_err(Failure::internal)?;
        let hash = self.run(password, salt, self.cost).await?;
        Ok(PasswordHash {
            hash,
            salt,
            memory_kib: self.cost.memory_kib,
            passes: self.cost.passes,
            lanes: self.cost.lanes,
        })
    }

    /// Whether it is the password; where there is none, the same work for nothing.
    pub(crate) async fn verify(&self, password: &str, stored: Option<&PasswordHash>) -> Answer<bool> {
        let (salt, cost) = stored.map_or(([0; 16], self.cost), |stored| (stored.salt, Cost::of(stored)));
        let found = self.run(password, salt, cost).await?;
        let expected = stored.map_or([0; 32], |stored| stored.hash);
        Ok(bool::from(found.ct_eq(&expected)) && stored.is_some())
    }

    /// Whether it was made with other parameters than it would be now.
    pub(crate) fn is_dated(&self, stored: &PasswordHash) -> bool {
        Cost::of(stored) != self.cost
    }

    async fn run(&self, password: &str, salt: [u8; 16], cost: Cost) -> Answer<[u8; 32]> {
        let busy = || {
            Failure::new(
                ErrorCode::Busy,
                "Too many people are signing in just now. Try again in a moment.",
            )
        };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| busy())?;
        let core = tokio::time::timeout(WAIT, Arc::clone(&self.cores).acquire_owned());
        let core = core.await.map_err(|_| busy())?.map_err(Failure::internal)?;
        self.runs.fetch_add(1, Ordering::Relaxed);
        let password = Zeroizing::new(password.to_owned());
        let work = tokio::task::spawn_blocking(move || {
            // Held until the work is done, also when nobody waits for it any more.
            let _held = (place, core);
            let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32))?;
            let mut out = [0; 32];
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(
                password.as_bytes(),
                &salt,
                &mut out,
            )?;
            Ok::<_, argon2::Error>(out)
        });
        work.await.map_err(Failure::internal)?.map_err(Failure::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };

    #[tokio::test]
    async fn the_right_password_is_known_and_nothing_else() {
        let passwords = Passwords::new(CHEAP);
        let stored = passwords.hash("correct horse").await.expect("hashed");
        assert!(
            passwords
                .verify("correct horse", Some(&stored))
                .await
                .expect("ran")
        );
        for wrong in ["correct hors", "Correct horse", "", "correct horse "] {
            assert!(
                !passwords.verify(wrong, Some(&stored)).await.expect("ran"),
                "{wrong}"
            );
        }
        let other = passwords.hash("correct horse").await.expect("hashed");
        assert_ne!(stored.hash, other.hash, "salted");
        let before = passwords.runs();
        assert!(!passwords.verify("correct horse", None).await.expect("ran"));
        assert_eq!(passwords.runs() - before, 1, "nobody costs as much as somebody");
        assert!(!passwords.is_dated(&stored));
        assert!(Passwords::new(Cost::OWASP).is_dated(&stored));
    }

    #[tokio::test]
    async fn past_the_places_one_is_told_to_come_back() {
        let passwords = Arc::new(Passwords::new(CHEAP));
        let all = Arc::clone(&passwords.cores)
            .acquire_many_owned(u32::try_from(passwords.cores.available_permits()).expect("few"))
            .await
            .expect("free");
        let waiting = passwords.places.available_permits();
        let tasks: Vec<_> = (0..waiting)
            .map(|_| {
                let passwords = Arc::clone(&passwords);
                tokio::spawn(async move { passwords.hash("x").await })
            })
            .collect();
        while passwords.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = passwords.hash("x").await.expect_err("no place left");
        assert_eq!(refused.code(), ErrorCode::Busy);
        drop(all);
        for task in tasks {
            task.await.expect("ran").expect("had its turn");
        }
        passwords.hash("x").await.expect("there is place again");
    }
}
