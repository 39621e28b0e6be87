//! `esker wal`: what to do with a write-ahead log that is damaged, or whose bucket another broker has taken over. The
//! broker must be stopped: the directory is locked while it runs.
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::failure::Failure;
use super::output::{self, Format};
use crate::base::Uuid;
use crate::record::{BatchError, BatchHeader, for_each_record};
use crate::wal::fs::{FileSystem, RealFs};
use crate::wal::{self, FrameKind, Visit, WalOptions};

/// The write-ahead log's folder in the data directory.
const WAL_DIR: &str = "wal";
/// Largest unpacked batch: far above what a broker accepts.
const UNPACKED_MAX: u64 = 1 << 30;

/// Flags of `esker wal`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    action: Action,
}

/// What can be done with a write-ahead log.
#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show which ranges are damaged, and with --yes give them up: they become gaps, everything else stays
    AcceptLoss {
        #[command(flatten)]
        data: DataArg,
        /// Give them up
        #[arg(long)]
        yes: bool,
    },
    /// Write the records that are in the write-ahead log to stdout, one JSON object a line; topics are named by id
    Export {
        #[command(flatten)]
        data: DataArg,
        /// Only this topic
        #[arg(long, value_name = "ID")]
        topic_id: Option<Uuid>,
        /// Only this partition
        #[arg(long, value_name = "P")]
        partition: Option<i32>,
        /// Only offsets from this one on
        #[arg(long, value_name = "OFFSET", default_value_t = 0)]
        from: i64,
        /// Only offsets below this one
        #[arg(long, value_name = "OFFSET", default_value_t = i64::MAX, hide_default_value = true)]
        to: i64,
    },
}

/// `--data`.
#[derive(Debug, clap::Args)]
struct DataArg {
    /// Data directory of the broker
    #[arg(long, value_name = "DIR", env = "ESKER_DATA", default_value = "./esker-data")]
    data: PathBuf,
}

/// `esker wal`.
pub fn run(args: Args) -> Result<(), Failure> {
    let fs: Arc<dyn FileSystem> = Arc::new(RealFs::buffered());
    match args.action {
        Action::AcceptLoss { data, yes } => accept_loss(fs, &options(&data.data)?, yes),
        Action::Export { data, topic_id, partition, from, to } => {
            let wanted = Wanted { topic_id, partition, from, to };
            export(fs, &options(&data.data)?, &wanted)
        }
    }
}

/// The write-ahead log of a data directory, which must be there: looking must not make one.
fn options(data: &Path) -> Result<WalOptions, Failure> {
    let dir = data.join(WAL_DIR);
    if !dir.is_dir() {
        let dir = dir.display();
        return Err(Failure::Failed(format!(
            "there is no write-ahead log at {dir}: name the broker's directory with --data"
        )));
    }
    Ok(WalOptions { dir, ..WalOptions::default() })
}

fn accept_loss(fs: Arc<dyn FileSystem>, options: &WalOptions, yes: bool) -> Result<(), Failure> {
    let found = wal::survey(fs.clone(), options, &mut |_| {}).map_err(Failure::of)?;
    let mut open: Vec<_> = found.damage.iter().filter(|damage| !damage.accepted).collect();
    if open.is_empty() {
        open.extend(&found.beyond);
        if open.is_empty() {
            eprintln!("nothing is damaged: there is nothing to accept");
            return Ok(());
        }
        eprintln!(
            "The WAL ends in what looks like a torn tail, which was never acknowledged. Give it up as lost only if the broker \
             refused to start because the bucket knows of groups that are not here."
        );
    }
    let text: String = open.iter().map(|damage| format!("{damage}\n")).collect();
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::of_stdout)?;
    drop(found);
    if !yes {
        eprintln!(
            "This is lost unless the file can be restored. `esker wal accept-loss --yes` gives it up: every record that can \
             be read stays, what is lost becomes a recorded gap, and the damaged file is kept beside the new one."
        );
        return Err(Failure::Failed("nothing was changed".to_owned()));
    }
    let accepted = wal::accept_loss(fs, options).map_err(Failure::of)?;
    eprintln!("damaged ranges given up: {}; start the broker again", accepted.len());
    Ok(())
}

/// Which records are exported.
struct Wanted {
    topic_id: Option<Uuid>,
    partition: Option<i32>,
    from: i64,
    to: i64,
}

fn export(fs: Arc<dyn FileSystem>, options: &WalOptions, wanted: &Wanted) -> Result<(), Failure> {
    let mut out = std::io::BufWriter::with_capacity(256 << 10, std::io::stdout().lock());
    let mut scratch = Vec::new();
    let (mut result, mut lost) = (Ok(()), 0_u64);
    wal::survey(fs, options, &mut |visit: Visit<'_>| {
        let meta = visit.meta;
        let named = wanted.topic_id.is_none_or(|id| id == meta.topic_id)
            && wanted.partition.is_none_or(|partition| partition == meta.partition)
            && meta.last_offset >= wanted.from
            && meta.base_offset < wanted.to;
        if meta.kind != FrameKind::BATCH || !named || result.is_err() {
            return;
        }
        match visit.payload {
            Ok(batch) => result = write_batch(&mut out, &mut scratch, wanted, (meta.topic_id, meta.partition), batch),
            Err(damage) => {
                lost += 1;
                eprintln!("esker: {damage}");
            }
        }
    })
    .map_err(Failure::of)?;
    result?;
    out.flush().map_err(Failure::of_stdout)?;
    if lost > 0 {
        return Err(Failure::Failed(format!(
            "{lost} batches are damaged and were left out; everything else was written"
        )));
    }
    Ok(())
}

/// Why a batch was not written.
enum Stop {
    Batch(BatchError),
    Stdout(std::io::Error),
}

impl From<BatchError> for Stop {
    fn from(error: BatchError) -> Self {
        Self::Batch(error)
    }
}

fn write_batch(
    out: &mut impl Write,
    scratch: &mut Vec<u8>,
    wanted: &Wanted,
    (topic_id, partition): (Uuid, i32),
    batch: &[u8],
) -> Result<(), Failure> {
    let bad = |e: BatchError| Failure::Failed(format!("topic {topic_id} partition {partition}: {e}"));
    if BatchHeader::parse(batch).map_err(bad)?.is_control() {
        return Ok(());
    }
    let topic = topic_id.to_string();
    let written = for_each_record(batch, UNPACKED_MAX, scratch, |record| {
        if record.offset < wanted.from || record.offset >= wanted.to {
            return Ok(());
        }
        output::write(out, Format::Json, &topic, partition, &record).map_err(Stop::Stdout)
    });
    match written {
        Ok(_) => Ok(()),
        Err(Stop::Batch(e)) => Err(bad(e)),
        Err(Stop::Stdout(e)) => Err(Failure::of_stdout(e)),
    }
}
