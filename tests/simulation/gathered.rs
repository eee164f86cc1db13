//! What the reply to a request must be, from what the servers have answered to it.

use bytes::Bytes;

use crate::frame::elements;
use crate::frame::integer;
use crate::mark::Mark;
use crate::request::Request;
use crate::request::Split;
use crate::world::LinkId;

/// A request, or a part of it, was executed by a server.
#[derive(Clone)]
pub struct Execution {
    pub mark: Mark,
    pub server: usize,
    pub link: LinkId,
    /// Which of the request's keys.
    pub keys: Vec<usize>,
    /// How many executions, by anybody, were before.
    pub order: u64,
    pub reply: Bytes,
}

impl std::fmt::Debug for Execution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Execution {
            server,
            keys,
            order,
            ..
        } = self;
        let reply = crate::trace::head(&self.reply);
        write!(f, "[{order}: keys {keys:?} at server {server}: {reply}]")
    }
}

/// `None` if not all parts were executed, or one was not answered as it must be.
pub fn gathered(request: &Request, executions: &[Execution]) -> Option<Vec<u8>> {
    let all = request.keys.len();
    if let [only] = executions {
        if only.keys.len() == all {
            return Some(only.reply.to_vec());
        }
    }
    if executions
        .iter()
        .map(|execution| execution.keys.len())
        .sum::<usize>()
        != all
    {
        return None;
    }
    match request.split? {
        Split::AllOk => executions
            .iter()
            .all(|execution| execution.reply == "+OK\r\n")
            .then(|| b"+OK\r\n".to_vec()),
        Split::Sum => {
            let numbers = executions.iter().map(|execution| integer(&execution.reply));
            let sum: i64 = numbers.sum::<Option<i64>>()?;
            Some(format!(":{sum}\r\n").into_bytes())
        }
        Split::Elements => {
            let mut by_key = vec![None; all];
            for execution in executions {
                let elements = elements(&execution.reply)?;
                if elements.len() != execution.keys.len() {
                    return None;
                }
                for (key, element) in execution.keys.iter().zip(elements) {
                    by_key[*key] = Some(element);
                }
            }
            let mut reply = format!("*{all}\r\n").into_bytes();
            for element in by_key {
                reply.extend_from_slice(element?);
            }
            Some(reply)
        }
    }
}
