//! The read-only root directories that sandboxes share: made once, atomically, from a recipe compiled into the program.
//!
//! ```text
//! IMAGES/NAME/VERSION/rootfs/…      what sandboxes mount; root's, readable by all, written by nobody
//! IMAGES/NAME/VERSION/image.json    what it is, and the digest of the recipe it was made from
//! IMAGES/NAME/build.log             what the last build said
//! IMAGES/NAME/.lock                 held while building: two builders exclude each other, also across processes
//! IMAGES/NAME/.build-*              a build under way, or what a crash left of one; the next start sweeps it
//! IMAGES/NAME/.old-BOOT-*           replaced by a newer recipe, perhaps still mounted; gone after the next boot
//!
//!           build()              last step, fsync, rename
//!  Absent ───────────▶ Building ───────────────────────▶ Ready
//!     ▲                   │                                │
//!     │                   └──────▶ Failed (build() again)   │
//!     └────────────────────────── remove() ────────────────┘
//! ```
//!
//! A build runs on a thread of its own, its programs in namespaces of their own: when the thread or the process dies,
//! the kernel kills them, and their mounts are gone with them.

mod bench;
mod builder;
mod child;
mod error;
mod handle;
mod inside;
mod lite;
mod needs;
mod openclaw;
mod prune;
mod recipe;
mod shelf;
mod sources;
mod tree;

pub use error::Error;
pub use handle::Images;
pub use needs::{MissingTool, needs};
pub use shelf::Image;

use creel_domain::ImageName;

/// Digest of the recipe that this Creel would build `name` from; an image made from it says the same.
pub fn recipe_digest(name: ImageName) -> String {
    recipe::of(name).digest
}
