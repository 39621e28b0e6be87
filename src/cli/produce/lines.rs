//! Lines from stdin, read by a thread of their own: many at once when they come fast, each at once when they come slowly.
use std::io::{self, BufRead, Read};

use bytes::Bytes;
use tokio::sync::mpsc;

/// The longest line.
pub const LINE_MAX: usize = 64 << 20;
/// Bytes of lines that are handed over together.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that wait to be taken.
const CHUNKS_WAITING: usize = 8;

/// Lines in order, without their line feeds.
pub type Chunk = Vec<Bytes>;

/// Starts to read; the channel ends where the input ends.
pub fn read_stdin() -> io::Result<mpsc::Receiver<io::Result<Chunk>>> {
    let (send, receive) = mpsc::channel(CHUNKS_WAITING);
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let stdin = io::stdin();
        read(io::BufReader::with_capacity(CHUNK_BYTES, stdin.lock()), &send);
    })?;
    Ok(receive)
}

fn read(mut input: io::BufReader<impl Read>, send: &mpsc::Sender<io::Result<Chunk>>) {
    loop {
        let (chunk, end) = match chunk(&mut input) {
            Ok(read) => read,
            Err(error) => {
                let _ = send.blocking_send(Err(error));
                return;
            }
        };
        if !chunk.is_empty() && send.blocking_send(Ok(chunk)).is_err() || end {
            return;
        }
    }
}

/// Waits for one line, then takes what is there already; tells whether the input ended.
fn chunk(input: &mut io::BufReader<impl Read>) -> io::Result<(Chunk, bool)> {
    let mut lines = Vec::new();
    let mut bytes = 0;
    while lines.is_empty() || bytes < CHUNK_BYTES && input.buffer().contains(&b'\n') {
        let Some(line) = line(input)? else { return Ok((lines, true)) };
        bytes += line.len() + 1;
        lines.push(line);
    }
    Ok((lines, false))
}

/// A line without its line feed; none at the end of the input. A last line needs no line feed.
fn line(input: &mut io::BufReader<impl Read>) -> io::Result<Option<Bytes>> {
    let mut line = Vec::new();
    let read = input.by_ref().take(LINE_MAX as u64 + 1).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if read > LINE_MAX {
        return Err(io::Error::other(format!("a line is longer than {} MiB", LINE_MAX >> 20)));
    }
    Ok(Some(Bytes::from(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8], capacity: usize) -> Vec<Bytes> {
        let mut input = io::BufReader::with_capacity(capacity, input);
        let mut all = Vec::new();
        loop {
            let (chunk, end) = chunk(&mut input).unwrap();
            all.extend(chunk);
            if end {
                return all;
            }
        }
    }

    #[test]
    fn every_byte_but_the_line_feeds_is_kept() {
        for capacity in [1, 3, 1024] {
            assert_eq!(lines(b"", capacity), Vec::<Bytes>::new());
            assert_eq!(lines(b"\n", capacity), [&b""[..]]);
            assert_eq!(lines(b"a\r\n\n\xff\x00b", capacity), [&b"a\r"[..], b"", b"\xff\x00b"]);
            assert_eq!(lines(b"a\nb\n", capacity), [&b"a"[..], b"b"]);
        }
    }

    #[test]
    fn lines_that_are_there_come_together() {
        let mut input = io::BufReader::with_capacity(1024, &b"a\nb\nc"[..]);
        assert_eq!(chunk(&mut input).unwrap(), (vec![Bytes::from("a"), Bytes::from("b")], false));
        assert_eq!(chunk(&mut input).unwrap(), (vec![Bytes::from("c")], false));
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut input = io::BufReader::new(io::repeat(b'x'));
        assert!(chunk(&mut input).unwrap_err().to_string().contains("longer than 64 MiB"));
    }
}
