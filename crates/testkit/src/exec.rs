//! Commands of the fake bridge: `echo`, `cat`, `false`, `sleep` (until hung up) and `spew BYTES`.

use creel_protocol::{BridgeError, ExecFrame, ExecRequest, ExecSession};
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;

/// Frames that wait for a slow reader or a slow command.
const FRAMES: usize = 8;

pub(crate) fn run(request: ExecRequest) -> ExecSession {
    let (say, said) = mpsc::channel(FRAMES);
    let (input, heard) = mpsc::channel(FRAMES);
    tokio::spawn(async move {
        // The reader hung up: so does the command.
        let _ = command(request, say, heard).await;
    });
    let output = stream::unfold(said, |mut said| async move {
        let frame: ExecFrame = said.recv().await?;
        Some((Ok::<_, BridgeError>(frame), said))
    });
    ExecSession {
        output: output.boxed(),
        input,
    }
}

async fn command(
    request: ExecRequest,
    say: mpsc::Sender<ExecFrame>,
    mut heard: mpsc::Receiver<ExecFrame>,
) -> Result<(), mpsc::error::SendError<ExecFrame>> {
    let words: Vec<&str> = request.argv.iter().map(String::as_str).collect();
    match words[..] {
        ["echo", ref rest @ ..] => {
            say.send(ExecFrame::Stdout(format!("{}\n", rest.join(" ")).into()))
                .await?;
            say.send(ExecFrame::Exit(0)).await
        }
        ["cat"] => {
            while let Some(frame) = heard.recv().await {
                match frame {
                    ExecFrame::Stdin(bytes) => say.send(ExecFrame::Stdout(bytes)).await?,
                    ExecFrame::StdinEnd => break,
                    _ => {}
                }
            }
            say.send(ExecFrame::Exit(0)).await
        }
        ["false"] => {
            say.send(ExecFrame::Stderr("no\n".into())).await?;
            say.send(ExecFrame::Exit(1)).await
        }
        ["sleep"] => {
            while heard.recv().await.is_some() {}
            say.send(ExecFrame::Exit(137)).await
        }
        ["spew", bytes] => {
            let mut left: usize = bytes.parse().unwrap_or_default();
            while left > 0 {
                let piece = left.min(ExecFrame::MAX_BYTES);
                left -= piece;
                say.send(ExecFrame::Stdout(vec![b'x'; piece].into())).await?;
            }
            say.send(ExecFrame::Exit(0)).await
        }
        _ => {
            let program = words.first().copied().unwrap_or_default();
            say.send(ExecFrame::Failed(format!("there is no program `{program}`")))
                .await
        }
    }
}
