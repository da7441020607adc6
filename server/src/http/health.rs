//! Whether the service lives, and whether to send it work.

use axum::Json;
use axum::extract::State;
use ledger::codes::Code;
use tlog::LeafIndex;
use wire::{Alive, Ready};

use super::parameters::{NoParameters, Parameters};
use super::problem::Problem;
use super::{Service, openapi, reading};
use crate::log::{Disk, Health, Published, Sequencing};

/// Whether the service lives. One that does not is to be started again.
#[utoipa::path(
    get, path = "/healthz", tag = "health",
    responses(
        (status = 200, description = "It lives.", body = Alive),
        openapi::NotRead,
    )
)]
pub(super) async fn alive(
    State(service): State<Service>,
    Parameters(NoParameters {}): Parameters<NoParameters>,
) -> Result<Json<Alive>, Problem> {
    let health = service.log.health();
    if health.sequencing == Sequencing::Ended {
        return Err(ended(&health));
    }
    Ok(Json(Alive {
        status: "alive".to_owned(),
    }))
}

/// Whether records are taken: the store can be read and agrees with the signed head, the sequencer runs,
/// the head is fresh, the disk has room.
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    responses(
        (status = 200, description = "It is ready.", body = Ready),
        openapi::NotRead,
    )
)]
pub(super) async fn ready(
    State(service): State<Service>,
    Parameters(NoParameters {}): Parameters<NoParameters>,
) -> Result<Json<Ready>, Problem> {
    let (health, published) = (service.log.health(), service.log.published());
    judge(&health)?;
    let size = published.size.get();
    reading::apart(move || consistent(&published)).await?;
    Ok(Json(Ready {
        status: "ready".to_owned(),
        size,
        head_age_ms: health.head_age_ms,
        clock_behind_ms: health.clock_behind_ms,
    }))
}

/// Why no records are taken, in words; `None` if they are.
pub(super) fn trouble(health: &Health) -> Option<String> {
    judge(health).err().map(|problem| problem.document().detail)
}

fn judge(health: &Health) -> Result<(), Problem> {
    match health.sequencing {
        Sequencing::Running => {}
        Sequencing::Stopping => {
            return Err(Code::Stopping.because("the service is stopping").into());
        }
        Sequencing::Ended => return Err(ended(health)),
    }
    if health.disk != Disk::HasRoom {
        return Err(Code::DiskFull.because("the disk is nearly full").into());
    }
    if let Some(doubt) = health.doubt {
        return Err(Code::Overloaded.because(doubt).into());
    }
    if !health.head_is_fresh {
        let age = timeline::words::span(health.head_age_ms);
        return Err(Code::Overloaded
            .because(format!("the newest head is {age} old"))
            .into());
    }
    Ok(())
}

/// The newest leaf, read back, leads to the signed root.
fn consistent(published: &Published) -> Result<(), Problem> {
    let last = published.size.get().checked_sub(1);
    let last = last.ok_or_else(|| Problem::internal("the log is empty"))?;
    published.inclusion(LeafIndex::new(last), published.size)?;
    Ok(())
}

fn ended(health: &Health) -> Problem {
    let why = health.last_error.as_deref().unwrap_or("no error");
    Problem::internal(format!("the sequencer has ended: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Doubt;

    #[test]
    fn each_way_of_not_being_ready_has_its_code() {
        let ready = Health {
            sequencing: Sequencing::Running,
            head_age_ms: 7,
            clock_behind_ms: 0,
            doubt: None,
            head_is_fresh: true,
            disk: Disk::HasRoom,
            last_error: None,
        };
        let code = |health: Health| judge(&health).err().map(|problem| problem.code());
        assert_eq!(code(ready.clone()), None);
        assert_eq!(
            code(Health {
                head_is_fresh: false,
                ..ready.clone()
            }),
            Some("overloaded")
        );
        assert_eq!(
            code(Health {
                doubt: Some(Doubt::Ahead { ahead_ms: 1 }),
                ..ready.clone()
            }),
            Some("overloaded")
        );
        assert_eq!(
            code(Health {
                disk: Disk::NearlyFull,
                ..ready.clone()
            }),
            Some("disk-full")
        );
        let stopping = Health {
            sequencing: Sequencing::Stopping,
            ..ready.clone()
        };
        assert_eq!(code(stopping), Some("stopping"));
        let ended = Health {
            sequencing: Sequencing::Ended,
            last_error: Some("sync".into()),
            ..ready
        };
        let problem = judge(&ended).unwrap_err();
        assert_eq!(problem.document().code, "internal");
        assert!(!problem.document().detail.contains("sync"));
    }
}
