//! Joins the replies to the parts of one request into the reply to the whole.
//!
//! Owns: what the parts have said, as far as the whole needs it.

mod elements;
mod names;
#[cfg(test)]
mod tests;
mod told;

use crate::base::ByteQueue;
use crate::base::Spare;
use crate::protocol::Page;
use crate::protocol::Version;
use crate::protocol::command::Gather;
use crate::protocol::command::Section;

use elements::Elements;
use elements::read_header;
use elements::read_number;
use told::Told;
use told::What;

/// What a server says that runs no script when it is asked to stop one.
const NOT_BUSY: &[u8] = b"-NOTBUSY";

/// What has come of the replies to one split request.
#[derive(Debug)]
pub struct Join {
    rule: Rule,
    // By part: those that the whole is made of.
    replies: Vec<ByteQueue>,
    // Of Concat: which part holds each key's element, in the order of the keys. Of others: the parts
    // in the order in which they count.
    order: Vec<u16>,
    number: Option<i64>,
    any_ok: bool,
    error: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Rule {
    Gather(Gather),
    /// One server's page of all keys.
    Page(Page),
    /// What servers say of themselves.
    Told(Box<Told>),
}

impl Join {
    /// Of `Gather::Concat`, `order` says which part holds each key, in the order of the keys; of others
    /// which part counts first.
    #[must_use]
    pub fn new(how: Gather, order: Vec<u16>) -> Join {
        Join::by(Rule::Gather(how), order)
    }

    /// Of one part: a page of all keys, whose cursor becomes the pool's.
    #[must_use]
    pub fn page(page: Page) -> Join {
        Join::by(Rule::Page(page), vec![0])
    }

    /// What `INFO` says of servers, which are told of as one that says `own` of itself, and nothing else in
    /// the sections that are `whole`.
    #[must_use]
    pub fn info(own: Vec<Section>, whole: &'static [&'static str], version: Version) -> Join {
        let told = Told::new(What::Info(own, whole), version);
        Join::by(Rule::Told(Box::new(told)), Vec::new())
    }

    /// What `CONFIG GET` says of servers, and the proxy's `own` settings in place of theirs.
    #[must_use]
    pub fn settings(own: Vec<(String, String)>, version: Version) -> Join {
        let told = Told::new(What::Settings(own), version);
        Join::by(Rule::Told(Box::new(told)), Vec::new())
    }

    fn by(rule: Rule, order: Vec<u16>) -> Join {
        Join {
            rule,
            replies: Vec::new(),
            order,
            number: None,
            any_ok: false,
            error: None,
        }
    }

    /// Takes the reply to part `index`.
    pub fn add(&mut self, index: u32, reply: ByteQueue) {
        let how = match &mut self.rule {
            Rule::Gather(how) => Some(*how),
            Rule::Page(_) => None,
            Rule::Told(told) => return told.add(index, reply.to_vec()),
        };
        match (how, first_byte(&reply)) {
            (Some(Gather::OneOk), Some(b'-')) => self.add_refusal(&reply),
            // As in twemproxy, one failed part fails the request; the first to arrive says why.
            (_, Some(b'-' | b'!')) => {
                self.error = self.error.take().or_else(|| Some(reply.to_vec()))
            }
            (Some(Gather::Sum), Some(b':')) => {
                let sum = self.number.unwrap_or(0);
                self.number = Some(sum.saturating_add(integer(&reply).unwrap_or(0)));
            }
            (Some(Gather::Min), Some(b':')) => {
                let least = self.number.unwrap_or(i64::MAX);
                self.number = Some(least.min(integer(&reply).unwrap_or(i64::MAX)));
            }
            (Some(Gather::Max), Some(b':')) => {
                self.number = self.number.max(integer(&reply));
            }
            (Some(Gather::AllOk | Gather::OneOk), Some(b'+')) => self.any_ok = true,
            (
                Some(
                    Gather::Concat | Gather::Chain | Gather::Every | Gather::Union | Gather::Counts,
                )
                | None,
                Some(b'*'),
            )
            | (Some(Gather::First | Gather::Any | Gather::Longest), Some(_)) => {
                self.keep(index, reply);
            }
            _ => self.fail_unexpected(),
        }
    }

    /// A server has nothing to stop, or cannot: the latter is what counts.
    fn add_refusal(&mut self, reply: &ByteQueue) {
        let reply = reply.to_vec();
        match &self.error {
            Some(before) if !before.starts_with(NOT_BUSY) => {}
            _ => self.error = Some(reply),
        }
    }

    fn keep(&mut self, index: u32, reply: ByteQueue) {
        let place = index as usize;
        if self.replies.len() <= place {
            self.replies.resize_with(place + 1, ByteQueue::default);
        }
        self.replies[place] = reply;
    }

    /// The reply to the whole request.
    pub fn finish(mut self, out: &mut ByteQueue, spare: &mut Spare) {
        if let Rule::Told(told) = self.rule {
            let mut reply = Vec::new();
            told.finish(&mut reply);
            return out.push_copy(&reply, spare);
        }
        let one_was_stopped = self.any_ok
            && matches!(self.rule, Rule::Gather(Gather::OneOk))
            && self
                .error
                .as_ref()
                .is_none_or(|error| error.starts_with(NOT_BUSY));
        if one_was_stopped {
            self.error = None;
        }
        if self.error.is_none() {
            let mut joined = ByteQueue::default();
            if self.join(&mut joined, spare).is_some() {
                out.append(joined, spare);
            } else {
                self.fail_unexpected();
            }
        }
        for mut reply in std::mem::take(&mut self.replies) {
            spare.give_batch(reply.take());
        }
        if let Some(error) = &self.error {
            out.push_copy(error, spare);
        }
    }

    fn fail_unexpected(&mut self) {
        let text = b"-ERR Server gave an unexpected reply to a part of the request\r\n";
        self.error.get_or_insert_with(|| text.to_vec());
    }

    /// `None` if the servers have not said what they were asked for.
    fn join(&mut self, out: &mut ByteQueue, spare: &mut Spare) -> Option<()> {
        let how = match &self.rule {
            Rule::Page(page) => return self.turn(page, out, spare),
            Rule::Told(_) => return None,
            Rule::Gather(how) => *how,
        };
        match how {
            Gather::AllOk | Gather::OneOk => out.push_copy(b"+OK\r\n", spare),
            Gather::Sum | Gather::Min | Gather::Max => {
                write_number(b':', self.number?, out.writer(spare))
            }
            Gather::Concat => self.concat(out, spare)?,
            Gather::Chain => self.chain(out, spare)?,
            Gather::Every => self.every(out, spare)?,
            Gather::Union => names::union(&self.replies, out.writer(spare))?,
            Gather::Counts => names::counts(&self.replies, out.writer(spare))?,
            Gather::First => {
                let first = usize::from(*self.order.first()?);
                out.append(std::mem::take(self.replies.get_mut(first)?), spare);
            }
            Gather::Any => {
                let has_something = |part: &&u16| !is_nil(&self.replies[usize::from(**part)]);
                let mut order = self.order.iter();
                let chosen = order.find(has_something).or(self.order.last())?;
                let chosen = usize::from(*chosen);
                out.append(std::mem::take(&mut self.replies[chosen]), spare);
            }
            Gather::Longest => {
                let longest = self.replies.iter_mut().max_by_key(|reply| reply.len())?;
                out.append(std::mem::take(longest), spare);
            }
        }
        Some(())
    }

    /// Fails if a server gave more or fewer elements than it was asked for.
    fn concat(&self, out: &mut ByteQueue, spare: &mut Spare) -> Option<()> {
        let count = i64::try_from(self.order.len()).ok()?;
        write_number(b'*', count, out.writer(spare));
        let sources: Option<Vec<Elements<'_>>> = self.replies.iter().map(Elements::of).collect();
        let mut sources = sources?;
        for &fragment in &self.order {
            sources
                .get_mut(usize::from(fragment))?
                .move_next(out, spare)?;
        }
        sources.iter_mut().all(Elements::is_used_up).then_some(())
    }

    /// What the arrays hold, which nobody looks at.
    fn chain(&self, out: &mut ByteQueue, spare: &mut Spare) -> Option<()> {
        let mut count = 0i64;
        for reply in &self.replies {
            let (_, of_this) = read_header(&mut reply.cursor(), reply)?;
            count = count.checked_add(of_this.max(0))?;
        }
        write_number(b'*', count, out.writer(spare));
        for reply in &self.replies {
            let mut cursor = reply.cursor();
            let (header, _) = read_header(&mut cursor, reply)?;
            cursor.move_to(reply, reply.len() - header, out, spare);
        }
        Some(())
    }

    /// Element by element: 1 where every server has said so.
    fn every(&self, out: &mut ByteQueue, spare: &mut Spare) -> Option<()> {
        let mut all: Option<Vec<i64>> = None;
        for reply in &self.replies {
            let mut cursor = reply.cursor();
            let (_, count) = read_header(&mut cursor, reply)?;
            let mut flags = Vec::new();
            for _ in 0..count {
                flags.push(read_header(&mut cursor, reply)?.1);
            }
            all = Some(match all {
                None => flags,
                Some(before) if before.len() == flags.len() => {
                    before.iter().zip(&flags).map(|(a, b)| *a.min(b)).collect()
                }
                Some(_) => return None,
            });
        }
        let all = all?;
        write_number(b'*', i64::try_from(all.len()).ok()?, out.writer(spare));
        for flag in all {
            write_number(b':', flag, out.writer(spare));
        }
        Some(())
    }

    /// A page with the pool's cursor in place of the server's.
    fn turn(&self, page: &Page, out: &mut ByteQueue, spare: &mut Spare) -> Option<()> {
        let reply = self.replies.first()?;
        let mut cursor = reply.cursor();
        let (head, parts) = read_header(&mut cursor, reply)?;
        let (length, digits) = read_header(&mut cursor, reply)?;
        let (number, of_server) = read_number(&mut cursor, reply)?;
        if parts != 2 || number != usize::try_from(digits).ok()? + 2 {
            return None;
        }
        let next = page.turned(u64::try_from(of_server).ok()?)?;
        let mut text = itoa::Buffer::new();
        let text = text.format(next);
        out.push_copy(
            format!("*2\r\n${}\r\n{text}\r\n", text.len()).as_bytes(),
            spare,
        );
        cursor.move_to(reply, reply.len() - head - length - number, out, spare);
        Some(())
    }
}

/// Whether a server has nothing to say, in either version of the protocol.
fn is_nil(reply: &ByteQueue) -> bool {
    let mut cursor = reply.cursor();
    match cursor.next_byte(reply) {
        Some(b'$' | b'*') => cursor.next_byte(reply) == Some(b'-'),
        Some(b'_') => true,
        _ => false,
    }
}

fn first_byte(reply: &ByteQueue) -> Option<u8> {
    reply.cursor().next_byte(reply)
}

/// `:n` of a reply that was cut before.
fn integer(reply: &ByteQueue) -> Option<i64> {
    let mut cursor = reply.cursor();
    read_header(&mut cursor, reply).map(|header| header.1)
}

fn write_number(mark: u8, value: i64, out: &mut Vec<u8>) {
    out.push(mark);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.extend_from_slice(b"\r\n");
}
