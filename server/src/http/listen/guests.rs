//! Who is connected, what they hold, and who has to go when there is no more room.
//!
//! Whoever comes is let in. When there is no more room, somebody goes who has not asked for anything yet: of those with
//! the most connections the one that has been silent for longest. So a stranger who keeps connections keeps out nobody,
//! and not even one who shares an address with an agent closes the agent's request.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ledger::text::Name;
use metrics::counter;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::super::limits::{MAX_LARGE_BYTES_AT_HAND, MAX_SMALL_BYTES_AT_HAND};

/// Connections that were closed to make room, by what they were doing.
pub(in crate::http) const CLOSED: &str = "dragonsd_http_connections_closed_total";

/// How long to wait before looking again for somebody who can go: all others are being answered.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How long a client has to take nothing of its answer to be one who can go.
const IDLE_READER: Duration = Duration::from_secs(1);

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// In all.
    pub all: usize,
    /// From one address; `None` where many people have one address, as behind a proxy.
    pub an_address: Option<usize>,
}

/// The connections of a listener.
#[derive(Debug)]
pub(super) struct Guests {
    places: Places,
    open: Mutex<Open>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    guests: BTreeMap<u64, Arc<Guest>>,
    of_address: HashMap<IpAddr, usize>,
    /// Bytes of bodies.
    small: u64,
    large: u64,
}

/// A connection.
#[derive(Debug)]
pub(in crate::http) struct Guest {
    id: u64,
    address: IpAddr,
    all: Arc<Guests>,
    is_ambiguous: AtomicBool,
    leave: Notify,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    doing: Doing,
    since: Instant,
    /// Bytes of a body, and of which sort.
    held: Option<(Sort, u64)>,
    /// Since when the client takes nothing of what is sent to it.
    blocked: Option<Instant>,
    /// The agent whose entries it follows.
    follows: Option<Name>,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Doing {
    /// There is no whole request.
    Waiting,
    /// It is being answered.
    Asking,
    /// It follows what is logged.
    Following,
    /// It is being sent a pack.
    Fetching,
    /// It was told to go.
    Leaving,
}

/// A sort of body. Each has room of its own, so that no number of large ones keeps out a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Sort {
    /// One record, or a request.
    Small,
    /// Many records.
    Large,
}

/// There is no more room for bodies, and all that are there are whole.
#[derive(Debug)]
pub(in crate::http) struct NoRoom;

/// A place among the connections, which is free again when this is gone.
#[derive(Debug)]
pub(super) struct Place(Arc<Guest>);

impl Guests {
    pub(super) fn new(places: Places) -> Arc<Self> {
        Arc::new(Self {
            places,
            open: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Lets a connection in.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Place {
        let address = one_of(address);
        let mut open = self.open();
        let id = open.next;
        open.next += 1;
        let guest = Arc::new(Guest {
            id,
            address,
            all: Arc::clone(self),
            is_ambiguous: AtomicBool::new(false),
            leave: Notify::new(),
            state: Mutex::new(State {
                doing: Doing::Waiting,
                since: Instant::now(),
                held: None,
                blocked: None,
                follows: None,
            }),
        });
        open.guests.insert(id, Arc::clone(&guest));
        *open.of_address.entry(address).or_default() += 1;
        Place(guest)
    }

    /// Sends away as many as are too many, and waits until they are gone. `newest` is the address of whoever came last.
    pub(super) async fn settle(&self, newest: IpAddr) {
        let newest = one_of(newest);
        loop {
            let changed = self.changed.notified();
            match self.surplus(newest) {
                None => return,
                Some(Surplus::Leaving) => {}
                Some(Surplus::OfAll) => self.dismiss(|_| true),
                Some(Surplus::OfAddress) => self.dismiss(|guest| guest.address == newest),
            }
            // Where nobody could be sent away, somebody is done soon.
            let _ = timeout(LOOK_AGAIN, changed).await;
        }
    }

    /// Waits until nobody is connected any more.
    pub(super) async fn empty(&self) {
        loop {
            let changed = self.changed.notified();
            if self.open().guests.is_empty() {
                return;
            }
            changed.await;
        }
    }

    fn surplus(&self, newest: IpAddr) -> Option<Surplus> {
        let open = self.open();
        let are_leaving = |guest: &&Arc<Guest>| guest.state().doing == Doing::Leaving;
        let count = open.guests.len();
        if count > self.places.all {
            let leaving = open.guests.values().filter(are_leaving).count();
            return Some(match count - leaving > self.places.all {
                true => Surplus::OfAll,
                false => Surplus::Leaving,
            });
        }
        let most = self.places.an_address?;
        let count = open.of_address.get(&newest).copied().unwrap_or(0);
        if count <= most {
            return None;
        }
        let of_newest = |guest: &&Arc<Guest>| guest.address == newest;
        let of_newest = open.guests.values().filter(of_newest);
        let leaving = of_newest.filter(are_leaving).count();
        Some(match count - leaving > most {
            true => Surplus::OfAddress,
            false => Surplus::Leaving,
        })
    }

    /// Sends away one of those who can go: who waits, and if nobody does, who does not take his answer.
    fn dismiss(&self, is_meant: impl Fn(&Guest) -> bool) {
        let waits = |guest: &Guest, state: &State| {
            (is_meant(guest) && state.doing == Doing::Waiting).then_some(state.since)
        };
        let idles = |guest: &Guest, state: &State| {
            let idle = state.blocked.filter(|since| since.elapsed() > IDLE_READER);
            idle.filter(|_| is_meant(guest) && state.doing != Doing::Leaving)
        };
        let mut open = self.open();
        let _ = open.dismiss(waits) || open.dismiss(idles);
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of what there is too much.
enum Surplus {
    OfAll,
    OfAddress,
    /// Enough have been told to go.
    Leaving,
}

impl Open {
    /// Tells one of the guests to go, out of those for whom `since` gives a time: of those who have the most in common, which
    /// is their address and the agent that they follow, the one with the earliest.
    fn dismiss(&mut self, since: impl Fn(&Guest, &State) -> Option<Instant>) -> bool {
        let mut alike: HashMap<(IpAddr, Option<Name>), (usize, Instant, u64)> = HashMap::new();
        for guest in self.guests.values() {
            let state = guest.state();
            let Some(since) = since(guest, &state) else {
                continue;
            };
            let (count, oldest, id) = alike
                .entry((guest.address, state.follows.clone()))
                .or_insert((0, since, guest.id));
            *count += 1;
            if since < *oldest {
                (*oldest, *id) = (since, guest.id);
            }
        }
        let most = alike
            .into_values()
            .max_by_key(|(count, oldest, _)| (*count, Reverse(*oldest)));
        let guest = most.and_then(|(_, _, id)| self.guests.get(&id).cloned());
        let Some(guest) = guest else { return false };
        let mut state = guest.state();
        let doing = std::mem::replace(&mut state.doing, Doing::Leaving);
        counter!(CLOSED, "doing" => doing.as_str()).increment(1);
        // Its bytes are gone as soon as its task is woken.
        self.release(&mut state);
        drop(state);
        guest.leave.notify_one();
        true
    }

    fn release(&mut self, state: &mut State) {
        if let Some((sort, bytes)) = state.held.take() {
            *self.of(sort).0 -= bytes;
        }
    }

    /// How many bytes of a sort there are, and how many there may be.
    fn of(&mut self, sort: Sort) -> (&mut u64, u64) {
        match sort {
            Sort::Small => (&mut self.small, MAX_SMALL_BYTES_AT_HAND),
            Sort::Large => (&mut self.large, MAX_LARGE_BYTES_AT_HAND),
        }
    }
}

impl Guest {
    /// Where it comes from.
    pub(in crate::http) const fn address(&self) -> IpAddr {
        self.address
    }

    /// Notes what it does from now on.
    pub(in crate::http) fn does(&self, doing: Doing) {
        let mut open = self.all.open();
        let mut state = self.state();
        if state.doing == Doing::Leaving {
            return;
        }
        if doing == Doing::Waiting {
            open.release(&mut state);
            state.follows = None;
        }
        (state.doing, state.since) = (doing, Instant::now());
        drop(state);
        drop(open);
        self.all.changed.notify_waiters();
    }

    /// Notes which agent it follows from now on. Who follows anything at all does not take the places of those.
    pub(in crate::http) fn follows(&self, agent: Name) {
        self.state().follows = Some(agent);
    }

    /// Takes room for so many bytes of its body. Where there is none, somebody has to go whose body is not whole.
    ///
    /// # Errors
    /// [`NoRoom`] if there is nobody like that.
    pub(in crate::http) fn holds(&self, sort: Sort, bytes: u64) -> Result<(), NoRoom> {
        let mut open = self.all.open();
        let mut state = self.state();
        if state.doing == Doing::Leaving {
            return Ok(());
        }
        let (_, held) = state.held.get_or_insert((sort, 0));
        *held += bytes;
        drop(state);
        *open.of(sort).0 += bytes;
        loop {
            let (held, most) = open.of(sort);
            if *held <= most {
                return Ok(());
            }
            let arrives = |_: &Guest, state: &State| {
                let holds = state.held.is_some_and(|(held, _)| held == sort);
                (holds && state.doing == Doing::Waiting).then_some(state.since)
            };
            if !open.dismiss(arrives) {
                return Err(NoRoom);
            }
        }
    }

    /// Sends away the one that has been doing this for longest, to make room for another.
    pub(in crate::http) fn takes_turn(&self, doing: Doing) -> bool {
        let since = |_: &Guest, state: &State| (state.doing == doing).then_some(state.since);
        self.all.open().dismiss(since)
    }

    /// Sends away the one that does this and has taken nothing of its answer for longest.
    pub(in crate::http) fn takes_turn_of_idle(&self, doing: Doing) -> bool {
        let since = |_: &Guest, state: &State| {
            let idle = state.blocked.filter(|since| since.elapsed() > IDLE_READER);
            idle.filter(|_| state.doing == doing)
        };
        self.all.open().dismiss(since)
    }

    /// Whether a request of it said in two ways how long it is.
    pub(in crate::http) fn was_ambiguous(&self) -> bool {
        self.is_ambiguous.load(Ordering::Relaxed)
    }

    pub(super) fn is_ambiguous(&self) {
        self.is_ambiguous.store(true, Ordering::Relaxed);
    }

    pub(super) fn blocked(&self, since: Option<Instant>) {
        self.state().blocked = since;
    }

    /// Waits until it has to go.
    pub(super) async fn leaving(&self) {
        self.leave.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Doing {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Asking => "asking",
            Self::Following => "following",
            Self::Fetching => "fetching",
            Self::Leaving => "leaving",
        }
    }
}

impl Place {
    pub(super) fn guest(&self) -> Arc<Guest> {
        Arc::clone(&self.0)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Guest {
            id, address, all, ..
        } = &*self.0;
        let mut open = all.open();
        open.release(&mut self.0.state());
        open.guests.remove(id);
        if let Some(count) = open.of_address.get_mut(address) {
            *count -= 1;
            if *count == 0 {
                open.of_address.remove(address);
            }
        }
        drop(open);
        all.changed.notify_waiters();
    }
}

/// Whoever has an IPv6 address has the 2^64 beside it.
fn one_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: Places = Places {
        all: 4,
        an_address: Some(3),
    };

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn has_to_go(place: &Place) -> bool {
        place.0.state().doing == Doing::Leaving
    }

    #[tokio::test]
    async fn the_oldest_that_asks_for_nothing_goes() {
        let guests = Guests::new(PLACES);
        let mut places: Vec<Place> = Vec::new();
        for (from, age_s) in [(1, 40), (1, 30), (2, 20), (3, 10)] {
            let place = guests.enter(address(from));
            place.0.state().since -= Duration::from_secs(age_s);
            guests.settle(address(from)).await;
            places.push(place);
        }
        places[0].0.does(Doing::Asking);
        let newest = guests.enter(address(9));
        let settled = guests.settle(address(9));
        assert!(timeout(LOOK_AGAIN, settled).await.is_err());
        let gone: Vec<bool> = places.iter().map(has_to_go).collect();
        assert_eq!(gone, [false, true, false, false]);
        assert!(!has_to_go(&newest));
        drop(places.remove(1));
        guests.settle(address(9)).await;
    }

    #[tokio::test]
    async fn one_address_has_its_share() {
        let guests = Guests::new(PLACES);
        let places: Vec<Place> = (0..4).map(|_| guests.enter(address(1))).collect();
        let settled = guests.settle(address(1));
        assert!(timeout(LOOK_AGAIN, settled).await.is_err());
        assert_eq!(places.iter().filter(|place| has_to_go(place)).count(), 1);
        assert!(has_to_go(&places[0]));
    }

    #[tokio::test]
    async fn bytes_at_hand_are_bounded_and_a_whole_body_stays() {
        let guests = Guests::new(PLACES);
        let [slow, whole, new] = [1, 2, 3].map(|from| guests.enter(address(from)));
        slow.0.holds(Sort::Small, 1).unwrap();
        whole
            .0
            .holds(Sort::Small, MAX_SMALL_BYTES_AT_HAND - 1)
            .unwrap();
        whole.0.does(Doing::Asking);
        new.0.holds(Sort::Large, MAX_LARGE_BYTES_AT_HAND).unwrap();
        assert!(!has_to_go(&slow), "each sort has room of its own");
        new.0.does(Doing::Asking);
        new.0.does(Doing::Waiting);
        new.0.holds(Sort::Small, 1).unwrap();
        assert!(has_to_go(&slow) && !has_to_go(&whole) && !has_to_go(&new));
        assert_eq!(guests.open().small, MAX_SMALL_BYTES_AT_HAND);
        drop((whole, new));
        let open = guests.open();
        assert_eq!((open.small, open.large), (0, 0));
    }

    #[tokio::test]
    async fn who_follows_everything_goes_before_who_follows_an_agent() {
        let guests = Guests::new(PLACES);
        let places: Vec<Place> = (0..4).map(|_| guests.enter(address(1))).collect();
        for (place, agent) in places.iter().zip([Some("a"), None, None, Some("b")]) {
            if let Some(agent) = agent {
                place.0.follows(agent.parse().unwrap());
            }
            place.0.does(Doing::Following);
        }
        assert!(places[3].0.takes_turn(Doing::Following));
        let gone: Vec<bool> = places.iter().map(has_to_go).collect();
        assert_eq!(gone, [false, true, false, false]);
    }

    #[test]
    fn neighbours_in_a_network_of_one_are_one() {
        let one = |text: &str| one_of(text.parse().unwrap());
        assert_eq!(one("2001:db8::1"), one("2001:db8::2:3"));
        assert_ne!(one("2001:db8::1"), one("2001:db8:0:1::1"));
        assert_eq!(one("::ffff:10.0.0.1"), one("10.0.0.1"));
    }
}
