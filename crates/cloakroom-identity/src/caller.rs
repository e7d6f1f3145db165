//! A client of reqwest that passes on who asks.

use http::{HeaderName, Uri};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};

use crate::forward::Pass;
use crate::{HEADER, Identity, Origins};

/// Sends requests on somebody's behalf.
///
/// It follows no redirects: reqwest would take the assertion along to wherever they lead.
///
/// ```
/// use cloakroom_identity::{Caller, Identity, Origins};
///
/// # async fn example(identity: Identity) -> Result<(), Box<dyn std::error::Error>> {
/// let billing = Caller::new(reqwest::Client::builder(), Origins::new(["http://billing:8080"])?)?;
/// let request = billing.client().get("http://billing:8080/invoices");
/// let response = billing.send(request, &identity).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Caller {
    client: Client,
    pass: Pass,
}

impl Caller {
    /// Passes on to `origins`, and sends nothing on somebody's behalf to others.
    pub fn new(client: ClientBuilder, origins: Origins) -> reqwest::Result<Self> {
        let client = client.redirect(Policy::none()).build()?;
        Ok(Self { client, pass: Pass { origins, header: HEADER } })
    }

    /// Writes another header than [`HEADER`].
    pub fn header(mut self, header: HeaderName) -> Self {
        self.pass.header = header;
        self
    }

    /// The client, to make requests with.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a request on behalf of `identity`. To another origin it is sent without saying who asks.
    pub async fn send(
        &self,
        request: RequestBuilder,
        identity: &Identity,
    ) -> reqwest::Result<Response> {
        // Whatever client it was made with, it is sent by ours, which follows no redirects.
        let mut request = request.build()?;
        // An address that is none of http's goes to no origin of ours.
        let uri = request.url().as_str().parse::<Uri>().unwrap_or_default();
        self.pass.on(&uri, request.headers_mut(), Some(identity));
        self.client.execute(request).await
    }
}
