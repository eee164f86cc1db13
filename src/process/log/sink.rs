//! Where lines go: a bounded queue, and a thread that writes.
//!
//! Owns: the file or stderr, and the only waits for it. Nobody else ever waits: a pipe that nobody
//! reads, a disk that is full or slow cost lines, which are counted and told, and nothing else.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write as _;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::TrySendError;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::event::poll;
use rustix::fs::FileType;
use rustix::fs::OFlags;
use tracing::Level;

use crate::control::RecentEvents;

use super::LogError;
use super::fact::Fact;
use super::fact::LogFormat;
use super::fact::Value;
use super::fact::name_of;
use super::pace::Pace;
use super::pace::Sameness;

/// What may wait to be written: a pause of the disk, not an outage of it. Half a megabyte of usual
/// lines.
const LINES_MAX: usize = 4096;

/// Whoever writes looks up so often from a file that takes nothing.
const LOOK_UP: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// Who waits for a place in a full queue looks so often.
const ROOM_PERIOD: Duration = Duration::from_millis(5);

enum Message {
    Line(String),
    // Open the file again, and say that it is done.
    Reopen(SyncSender<()>),
    // Say that all before it was written.
    Flush(SyncSender<()>),
    // A line was left out: there is a time to write it.
    Look,
}

/// Takes lines, and never waits.
#[derive(Debug)]
pub(super) struct Sink {
    path: Option<PathBuf>,
    messages: SyncSender<Message>,
    shared: Arc<Shared>,
    recent: RecentEvents,
    // None once it writes.
    writer: Mutex<Option<Writer>>,
}

#[derive(Debug)]
struct Shared {
    format: LogFormat,
    began: Instant,
    pace: Mutex<Pace>,
    // Lines that found no room, or were not taken.
    lost: AtomicU64,
    reopen: AtomicBool,
}

impl Shared {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink {
    /// Opens the file, or stderr. Lines wait until [`Sink::start`].
    ///
    /// # Errors
    ///
    /// When the file cannot be opened for appending.
    pub(super) fn open(path: Option<&Path>, format: LogFormat) -> Result<Sink, LogError> {
        let target = match path {
            Some(path) => open(path)?,
            None => Target::Stderr,
        };
        #[allow(clippy::disallowed_methods, reason = "the top floor has a clock")]
        let began = Instant::now();
        let shared = Arc::new(Shared {
            format,
            began,
            pace: Mutex::default(),
            lost: AtomicU64::new(0),
            reopen: AtomicBool::new(false),
        });
        let (messages, inbox) = sync_channel(LINES_MAX);
        let writer = Writer {
            waits: target.may_make_wait(),
            target,
            path: path.map(Path::to_owned),
            inbox,
            shared: Arc::clone(&shared),
            torn: false,
        };
        Ok(Sink {
            path: path.map(Path::to_owned),
            messages,
            shared,
            recent: RecentEvents::default(),
            writer: Mutex::new(Some(writer)),
        })
    }

    /// What the page for people shows of the lines.
    pub(super) fn recent(&self) -> &RecentEvents {
        &self.recent
    }

    pub(super) fn is_stderr(&self) -> bool {
        self.path.is_none()
    }

    /// Writes from now on. Not before the process is the one that stays: threads go with a fork.
    ///
    /// # Errors
    ///
    /// When there is no thread.
    pub(super) fn start(&self) -> io::Result<()> {
        let writer = &mut *self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(writer) = writer.take() else {
            return Ok(());
        };
        let named = thread::Builder::new().name("log".to_owned());
        named.spawn(move || writer.run()).map(|_| ())
    }

    /// Writes a line, unless there were too many of the same.
    pub(super) fn admit(&self, same: Sameness, fact: Fact) {
        let admitted = self.shared.pace().admit(same, fact, self.shared.now());
        match admitted {
            Some(fact) => self.write(&fact),
            // Full means that the writer is about to look anyway.
            None => _ = self.messages.try_send(Message::Look),
        }
    }

    /// Writes a line.
    pub(super) fn write(&self, fact: &Fact) {
        if fact.is_event() {
            let fields = fact.json_fields();
            self.recent
                .put(name_of(fact.level), fact.short_message(), fields);
        }
        let line = line(fact, self.shared.format);
        if self.messages.try_send(Message::Line(line)).is_err() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Has the file opened again; the writer says in it what came of that. What was written before
    /// goes to the old one. `within` is how long to wait for it.
    pub(super) fn reopen(&self, within: Duration) {
        // Also seen where the queue is full because the old file takes nothing.
        self.shared.reopen.store(true, Ordering::SeqCst);
        self.ask(Message::Reopen, within);
    }

    /// Writes what was left out, and waits until everything is written, for so long.
    pub(super) fn flush(&self, within: Duration) {
        for fact in self.shared.pace().rest() {
            self.write(&fact);
        }
        // A process that could not start has something to say, too.
        if self.start().is_ok() {
            self.ask(Message::Flush, within);
        }
    }

    fn ask(&self, message: fn(SyncSender<()>) -> Message, within: Duration) {
        let until = self.shared.now() + within;
        let (done, wait) = sync_channel(1);
        let mut message = message(done);
        while let Err(TrySendError::Full(back)) = self.messages.try_send(message) {
            if self.shared.now() >= until {
                return;
            }
            thread::sleep(ROOM_PERIOD);
            message = back;
        }
        // Whether it was done or the time is over: there is nothing more to be done here.
        let _ = wait.recv_timeout(until.saturating_sub(self.shared.now()));
    }
}

fn line(fact: &Fact, format: LogFormat) -> String {
    fact.line(format, &jiff::Zoned::now())
}

#[derive(Debug)]
enum Target {
    Stderr,
    File(File),
}

// Opened so that neither the opening nor a write waits where nobody reads; a regular file knows no
// such waits, and none is spared there.
fn open(path: &Path) -> Result<Target, LogError> {
    let opened = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o644)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path);
    opened.map(Target::File).map_err(|source| LogError::Open {
        path: path.to_owned(),
        source,
    })
}

impl Target {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Target::Stderr => rustix::stdio::stderr(),
            Target::File(file) => file.as_fd(),
        }
    }

    // Pipes and terminals can say that they would make a writer wait, files cannot.
    fn may_make_wait(&self) -> bool {
        let file = rustix::fs::fstat(self.fd());
        file.is_ok_and(|file| FileType::from_raw_mode(file.st_mode) != FileType::RegularFile)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Target::Stderr => io::stderr().lock().write(bytes),
            Target::File(file) => { file }.write(bytes),
        }
    }
}

/// The thread that writes.
#[derive(Debug)]
struct Writer {
    target: Target,
    waits: bool,
    path: Option<PathBuf>,
    inbox: Receiver<Message>,
    shared: Arc<Shared>,
    // The last line was written in part.
    torn: bool,
}

impl Writer {
    fn run(mut self) {
        loop {
            let due = self.shared.pace().due_in(self.shared.now());
            let message = match due {
                Some(due) => self.inbox.recv_timeout(due),
                None => self.inbox.recv().map_err(RecvTimeoutError::from),
            };
            match message {
                Ok(Message::Line(line)) => self.write(&line),
                Ok(Message::Reopen(done)) => {
                    self.reopen();
                    // Whoever asked may not wait any more.
                    let _ = done.try_send(());
                }
                Ok(Message::Flush(done)) => _ = done.try_send(()),
                Ok(Message::Look) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let due = self.shared.pace().due(self.shared.now());
            for fact in due {
                self.write(&line(&fact, self.shared.format));
            }
        }
    }

    fn write(&mut self, line: &str) {
        let lost = self.shared.lost.swap(0, Ordering::Relaxed);
        if lost > 0 && !self.put(&note(lost, self.shared.format)) {
            // It is too late for this line, too.
            self.shared.lost.fetch_add(lost + 1, Ordering::Relaxed);
        } else if !self.put(line) {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    // Whether it was written whole.
    fn put(&mut self, line: &str) -> bool {
        let mut left = line.as_bytes();
        if std::mem::take(&mut self.torn) && !self.put("\n") {
            self.torn = true;
            return false;
        }
        while !left.is_empty() {
            let written = match self.is_writable() {
                true => self.target.write(left),
                false => Err(io::ErrorKind::WouldBlock.into()),
            };
            match written {
                Ok(written) if written > 0 => left = &left[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => {
                    self.torn |= left.len() < line.len();
                    return false;
                }
            }
        }
        true
    }

    // Waits until it takes something; `false` if another file is wanted before it does.
    fn is_writable(&self) -> bool {
        loop {
            let leaves = self.shared.reopen.load(Ordering::SeqCst);
            let within = if leaves { Timespec::default() } else { LOOK_UP };
            let mut target = [PollFd::from_borrowed_fd(self.target.fd(), PollFlags::OUT)];
            // A poll that fails says nothing of the target: the write will.
            if !self.waits || poll(&mut target, Some(&within)) != Ok(0) {
                return true;
            }
            if leaves {
                return false;
            }
        }
    }

    fn reopen(&mut self) {
        self.shared.reopen.store(false, Ordering::SeqCst);
        let Some(path) = &self.path else {
            return;
        };
        // The old file is kept when the new one cannot be had: better there than nowhere.
        let fact = match open(path) {
            Ok(target) => {
                (self.waits, self.target, self.torn) = (target.may_make_wait(), target, false);
                Fact::new(Level::INFO, "log file opened again")
            }
            Err(error) => Fact::new(Level::ERROR, "log file not opened again")
                .with("error", Value::Text(error.to_string())),
        };
        self.write(&line(&fact, self.shared.format));
    }
}

fn note(lost: u64, format: LogFormat) -> String {
    let fact = Fact::new(Level::WARN, "log lines were lost, not taken in time");
    line(&fact.with("count", Value::Unsigned(lost)), format)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::process::Command;

    use super::*;

    fn text(message: impl ToString) -> Fact {
        Fact::new(Level::INFO, message.to_string())
    }

    fn fifo(path: &Path) {
        let made = Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
    }

    // Opens a FIFO for reading; nobody writes yet.
    fn reader(path: &Path) -> File {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
        let file = file.unwrap();
        rustix::io::ioctl_fionbio(&file, false).unwrap();
        file
    }

    #[test]
    fn a_fifo_that_nobody_reads_is_no_log_and_one_that_is_read_no_more_makes_nobody_wait() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        fifo(&path);
        let error = Sink::open(Some(&path), LogFormat::Text)
            .unwrap_err()
            .to_string();
        assert!(error.contains("cannot open the log file"), "{error}");
        let mut reader = reader(&path);
        let sink = Sink::open(Some(&path), LogFormat::Text).unwrap();
        sink.start().unwrap();
        // More than the pipe and the queue hold.
        let lines = 3 * LINES_MAX;
        let long = "x".repeat(200);
        for nth in 0..lines {
            sink.write(&text(format!("{nth} {long}")));
        }
        // It is read again: what was lost is told, and what comes then is written.
        let reading = thread::spawn(move || {
            let mut all = Vec::new();
            let mut bytes = [0; 4096];
            while !all.ends_with(b"the last\n") {
                let read = reader.read(&mut bytes).unwrap();
                all.extend_from_slice(&bytes[..read]);
            }
            String::from_utf8(all).unwrap()
        });
        sink.flush(Duration::from_secs(20));
        sink.write(&text("the last"));
        let all = reading.join().unwrap();
        let lost = all.split_once("not taken in time count=").expect("told").1;
        let lost: usize = lost.split_once('\n').unwrap().0.parse().unwrap();
        let written = all.lines().filter(|line| line.ends_with(&long)).count();
        assert_eq!(written + lost, lines);
        assert!(lost > lines / 4);
    }

    #[test]
    fn a_file_that_takes_nothing_is_left_for_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fifo(&path);
        let _held = reader(&path);
        let sink = Sink::open(Some(&path), LogFormat::Text).unwrap();
        sink.start().unwrap();
        (0..LINES_MAX).for_each(|nth| sink.write(&text(format!("{nth} {}", "x".repeat(200)))));
        fs::remove_file(&path).unwrap();
        // The queue may be full: then it is seen without a place there.
        let again = |_| {
            sink.reopen(Duration::from_millis(100));
            sink.write(&text("new"));
            fs::read_to_string(&path).is_ok_and(|text| text.contains("info new\n"))
        };
        assert!((0..200).any(again));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("info log file opened again\n"), "{text}");
    }

    #[test]
    fn a_full_disk_costs_lines_and_nothing_else() {
        let full = Sink::open(Some(Path::new("/dev/full")), LogFormat::Text).unwrap();
        full.start().unwrap();
        full.write(&text("lost"));
        full.flush(Duration::from_secs(20));
        assert_eq!(full.shared.lost.load(Ordering::Relaxed), 1);
    }
}
