//! The part of a split request that goes to one server: the same command with some of the keys.

use crate::base::ByteQueue;
use crate::base::Spare;
use crate::protocol::Request;
use crate::protocol::command::Command;
use crate::protocol::request::IN_SKELETON;
use crate::protocol::resp::header::header_bytes;

/// Begins a part with so many keys, each of which brings `step` arguments: itself, and values.
pub fn begin_part(
    command: &Command,
    keys: usize,
    step: usize,
    queue: &mut ByteQueue,
    spare: &mut Spare,
) {
    let (args, name) = (1 + keys * step, command.name);
    let head = format!("*{args}\r\n${}\r\n{name}\r\n", name.len());
    queue.push_copy(head.as_bytes(), spare);
}

/// Appends the key at `index`, and what belongs to it.
pub fn write_part(
    request: &Request<'_>,
    index: usize,
    step: usize,
    queue: &mut ByteQueue,
    spare: &mut Spare,
) {
    for arg in index..index + step {
        write_arg(request, arg, queue, spare);
    }
}

/// Appends the same request with another cursor, its first argument.
pub fn write_page(request: &Request<'_>, cursor: u64, queue: &mut ByteQueue, spare: &mut Spare) {
    let mut text = itoa::Buffer::new();
    let text = text.format(cursor);
    let head = format!("*{}\r\n", request.len());
    queue.push_copy(head.as_bytes(), spare);
    write_arg(request, 0, queue, spare);
    queue.push_copy(format!("${}\r\n{text}\r\n", text.len()).as_bytes(), spare);
    for index in 2..request.len() {
        write_arg(request, index, queue, spare);
    }
}

/// Appends the page behind the last.
pub fn write_last_page(out: &mut Vec<u8>) {
    out.extend_from_slice(b"*2\r\n$1\r\n0\r\n*0\r\n");
}

/// Appends argument `index` as a bulk string.
fn write_arg(request: &Request<'_>, index: usize, queue: &mut ByteQueue, spare: &mut Spare) {
    let arg = request.args[index];
    let (start, len) = (arg.start as usize, arg.len as usize);
    let header = start - header_bytes(len);
    if arg.body == IN_SKELETON {
        queue.push_copy(&request.skeleton[header..start + len + 2], spare);
    } else {
        let body = arg.body as usize;
        request.write_range(
            header..start + 2,
            &request.bodies[body..=body],
            queue,
            spare,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::resp::cut_request;

    #[test]
    fn an_argument_is_written_with_its_header() {
        let frame = b"*2\r\n$4\r\nMGET\r\n$12\r\n0123456789ab\r\n";
        let (mut args, mut queue, mut spare) = (Vec::new(), ByteQueue::default(), Spare::default());
        assert!(cut_request(frame, &mut args).is_ok());
        let request = Request::whole(frame, &args);
        write_arg(&request, 1, &mut queue, &mut spare);
        assert_eq!(queue.to_vec(), b"$12\r\n0123456789ab\r\n");
    }

    #[test]
    fn a_page_is_asked_for_with_another_cursor_and_else_the_same() {
        let frame = b"*4\r\n$4\r\nSCAN\r\n$16\r\n2199023255559000\r\n$5\r\nCOUNT\r\n$2\r\n10\r\n";
        let (mut args, mut queue, mut spare) = (Vec::new(), ByteQueue::default(), Spare::default());
        assert!(cut_request(frame, &mut args).is_ok());
        write_page(&Request::whole(frame, &args), 448, &mut queue, &mut spare);
        let asked = b"*4\r\n$4\r\nSCAN\r\n$3\r\n448\r\n$5\r\nCOUNT\r\n$2\r\n10\r\n";
        assert_eq!(queue.to_vec(), asked);
    }
}
