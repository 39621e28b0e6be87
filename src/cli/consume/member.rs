//! `esker consume --group`: a member of the group that prints what it is given, and commits what stdout has taken.
//!
//! Offsets are committed after the lines were written and flushed, once a second (less often where a pipe takes longer for
//! what one fetch brought) and at every end: so whoever goes on after a kill repeats the last lines, and skips none. The
//! heartbeat has a task of its own: a pipe that is read slowly costs no membership. When the group goes to another
//! generation, what is fetched and not printed is dropped, what is printed is committed, and the member joins again.
use std::collections::BTreeMap;
use std::io::{BufWriter, Stdout, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::{ANSWERS_WAITING, Args, Fetched, OUT_BYTES, Printer, Span, spans};
use crate::base::tasks::Stop;
use crate::cli::failure::Failure;
use crate::cli::source::Source;
use crate::cli::tap::Tap;
use crate::kafka::client::groups::{Place, Seat};
use crate::kafka::client::member::{MemberTimes, Standing};
use crate::kafka::client::{Client, ClientError, LATEST};
use crate::kafka::errors::ErrorCode;
use crate::server::signals::Signals;

/// A short session: who runs this again after a kill waits until the killed one counts as dead, and heartbeats wait for
/// nothing here.
const TIMES: MemberTimes = MemberTimes { session: Duration::from_secs(10), rebalance: Duration::from_secs(60) };
const HEARTBEAT_EVERY: Duration = Duration::from_secs(3);
/// For how long lines may be printed and not committed.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// How often a member that follows looks for new partitions.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How long a stop may take that was asked for by a signal: stdout may be a pipe that nobody reads.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// What a shell gives for an end by SIGINT.
const INTERRUPTED: i32 = 130;

/// Why a generation ended for this member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Everything that it has was read, or it was told to stop.
    Done,
    /// The group goes to its next generation.
    Next,
    /// The group went on without it.
    Lost,
}

/// `esker consume --group`.
pub async fn run(args: &Args, group: &str, source: &Source) -> Result<(), Failure> {
    let stop = stop_on_signal()?;
    let tap = Tap::open(source, &args.topic).await?;
    let planned = spans(&tap, args).await?.into_iter().map(|span| (span.partition, span)).collect();
    let Tap::Broker { client, .. } = tap else {
        return Err(Failure::Usage("--group needs a running broker: leave --store out (and ESKER_STORE unset)".into()));
    };
    let client = Arc::new(client.coordinator(group).await.map_err(Failure::of)?);
    let member = Member { args, group, source, planned, client };
    let mut id = String::new();
    loop {
        let joining = member.client.join(group, &id, &args.topic, TIMES);
        let (seat, places) = tokio::select! {
            joined = joining => joined.map_err(|error| refused(group, &error))?,
            () = stop.stopped() => return Ok(()),
        };
        id.clone_from(&seat.member);
        match member.generation(&seat, &places, &stop).await {
            Ok(End::Next) => {}
            Ok(End::Lost) => {
                eprintln!(
                    "esker: group '{group}' went on without this member, which joins again: lines may come twice"
                );
                id.clear();
            }
            // All is committed: that the group went on without it meanwhile changes nothing.
            Ok(End::Done) => {
                return Standing::after(member.client.leave(&seat).await).map(drop).map_err(Failure::of);
            }
            Err(failure) => {
                // Others get its partitions at once; should this fail too, they wait until it counts as dead.
                let _ = member.client.leave(&seat).await;
                return Err(failure);
            }
        }
    }
}

fn refused(group: &str, error: &ClientError) -> Failure {
    match error.code() {
        Some(ErrorCode::InconsistentGroupProtocol) => Failure::Failed(format!(
            "group '{group}' has members that do not share by 'range': take another --group, or give the others \
             partition.assignment.strategy=range"
        )),
        _ => Failure::of(error),
    }
}

/// SIGINT and SIGTERM ask for an end with a commit; a second one, or a stdout that takes nothing, gets one without.
fn stop_on_signal() -> Result<Stop, Failure> {
    let mut signals = Signals::catch().map_err(Failure::of)?;
    let stop = Stop::new();
    let told = stop.clone();
    tokio::spawn(async move {
        signals.next().await;
        told.stop();
        let _ = tokio::time::timeout(STOP_WITHIN, signals.next()).await;
        std::process::exit(INTERRUPTED);
    });
    Ok(stop)
}

struct Member<'a> {
    args: &'a Args,
    group: &'a str,
    source: &'a Source,
    /// Where each partition ends for this run, and where it begins if nothing is committed.
    planned: BTreeMap<i32, Span>,
    /// A connection for the group alone: a fetch that waits would hold up heartbeats.
    client: Arc<Client>,
}

impl Member<'_> {
    /// Reads what came with a seat until there is a reason to stop.
    async fn generation(&self, seat: &Seat, places: &[Place], stop: &Stop) -> Result<End, Failure> {
        let tap = Tap::open(self.source, &self.args.topic).await?;
        let partitions = tap.partitions(None)?.len();
        let committed = self.client.committed(self.group).await.map_err(Failure::of)?;
        let spans = self.share(&tap, places, &committed).await?;
        let (send, receive) = mpsc::channel(ANSWERS_WAITING);
        // With more members than partitions some have nothing; if they follow, they wait for their turn.
        let idle = (self.args.follow && spans.is_empty()).then(|| send.clone());
        let mut fetching = JoinSet::new();
        fetching.spawn(tap.run(spans.clone(), send));
        let (tell, told) = watch::channel(Ok(Standing::Holds));
        let mut living = JoinSet::new();
        living.spawn(live(self.client.clone(), seat.clone(), tell));

        let mut reading = Reading::new(self, seat, spans, committed);
        let end = tokio::select! {
            biased;
            end = changed(told) => end,
            () = stop.stopped() => Ok(End::Done),
            end = self.grown(partitions) => end,
            end = reading.run(receive, &mut fetching) => end,
        };
        drop(idle);
        match end? {
            End::Lost => Ok(End::Lost),
            end => Ok(if reading.settle().await? == Standing::Lost { End::Lost } else { end }),
        }
    }

    /// What is to be read of the partitions that came with a seat.
    async fn share(&self, tap: &Tap, places: &[Place], committed: &BTreeMap<Place, i64>) -> Result<Vec<Span>, Failure> {
        let mut spans = Vec::new();
        for place in places.iter().filter(|place| place.topic == self.args.topic) {
            let partition = place.partition;
            let (start, end) = tap.ends(partition).await?;
            let mut span = match self.planned.get(&partition) {
                Some(span) => span.clone(),
                None if self.args.follow => Span { partition, next: start, until: None },
                // It was added after the end was looked up.
                None => continue,
            };
            match committed.get(place) {
                Some(&offset) if offset > end => self.check_end(place, offset).await?,
                Some(&offset) if offset < start => {
                    eprintln!(
                        "esker: {}/{partition}: offsets below {start} are gone; going on there, not at {offset}",
                        place.topic
                    );
                }
                _ => {}
            }
            span.next = committed.get(place).map_or(span.next, |offset| *offset).max(start);
            spans.push(span);
        }
        Ok(spans)
    }

    /// A committed offset may lie in what is not decided yet, but not where nothing is.
    async fn check_end(&self, place: &Place, offset: i64) -> Result<(), Failure> {
        let Place { topic, partition } = place;
        let found = self.client.list_offsets(topic, &[*partition], LATEST, false).await.map_err(Failure::of)?;
        match found.first() {
            Some(end) if end.offset < offset => Err(Failure::Failed(format!(
                "group '{0}' is to go on at offset {offset} of {topic}/{partition}, which ends at {1}: \
                 `esker group reset {0} --topic {topic}:{partition} --to-latest --execute` moves it to the end",
                self.group, end.offset
            ))),
            _ => Ok(()),
        }
    }

    /// Ends when the topic has more partitions than it had; only who follows wants to know.
    async fn grown(&self, partitions: usize) -> Result<End, Failure> {
        loop {
            match self.args.follow {
                true => tokio::time::sleep(LOOK_EVERY).await,
                false => std::future::pending().await,
            }
            let topics = self.client.topics(Some(&[&self.args.topic]), false).await.map_err(Failure::of)?;
            if topics.first().is_some_and(|topic| usize::try_from(topic.partitions) != Ok(partitions)) {
                return Ok(End::Next);
            }
        }
    }
}

/// Says that the member lives until that is no longer enough.
async fn live(client: Arc<Client>, seat: Seat, tell: watch::Sender<Result<Standing, String>>) {
    loop {
        tokio::time::sleep(HEARTBEAT_EVERY).await;
        match client.heartbeat(&seat).await {
            Ok(Standing::Holds) => {}
            other => {
                let _ = tell.send_replace(other.map_err(|error| error.to_string()));
                return;
            }
        }
    }
}

/// Ends when the member's standing changes.
async fn changed(mut told: watch::Receiver<Result<Standing, String>>) -> Result<End, Failure> {
    // Without a word the task was cut off, and that happens after the end only.
    let Ok(standing) = told.wait_for(|standing| *standing != Ok(Standing::Holds)).await else {
        return std::future::pending().await;
    };
    match standing.as_ref() {
        Ok(Standing::Lost) => Ok(End::Lost),
        Ok(_) => Ok(End::Next),
        Err(error) => Err(Failure::Failed(error.clone())),
    }
}

/// What is printed in one generation, and committed.
struct Reading<'a> {
    member: &'a Member<'a>,
    seat: &'a Seat,
    printer: Printer,
    out: BufWriter<Stdout>,
    /// Where each partition began: no commit goes back behind it.
    began: BTreeMap<i32, i64>,
    committed: BTreeMap<Place, i64>,
}

impl<'a> Reading<'a> {
    fn new(member: &'a Member<'a>, seat: &'a Seat, spans: Vec<Span>, committed: BTreeMap<Place, i64>) -> Self {
        let began = spans.iter().map(|span| (span.partition, span.next)).collect();
        let out = BufWriter::with_capacity(OUT_BYTES, std::io::stdout());
        Self { member, seat, printer: Printer::new(member.args, spans), out, began, committed }
    }

    /// Prints what arrives until there is no more.
    async fn run(
        &mut self,
        mut receive: mpsc::Receiver<Vec<Fetched>>,
        fetching: &mut JoinSet<Result<(), Failure>>,
    ) -> Result<End, Failure> {
        let mut due = tokio::time::interval(COMMIT_EVERY);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = due.tick() => match self.settle().await? {
                    Standing::Holds => {}
                    Standing::Rebalances => return Ok(End::Next),
                    Standing::Lost => return Ok(End::Lost),
                },
                answer = receive.recv() => match answer {
                    None => break,
                    Some(answer) => self.printer.print_all(&mut self.out, &answer)?,
                },
            }
            if receive.is_empty() {
                self.out.flush().map_err(Failure::of_stdout)?;
            }
        }
        match fetching.join_next().await {
            Some(Ok(read)) => read.map(|()| End::Done),
            Some(Err(error)) => Err(Failure::of(error)),
            None => Ok(End::Done),
        }
    }

    /// Flushes what was printed and commits it.
    async fn settle(&mut self) -> Result<Standing, Failure> {
        self.out.flush().map_err(Failure::of_stdout)?;
        let position = |span: &Span| {
            let place = Place { topic: self.member.args.topic.clone(), partition: span.partition };
            let began = self.began.get(&span.partition).copied().unwrap_or_default();
            (place, span.next.min(span.until.unwrap_or(i64::MAX)).max(began))
        };
        let positions = self.printer.spans.iter().map(position);
        let moved: BTreeMap<Place, i64> =
            positions.filter(|(place, offset)| self.committed.get(place) != Some(offset)).collect();
        if moved.is_empty() {
            return Ok(Standing::Holds);
        }
        let committed = self.member.client.commit(self.member.group, Some(self.seat), &moved).await;
        let standing = Standing::after(committed).map_err(Failure::of)?;
        if standing == Standing::Holds {
            self.committed.extend(moved);
        }
        Ok(standing)
    }
}
