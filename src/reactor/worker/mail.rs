//! What the control plane tells.

use std::sync::Arc;
use std::time::Duration;

use crate::base::Time;
use crate::reactor::message::FromWorker;
use crate::reactor::message::Renewal;
use crate::reactor::message::ToWorker;
use crate::telemetry::Records;
use crate::telemetry::observed::ObserverId;

use super::Worker;

impl Worker {
    pub(super) fn read_mail(&mut self, now: Time) {
        let mut mail = std::mem::take(&mut self.mail);
        self.inbox.take(&mut mail);
        for message in mail.drain(..) {
            match message {
                ToWorker::Change(change) => self.proxy.apply(&change, now),
                ToWorker::ShortOfMemory => {
                    let blocks = Arc::clone(self.ring.blocks());
                    self.watch.look(&mut self.proxy, &blocks, None, now);
                }
                ToWorker::Reload(renewal) => self.renew(&renewal, now),
                ToWorker::Drain { within } => self.drain(within, now),
                ToWorker::LetGo { within } => self.proxy.let_go(within, now),
                ToWorker::Keep => self.proxy.keep(),
                ToWorker::Show(to) => self.show(&to),
                ToWorker::Accept => self.accept_again(),
                ToWorker::Rest(to) => self.rest(to),
                ToWorker::HandOver { pools, to, within } => {
                    self.hand_over(&pools, to, within, now);
                }
                ToWorker::KeepClients => self.keep_clients(),
                ToWorker::Adopt(parcel) => self.adopt_shared(parcel, now),
                ToWorker::Script(news) => self.proxy.hear_script(&news),
                ToWorker::Ask(inquiry) => self.proxy.asked(&inquiry, now),
                ToWorker::Answer(finding) => self.proxy.answered(&finding, now),
                ToWorker::TellRecords(spare) => self.tell_records(spare),
                ToWorker::Observe(observer) => self.proxy.observe(&observer),
                ToWorker::TellSeen(observer) => self.tell_seen(observer),
                ToWorker::Disregard(observer) => self.proxy.disregard(observer),
                // That there was a pass is the answer.
                ToWorker::Pass => {}
                ToWorker::Stop => self.departure.stopped = true,
            }
        }
        self.mail = mail;
    }

    fn tell_records(&mut self, spare: Arc<Records>) {
        let spare = Arc::into_inner(spare).unwrap_or_default();
        let spare_blocks = self.ring.blocks().spare_bytes();
        let counters = &self.stats.counters;
        counters.spare_block_bytes.set(spare_blocks as u64);
        self.proxy.look_at_clients();
        let records = self.proxy.take_records(Box::new(spare));
        let worker = self.idx;
        self.outbox.send(FromWorker::Records { worker, records });
    }

    fn tell_seen(&mut self, observer: ObserverId) {
        let worker = self.idx;
        if let Some(seen) = self.proxy.tell_seen(observer) {
            let seen = Box::new(seen);
            self.outbox.send(FromWorker::Seen {
                worker,
                observer,
                seen,
            });
        }
    }

    fn drain(&mut self, within: Duration, now: Time) {
        self.departure.drain_until = Some(now + within);
        self.close_listeners();
        self.proxy.drain(now);
    }

    /// Serves other pools and servers from now on.
    fn renew(&mut self, renewal: &Renewal, now: Time) {
        self.stats = Arc::clone(&renewal.stats);
        self.accepting.admission = Arc::clone(&renewal.admission);
        self.proxy
            .reload(&renewal.reload, Arc::clone(&renewal.stats), now);
        // It may have begun to drain while the new sockets were being opened.
        if self.departure.drain_until.is_none() {
            self.renew_listeners(renewal);
        }
    }
}
