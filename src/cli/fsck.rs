//! `esker fsck`: checks the whole bucket: what is wrong, missing, or nobody's.
use std::io::Write;

use super::bucket;
use super::failure::Failure;
use super::progress::Progress;
use super::source::{HttpArg, StoreArg, bucket_url};
use crate::archive::fsck::{Checked, Finding, FindingKind, fsck};
use crate::config::units::show_size;

/// Flags of `esker fsck`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    http: HttpArg,
    #[command(flatten)]
    store: StoreArg,
}

/// `esker fsck`: a line for each finding.
pub async fn run(args: Args) -> Result<(), Failure> {
    let log = bucket::open(&bucket_url(&args.http, &args.store).await?).await?;
    let progress = Progress::waiting("checking the bucket");
    let mut failed = None;
    let checked = fsck(log.bucket(), &mut |finding| {
        if failed.is_none() {
            failed = std::io::stdout().write_all(line(&finding).as_bytes()).err();
        }
    })
    .await;
    progress.finish();
    let checked = checked.map_err(Failure::of)?;
    if let Some(error) = failed {
        return Err(Failure::of_stdout(error));
    }
    eprintln!("{}", summary(&checked));
    match checked.findings {
        0 => Ok(()),
        findings => Err(Failure::Failed(format!("{findings} findings"))),
    }
}

fn line(finding: &Finding) -> String {
    let kind = match finding.kind {
        FindingKind::Wrong => "wrong",
        FindingKind::Missing => "missing",
        FindingKind::Nobodys => "nobody's",
    };
    format!("{kind} {}: {}\n", finding.path, finding.reason)
}

fn summary(checked: &Checked) -> String {
    let Checked { topics, partitions, segments, gaps, records, stored_bytes, objects, waiting, young, .. } = checked;
    format!(
        "checked {topics} topics with {partitions} partitions: {segments} segments, {gaps} gaps, {records} records in {}; \
         {objects} objects, of which {waiting} wait to be deleted and {young} are too young to judge",
        show_size(*stored_bytes)
    )
}
