//! Mail by a server: it arrives, is tried again, or is given up.

use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

use super::{ADA, Browser, World, code, give_owner_a_password, wait};
use crate::People;

/// A mail server that answers the first recipients as told, and keeps what it takes.
struct Server {
    url: String,
    taken: Arc<Mutex<Vec<String>>>,
    asked: Arc<Mutex<usize>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start(refusals: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("smtp://{}", listener.local_addr().expect("bound"));
        let (taken, asked) = (
            Arc::<Mutex<Vec<String>>>::default(),
            Arc::<Mutex<usize>>::default(),
        );
        let (keep, count) = (Arc::clone(&taken), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (reading, mut writing) = stream.into_split();
                let mut lines = BufReader::new(reading).lines();
                let mut data: Option<String> = None;
                let _ = writing.write_all(b"220 test\r\n").await;
                while let Ok(Some(line)) = lines.next_line().await {
                    let answer = match &mut data {
                        Some(text) if line == "." => {
                            keep.lock().expect("whole").push(std::mem::take(text));
                            data = None;
                            "250 taken".to_owned()
                        }
                        Some(text) => {
                            text.push_str(&line);
                            text.push('\n');
                            continue;
                        }
                        None if line.starts_with("RCPT") => {
                            let mut count = count.lock().expect("whole");
                            *count += 1;
                            refusals
                                .get(*count - 1)
                                .map_or("250 ok", |refusal| refusal)
                                .to_owned()
                        }
                        None if line.starts_with("DATA") => {
                            data = Some(String::new());
                            "354 go on".to_owned()
                        }
                        None if line.starts_with("QUIT") => break,
                        None => "250 ok".to_owned(),
                    };
                    if writing
                        .write_all(format!("{answer}\r\n").as_bytes())
                        .await
                        .is_err()
                    {
                        break;
                    }
                }
            }
        });
        Self {
            url,
            taken,
            asked,
            task,
        }
    }

    async fn world(&self) -> World {
        let mut world = World::new().await;
        world.kill().await;
        world.people = People {
            smtp_url: Some(self.url.clone()),
            mail_from: Some("Creel <creel@example.org>".to_owned()),
            public_url: Some("https://creel.example.org".parse().expect("an address")),
            ..People::default()
        };
        world.start().await;
        world
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn a_mail_arrives_though_the_server_was_busy_at_first() {
    let server = Server::start(&["451 come back later"]).await;
    let world = server.world().await;
    give_owner_a_password(&world).await;
    wait("two mails to arrive", || async {
        let taken = server.taken.lock().expect("whole").clone();
        (taken.len() == 2, format!("{taken:#?}"))
    })
    .await;
    let taken = server.taken.lock().expect("whole").clone();
    let mail = taken
        .iter()
        .find(|mail| mail.contains("#verify="))
        .expect("the link");
    for part in [
        "From: Creel <creel@example.org>",
        &format!("To: {ADA}"),
        "https://creel.example.org/#verify=",
        "Message-ID: <mail_",
        "Date: ",
    ] {
        assert!(mail.contains(part), "{part} in {mail}");
    }
    let body = json!({"code": code(mail, "verify")});
    let reply = Browser::default().post(&world, "/v1/verify-email", body).await;
    assert_eq!(reply.status, 204);
    assert!(
        !world.layout().mail().exists(),
        "no files where a server takes them"
    );
}

#[tokio::test]
async fn a_mail_that_the_server_will_never_take_is_given_up() {
    let server = Server::start(&["550 no such mailbox", "550 no such mailbox"]).await;
    let world = server.world().await;
    give_owner_a_password(&world).await;
    wait("both mails to be given up", || async {
        let counts = world.store().platform().mail_counts().await.expect("counted");
        (counts == (0, 2), format!("{counts:?}"))
    })
    .await;
    assert_eq!(*server.asked.lock().expect("whole"), 2, "each was tried once");
}

#[tokio::test]
async fn no_request_waits_for_a_server_that_is_away() {
    let away = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("smtp://{}", away.local_addr().expect("bound"));
    drop(away);
    let mut world = World::new().await;
    world.kill().await;
    world.people.smtp_url = Some(url);
    world.start().await;
    give_owner_a_password(&world).await;
    let reply = Browser::default()
        .post(&world, "/v1/password-resets", json!({"email": ADA}))
        .await;
    assert_eq!(reply.status, 202);
    let counts = world.store().platform().mail_counts().await.expect("counted");
    assert_eq!(counts, (3, 0), "they wait, also over a restart");
}
