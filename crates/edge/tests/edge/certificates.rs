//! Certificates that control gives: asked for when somebody comes, remembered, and not asked for where nothing can be.

use std::sync::{Arc, atomic::Ordering};

use axum::Router;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

use crate::world::{Mood, World};

const CHAT: &str = "chat.example.com";
const AGENT: &str = "scout.agents.test";

async fn with_certificates() -> World {
    let world = World::with_certificates(Router::new()).await;
    let names = [CHAT, AGENT, "nobody.example.com", "a.b.agents.test", "localhost"];
    let params = rcgen::CertificateParams::new(names.map(str::to_owned)).expect("names");
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("signed");
    let pem = format!("{}{}", certificate.pem(), key.serialize_pem());
    *world.control.certificate.lock().expect("no panic") = pem;
    for name in [CHAT, AGENT] {
        world.control.say(name, Mood::Waking);
    }
    world
}

/// Whether there is a handshake under a name.
async fn greets(world: &World, name: &'static str) -> bool {
    let mut roots = RootCertStore::empty();
    let pem = world.control.certificate.lock().expect("no panic").clone();
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
    roots.add(certificate).expect("trusted");
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name).expect("a name");
    let connected = TlsConnector::from(Arc::new(config)).connect(name, world.connect().await);
    connected.await.is_ok()
}

fn asked(world: &World) -> usize {
    world.control.certificates.load(Ordering::SeqCst)
}

#[tokio::test]
async fn a_certificate_is_asked_for_once_and_shown_while_control_is_away() {
    let world = with_certificates().await;
    let together = (0..20).map(|_| greets(&world, CHAT));
    let greeted = futures_util::future::join_all(together).await;
    assert!(greeted.into_iter().all(|greeted| greeted));
    assert!(greets(&world, AGENT).await);
    assert_eq!(asked(&world), 2, "once for each name");
    world.control.names_away.store(true, Ordering::SeqCst);
    assert!(greets(&world, CHAT).await && greets(&world, AGENT).await);
    assert!(!greets(&world, "nobody.example.com").await);
    world.control.names_away.store(false, Ordering::SeqCst);
    world.end().await;
}

#[tokio::test]
async fn names_that_cannot_be_ours_are_not_asked_about_and_others_seldom() {
    let world = with_certificates().await;
    for name in ["a.b.agents.test", "localhost"] {
        assert!(!greets(&world, name).await, "{name}");
    }
    assert_eq!(asked(&world), 0);
    for _ in 0..10 {
        assert!(!greets(&world, "nobody.example.com").await);
    }
    // What was heard counts for five seconds.
    assert!((1..10).contains(&asked(&world)), "{}", asked(&world));
    world.end().await;
}
