//! The same attempts with `runc`, also where another backend is preferred: they differ in more than one
//! would think. Which backend is tried follows from this file's name.

#[path = "isolation.rs"]
mod isolation;
