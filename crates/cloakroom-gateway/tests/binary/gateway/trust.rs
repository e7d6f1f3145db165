//! Servers that are spoken to by TLS, and who vouches for them.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use cloakroom_testkit::servers::Certificates;
use reqwest::StatusCode;
use rustix::process::Signal;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::backend::{public, until};
use super::sockets::Wire;
use super::support::{Gateway, browser};
use crate::support::{becomes, command, signal};

/// A server by TLS that answers every request.
async fn secured(signed: &Certificates) -> SocketAddr {
    let chain = CertificateDer::pem_file_iter(signed.server()).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(signed.server_key()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let mut wire = Wire::over(stream);
                while !wire.head().await.is_empty() {
                    wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                }
            });
        }
    });
    address
}

async fn status(gateway: &Gateway) -> StatusCode {
    browser().get(gateway.url("/")).send().await.expect("the gateway answers").status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_by_https_is_believed_where_its_own_authority_vouches_for_it() {
    let (signed, other) = (Certificates::make(), Certificates::make());
    let server = format!("https://{}", secured(&signed).await);
    let config = |lines: &str| public(std::slice::from_ref(&server), lines);
    // Without one, the machine's authorities are asked, who do not know it.
    let gateway = Gateway::start_logged(&config(""));
    assert_eq!(status(&gateway).await, StatusCode::BAD_GATEWAY);
    let written = gateway.log();
    assert!(written.contains("no TLS with 127.0.0.1:") && written.contains("UnknownIssuer"));
    let ca = gateway.dir.path().join("ca.pem");
    fs::copy(signed.authority(), &ca).unwrap();
    let named = config("ca = \"ca.pem\"");
    gateway.rewrite(&named);
    let ask = async || status(&gateway).await;
    becomes("it is believed", ask, |status| *status == StatusCode::OK).await;
    // Another, read again when somebody asks for it; connections of before are not used.
    fs::copy(other.authority(), &ca).unwrap();
    signal(gateway.id(), Signal::HUP);
    becomes("it is not", ask, |status| *status == StatusCode::BAD_GATEWAY).await;
    // One that cannot be read is refused, and what was before stays.
    fs::write(&ca, "nothing").unwrap();
    let checked = command(gateway.dir.path()).arg("check").output().unwrap();
    let said = String::from_utf8(checked.stderr).unwrap();
    assert!(!checked.status.success() && said.contains("ca.pem cannot be used: there is no"));
    signal(gateway.id(), Signal::HUP);
    until("it is refused", || gateway.log().contains("ca.pem cannot be used")).await;
    fs::copy(signed.authority(), &ca).unwrap();
    becomes("it is believed again", ask, |status| *status == StatusCode::OK).await;
}
