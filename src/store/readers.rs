//! The readers of a database: how many there are, who holds them, and who waits for one. Who waits is handed one in its
//! turn: were all who wait called for each that comes back, a thousand of them would look a thousand times.

use crate::handoff::{Answer, Promise, promise};
use std::collections::VecDeque;

/// Readers by sessions of this type.
pub struct Readers<S> {
    /// The most of them.
    most: usize,
    /// Those that nobody uses.
    idle: Vec<S>,
    /// How many there are in all.
    made: usize,
    /// Of each holder, by its number, how many.
    held: Vec<(u64, usize)>,
    /// Requests that wait for one, the longest first.
    line: VecDeque<Waiting<S>>,
}

/// What a request for a reader comes to.
pub enum Found<S> {
    Session(S),
    /// There is room for one more, to be opened by whoever asks.
    Room,
    /// It is told in its turn.
    Line(Answer<Found<S>>),
}

/// A request that waits.
struct Waiting<S> {
    holder: u64,
    /// The most that its holder may have.
    share: usize,
    promise: Promise<Found<S>>,
}

impl<S> Readers<S> {
    pub fn new(most: usize) -> Readers<S> {
        Readers { most, idle: Vec::new(), made: 0, held: Vec::new(), line: VecDeque::new() }
    }

    /// A reader for a holder that may have so many.
    pub fn take(&mut self, holder: u64, share: usize) -> Found<S> {
        if !self.may_have_more(holder, share) {
            return self.line_up(holder, share);
        }
        let found = match self.idle.pop() {
            Some(session) => Found::Session(session),
            None if self.made < self.most => {
                self.made += 1;
                Found::Room
            }
            None => return self.line_up(holder, share),
        };
        self.hold(holder);
        found
    }

    /// As [`Self::take`], for one that could not open another: those there are have to do. `None` where there are none.
    pub fn take_another(&mut self, holder: u64, share: usize) -> Option<Found<S>> {
        match self.idle.is_empty() {
            _ if self.made == 0 => None,
            true => Some(self.line_up(holder, share)),
            false => Some(self.take(holder, share)),
        }
    }

    /// Takes one back, without a session where it could not be opened, and gives it to whoever waits for it, for whom it is
    /// counted already. Whoever does not wait any more gives it back at once.
    pub fn give_back(&mut self, holder: u64, session: Option<S>) -> Option<(u64, Promise<Found<S>>, Found<S>)> {
        self.let_go(holder);
        let place = self.line.iter().position(|waiting| self.may_have_more(waiting.holder, waiting.share));
        let found = match session {
            Some(session) if place.is_none() => {
                self.idle.push(session);
                return None;
            }
            Some(session) => Found::Session(session),
            None if place.is_none() || self.made > 1 => {
                self.made -= 1;
                return None;
            }
            None => Found::Room, // or nobody would ever come back
        };
        let next = self.line.remove(place?)?;
        self.hold(next.holder);
        Some((next.holder, next.promise, found))
    }

    /// How many are in use.
    pub fn in_use(&self) -> usize {
        self.made - self.idle.len()
    }

    /// Those that nobody uses, which are forgotten here.
    pub fn take_idle(&mut self) -> Vec<S> {
        self.made -= self.idle.len();
        std::mem::take(&mut self.idle)
    }

    fn may_have_more(&self, holder: u64, share: usize) -> bool {
        self.held.iter().find(|(one, _)| *one == holder).is_none_or(|(_, count)| *count < share)
    }

    fn hold(&mut self, holder: u64) {
        match self.held.iter_mut().find(|(one, _)| *one == holder) {
            Some((_, count)) => *count += 1,
            None => self.held.push((holder, 1)),
        }
    }

    fn let_go(&mut self, holder: u64) {
        let Some(place) = self.held.iter().position(|(one, _)| *one == holder) else { return };
        self.held[place].1 -= 1;
        if self.held[place].1 == 0 {
            self.held.swap_remove(place);
        }
    }

    fn line_up(&mut self, holder: u64, share: usize) -> Found<S> {
        let (promise, answer) = promise();
        self.line.push_back(Waiting { holder, share, promise });
        Found::Line(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    type Numbered = Readers<u32>;

    fn taken(readers: &mut Numbered, holder: u64, share: usize) -> Option<Answer<Found<u32>>> {
        match readers.take(holder, share) {
            Found::Line(answer) => Some(answer),
            Found::Session(_) | Found::Room => None,
        }
    }

    /// Gives one back as a reader does; the holder that has it then.
    fn given_back(readers: &mut Numbered, mut holder: u64, mut session: Option<u32>) -> Option<u64> {
        while let Some((next, promise, found)) = readers.give_back(holder, session) {
            match promise.keep(found) {
                Ok(()) => return Some(next),
                Err(Found::Session(back)) => (holder, session) = (next, Some(back)),
                Err(_) => (holder, session) = (next, None),
            }
        }
        None
    }

    #[test]
    fn who_waits_is_handed_one_in_its_turn_if_its_holder_may_have_it() {
        let mut readers = Numbered::new(3);
        assert!((0..2).all(|_| taken(&mut readers, 1, 2).is_none()) && taken(&mut readers, 2, 2).is_none());
        let line: Vec<_> = [1, 1, 3, 2].map(|holder| taken(&mut readers, holder, 2).unwrap()).into();
        assert_eq!(given_back(&mut readers, 2, Some(7)), Some(3), "the first two are of one that has its share");
        assert_eq!(given_back(&mut readers, 1, Some(8)), Some(1));
        assert_eq!(given_back(&mut readers, 3, Some(9)), Some(2));
        let found = line.into_iter().map(|answer| match answer.wait_until(Instant::now()) {
            Some(Found::Session(session)) => session,
            _ => 0,
        });
        assert_eq!(found.collect::<Vec<_>>(), [8, 0, 7, 9]);
        assert_eq!((readers.in_use(), readers.line.len()), (3, 1));
    }

    #[test]
    fn who_does_not_wait_any_more_is_passed_over() {
        let mut readers = Numbered::new(1);
        assert!(taken(&mut readers, 1, 1).is_none());
        let (gone, there) = (taken(&mut readers, 2, 1).unwrap(), taken(&mut readers, 3, 1).unwrap());
        assert!(gone.wait_until(Instant::now()).is_none());
        assert_eq!(given_back(&mut readers, 1, Some(7)), Some(3));
        assert!(matches!(there.wait_until(Instant::now()), Some(Found::Session(7))));
        assert_eq!(given_back(&mut readers, 3, Some(7)), None);
        assert_eq!((readers.in_use(), readers.held.len(), readers.idle.len()), (0, 0, 1));
    }

    #[test]
    fn where_none_can_be_opened_those_there_are_have_to_do() {
        let mut readers = Numbered::new(2);
        assert!(taken(&mut readers, 1, 2).is_none() && taken(&mut readers, 2, 2).is_none());
        let last = taken(&mut readers, 3, 2).unwrap();
        assert_eq!(given_back(&mut readers, 1, None), None, "there is another one to wait for");
        let Some(Found::Line(first)) = readers.take_another(1, 2) else { panic!("it waits for the other one") };
        assert_eq!(given_back(&mut readers, 2, None), Some(3), "there is none any more, so that the next one tries");
        assert!(matches!(last.wait_until(Instant::now()), Some(Found::Room)));
        assert_eq!(given_back(&mut readers, 3, None), Some(1));
        assert!(matches!(first.wait_until(Instant::now()), Some(Found::Room)));
        assert_eq!(given_back(&mut readers, 1, None), None);
        assert!(readers.take_another(1, 2).is_none());
        assert_eq!((readers.made, readers.held.len(), readers.line.len()), (0, 0, 0));
    }
}
