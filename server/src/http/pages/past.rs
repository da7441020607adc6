//! The log as it was with so many entries, for the pages that show a state.

use std::sync::Arc;

use tlog::TreeSize;

use crate::http::Service;
use crate::http::parameters::Decimal;
use crate::http::problem::Problem;
use crate::log::Published;

/// The newest head, or the log as it was with so many entries.
pub(super) async fn or_now(
    service: &Service,
    as_of: Option<Decimal>,
) -> Result<Arc<Published>, Problem> {
    let published = service.log.published();
    let Some(Decimal(size)) = as_of else {
        return Ok(published);
    };
    let then = move |published: Arc<Published>| Ok(Arc::new(published.as_of(TreeSize::new(size))?));
    service.readers.read(published, then).await
}
