//! What the supervisor needs to know of images, whoever makes them.

use std::{collections::BTreeMap, path::PathBuf};

use creel_domain::ImageName;
use creel_protocol::{ImageState, ImageStatus};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::images::Images;

/// Read-only root directories by name. Refusals are sentences for people.
pub trait ImageSource: Send + Sync + 'static {
    fn list(&self) -> Vec<ImageStatus>;

    /// The root directory, when the image is there.
    fn rootfs(&self, image: ImageName) -> Option<PathBuf>;

    /// How the image is doing, as it changes.
    fn watch(&self, image: ImageName) -> Option<watch::Receiver<ImageState>>;

    /// Begins to build it, unless it is there or under way.
    fn build(&self, image: ImageName) -> Result<(), String>;

    fn remove(&self, image: ImageName) -> Result<(), String>;
}

impl ImageSource for Images {
    fn list(&self) -> Vec<ImageStatus> {
        Self::list(self)
    }

    fn rootfs(&self, image: ImageName) -> Option<PathBuf> {
        self.lookup(image).map(|image| image.rootfs)
    }

    fn watch(&self, image: ImageName) -> Option<watch::Receiver<ImageState>> {
        Self::watch(self, image)
    }

    fn build(&self, image: ImageName) -> Result<(), String> {
        Self::build(self, image).map_err(|error| error.to_string())
    }

    fn remove(&self, image: ImageName) -> Result<(), String> {
        Self::remove(self, image).map_err(|error| error.to_string())
    }
}

/// Images that are simply there.
#[derive(Debug, Clone, Default)]
pub struct FixedImages(BTreeMap<ImageName, PathBuf>);

impl FixedImages {
    pub fn new(images: impl IntoIterator<Item = (ImageName, PathBuf)>) -> Self {
        Self(images.into_iter().collect())
    }
}

impl ImageSource for FixedImages {
    fn list(&self) -> Vec<ImageStatus> {
        let status = |name: &ImageName| ImageStatus {
            name: *name,
            version: "fixed".to_owned(),
            state: ImageState::Ready {
                built_at: Timestamp::UNIX_EPOCH,
                bytes: 0,
            },
        };
        self.0.keys().map(status).collect()
    }

    fn rootfs(&self, image: ImageName) -> Option<PathBuf> {
        self.0.get(&image).cloned()
    }

    fn watch(&self, _: ImageName) -> Option<watch::Receiver<ImageState>> {
        None
    }

    fn build(&self, image: ImageName) -> Result<(), String> {
        match self.0.contains_key(&image) {
            true => Ok(()),
            false => Err(format!(
                "there is no image {image} here, and nothing to build it with"
            )),
        }
    }

    fn remove(&self, image: ImageName) -> Result<(), String> {
        Err(format!("image {image} is not ours to remove"))
    }
}
