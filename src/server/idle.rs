//! Connections that wait for their next request: all in one place, so that none needs a thread for it.
//!
//! Linux tells which of them speaks (epoll(7)), to one of the threads that ask, and of each connection once until it
//! waits again. Elsewhere each connection keeps a thread.

use crate::lock::{assert_none, lock};
use crate::trial;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use std::io;
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What waits can be told apart by its descriptor, which is there for as long as anyone holds it.
pub trait Waits {
    fn descriptor(&self) -> Arc<TcpStream>;
    /// Whether it said something that nobody has heard or answered yet, and takes answers.
    fn speaks(&self) -> bool;
    /// Whether it said more than was answered so far, and only waits for its turn.
    fn has_more(&self) -> bool;
}

/// Those that wait.
pub struct Idle<T> {
    epoll: OwnedFd,
    places: Mutex<Places<T>>,
}

struct Places<T> {
    all: Vec<Option<Waiting<T>>>,
    free: Vec<u32>,
    /// Counts those who ever waited.
    number: u32,
}

struct Waiting<T> {
    guest: T,
    since: Instant,
    number: u32,
}

/// A place, and the number of who waits there: Linux may tell of one that was taken away in between.
#[derive(Clone, Copy)]
struct Seat {
    place: u32,
    number: u32,
}

impl Seat {
    fn data(self) -> EventData {
        EventData::new_u64(u64::from(self.number) << 32 | u64::from(self.place))
    }

    fn of(data: EventData) -> Seat {
        let data = data.u64();
        Seat { place: data as u32, number: (data >> 32) as u32 }
    }
}

impl<T> Places<T> {
    fn put(&mut self, guest: T) -> Seat {
        self.number = self.number.wrapping_add(1);
        let number = self.number;
        let place = self.free.pop().unwrap_or_else(|| {
            self.all.push(None);
            (self.all.len() - 1) as u32 // there are no more of them than descriptors
        });
        self.all[place as usize] = Some(Waiting { guest, since: Instant::now(), number });
        Seat { place, number }
    }

    fn take(&mut self, seat: Seat) -> Option<T> {
        let waiting = self.all.get_mut(seat.place as usize)?.take_if(|waiting| waiting.number == seat.number)?;
        self.free.push(seat.place);
        Some(waiting.guest)
    }

    /// Takes those who wait for so long.
    fn take_waiting_since(&mut self, patience: Duration) -> Vec<T> {
        let seat = |(place, waiting): (u32, &Option<Waiting<T>>)| {
            let waiting = waiting.as_ref().filter(|waiting| waiting.since.elapsed() >= patience)?;
            Some(Seat { place, number: waiting.number })
        };
        let seats: Vec<Seat> = (0..).zip(&self.all).filter_map(seat).collect();
        seats.into_iter().filter_map(|seat| self.take(seat)).collect()
    }
}

impl<T: Waits> Idle<T> {
    /// # Errors
    /// There are no more descriptors.
    pub fn new() -> io::Result<Idle<T>> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Idle { epoll, places: Mutex::new(Places { all: Vec::new(), free: Vec::new(), number: 0 }) })
    }

    /// Has it wait; `is_new` where it never did before. Where it cannot, it is given back.
    pub fn wait(&self, guest: T, is_new: bool) -> Result<(), T> {
        let descriptor = guest.descriptor();
        // Who has said more is told of at once, behind those who speak, unless it does not take its answers.
        let more = if guest.has_more() { EventFlags::OUT } else { EventFlags::empty() };
        // It is put in its place first, as it may speak at once. The lock is not held while Linux is told.
        let seat = lock(&self.places).put(guest);
        let (data, flags) = (seat.data(), EventFlags::IN | EventFlags::ONESHOT | more);
        assert_none();
        let told = match is_new {
            _ if trial::fails("idle") => Err(rustix::io::Errno::NOMEM),
            true => epoll::add(&self.epoll, &*descriptor, data, flags),
            false => epoll::modify(&self.epoll, &*descriptor, data, flags),
        };
        match told {
            Ok(()) => Ok(()),
            Err(_) => lock(&self.places).take(seat).map_or(Ok(()), Err),
        }
    }

    /// Waits until one speaks, or its client is gone.
    pub fn next(&self) -> T {
        loop {
            let mut room = [const { MaybeUninit::<Event>::uninit() }; 1];
            assert_none();
            let Ok((events, _)) = epoll::wait(&self.epoll, &mut room, None) else { continue }; // interrupted
            trial::pause();
            // One that was cut in between is not there any more.
            if let Some(guest) = events.first().and_then(|event| lock(&self.places).take(Seat::of(event.data))) {
                return guest;
            }
        }
    }

    /// Takes away those that have said nothing for so long. One that said something which nobody has heard yet waits on.
    pub fn overdue(&self, patience: Duration) -> Vec<T> {
        let long = lock(&self.places).take_waiting_since(patience);
        assert_none();
        let silent = |guest: T| if guest.speaks() { self.wait(guest, false).err() } else { Some(guest) };
        long.into_iter().filter_map(silent).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    impl Waits for Arc<TcpStream> {
        fn descriptor(&self) -> Arc<TcpStream> {
            self.clone()
        }

        fn speaks(&self) -> bool {
            self.peek(&mut [0]).is_ok()
        }

        fn has_more(&self) -> bool {
            self.nodelay().unwrap() // which stands for it here
        }
    }

    fn pair() -> (TcpStream, Arc<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, Arc::new(listener.accept().unwrap().0))
    }

    #[test]
    fn whoever_speaks_is_served_once_until_it_waits_again() {
        let idle = Idle::new().unwrap();
        let (mut client, guest) = pair();
        idle.wait(guest, true).unwrap();
        for turn in 0..100u8 {
            client.write_all(&[turn]).unwrap();
            let mut guest = idle.next();
            let mut seen = [0];
            (&*guest).read_exact(&mut seen).unwrap();
            assert_eq!(seen, [turn]);
            if turn % 2 == 0 {
                client.write_all(b"more").unwrap(); // before it waits
                idle.wait(guest, false).unwrap();
                guest = idle.next();
                (&*guest).read_exact(&mut [0; 4]).unwrap();
            }
            idle.wait(guest, false).unwrap();
        }
        drop(client);
        assert_eq!((&*idle.next()).read(&mut [0]).unwrap(), 0, "a client that is gone is told too");
        assert_eq!(lock(&idle.places).free.len(), 1);
    }

    #[test]
    fn who_has_said_more_comes_again_behind_the_others() {
        let idle = Idle::new().unwrap();
        let ((_first, more), (mut second, other)) = (pair(), pair());
        more.set_nodelay(true).unwrap();
        second.write_all(b"!").unwrap();
        idle.wait(other.clone(), true).unwrap();
        idle.wait(more.clone(), true).unwrap();
        for _ in 0..10 {
            let one = idle.next();
            assert!(Arc::ptr_eq(&one, &other));
            idle.wait(one, false).unwrap();
            let one = idle.next();
            assert!(Arc::ptr_eq(&one, &more));
            idle.wait(one, false).unwrap();
        }
    }

    #[test]
    fn only_who_is_silent_is_overdue() {
        let idle = Idle::new().unwrap();
        let ((_silent, first), (mut client, second)) = (pair(), pair());
        for guest in [first, second] {
            guest.set_nonblocking(true).unwrap();
            idle.wait(guest, true).unwrap();
        }
        assert_eq!(idle.overdue(Duration::from_secs(60)).len(), 0);
        client.write_all(b"!").unwrap();
        assert_eq!(idle.overdue(Duration::ZERO).len(), 1);
        assert_eq!((&*idle.next()).read(&mut [0]).unwrap(), 1);
    }

    #[test]
    fn a_seat_is_of_one_guest_only() {
        let mut places = Places { all: Vec::new(), free: Vec::new(), number: u32::MAX };
        let first = places.put('a');
        assert_eq!((places.take(first), places.take(first)), (Some('a'), None));
        let second = places.put('b');
        assert_eq!(first.place, second.place);
        assert_eq!((places.take(first), places.take(Seat::of(second.data()))), (None, Some('b')));
    }
}
