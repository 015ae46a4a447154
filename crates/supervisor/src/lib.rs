
pub mod images;
