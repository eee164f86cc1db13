//! In which order a walk over all keys goes from server to server.
//!
//! Owns: the mark by which a cursor names a server. It follows from the names of the pool's servers
//! alone, so it is the same in every worker, in a process that takes over, in another proxy before the
//! same servers, and after a reload that keeps them, in any order.

use crate::base::ServerIdx;
use crate::protocol::MARK_MAX;
use crate::protocol::Page;
use crate::protocol::take_apart;
use crate::route::Hash;

/// The servers of a pool, by their marks.
#[derive(Debug)]
pub(in crate::proxy) struct Walk {
    stops: Box<[(u16, ServerIdx)]>,
}

/// Where a cursor leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Step {
    /// To a page of this server.
    Page(ServerIdx, Page),
    /// Behind the last server.
    End,
    /// It is no cursor of this pool.
    Nowhere,
}

impl Walk {
    /// Over the servers of these names: over none if they are more than there are marks.
    pub(in crate::proxy) fn over<'a>(servers: impl Iterator<Item = (&'a str, ServerIdx)>) -> Walk {
        let mut servers: Vec<(&str, ServerIdx)> = servers.collect();
        servers.sort_unstable();
        servers.truncate(match servers.len() > usize::from(MARK_MAX) {
            true => 0,
            false => servers.len(),
        });
        let mut stops: Vec<(u16, ServerIdx)> = Vec::with_capacity(servers.len());
        for (name, server) in servers {
            // One that another server has goes to the next that nobody has.
            let mut mark = mark_of(name);
            let place = loop {
                match stops.binary_search_by_key(&mark, |stop| stop.0) {
                    Ok(_) => mark = mark % MARK_MAX + 1,
                    Err(place) => break place,
                }
            };
            stops.insert(place, (mark, server));
        }
        Walk {
            stops: stops.into(),
        }
    }

    /// The only server, if there is just one: its own cursors will do.
    pub(in crate::proxy) fn only(&self) -> Option<ServerIdx> {
        match *self.stops {
            [(_, only)] => Some(only),
            _ => None,
        }
    }

    /// Where a cursor leads: 0 to the first server. One that is not live is passed over.
    pub(in crate::proxy) fn step(&self, cursor: u64, is_live: impl Fn(ServerIdx) -> bool) -> Step {
        let Some((mark, of_server)) = take_apart(cursor) else {
            return Step::Nowhere;
        };
        let at = match (
            cursor,
            self.stops.binary_search_by_key(&mark, |stop| stop.0),
        ) {
            (_, Ok(at)) => at,
            (0, Err(_)) => 0,
            (_, Err(_)) => return Step::Nowhere,
        };
        let mut live = self.stops[at..]
            .iter()
            .filter(|(_, server)| is_live(*server));
        let Some(&(stop, server)) = live.next() else {
            return Step::End;
        };
        let page = Page {
            // Of another one the cursor says nothing.
            of_server: if stop == mark { of_server } else { 0 },
            mark: stop,
            next: live.next().map(|(next, _)| *next),
        };
        Step::Page(server, page)
    }
}

/// From 1 to the highest: 0 is nobody's.
fn mark_of(name: &str) -> u16 {
    let hash = Hash::Crc32a.hash(name.as_bytes()) % u32::from(MARK_MAX);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "less than the highest mark"
    )]
    let hash = hash as u16;
    hash + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 5] = ["a", "b", "c", "d", "10.0.0.1:6379:1"];

    fn walk(names: &[&str]) -> Walk {
        Walk::over(names.iter().copied().zip((0..).map(ServerIdx)))
    }

    /// The servers that a walk visits, two pages each.
    fn visited(walk: &Walk, is_live: impl Fn(ServerIdx) -> bool + Copy) -> Vec<(u16, u64)> {
        let (mut visited, mut cursor) = (Vec::new(), 0);
        loop {
            let Step::Page(server, page) = walk.step(cursor, is_live) else {
                panic!("{cursor} leads to a page");
            };
            visited.push((server.0, page.of_server));
            let of_server = if page.of_server == 0 { 7 } else { 0 };
            match page.turned(of_server).unwrap() {
                0 => return visited,
                next => cursor = next,
            }
        }
    }

    #[test]
    fn every_server_is_visited_from_its_beginning_to_its_end() {
        let visited = visited(&walk(&NAMES), |_| true);
        let mut servers: Vec<u16> = visited.iter().map(|(server, _)| *server).collect();
        assert!(
            visited
                .chunks(2)
                .all(|pages| pages[0].1 == 0 && pages[1].1 == 7)
        );
        servers.sort_unstable();
        assert_eq!(servers, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
    }

    #[test]
    fn a_cursor_means_the_same_server_wherever_the_file_names_it() {
        let (one, other) = (walk(&NAMES), walk(&["10.0.0.1:6379:1", "c", "a", "d", "b"]));
        for (mark, server) in &one.stops {
            let there = other.stops.iter().find(|stop| stop.0 == *mark).unwrap();
            let names = ["10.0.0.1:6379:1", "c", "a", "d", "b"];
            assert_eq!(NAMES[server.index()], names[there.1.index()]);
        }
    }

    #[test]
    fn a_server_that_is_not_live_is_passed_over_and_at_the_end_is_nothing() {
        let walk = walk(&NAMES);
        let last = walk.stops[4];
        let visited = visited(&walk, |server| server != ServerIdx(1));
        assert!(visited.len() == 8 && visited.iter().all(|(server, _)| *server != 1));
        let at_last = Page {
            of_server: 0,
            mark: last.0,
            next: None,
        };
        let cursor = at_last.turned(9).unwrap();
        assert_eq!(walk.step(cursor, |server| server != last.1), Step::End);
        assert_eq!(walk.step(0, |_| false), Step::End);
        // What it was at counts for nobody else.
        let first = walk.stops[0];
        let cursor = Page {
            mark: first.0,
            ..at_last
        }
        .turned(9)
        .unwrap();
        let Step::Page(_, page) = walk.step(cursor, |server| server != first.1) else {
            panic!("a page of the next");
        };
        assert_eq!((page.of_server, page.mark), (0, walk.stops[1].0));
    }

    #[test]
    fn a_cursor_that_was_given_by_nobody_leads_nowhere() {
        let walk = walk(&NAMES);
        let free = (1..MARK_MAX).find(|mark| walk.stops.iter().all(|stop| stop.0 != *mark));
        let free = Page {
            of_server: 0,
            mark: free.unwrap(),
            next: None,
        }
        .turned(1)
        .unwrap();
        for cursor in [1, 4711, free, 1 << 53, u64::MAX] {
            assert_eq!(walk.step(cursor, |_| true), Step::Nowhere, "{cursor}");
        }
    }

    #[test]
    fn as_many_servers_as_there_are_marks_have_one_each_and_more_have_none() {
        let names: Vec<String> = (0..=MARK_MAX).map(|n| format!("s{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let full = walk(&names[1..]);
        assert!(full.stops.len() == usize::from(MARK_MAX));
        assert!(full.stops.is_sorted_by(|a, b| a.0 < b.0) && full.stops[0].0 == 1);
        assert_eq!(walk(&names).step(0, |_| true), Step::End);
        assert_eq!(walk(&names[..1]).only(), Some(ServerIdx(0)));
        assert_eq!(walk(&names[..2]).only(), None);
    }
}
