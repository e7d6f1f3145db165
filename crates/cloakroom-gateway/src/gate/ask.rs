//! The gate's answer to other proxies, which forward by themselves.

use async_trait::async_trait;
use cloakroom::Head;
use http::request::Parts;

use super::{Gate, Judged, Pass};
use crate::forward_auth::{Answer, Decide};
use crate::pages::{Brand, Problem};

#[async_trait]
impl Decide for Gate {
    async fn decide(&self, original: &Parts) -> Result<Answer, Problem> {
        let host = self.host(original)?;
        Ok(match self.judge(Head::from(original), &host).await? {
            Judged::SignsIn(response) => Answer::SignIn(response),
            Judged::Passes(pass) => {
                let Pass { permit, visitor, cookies, .. } = *pass;
                let audience = self.fleet.wants(permit.rule()).audience;
                Answer::Pass { identity: self.teller.tell(&visitor, audience), cookies }
            }
        })
    }

    fn brand(&self) -> &Brand {
        self.desk.brand()
    }
}
