//! Frames of a command's streams: what is read is what would be written.
#![no_main]

use creel_protocol::ExecFrame;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(frame) = ExecFrame::decode(&bytes.to_vec().into()) {
        let again = ExecFrame::decode(&frame.encode()).expect("our own frame");
        assert_eq!(frame, again);
    }
});
