//! Which protocol a pool speaks: one `match` for each thing that the data plane asks of it.
//!
//! Not a type parameter: one worker serves pools of several protocols.

use std::fmt;
use std::fmt::Display;
use std::sync::Arc;

use crate::base::ByteQueue;
use crate::base::Spare;
use crate::protocol::Arg;
use crate::protocol::BatchPart;
use crate::protocol::Cut;
use crate::protocol::ErrorClass;
use crate::protocol::Expect;
use crate::protocol::Greeting;
use crate::protocol::Join;
use crate::protocol::Login;
use crate::protocol::Page;
use crate::protocol::ProtocolError;
use crate::protocol::Question;
use crate::protocol::ReplyAssembly;
use crate::protocol::ReplyError;
use crate::protocol::Request;
use crate::protocol::RequestAssembly;
use crate::protocol::Told;
use crate::protocol::Version;
use crate::protocol::command;
use crate::protocol::command::Command;
use crate::protocol::command::CommandError;
use crate::protocol::command::Gather;
use crate::protocol::command::KeyIndexes;
use crate::protocol::memcached;
#[cfg(any(test, debug_assertions))]
use crate::protocol::numbered;
use crate::protocol::resp;

/// What a pool's clients and servers speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Redis's.
    #[default]
    Resp,
    /// memcached's, as text.
    Memcached,
    /// The one of the tests.
    #[cfg(any(test, debug_assertions))]
    Numbered,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Resp => "RESP",
            Protocol::Memcached => "memcached's text protocol",
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => "numbered lines",
        })
    }
}

impl Protocol {
    /// Cuts the request that begins at `buf[0]` if it lies whole in `buf`: how many bytes it has,
    /// and into `args` where its arguments lie. `None` is for an assembly.
    ///
    /// # Errors
    /// What makes the bytes no request, as soon as it is certain.
    #[inline]
    pub fn cut_request(
        self,
        buf: &[u8],
        args: &mut Vec<Arg>,
    ) -> Result<Option<usize>, ProtocolError> {
        match self {
            Protocol::Resp => Ok(resp::cut_request(buf, args)?),
            Protocol::Memcached => Ok(memcached::cut_request(buf, args)?),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => Ok(numbered::cut_request(buf, args)?),
        }
    }

    /// A request that does not lie whole in what was received.
    #[must_use]
    pub fn request_assembly(self) -> RequestAssembly {
        match self {
            Protocol::Resp => RequestAssembly::Resp(resp::RequestAssembly::default()),
            Protocol::Memcached => RequestAssembly::Memcached(Default::default()),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => RequestAssembly::Numbered(Default::default()),
        }
    }

    /// Cuts the message of a server that begins at `buf[0]` if it lies whole in `buf`, in the version
    /// that was agreed there. The request whose turn it is expects this.
    ///
    /// # Errors
    /// What makes the bytes no message, as soon as it is certain.
    #[inline]
    pub fn cut_reply(
        self,
        version: Version,
        expect: Expect,
        buf: &[u8],
    ) -> Result<Option<Cut>, ReplyError> {
        match self {
            Protocol::Resp => Ok(resp::cut(version, buf)?),
            Protocol::Memcached => Ok(memcached::cut_reply(expect, buf)?),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => Ok(numbered::cut_reply(expect, buf)?),
        }
    }

    /// A message of a server that does not lie whole in what was received.
    #[must_use]
    pub fn reply_assembly(self, version: Version, expect: Expect) -> ReplyAssembly {
        match self {
            Protocol::Resp => ReplyAssembly::Resp(resp::ReplyAssembly::new(version)),
            Protocol::Memcached => ReplyAssembly::Memcached(memcached::ReplyAssembly::new(expect)),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => ReplyAssembly::Numbered(numbered::ReplyAssembly::new(expect)),
        }
    }

    /// What the table of commands says of a request.
    ///
    /// # Errors
    /// The command is unknown, or its arguments are too few or too many.
    #[inline]
    pub fn resolve(self, request: &Request<'_>) -> Result<&'static Command, CommandError> {
        match self {
            Protocol::Resp => command::resolve(request),
            Protocol::Memcached => memcached::resolve(request),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => numbered::resolve(request),
        }
    }

    /// The arguments that begin in `head`, how a request begins that was sent to a server; the last
    /// one may be cut.
    #[must_use]
    pub fn leading_args(self, head: &[u8]) -> Vec<&[u8]> {
        match self {
            Protocol::Resp => resp::leading_args(head),
            Protocol::Memcached => memcached::leading_args(head),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => numbered::leading_args(head),
        }
    }

    /// The row of a request that begins with these arguments.
    #[must_use]
    pub fn command_of(self, args: &[&[u8]]) -> Option<&'static Command> {
        match self {
            Protocol::Resp => command::of_leading(args),
            Protocol::Memcached => memcached::lookup(args.first()?),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => numbered::command_of(args),
        }
    }

    /// What comes for a request. That of a part of it is the same.
    #[inline]
    #[must_use]
    pub fn expect(self, command: &Command, request: &Request<'_>) -> Expect {
        match self {
            Protocol::Resp => Expect::ONE,
            Protocol::Memcached => memcached::expect(command, request),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => numbered::expect(command),
        }
    }

    /// Whether a message that begins like this was asked for by nobody.
    #[inline]
    #[must_use]
    pub fn is_unasked(self, _buf: &[u8]) -> bool {
        match self {
            Protocol::Resp => false,
            Protocol::Memcached => false,
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => numbered::is_unasked(_buf),
        }
    }

    /// Whether a client that [may](Expect::MAYBE) get a reply gets this one.
    #[must_use]
    pub fn passes(self, expect: Expect, reply: &[u8]) -> bool {
        match self {
            Protocol::Resp => true,
            Protocol::Memcached => memcached::passes(expect, reply),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => numbered::passes(reply),
        }
    }

    /// Whether a server that has told that it is [`Told::Older`] must not get the request for which
    /// this is expected.
    #[must_use]
    pub fn is_newer(self, expect: Expect) -> bool {
        match self {
            Protocol::Resp => false,
            Protocol::Memcached => memcached::is_newer(expect),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => false,
        }
    }

    /// Appends the error that tells a client why a request is not done.
    pub fn write_refusal(self, error: &CommandError, request: &Request<'_>, out: &mut Vec<u8>) {
        match self {
            Protocol::Resp => error.write_reply(request, out),
            Protocol::Memcached => memcached::write_refusal(error, request, out),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => numbered::write_error(error, out),
        }
    }

    /// Appends the request of these words.
    pub fn write_words(self, words: &[Vec<u8>], out: &mut Vec<u8>) {
        match self {
            Protocol::Resp => resp::write_words(out, words),
            // No command of it waits.
            Protocol::Memcached => debug_assert!(false, "nothing is asked again"),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => numbered::write_words(words, out),
        }
    }

    /// Appends an error: its `code` is a word that clients of some protocols tell errors apart by.
    /// Neither has a line end in it.
    pub fn write_error(self, code: &str, text: impl Display, out: &mut Vec<u8>) {
        match self {
            Protocol::Resp => resp::write_error(code, text, out),
            // What the pool's configuration refuses is the client's own affair.
            Protocol::Memcached if code == "NOPERM" => memcached::write_denial(text, out),
            Protocol::Memcached => memcached::write_error(text, out),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => numbered::write_error(text, out),
        }
    }

    /// Appends the error that tells a client that its bytes are no request.
    pub fn write_protocol_error(self, error: &ProtocolError, out: &mut Vec<u8>) {
        match self {
            Protocol::Resp => {
                resp::write_error("ERR", format_args!("Protocol error: {error}"), out);
            }
            Protocol::Memcached => {
                out.extend_from_slice(format!("CLIENT_ERROR {error}\r\n").as_bytes());
            }
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => numbered::write_error(error, out),
        }
    }

    /// Begins, in a server's queue, its part of a split request: so many keys, each of which brings
    /// `step` arguments.
    pub fn begin_part(
        self,
        command: &Command,
        request: &Request<'_>,
        keys: usize,
        step: usize,
        queue: &mut ByteQueue,
        spare: &mut Spare,
    ) {
        match self {
            Protocol::Resp => resp::begin_part(command, keys, step, queue, spare),
            Protocol::Memcached => memcached::begin_part(command, request, queue, spare),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => numbered::begin_part(command, request, queue, spare),
        }
    }

    /// Appends the key at `index`, and what belongs to it.
    pub fn write_part(
        self,
        request: &Request<'_>,
        index: usize,
        step: usize,
        queue: &mut ByteQueue,
        spare: &mut Spare,
    ) {
        match self {
            Protocol::Resp => resp::write_part(request, index, step, queue, spare),
            Protocol::Memcached => memcached::write_part(request, index, queue, spare),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => numbered::write_part(request, index, queue, spare),
        }
    }

    /// Ends a part.
    pub fn end_part(self, queue: &mut ByteQueue, spare: &mut Spare) {
        match self {
            Protocol::Resp => {}
            Protocol::Memcached => memcached::end_part(queue, spare),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => numbered::end_part(queue, spare),
        }
    }

    /// Begins, in a server's queue, requests that it is to do as one.
    pub fn begin_batch(self, queue: &mut ByteQueue, spare: &mut Spare) {
        match self {
            Protocol::Resp => resp::begin_batch(queue, spare),
            // No command of it is one of several.
            Protocol::Memcached => {}
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => {}
        }
    }

    /// Ends them.
    pub fn end_batch(self, queue: &mut ByteQueue, spare: &mut Spare) {
        match self {
            Protocol::Resp => resp::end_batch(queue, spare),
            Protocol::Memcached => {}
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => {}
        }
    }

    /// What a reply means that comes before the one that counts. `head` is how it begins.
    #[must_use]
    pub fn batch_part(self, first: bool, head: &[u8]) -> BatchPart {
        match self {
            Protocol::Resp => resp::batch_part(first, head),
            Protocol::Memcached => BatchPart::Odd,
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => BatchPart::Taken,
        }
    }

    /// Whether an error that ends a batch says that nothing of it was done.
    #[must_use]
    pub fn is_discarded(self, head: &[u8]) -> bool {
        match self {
            Protocol::Resp => resp::is_discarded(head),
            Protocol::Memcached => false,
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => true,
        }
    }

    /// The error that such a one has for its reason, if it names one.
    #[must_use]
    pub fn discarded_for(self, head: &[u8]) -> Option<Vec<u8>> {
        match self {
            Protocol::Resp => resp::discarded_for(head),
            Protocol::Memcached => None,
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => None,
        }
    }

    /// Appends the error that ends a batch of which nothing was done, because of `reason`: an error
    /// without what makes it one.
    pub fn write_discarded(self, reason: &str, out: &mut Vec<u8>) {
        match self {
            Protocol::Resp => resp::write_discarded(reason, out),
            Protocol::Memcached => memcached::write_error(reason, out),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => numbered::write_error(reason, out),
        }
    }

    /// What joins the replies to the parts. Of [`Gather::Concat`], `order` says which part has each
    /// key, in the order of the keys; of others, which part counts first.
    #[must_use]
    pub fn join(self, how: Gather, order: Vec<u16>) -> Join {
        match self {
            Protocol::Resp => Join::Resp(resp::Join::new(how, order)),
            Protocol::Memcached => Join::Memcached(memcached::Join::all()),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => Join::Numbered(numbered::Join::new(order)),
        }
    }

    /// Appends a request for one page of all keys, with the server's own cursor.
    pub fn write_page(
        self,
        request: &Request<'_>,
        page: Page,
        queue: &mut ByteQueue,
        spare: &mut Spare,
    ) {
        match self {
            Protocol::Resp => resp::write_page(request, page.of_server, queue, spare),
            Protocol::Memcached => debug_assert!(false, "no command of its table has pages"),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => debug_assert!(false, "no command of its table has pages"),
        }
    }

    /// What makes the pool's page of a server's.
    #[must_use]
    pub fn join_page(self, page: Page) -> Join {
        match self {
            Protocol::Resp => Join::Resp(resp::Join::page(page)),
            Protocol::Memcached => Join::Memcached(memcached::Join::all()),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => Join::Numbered(numbered::Join::new(vec![0])),
        }
    }

    /// Appends the page behind the last, on which nothing is.
    pub fn write_last_page(self, out: &mut Vec<u8>) {
        match self {
            Protocol::Resp => resp::write_last_page(out),
            Protocol::Memcached => debug_assert!(false, "no command of its table has pages"),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => debug_assert!(false, "no command of its table has pages"),
        }
    }

    /// The same of a request that was split by these keys of it; where its pool wants hits rather
    /// than an error they may be `partial`.
    #[must_use]
    pub fn join_split(
        self,
        how: Gather,
        (request, keys): (&Request<'_>, KeyIndexes),
        order: Vec<u16>,
        partial: bool,
    ) -> Join {
        match self {
            Protocol::Memcached => {
                Join::Memcached(memcached::Join::of_keys(request, keys, order, partial))
            }
            protocol => protocol.join(how, order),
        }
    }

    /// The same of a request to every server, of these names.
    #[must_use]
    pub fn join_all(self, how: Gather, order: Vec<u16>, names: Vec<Arc<str>>) -> Join {
        match (self, how) {
            (Protocol::Memcached, Gather::Chain) => Join::Memcached(memcached::Join::stats(names)),
            (protocol, how) => protocol.join(how, order),
        }
    }

    /// The name of a command in the table, for one that another process has taken.
    #[must_use]
    pub fn command_name(self, name: &[u8]) -> Option<&'static str> {
        let command = match self {
            Protocol::Resp => command::lookup(&name.to_ascii_lowercase()),
            Protocol::Memcached => memcached::lookup(name),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => None,
        };
        command.map(|command| command.name)
    }

    /// Appends a server's own error, of which `text` is what [`Protocol::told`] has given.
    pub fn write_server_error(self, text: &str, out: &mut Vec<u8>) {
        match self {
            Protocol::Resp => resp::write_error_line(text, out),
            Protocol::Memcached => memcached::write_error(text, out),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => numbered::write_error(text, out),
        }
    }

    /// What an error says of its server. `head` is how it begins, with what makes it an error.
    #[must_use]
    pub fn classify(self, head: &[u8]) -> ErrorClass {
        match self {
            Protocol::Resp => resp::classify(head),
            Protocol::Memcached => memcached::classify(head),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => numbered::classify(head),
        }
    }

    /// The same of an error without what makes it one.
    #[must_use]
    pub fn classify_text(self, text: &str) -> ErrorClass {
        match self {
            Protocol::Resp => resp::classify(format!("-{text}").as_bytes()),
            Protocol::Memcached => ErrorClass::Request,
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => ErrorClass::Request,
        }
    }

    /// An error in words, without what makes it one.
    #[must_use]
    pub fn error_text(self, head: &[u8]) -> String {
        match self {
            Protocol::Resp => resp::error_text(head),
            Protocol::Memcached => memcached::error_text(head),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => numbered::error_text(head),
        }
    }

    /// What is sent first on a server connection.
    #[must_use]
    pub fn greeting(self, login: &Login<'_>, question: Option<Question>) -> Greeting {
        match self {
            Protocol::Resp => resp::greeting(login, question),
            Protocol::Memcached => memcached::greeting(),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => numbered::greeting(question),
        }
    }

    /// What a reply to a part of a greeting, or to a question, says. `head` is how it begins.
    #[must_use]
    pub fn told(self, head: &[u8]) -> Told {
        match self {
            Protocol::Resp => resp::told(head),
            Protocol::Memcached => memcached::told(head),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => numbered::told(head),
        }
    }

    /// What a server tells of itself to who asks it alone, by the words in which it is asked for.
    #[must_use]
    pub fn details(self) -> &'static [&'static str] {
        match self {
            Protocol::Resp => &[],
            Protocol::Memcached => memcached::DETAILS,
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => &[],
        }
    }

    /// The request for one of these, and what comes for it.
    #[must_use]
    pub fn detail(self, what: &str) -> Option<(Vec<u8>, Expect)> {
        match self {
            Protocol::Resp => None,
            Protocol::Memcached => memcached::detail(what),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => None,
        }
    }

    /// Whether a server has said that all is well in all of its `replies` to a greeting that asks
    /// whether it serves; `None` while more of `answer` is to come.
    #[must_use]
    pub fn all_well(self, answer: &[u8], replies: u8) -> Option<bool> {
        match self {
            Protocol::Resp => resp::all_well(answer, replies),
            Protocol::Memcached => memcached::all_well(answer),
            #[cfg(any(test, debug_assertions))]
            Protocol::Numbered => numbered::all_well(answer),
        }
    }
}
