//! How an image is made: steps in order, each with its share of the time, its bound, and a digest of all that decides the outcome.

use std::{fmt::Write as _, time::Duration};

use creel_domain::ImageName;

use super::{bench::Bench, error::Error, lite, openclaw};

/// One act on the way to an image.
pub(super) struct Step {
    /// In a few words, what is done now.
    pub(super) sentence: String,
    /// Share of the whole, roughly its seconds on a cold machine; at least 1.
    pub(super) weight: u32,
    /// Its programs are killed after this long.
    pub(super) bound: Duration,
    pub(super) act: Act,
}

pub(super) type Act = Box<dyn Fn(&Bench) -> Result<(), Error> + Send + Sync>;

impl Step {
    pub(super) fn new(
        sentence: impl Into<String>,
        weight: u32,
        bound: Duration,
        act: impl Fn(&Bench) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Self {
        Self {
            sentence: sentence.into(),
            weight: weight.max(1),
            bound,
            act: Box::new(act),
        }
    }
}

pub(super) struct Recipe {
    pub(super) name: ImageName,
    pub(super) version: String,
    /// Changes with every file of the recipe.
    pub(super) digest: String,
    /// Free disk that a build needs at its peak.
    pub(super) room_bytes: u64,
    pub(super) steps: Vec<Step>,
}

impl Recipe {
    /// How far a build is that now begins step `index`: 0 to 99.
    pub(super) fn percent(&self, index: usize) -> u8 {
        let total: u32 = self.steps.iter().map(|step| step.weight).sum();
        let done: u32 = self.steps[..index].iter().map(|step| step.weight).sum();
        u8::try_from(done * 99 / total.max(1)).unwrap_or(99)
    }
}

/// The recipe compiled into this program.
pub(super) fn of(name: ImageName) -> Recipe {
    match name {
        ImageName::Lite => lite::recipe(),
        ImageName::Openclaw => openclaw::recipe(),
    }
}

/// SHA-256 over the files that decide the outcome, each with its length so that no two lists read the same.
pub(super) fn digest(files: &[&str]) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for file in files {
        context.update(&(file.len() as u64).to_le_bytes());
        context.update(file.as_bytes());
    }
    let mut text = "sha256:".to_owned();
    for byte in context.finish().as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_follows_the_weights_and_stays_below_one_hundred() {
        let step = |weight| Step::new("x", weight, Duration::from_secs(1), |_| Ok(()));
        let recipe = Recipe {
            name: ImageName::Lite,
            version: "1".into(),
            digest: String::new(),
            room_bytes: 0,
            steps: vec![step(1), step(8), step(1)],
        };
        assert_eq!([0, 1, 2, 3].map(|index| recipe.percent(index)), [0, 9, 89, 99]);
    }

    #[test]
    fn the_digest_tells_where_one_file_ends() {
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
    }

    #[test]
    fn every_image_has_a_recipe_of_its_own_name() {
        for name in ImageName::ALL {
            let recipe = of(name);
            assert_eq!(recipe.name, name);
            assert!(!recipe.steps.is_empty());
        }
    }
}
