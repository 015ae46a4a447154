//! The edge as the world sees it, over real sockets: control and the bridge are played by small servers that keep to
//! their contracts, what listens behind is an ordinary server.

mod certificates;
mod crowds;
mod domains;
mod door;
mod hostile;
mod streams;
mod world;
