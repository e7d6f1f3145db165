//! Services behind a gateway, on real sockets: what they learn of who asks, and whom they pass it on to.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::response::Redirect;
use axum::routing::get;
use axum::{Json, Router};
use cloakroom_core::{Clock, Key, Kind, SystemClock};
use cloakroom_identity::{Caller, ForwardLayer, HttpKeys, Identity, IdentityLayer, Origins, Trust};
use cloakroom_jwt::{Algorithm, Identity as Claims, KeySet, Signer, SigningKey};
use http::{HeaderMap, Request, StatusCode};
use reqwest::Client;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower::{Layer, ServiceExt, service_fn};

const ISSUER: &str = "https://shop.example";

/// The part of a gateway that signs.
#[derive(Clone)]
struct Gateway {
    signer: Arc<Signer>,
    fetches: Arc<AtomicUsize>,
    /// Whether it hangs when it is asked for its keys.
    hangs: watch::Sender<bool>,
}

impl Gateway {
    fn new() -> Self {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let hangs = watch::Sender::default();
        Self { signer: Arc::new(Signer::new(ISSUER, key)), fetches: Arc::default(), hangs }
    }

    fn sign(&self, claims: Claims) -> String {
        self.signer.sign(&claims, SystemClock.now()).unwrap()
    }

    fn alice(&self, audience: &str) -> String {
        self.sign(Claims::new("alice").roles(["clerk"]).audience(audience))
    }

    fn keys(&self) -> KeySet {
        KeySet::parse(&self.signer.jwks(SystemClock.now())).unwrap()
    }

    fn router(&self) -> Router {
        async fn keys(State(gateway): State<Gateway>) -> String {
            gateway.fetches.fetch_add(1, Ordering::SeqCst);
            gateway.hangs.subscribe().wait_for(|hangs| !hangs).await.unwrap();
            gateway.signer.jwks(SystemClock.now())
        }
        Router::new().route("/.cloakroom/jwks.json", get(keys)).with_state(self.clone())
    }
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    serve_on(listener, router)
}

fn serve_on(listener: TcpListener, router: Router) -> SocketAddr {
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    addr
}

/// What a service learns of who asks.
async fn who(identity: Option<Identity>) -> Json<Vec<String>> {
    let Some(identity) = identity else { return Json(vec!["nobody".to_owned()]) };
    let user = identity.user().unwrap_or("visitor").to_owned();
    let mut said = vec![user];
    said.extend(identity.roles().iter().cloned());
    said.extend(identity.anonymous_id().map(str::to_owned));
    said.extend(identity.session().map(|key| key.to_string()));
    Json(said)
}

async fn service(layer: IdentityLayer) -> SocketAddr {
    serve(Router::new().route("/", get(who)).layer(layer)).await
}

async fn ask(addr: SocketAddr, assertions: &[&str]) -> (StatusCode, String) {
    let mut request = Client::new().get(format!("http://{addr}/"));
    for assertion in assertions {
        request = request.header("x-identity", *assertion);
    }
    let response = request.send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

#[tokio::test]
async fn a_service_learns_who_asks() {
    let gateway = Gateway::new();
    let orders =
        service(IdentityLayer::new(Trust::in_keys(ISSUER, "orders", gateway.keys()))).await;
    let session = Key::random(Kind::Session);
    let claims = Claims::new("alice").roles(["clerk"]).anonymous_id("v1").session(session);
    let (status, body) = ask(orders, &[&gateway.sign(claims.audience("orders"))]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body, format!(r#"["alice","clerk","v1","{session}"]"#));
}

#[tokio::test]
async fn only_those_pass_that_are_let() {
    let gateway = Gateway::new();
    let layer = IdentityLayer::new(Trust::in_keys(ISSUER, "orders", gateway.keys()));
    let users = service(layer.clone()).await;
    let visitors = service(layer.clone().visitors_too()).await;
    let everybody = service(layer.optional()).await;

    let alice = gateway.alice("orders");
    let visitor = gateway.sign(Claims::visitor("v1").audience("orders"));
    for (assertion, statuses) in [
        (&[&*alice][..], [200, 200, 200]),
        (&[&*visitor], [401, 200, 200]),
        (&[], [401, 401, 200]),
        (&[&*gateway.alice("billing")], [401, 401, 401]),
        (&[&*Gateway::new().alice("orders")], [401, 401, 401]),
        (&[&*alice, &*alice], [401, 401, 401]),
        (&["alice"], [401, 401, 401]),
        (&[""], [401, 401, 401]),
    ] {
        for (addr, status) in [users, visitors, everybody].into_iter().zip(statuses) {
            assert_eq!(ask(addr, assertion).await.0, status, "{assertion:?}");
        }
    }
    assert_eq!(ask(everybody, &[]).await.1, r#"["nobody"]"#);
    let (_, refused) = ask(users, &[]).await;
    assert_eq!(refused, r#"{"error":"not_signed_in","message":"Sign in first."}"#);
}

#[tokio::test]
async fn keys_are_fetched_once_and_names_of_keys_cause_no_more() {
    let gateway = Gateway::new();
    let addr = serve(gateway.router()).await;
    let keys = HttpKeys::new(Client::new(), format!("http://{addr}/.cloakroom/jwks.json"));
    let orders = service(IdentityLayer::new(Trust::in_fetched(ISSUER, "orders", keys))).await;
    let many = (0..20).map(|_| {
        let assertion = gateway.alice("orders");
        async move { ask(orders, &[&assertion]).await.0 }
    });
    let mut under_way = tokio::task::JoinSet::new();
    many.for_each(|asked| {
        under_way.spawn(asked);
    });
    assert!(under_way.join_all().await.iter().all(|status| *status == StatusCode::OK));
    assert_eq!(gateway.fetches.load(Ordering::SeqCst), 1);
    for _ in 0..20 {
        let other = Gateway::new().alice("orders");
        assert_eq!(ask(orders, &[&other]).await.0, StatusCode::UNAUTHORIZED);
    }
    // More where this machine has needed more than five seconds; not one for each.
    assert!(gateway.fetches.load(Ordering::SeqCst) < 10);
}

#[tokio::test]
async fn a_gateway_that_is_away_is_no_logout() {
    let gateway = Gateway::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let keys = HttpKeys::new(Client::new(), format!("http://{addr}/.cloakroom/jwks.json"));
    let orders = service(IdentityLayer::new(Trust::in_fetched(ISSUER, "orders", keys))).await;
    let alice = gateway.alice("orders");
    let (status, body) = ask(orders, &[&alice]).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("keys_unavailable"), "{body}");
    assert_eq!(ask(orders, &[]).await.0, StatusCode::UNAUTHORIZED, "no keys are needed for that");

    serve_on(TcpListener::bind(addr).await.unwrap(), gateway.router());
    while ask(orders, &[&gateway.alice("orders")]).await.0 != StatusCode::OK {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_fetch_goes_on_for_the_others_where_who_began_it_is_gone() {
    let gateway = Gateway::new();
    gateway.hangs.send_replace(true);
    let addr = serve(gateway.router()).await;
    let keys = HttpKeys::new(Client::new(), format!("http://{addr}/.cloakroom/jwks.json"));
    let trust = Trust::in_fetched(ISSUER, "orders", keys);
    let ask = || {
        let (trust, alice) = (trust.clone(), gateway.alice("orders"));
        tokio::spawn(async move { trust.verify(&alice).await.map(drop) })
    };
    let first = ask();
    while gateway.fetches.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let second = ask();
    gateway.hangs.send_replace(false);
    second.await.unwrap().unwrap();
    assert_eq!(gateway.fetches.load(Ordering::SeqCst), 1, "it was one fetch");
}

#[tokio::test]
async fn a_gateway_that_hangs_is_left_in_peace() {
    let gateway = Gateway::new();
    gateway.hangs.send_replace(true);
    let addr = serve(gateway.router()).await;
    let client = Client::builder().timeout(Duration::from_millis(100)).build().unwrap();
    let keys = HttpKeys::new(client, format!("http://{addr}/.cloakroom/jwks.json"));
    let orders = service(IdentityLayer::new(Trust::in_fetched(ISSUER, "orders", keys))).await;
    for _ in 0..50 {
        let (status, _) = ask(orders, &[&gateway.alice("orders")]).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
    // More than one where this machine has needed more than a second; not one for each.
    assert!(gateway.fetches.load(Ordering::SeqCst) < 8);
    gateway.hangs.send_replace(false);
    while ask(orders, &[&gateway.alice("orders")]).await.0 != StatusCode::OK {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_identity_is_passed_on_to_named_services_alone() {
    let gateway = Gateway::new();
    let trust = |audience| Trust::in_keys(ISSUER, audience, gateway.keys());
    let billing = service(IdentityLayer::new(trust("billing").and_for("orders"))).await;
    let strict = service(IdentityLayer::new(trust("billing"))).await;
    async fn headers(headers: HeaderMap) -> String {
        headers.contains_key("x-identity").to_string()
    }
    let stranger = serve(Router::new().route("/", get(headers))).await;
    let lures = Router::new()
        .route("/", get(move || async move { Redirect::to(&format!("http://{stranger}/")) }));
    let lures = serve(lures).await;

    let origins = [billing, strict, lures].map(|addr| format!("http://{addr}"));
    let caller = Caller::new(Client::builder(), Origins::new(origins).unwrap()).unwrap();
    let call = move |State(to): State<SocketAddr>, identity: Identity| async move {
        // Also where a request was made by another client, which would follow a redirect.
        let request = Client::new().get(format!("http://{to}/"));
        let response = caller.send(request, &identity).await.unwrap();
        (response.status(), response.text().await.unwrap())
    };
    let mut answers = Vec::new();
    for to in [billing, strict, stranger, lures] {
        let orders = Router::new().route("/", get(call.clone())).with_state(to);
        let orders = serve(orders.layer(IdentityLayer::new(trust("orders")))).await;
        answers.push(ask(orders, &[&gateway.alice("orders")]).await);
    }
    assert_eq!(answers[0], (StatusCode::OK, r#"["alice","clerk"]"#.to_owned()));
    assert_eq!(answers[1].0, StatusCode::UNAUTHORIZED, "it admits no other service");
    assert_eq!(answers[2], (StatusCode::OK, "false".to_owned()));
    assert_eq!(answers[3].0, StatusCode::SEE_OTHER, "a redirect is not followed");
}

#[tokio::test]
async fn the_layer_of_a_client_passes_on_what_a_request_carries() {
    let gateway = Gateway::new();
    let assertion = gateway.alice("orders");
    let layer = IdentityLayer::new(Trust::in_keys(ISSUER, "orders", gateway.keys()));
    let found = service_fn(|request: Request<()>| async move {
        assert!(!request.headers().contains_key("x-identity"), "it is taken off");
        let mut response = http::Response::new("");
        response.extensions_mut().insert(Identity::of(request.extensions()).unwrap().unwrap());
        Ok::<_, Infallible>(response)
    });
    let request = Request::get("/").header("x-identity", &assertion).body(()).unwrap();
    let response = layer.layer(found).oneshot(request).await.unwrap();
    let alice = response.extensions().get::<Identity>().unwrap().clone();
    assert!(!format!("{alice:?}").contains(&assertion));

    let client = ForwardLayer::new(Origins::new(["http://billing:8080"]).unwrap());
    let sent = client.layer(service_fn(|request: Request<()>| async move {
        let header = request.headers().get("x-identity").cloned();
        Ok::<_, Infallible>(header.map(|value| value.to_str().unwrap().to_owned()))
    }));
    for (uri, identity, expected) in [
        ("http://billing:8080/x", Some(&alice), Some(&assertion)),
        ("http://billing:8081/x", Some(&alice), None),
        ("http://billing:8080/x", None, None),
    ] {
        let mut request = Request::get(uri).header("x-identity", "forged").body(()).unwrap();
        if let Some(identity) = identity {
            request.extensions_mut().insert(identity.clone());
        }
        assert_eq!(sent.clone().oneshot(request).await.unwrap().as_ref(), expected, "{uri}");
    }
}

#[tokio::test]
async fn without_the_layer_nobody_is_believed() {
    let gateway = Gateway::new();
    let addr = serve(Router::new().route("/", get(who))).await;
    let (status, _) = ask(addr, &[&gateway.alice("orders")]).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
}
