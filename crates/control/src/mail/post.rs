//! Where mail leaves us: an SMTP server, or files in a directory where there is none.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{
        Body, Mailbox,
        header::{ContentTransferEncoding, ContentType},
    },
};

use super::Letter;

/// Files in the directory; past it the oldest go.
const MAX_FILES: usize = 1000;
/// The longest line that mail can carry, without its end.
const LINE_BYTES: usize = 998;
/// One command of the conversation with a server.
const COMMAND_WITHIN: Duration = Duration::from_secs(20);

/// The settings for mail are not usable.
#[derive(Debug, thiserror::Error)]
pub enum BadMail {
    /// Without the address, which has a password.
    #[error(
        "the mail server's address cannot be used: write it as smtps://user:password@host, or \
         smtp://host?tls=required; special characters in the password as %XX"
    )]
    Server,
    #[error(
        "the mail server's address would send its password in the clear: write it as smtps://, or add ?tls=required"
    )]
    Clear,
    #[error("`{0}` is not a sender: write it as creel@example.com or `Creel <creel@example.com>`")]
    Sender(String),
}

/// Why a mail did not leave.
#[derive(Debug)]
pub(crate) struct Undelivered {
    pub(crate) reason: String,
    /// Trying again would end the same way.
    pub(crate) for_good: bool,
}

impl Undelivered {
    pub(crate) fn later(reason: String) -> Self {
        Self {
            reason,
            for_good: false,
        }
    }
}

pub(crate) struct Post {
    from: Mailbox,
    way: Way,
}

enum Way {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Folder(PathBuf),
}

impl Post {
    /// By the server at `smtp`, or else into `folder`.
    pub(crate) fn new(smtp: Option<&str>, from: &str, folder: PathBuf) -> Result<Self, BadMail> {
        let from = from
            .parse()
            .map_err(|_| BadMail::Sender(from.chars().take(200).collect()))?;
        let way = match smtp {
            None => Way::Folder(folder),
            Some(url) => {
                if tells_its_password(url) {
                    return Err(BadMail::Clear);
                }
                let transport =
                    AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|_| BadMail::Server)?;
                Way::Smtp(transport.timeout(Some(COMMAND_WITHIN)).build())
            }
        };
        Ok(Self { from, way })
    }

    /// `name` is the mail's own, also when it is sent again.
    pub(crate) async fn send(&self, name: &str, letter: Letter) -> Result<(), Undelivered> {
        let for_good = |reason: String| Undelivered {
            reason,
            for_good: true,
        };
        let to = letter
            .to
            .as_str()
            .parse::<lettre::Address>()
            .map_err(|error| for_good(error.to_string()))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(letter.subject)
            .message_id(Some(format!("<{name}@{}>", self.from.email.domain())))
            .header(ContentType::TEXT_PLAIN)
            .body(body(letter.text))
            .map_err(|error| for_good(error.to_string()))?;
        match &self.way {
            Way::Smtp(transport) => match transport.send(message).await {
                Ok(_) => Ok(()),
                Err(error) => Err(Undelivered {
                    for_good: error.is_permanent(),
                    reason: whole(&error),
                }),
            },
            Way::Folder(folder) => {
                let (folder, name, bytes) = (folder.clone(), format!("{name}.eml"), message.formatted());
                let written = tokio::task::spawn_blocking(move || write(&folder, &name, &bytes));
                match written.await {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(error)) => Err(Undelivered::later(format!("the mail directory: {error}"))),
                    Err(error) => Err(Undelivered::later(error.to_string())),
                }
            }
        }
    }
}

/// Whether the server would be sent a password before anybody knows that it is the server.
fn tells_its_password(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("smtp://") else {
        return false;
    };
    let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
    authority.contains('@') && !query.split('&').any(|pair| pair == "tls=required")
}

/// As it is where mail can carry that: whoever reads the file finds the link whole.
fn body(text: String) -> Body {
    if text.is_ascii() && !text.contains('\r') && text.lines().all(|line| line.len() <= LINE_BYTES) {
        let bytes = text.replace('\n', "\r\n").into_bytes();
        return Body::dangerous_pre_encoded(bytes, ContentTransferEncoding::SevenBit);
    }
    Body::new(text)
}

fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Readable by our own account alone: it holds codes.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let path = folder.join(name);
    let fresh = folder.join(format!(".{name}"));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(bytes)?;
    fs::rename(&fresh, &path)?;
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .collect();
    // Their names begin with ids, which sort by time.
    files.sort();
    let over = files.len().saturating_sub(MAX_FILES);
    for old in files.into_iter().take(over) {
        fs::remove_file(old)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const CODE: &str = "c0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0de";

    fn letter() -> Letter {
        Letter {
            to: "ada@example.com".parse().expect("an address"),
            subject: "Über alles".to_owned(),
            text: format!("A line.\n\n  https://creel.example.com/#reset={CODE}\n"),
        }
    }

    #[tokio::test]
    async fn files_are_readable_by_us_alone_and_bounded() {
        let home = tempfile::tempdir().expect("a directory");
        let folder = home.path().join("mail");
        let post = Post::new(None, "Creel <creel@example.com>", folder.clone()).expect("a post");
        post.send("mail_1-1", letter()).await.expect("written");
        let path = folder.join("mail_1-1.eml");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
        let text = fs::read_to_string(&path).expect("text");
        assert!(
            text.contains("To: ada@example.com") && text.contains(&format!("/#reset={CODE}\r\n")),
            "{text}"
        );
        for number in 0..MAX_FILES {
            fs::write(folder.join(format!("mail_2-{number:05}.eml")), "x").expect("written");
        }
        post.send("mail_3-1", letter()).await.expect("written");
        assert_eq!(fs::read_dir(&folder).expect("there").count(), MAX_FILES);
        assert!(
            !path.exists() && folder.join("mail_3-1.eml").exists(),
            "the oldest goes"
        );
    }

    #[test]
    fn settings_that_cannot_be_used_are_refused_without_the_password() {
        let folder = || PathBuf::from("/nowhere");
        for url in [
            "",
            "mail.example.com",
            "http://mail.example.com",
            "smtp://h?tls=maybe",
        ] {
            let error = Post::new(Some(url), "creel@example.com", folder()).map(drop);
            assert!(matches!(error, Err(BadMail::Server)), "{url}");
        }
        let error = Post::new(Some("smtpx://u:planted@h"), "creel@example.com", folder()).map(drop);
        assert!(!format!("{error:?}").contains("planted"));
        for url in ["smtp://u:p@h", "smtp://u:p@h:587?tls=opportunistic"] {
            let error = Post::new(Some(url), "creel@example.com", folder()).map(drop);
            assert!(matches!(error, Err(BadMail::Clear)), "{url}");
        }
        assert!(matches!(
            Post::new(None, "nobody", folder()).map(drop),
            Err(BadMail::Sender(_))
        ));
    }
}
