//! Connections that wait for their next request: all in one place, so that none needs a thread for it.
//!
//! Linux tells which of them speaks (epoll(7)), to one of the threads that ask, and of each connection once until it
//! waits again. Elsewhere each connection keeps a thread.

use crate::handoff::lock;
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
}

/// Those that wait.
pub struct Idle<T> {
    epoll: OwnedFd,
    places: Mutex<Places<T>>,
}

struct Places<T> {
    all: Vec<Option<Waiting<T>>>,
    free: Vec<usize>,
}

struct Waiting<T> {
    guest: T,
    since: Instant,
}

impl<T> Places<T> {
    fn put(&mut self, guest: T) -> usize {
        let waiting = Some(Waiting { guest, since: Instant::now() });
        match self.free.pop() {
            Some(place) => {
                self.all[place] = waiting;
                place
            }
            None => {
                self.all.push(waiting);
                self.all.len() - 1
            }
        }
    }

    fn take(&mut self, place: usize) -> Option<T> {
        let waiting = self.all.get_mut(place)?.take()?;
        self.free.push(place);
        Some(waiting.guest)
    }
}

impl<T: Waits> Idle<T> {
    /// # Errors
    /// There are no more descriptors.
    pub fn new() -> io::Result<Idle<T>> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Idle { epoll, places: Mutex::new(Places { all: Vec::new(), free: Vec::new() }) })
    }

    /// Has it wait; `is_new` where it never did before. Where it cannot, it is given back.
    pub fn wait(&self, guest: T, is_new: bool) -> Result<(), T> {
        let descriptor = guest.descriptor();
        // It is put in its place first, as it may speak at once. The lock is not held while Linux is told.
        let place = lock(&self.places).put(guest);
        let (data, flags) = (EventData::new_u64(place as u64), EventFlags::IN | EventFlags::ONESHOT);
        let told = match is_new {
            true => epoll::add(&self.epoll, &*descriptor, data, flags),
            false => epoll::modify(&self.epoll, &*descriptor, data, flags),
        };
        match told {
            Ok(()) => Ok(()),
            Err(_) => lock(&self.places).take(place).map_or(Ok(()), Err),
        }
    }

    /// Waits until one speaks, or its client is gone.
    pub fn next(&self) -> T {
        loop {
            let mut room = [const { MaybeUninit::<Event>::uninit() }; 1];
            let Ok((events, _)) = epoll::wait(&self.epoll, &mut room, None) else { continue }; // interrupted
            // One that was cut in between is not there any more.
            if let Some(guest) = events.first().and_then(|event| self.take(event.data)) {
                return guest;
            }
        }
    }

    fn take(&self, data: EventData) -> Option<T> {
        lock(&self.places).take(usize::try_from(data.u64()).ok()?)
    }

    /// Takes away those that have waited for so long.
    pub fn overdue(&self, patience: Duration) -> Vec<T> {
        let mut places = lock(&self.places);
        let is_overdue = |waiting: &Option<Waiting<T>>| waiting.as_ref().is_some_and(|w| w.since.elapsed() >= patience);
        let overdue: Vec<usize> = (0..places.all.len()).filter(|place| is_overdue(&places.all[*place])).collect();
        overdue.into_iter().filter_map(|place| places.take(place)).collect()
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
        let (_silent, other) = pair();
        idle.wait(other, true).unwrap();
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
        assert_eq!(idle.overdue(Duration::ZERO).len(), 1);
        assert_eq!(lock(&idle.places).free.len(), 2);
    }
}
