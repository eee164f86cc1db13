//! One direction of a connection: bytes in flight, then bytes that have arrived.
//!
//! ```text
//!   write ──► │ in flight, each piece with its time │ ──► │ arrived │ ──► read
//! ```
//!
//! Owns: order, room, and the two ends that a stream can have. Never: knows who writes or reads.

use std::collections::VecDeque;

use bytes::Bytes;
use coremux::base::Time;

use crate::dice::Dice;

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In order: everything written before can be read.
    Fin,
    /// A reset: what is in flight is lost.
    Reset,
}

#[derive(Debug)]
enum Item {
    Piece(Bytes),
    End(End),
}

/// How fast a wire is.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The least and the most microseconds that a piece travels.
    pub delay: (usize, usize),
    /// A write is cut into at most so many pieces.
    pub pieces: usize,
}

/// One direction.
#[derive(Debug)]
pub struct Wire {
    flying: VecDeque<(Time, Item)>,
    flying_bytes: usize,
    arrived: VecDeque<Bytes>,
    arrived_bytes: usize,
    capacity: usize,
    pace: Pace,
    last_arrival: Time,
    /// Its writer has ended it.
    pub ended: bool,
    /// How it has ended, as seen by its reader once everything that arrived is read.
    pub end: Option<End>,
}

impl Wire {
    pub fn new(capacity: usize, pace: Pace) -> Wire {
        Wire {
            flying: VecDeque::new(),
            flying_bytes: 0,
            arrived: VecDeque::new(),
            arrived_bytes: 0,
            capacity,
            pace,
            last_arrival: Time::ZERO,
            ended: false,
            end: None,
        }
    }

    /// How many bytes may be written now.
    pub fn room(&self) -> usize {
        self.capacity
            .saturating_sub(self.flying_bytes + self.arrived_bytes)
    }

    /// Nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.flying.is_empty() && self.arrived_bytes == 0
    }

    /// Bytes that wait to be read.
    pub fn arrived(&self) -> usize {
        self.arrived_bytes
    }

    /// Writes `bytes`, for which there is room: the times at which something arrives.
    pub fn write(&mut self, mut bytes: Bytes, now: Time, dice: &mut Dice) -> Vec<Time> {
        debug_assert!(bytes.len() <= self.room() && !self.ended);
        self.flying_bytes += bytes.len();
        let mut times = Vec::new();
        let mut pieces = dice.between(1, self.pace.pieces);
        while !bytes.is_empty() {
            let len = match pieces {
                1 => bytes.len(),
                _ => dice.between(1, bytes.len()),
            };
            pieces = pieces.saturating_sub(1).max(1);
            let time = self.arrival(now, dice);
            self.flying
                .push_back((time, Item::Piece(bytes.split_to(len))));
            times.push(time);
        }
        times
    }

    /// Ends the stream: when that arrives; `None` if it was ended before.
    pub fn finish(&mut self, end: End, now: Time, dice: &mut Dice) -> Option<Time> {
        if self.ended && end == End::Fin {
            return None;
        }
        self.ended = true;
        if end == End::Reset {
            self.flying.clear();
            self.flying_bytes = 0;
        }
        let time = self.arrival(now, dice);
        self.flying.push_back((time, Item::End(end)));
        Some(time)
    }

    /// Lets arrive what is due; whether anything did.
    pub fn land(&mut self, now: Time, dice: &mut Dice) -> bool {
        let mut landed = false;
        while self.flying.front().is_some_and(|(time, _)| *time <= now) {
            landed = true;
            match self.flying.pop_front() {
                Some((_, Item::Piece(piece))) => {
                    self.flying_bytes -= piece.len();
                    self.arrived_bytes += piece.len();
                    self.arrived.push_back(piece);
                }
                Some((_, Item::End(end))) => {
                    // A reader who has not read yet may find everything gone.
                    if end == End::Reset && dice.percent(50) {
                        self.arrived.clear();
                        self.arrived_bytes = 0;
                    }
                    self.end = Some(end);
                }
                None => {}
            }
        }
        landed
    }

    /// Holds everything in flight back until `time`: the times of new arrivals.
    pub fn delay_until(&mut self, time: Time) {
        self.last_arrival = self.last_arrival.max(time);
        for (arrival, _) in &mut self.flying {
            *arrival = (*arrival).max(time);
        }
    }

    /// The next at most `most` bytes; empty if there are none.
    pub fn read(&mut self, most: usize) -> Bytes {
        let Some(first) = self.arrived.front_mut() else {
            return Bytes::new();
        };
        if first.len() >= most {
            let bytes = first.split_to(most);
            if first.is_empty() {
                self.arrived.pop_front();
            }
            self.arrived_bytes -= bytes.len();
            return bytes;
        }
        let mut bytes = Vec::with_capacity(most.min(self.arrived_bytes));
        while let Some(first) = self.arrived.front_mut() {
            let step = first.len().min(most - bytes.len());
            bytes.extend_from_slice(&first.split_to(step));
            if !first.is_empty() {
                break;
            }
            self.arrived.pop_front();
            if bytes.len() == most {
                break;
            }
        }
        self.arrived_bytes -= bytes.len();
        Bytes::from(bytes)
    }

    /// Whether its reader has seen all there will ever be.
    pub fn is_at_end(&self) -> bool {
        self.arrived_bytes == 0 && self.end.is_some()
    }

    fn arrival(&mut self, now: Time, dice: &mut Dice) -> Time {
        let (least, most) = self.pace.delay;
        self.last_arrival = self.last_arrival.max(now + dice.micros(least, most));
        self.last_arrival
    }
}
