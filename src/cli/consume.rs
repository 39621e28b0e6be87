//! `esker consume`: records of a topic to stdout, from a point to a point, or for ever.
//!
//! A task of its own fetches batches, so that printing and fetching go on at the same time; the channel between them
//! bounds what is in memory. With `--group` it is a [`member`] of a consumer group.
mod member;
mod span;

use std::io::Write;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::failure::Failure;
use super::output::{self, Format};
use super::point::Point;
use super::progress::Progress;
use super::source::{BrokerArg, Source, StoreArg, choose};
use super::tap::Tap;
use crate::base::Clock;
use crate::record::{BatchError, for_each_record, verify_crc};
pub use span::Span;

/// Largest unpacked batch: far above what a broker accepts, far below what would hurt.
const UNPACKED_MAX: u64 = 1 << 30;
/// Fetched answers that wait to be printed.
const ANSWERS_WAITING: usize = 2;
/// Printed bytes that wait for stdout.
const OUT_BYTES: usize = 256 << 10;

/// Flags of `esker consume`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esker consume orders --from -1h --format json
  esker consume orders --follow | grep -i error
  esker consume orders --group audit >> audit.txt      # what is new since the last time")]
pub struct Args {
    /// Topic
    topic: String,
    /// Where to begin: earliest, latest, an offset (42), a time (2026-01-31, 2026-01-31T12:00:00+01:00; UTC where no zone
    /// is given) or how long ago (-1h30m). A time means the first record at or after it
    #[arg(long, value_name = "POINT", default_value = "earliest", allow_hyphen_values = true)]
    from: Point,
    /// Where to end, written as --from; the record there is not read [default: the end as of now]
    #[arg(long, value_name = "POINT", allow_hyphen_values = true, conflicts_with = "follow")]
    to: Option<Point>,
    /// Only this partition
    #[arg(long, value_name = "P")]
    partition: Option<i32>,
    /// Read as a member of this consumer group: its share of the partitions, from where the group is (--from holds where it
    /// has not been yet), and commit what stdout has taken. After a kill the last lines come again, and none is left out;
    /// what waits in the pipe when its reader dies counts as read
    #[arg(long, value_name = "G", conflicts_with_all = ["partition", "store"])]
    group: Option<String>,
    /// Go on when the end is reached, and wait for more
    #[arg(long)]
    follow: bool,
    /// How a record is written: its value, a JSON object a line, or key, tab and value
    #[arg(long, value_enum, default_value_t = Format::Value)]
    format: Format,
    #[command(flatten)]
    broker: BrokerArg,
    #[command(flatten)]
    store: StoreArg,
}

/// Batches of one partition, in offset order.
pub struct Fetched {
    /// The partition.
    pub partition: i32,
    /// Whole v2 batches; the first may begin below the position.
    pub batches: Vec<Bytes>,
    /// The position after all of them, and after what nobody is shown.
    pub next: i64,
}

/// `esker consume`.
pub async fn run(args: Args) -> Result<(), Failure> {
    let source = choose(&args.broker, &args.store)?;
    if let Some(group) = &args.group {
        return member::run(&args, group, &source).await;
    }
    if args.follow && matches!(source, Source::Store(_)) {
        return Err(Failure::Usage(
            "--follow waits for a running broker: leave --store out (and ESKER_STORE unset)".into(),
        ));
    }
    let tap = Tap::open(&source, &args.topic).await?;
    let spans = spans(&tap, &args).await?;
    let (send, receive) = mpsc::channel(ANSWERS_WAITING);
    let fetching = tokio::spawn(tap.run(spans.clone(), send));
    Printer::new(&args, spans).run(receive).await?;
    fetching.await.map_err(Failure::of)?
}

/// The range of every partition that was asked for; what cannot be given as asked is said.
async fn spans(tap: &Tap, args: &Args) -> Result<Vec<Span>, Failure> {
    let now_ms = Clock::real().now_ms();
    let mut spans = Vec::new();
    for partition in tap.partitions(args.partition)? {
        let (start, end) = tap.ends(partition).await?;
        let from = tap.offset_of(partition, args.from, now_ms).await?.unwrap_or(end);
        let to = match args.to {
            _ if args.follow => None,
            None => Some(end),
            Some(point) => Some(tap.offset_of(partition, point, now_ms).await?.unwrap_or(end)),
        };
        let (span, word) = Span::fit(partition, (from, to), (start, end));
        if let Some(word) = word {
            eprintln!("esker: {}/{partition}: {word}", args.topic);
        }
        spans.push(span);
    }
    Ok(spans)
}

/// Writes records to stdout.
struct Printer {
    topic: String,
    format: Format,
    spans: Vec<Span>,
    scratch: Vec<u8>,
    /// Shown while a file is written; a terminal shows the records, and a pipe may lead to one.
    progress: Option<Progress>,
}

/// Why a batch was not printed.
enum Stop {
    Batch(BatchError),
    Stdout(std::io::Error),
}

impl From<BatchError> for Stop {
    fn from(error: BatchError) -> Self {
        Self::Batch(error)
    }
}

impl Printer {
    fn new(args: &Args, spans: Vec<Span>) -> Self {
        let file = rustix::fs::fstat(std::io::stdout())
            .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile);
        let progress = file.then(|| Progress::counter("records"));
        Self { topic: args.topic.clone(), format: args.format, spans, scratch: Vec::new(), progress }
    }

    /// Prints what arrives; what was printed is flushed whenever nothing waits.
    async fn run(mut self, mut receive: mpsc::Receiver<Vec<Fetched>>) -> Result<(), Failure> {
        let mut out = std::io::BufWriter::with_capacity(OUT_BYTES, std::io::stdout());
        loop {
            let answer = match receive.try_recv() {
                Ok(answer) => answer,
                Err(_) => {
                    out.flush().map_err(Failure::of_stdout)?;
                    match receive.recv().await {
                        Some(answer) => answer,
                        None => {
                            self.progress.take().map(Progress::finish);
                            return Ok(());
                        }
                    }
                }
            };
            self.print_all(&mut out, &answer)?;
        }
    }

    fn print_all(&mut self, out: &mut impl Write, answer: &[Fetched]) -> Result<(), Failure> {
        for fetched in answer {
            for batch in &fetched.batches {
                self.print(out, fetched.partition, batch)?;
            }
            for span in self.spans.iter_mut().filter(|span| span.partition == fetched.partition) {
                span.next = span.next.max(fetched.next);
            }
        }
        Ok(())
    }

    fn print(&mut self, out: &mut impl Write, partition: i32, batch: &Bytes) -> Result<(), Failure> {
        let Some(span) = self.spans.iter_mut().find(|span| span.partition == partition) else { return Ok(()) };
        let (topic, format) = (&self.topic, self.format);
        let bad = |e: BatchError| Failure::Failed(format!("{topic}/{partition}: the batch at {}: {e}", span.next));
        let header = verify_crc(batch).map_err(bad)?;
        if !header.is_control() {
            let printed =
                for_each_record(batch, UNPACKED_MAX, &mut self.scratch, |record| match span.has(record.offset) {
                    true => output::write(out, format, topic, partition, &record).map_err(Stop::Stdout),
                    false => Ok(()),
                });
            match printed {
                Ok(_) => self
                    .progress
                    .iter_mut()
                    .for_each(|progress| progress.add(header.record_count.unsigned_abs().into())),
                Err(Stop::Batch(e)) => return Err(bad(e)),
                Err(Stop::Stdout(e)) => return Err(Failure::of_stdout(e)),
            }
        }
        span.pass(&header);
        Ok(())
    }
}
