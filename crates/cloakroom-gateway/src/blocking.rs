//! Work that blocks its thread, such as reading files, away from the threads that serve.

use crate::fault::Fault;

/// Does it. A panic in it is a fault, so that whoever does such work again and again goes on.
pub(crate) async fn away<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Fault::new("something of the gateway's own has failed; see above"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_panics_is_a_fault() {
        assert_eq!(away(|| 7).await.unwrap(), 7);
        assert!(away(|| panic!("on purpose")).await.is_err());
    }
}
