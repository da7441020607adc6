//! Answers without a near end: streams of events, and packs. There are so many places for each, and who comes gets one.

use std::sync::Arc;

use axum::Extension;
use ledger::codes::Code;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::limits::TURN_TIMEOUT;
use super::listen::{CameBy, Doing};
use super::problem::Problem;

/// The connection that a request came by, for a handler.
pub(super) type Came = Option<Extension<CameBy>>;

/// Takes a place. If there is none, one that has had its turn goes: the oldest stream, which its client takes up again
/// where it was; the pack that has been taken nothing of for longest.
///
/// # Errors
/// `overloaded` if nobody had to go.
pub(super) async fn place(
    places: &Arc<Semaphore>,
    came: Came,
    doing: Doing,
) -> Result<OwnedSemaphorePermit, Problem> {
    let permit = match Arc::clone(places).try_acquire_owned() {
        Ok(permit) => permit,
        Err(_) => turn(places, &came, doing).await.ok_or_else(overloaded)?,
    };
    if let Some(Extension(CameBy(guest))) = came {
        guest.does(doing);
    }
    Ok(permit)
}

async fn turn(places: &Arc<Semaphore>, came: &Came, doing: Doing) -> Option<OwnedSemaphorePermit> {
    let Extension(CameBy(guest)) = came.as_ref()?;
    let made_room = match doing {
        Doing::Following => guest.takes_turn(doing),
        _ => guest.takes_turn_of_idle(doing),
    };
    let freed = Arc::clone(places).acquire_owned();
    match made_room {
        true => timeout(TURN_TIMEOUT, freed).await.ok()?.ok(),
        false => None,
    }
}

fn overloaded() -> Problem {
    Code::Overloaded
        .because("as many of these are under way as there are places")
        .into()
}
