//! The loop: sends what is due, reads what has come, until the run is over.
//!
//! Owns: the clock, the waiting. Never: judges a reply.

use std::fs::File;
use std::io;
use std::io::BufWriter;
use std::io::Write;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::event::epoll;
use rustix::event::epoll::EventData;
use rustix::event::epoll::EventFlags;
use rustix::event::poll;
use rustix::io::Errno;
use signal_hook::consts::SIGINT;
use signal_hook::consts::SIGTERM;

use crate::client::Answer;
use crate::client::Client;
use crate::client::Plan;
use crate::client::Verb;
use crate::keys;
use crate::keys::Group;
use crate::ledger::Form;
use crate::ledger::Key;
use crate::ledger::Seen;
use crate::options::Options;
use crate::options::Rate;
use crate::protocol::Protocol;
use crate::schedule::Schedule;
use crate::tally;
use crate::tally::Tally;

/// A signal is noticed after so long at most.
const LOOK: Duration = Duration::from_millis(20);
/// A proxy that is away is asked again so often.
const RECONNECT: Duration = Duration::from_millis(5);
/// Events that are taken at once.
const EVENTS: usize = 256;

/// What a run has brought.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub tallies: Vec<Tally>,
    pub clients: Vec<Client>,
    /// Requests that have come to an end, those that are not counted, too.
    pub answered: usize,
    /// How late the generator itself was to send what was due.
    pub lag: Histogram<u64>,
    /// Of the part that is counted.
    pub counted: Duration,
    /// The first reply that was not the request's own, which has ended the run.
    pub wrong: Option<String>,
}

/// Runs it.
///
/// # Errors
///
/// Keys that cannot be read or are too few, a proxy that does not listen, files that cannot be
/// written.
pub(crate) fn run(options: &Options) -> io::Result<Outcome> {
    let groups = keys::groups(options)?;
    let mut run = Run::start(options, &groups)?;
    run.go()?;
    run.finish()
}

struct Run<'a> {
    groups: &'a [Group],
    clients: Vec<Client>,
    epoll: rustix::fd::OwnedFd,
    // What epoll was told, by client.
    watched: Vec<EventFlags>,
    // Those that may have room for a request, for the closed loop.
    roomy: Vec<usize>,
    answered: usize,
    // Clients without a connection, and when they are to have one again.
    reopen: Vec<(usize, Instant)>,
    tallies: Vec<Tally>,
    lag: Histogram<u64>,
    schedule: Option<Schedule>,
    count_from: Instant,
    end: Instant,
    patience: Duration,
    // The same moment on both clocks.
    epoch: (Instant, SystemTime),
    trace: Option<BufWriter<File>>,
    told_to_end: Arc<AtomicBool>,
    answers: Vec<Answer>,
    wrong: Option<String>,
}

impl<'a> Run<'a> {
    fn start(options: &Options, groups: &'a [Group]) -> io::Result<Run<'a>> {
        let told_to_end = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&told_to_end))?;
        }
        // A wait that is 50 µs too long, the default, would be latency.
        rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
        let clients = connect(options, groups)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (place, client) in clients.iter().enumerate() {
            let data = EventData::new_u64(place as u64);
            epoll::add(&epoll, client.stream(), data, EventFlags::IN)?;
        }
        let trace = options.trace.as_ref().map(File::create).transpose()?;
        let begin = Instant::now();
        let end = begin + options.seconds;
        Ok(Run {
            groups,
            epoll,
            watched: vec![EventFlags::IN; clients.len()],
            roomy: (0..clients.len()).collect(),
            answered: 0,
            reopen: Vec::new(),
            clients,
            tallies: groups.iter().map(|g| Tally::new(&g.name)).collect(),
            lag: tally::histogram(),
            schedule: match options.rate {
                Rate::Fixed(rate) => Some(Schedule::new(begin, end, rate)),
                Rate::Max => None,
            },
            count_from: begin + options.warmup,
            end,
            patience: options.patience,
            epoch: (begin, SystemTime::now()),
            trace: trace.map(BufWriter::new),
            told_to_end,
            answers: Vec::new(),
            wrong: None,
        })
    }

    fn go(&mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        while self.wrong.is_none() {
            let now = Instant::now();
            if self.told_to_end.load(Ordering::Relaxed) && now < self.end {
                self.end = now;
                if let Some(schedule) = &mut self.schedule {
                    schedule.end_at(now);
                }
            }
            self.send_due(now)?;
            let is_over = now >= self.end && self.clients.iter().all(Client::is_done);
            if is_over || now >= self.end + self.patience {
                break;
            }
            self.wait(&mut events)?;
            for event in &events {
                let place = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
                self.serve(place)?;
            }
        }
        Ok(())
    }

    /// Waits until a socket is ready or a request is due.
    fn wait(&self, events: &mut Vec<epoll::Event>) -> io::Result<()> {
        events.clear();
        let none = Timespec::default();
        epoll::wait(&self.epoll, spare_capacity(events), Some(&none))?;
        if !events.is_empty() {
            return Ok(());
        }
        // epoll waits by the millisecond, and a millisecond is ten times a latency.
        let timeout = self.timeout(Instant::now());
        let mut ready = [PollFd::new(&self.epoll, PollFlags::IN)];
        match poll(&mut ready, Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => Ok(()),
            Ok(_) => epoll::wait(&self.epoll, spare_capacity(events), Some(&none))
                .map(drop)
                .map_err(io::Error::from),
            Err(error) => Err(error.into()),
        }
    }

    /// Everything that is due at `now` is made and sent.
    fn send_due(&mut self, now: Instant) -> io::Result<()> {
        let count = self.clients.len() as u64;
        let mut touched: Vec<usize> = Vec::new();
        while let Some((number, due)) = self.schedule.as_mut().and_then(|s| s.take(now)) {
            let place = usize::try_from(number % count).unwrap_or(0);
            if self.clients[place].request(due) {
                tally::record(&mut self.lag, now - due);
                touched.push(place);
            }
        }
        if self.schedule.is_none() && now < self.end {
            for place in std::mem::take(&mut self.roomy) {
                while self.clients[place].room() > 0 {
                    self.clients[place].request(now);
                    touched.push(place);
                }
            }
        }
        let (due, later) = self.reopen.drain(..).partition(|&(_, at)| at <= now);
        self.reopen = later;
        let due: Vec<(usize, Instant)> = due;
        for (place, _) in due {
            self.reopen(place)?;
        }
        touched.sort_unstable();
        touched.dedup();
        for place in touched {
            self.flush(place)?;
        }
        Ok(())
    }

    fn timeout(&self, now: Instant) -> Timespec {
        let due = self.schedule.as_ref().and_then(Schedule::next_due);
        let reopen = self.reopen.iter().map(|&(_, at)| at);
        let next = due.into_iter().chain(reopen).min();
        let wait = next.map_or(LOOK, |next| next.saturating_duration_since(now));
        let wait = wait.min(LOOK);
        Timespec {
            tv_sec: 0,
            tv_nsec: wait.subsec_nanos().into(),
        }
    }

    /// A socket is ready for something.
    fn serve(&mut self, place: usize) -> io::Result<()> {
        if self.reopen.iter().any(|&(waiting, _)| waiting == place) {
            return Ok(());
        }
        let received = self.clients[place].receive(&mut self.answers);
        self.take_answers(place)?;
        match received {
            Ok(()) => self.flush(place),
            Err(error) => self.lost(place, &error),
        }
    }

    fn flush(&mut self, place: usize) -> io::Result<()> {
        if self.reopen.iter().any(|&(waiting, _)| waiting == place) {
            return Ok(());
        }
        if let Err(error) = self.clients[place].flush() {
            // What came before the end is still to be read.
            let _ = self.clients[place].receive(&mut self.answers);
            self.take_answers(place)?;
            return self.lost(place, &error);
        }
        let client = &self.clients[place];
        let wanted = match client.wants_to_write() {
            true => EventFlags::IN | EventFlags::OUT,
            false => EventFlags::IN,
        };
        if wanted != self.watched[place] {
            self.watched[place] = wanted;
            let data = EventData::new_u64(place as u64);
            epoll::modify(&self.epoll, client.stream(), data, wanted)?;
        }
        Ok(())
    }

    /// The connection is gone; another one is opened in a moment.
    fn lost(&mut self, place: usize, error: &io::Error) -> io::Result<()> {
        let group = self.clients[place].group;
        self.tallies[group].connections_lost += 1;
        let why = match error.kind() {
            io::ErrorKind::UnexpectedEof => "connection closed".to_owned(),
            _ => format!("connection lost: {error}"),
        };
        self.clients[place].lose_connection(&why, &mut self.answers);
        self.take_answers(place)?;
        epoll::delete(&self.epoll, self.clients[place].stream())?;
        self.reopen.push((place, Instant::now() + RECONNECT));
        Ok(())
    }

    fn reopen(&mut self, place: usize) -> io::Result<()> {
        let client = &mut self.clients[place];
        client.reconnect()?;
        self.watched[place] = EventFlags::IN | EventFlags::OUT;
        let data = EventData::new_u64(place as u64);
        epoll::add(&self.epoll, client.stream(), data, self.watched[place])?;
        Ok(())
    }

    fn take_answers(&mut self, place: usize) -> io::Result<()> {
        let group = self.clients[place].group;
        if let Some(what) = self.clients[place].wrong.take() {
            let group = &self.groups[group].name;
            self.wrong = Some(format!("client {place}, keys of {group}: {what}"));
        }
        if self.answers.is_empty() {
            return Ok(());
        }
        self.answered += self.answers.len();
        if self.schedule.is_none() {
            self.roomy.push(place);
        }
        let now = Instant::now();
        for answer in std::mem::take(&mut self.answers) {
            let tally = &mut self.tallies[group];
            let counted = answer.due >= self.count_from;
            match &answer.result {
                Ok(Seen::Lost) => tally.lost_writes_seen += 1,
                Ok(Seen::Right) if counted => tally.good(now - answer.due),
                Err(text) if counted => tally.error(text),
                Ok(Seen::Right | Seen::Wrong) | Err(_) => {}
            }
            self.write_trace(place, group, now, &answer)?;
        }
        Ok(())
    }

    fn write_trace(
        &mut self,
        place: usize,
        group: usize,
        done: Instant,
        answer: &Answer,
    ) -> io::Result<()> {
        let Some(trace) = &mut self.trace else {
            return Ok(());
        };
        let (origin, at) = self.epoch;
        let origin_us = at
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |time| time.as_micros());
        let unix_us = |moment: Instant| origin_us + (moment - origin).as_micros();
        let verb = match answer.verb {
            Verb::Get => "GET",
            Verb::Set => "SET",
        };
        let result = match &answer.result {
            Ok(Seen::Right) => "ok",
            Ok(Seen::Lost) => "lost write",
            Ok(Seen::Wrong) => "wrong",
            Err(text) => text,
        };
        writeln!(
            trace,
            "{},{},{},{place},{verb},{result}",
            unix_us(answer.due),
            unix_us(done),
            self.groups[group].name,
        )
    }

    fn finish(mut self) -> io::Result<Outcome> {
        for place in 0..self.clients.len() {
            self.clients[place].give_up("no reply", &mut self.answers);
            self.take_answers(place)?;
        }
        if let Some(mut trace) = self.trace.take() {
            trace.flush()?;
        }
        Ok(Outcome {
            tallies: self.tallies,
            clients: self.clients,
            answered: self.answered,
            lag: self.lag,
            counted: self.end.saturating_duration_since(self.count_from),
            wrong: self.wrong,
        })
    }
}

/// Opens all connections: client c has keys of server c mod servers, none of them another's.
fn connect(options: &Options, groups: &[Group]) -> io::Result<Vec<Client>> {
    if options.keys_per_get != 1 && (!options.memcached || options.sets != 0) {
        return Err(invalid("--keys-per-get needs --memcached and --sets 0"));
    }
    let plan = Plan {
        address: options.address,
        sets: options.sets,
        form: Form {
            run: run_number(),
            bytes: options.value_bytes,
            may_forget: options.may_forget,
        },
        keys_per_get: options.keys_per_get,
        in_flight: options.in_flight.max(1),
        protocol: match options.memcached {
            true => Protocol::Memcached,
            false => Protocol::Redis,
        },
    };
    let of_group = |group: usize| (group..options.connections).step_by(groups.len()).count();
    (0..options.connections)
        .map(|place| {
            let group = place % groups.len();
            let own = groups[group].keys.iter().skip(place / groups.len());
            let keys: Vec<Key> = own
                .step_by(of_group(group))
                .map(|key| Key::new(key))
                .collect();
            if keys.len() < options.keys_per_get.max(1) {
                let name = &groups[group].name;
                return Err(invalid(&format!("too few keys on {name} for each client")));
            }
            Client::connect(plan, group, keys, place as u64)
        })
        .collect()
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// Another one for each run.
fn run_number() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or(0))
}
