//! The endpoints themselves: who may ask, and the answer in a form that the proxy can pass on.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::any;
use cloakroom::{Head, Network, TrustedProxies};
use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};

use super::{Answer, Decide, Proxy, original};
use crate::pages::{Problem, Reader};
use crate::proxy::{OwnCookies, TokenHeaders};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NOTHING: HeaderValue = HeaderValue::from_static("");
/// The names of headers that Envoy takes away before it forwards: of an empty header in an answer it
/// makes an empty one in the request.
const ENVOY_TAKES_AWAY: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");
/// The same for HAProxy, by `deploy/haproxy/cloakroom.lua`.
const HAPROXY_TAKES_AWAY: HeaderName = HeaderName::from_static("x-take-away");
/// The cookie of who is not signed in, for nginx.
const VISITOR_COOKIE: HeaderName = HeaderName::from_static("x-visitor-cookie");

/// What of a client's headers is the gateway's own, and no service's.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub(crate) cookies: OwnCookies,
    pub(crate) tokens: TokenHeaders,
}

/// What an endpoint needs.
#[derive(Clone)]
struct Desk {
    proxy: Proxy,
    /// Where proxies are that may ask.
    proxies: Arc<TrustedProxies>,
    own: Own,
    decide: Arc<dyn Decide>,
}

/// The endpoints. `proxies`: the networks of the proxies that may ask; others are refused. `own`:
/// what services do not get.
pub(crate) fn router(proxies: Vec<Network>, own: Own, decide: Arc<dyn Decide>) -> Router {
    let proxies = Arc::new(TrustedProxies::new(proxies));
    let mut router = Router::new();
    for proxy in Proxy::ALL {
        let (proxies, own) = (Arc::clone(&proxies), own.clone());
        let desk = Desk { proxy, proxies, own, decide: Arc::clone(&decide) };
        let asked = any(answer).with_state(desk);
        router = router.route(proxy.path(), asked.clone());
        if proxy == Proxy::Envoy {
            let path = proxy.path();
            router = router.route(&format!("{path}/"), asked.clone());
            router = router.route(&format!("{path}/{{*path}}"), asked);
        }
    }
    router
}

async fn answer(State(desk): State<Desk>, request: Request<Body>) -> Response<Body> {
    let asking = request.into_parts().0;
    let mut response = match desk.judge(&asking).await {
        Ok(answer) => desk.say(answer, &asking.headers),
        Err(problem) => problem.dressed(Reader { headers: &asking.headers }, desk.decide.brand()),
    };
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

impl Desk {
    async fn judge(&self, asking: &http::request::Parts) -> Result<Answer, Problem> {
        self.refuse_strangers(Head::from(asking))?;
        let original = original::read(self.proxy, asking)?;
        self.decide.decide(&original).await
    }

    /// Whoever else could ask would learn what somebody's cookie opens, and be told who they are.
    fn refuse_strangers(&self, head: Head<'_>) -> Result<(), Problem> {
        // Without proxies to trust, the address is the peer's own.
        let peer = TrustedProxies::default().address(head);
        if peer.is_some_and(|peer| self.proxies.trust(peer)) {
            return Ok(());
        }
        let address = peer.map(|peer| peer.to_string()).unwrap_or_default();
        let proxy = self.proxy.path();
        tracing::warn!(address, proxy, "forward-auth was asked from an address that may not");
        Err(Problem::WrongAddress)
    }

    fn say(&self, answer: Answer, asking: &HeaderMap) -> Response<Body> {
        match answer {
            Answer::Pass { identity, cookies: set } => {
                let mut response = Response::new(Body::empty());
                let headers = response.headers_mut();
                headers.extend(identity);
                self.clean(headers, asking);
                // The session's own are added behind these, and nginx may know the first alone.
                let name = if self.proxy == Proxy::Nginx { VISITOR_COOKIE } else { SET_COOKIE };
                for cookie in set {
                    response.headers_mut().append(name.clone(), cookie);
                }
                response
            }
            Answer::SignIn(mut response) => {
                // Of other answers than 401 and 403, nginx makes 500: its configuration makes a
                // redirect of this one again.
                if self.proxy == Proxy::Nginx && response.headers().contains_key(LOCATION) {
                    *response.status_mut() = StatusCode::UNAUTHORIZED;
                }
                response
            }
        }
    }

    /// Says what a service gets of those headers in which a client says to the gateway who it is.
    fn clean(&self, headers: &mut HeaderMap, asking: &HeaderMap) {
        let mut given = vec![(COOKIE, self.own.cookies.for_service(asking))];
        given.extend(self.own.tokens.for_service(asking).map(|value| (AUTHORIZATION, value)));
        given.extend(self.own.tokens.names().map(|name| (name, NOTHING)));
        let (nothing, some): (Vec<_>, _) =
            given.into_iter().partition(|(_, value)| value.is_empty());
        headers.extend(some);
        self.take_away(headers, nothing);
    }

    /// Says which of a client's headers no service gets.
    fn take_away(&self, headers: &mut HeaderMap, nothing: Vec<(HeaderName, HeaderValue)>) {
        // By name, and not as empty headers: the session's layer may yet answer with a new token.
        let list = match self.proxy {
            // Their configurations take away all that is not in the answer.
            Proxy::Nginx | Proxy::Caddy | Proxy::Traefik => return,
            Proxy::Envoy => ENVOY_TAKES_AWAY,
            Proxy::Haproxy => HAPROXY_TAKES_AWAY,
        };
        let names: Vec<_> = nothing.iter().map(|(name, _)| name.as_str()).collect();
        // Names with commas between them are a header's value, so this cannot fail.
        if let Ok(names) = HeaderValue::try_from(names.join(",")) {
            headers.insert(list, names);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::Brand;
    use async_trait::async_trait;
    use cloakroom::PeerAddr;
    use http::request::Parts;
    use tower::ServiceExt;

    /// Answers by the path that is asked about.
    struct ByPath(Brand);

    #[async_trait]
    impl Decide for ByPath {
        async fn decide(&self, original: &Parts) -> Result<Answer, Problem> {
            let redirect = || {
                let response =
                    Response::builder().status(303).header(LOCATION, "/.cloakroom/login");
                response.body(Body::empty()).unwrap()
            };
            match original.uri.path() {
                "/open" => Ok(Answer::Pass {
                    identity: vec![("x-user-id".parse().unwrap(), HeaderValue::from_static("a"))],
                    cookies: vec![HeaderValue::from_static("anon=1")],
                }),
                "/login" => Ok(Answer::SignIn(redirect())),
                "/api" => Err(Problem::NotSignedIn),
                "/away" => Err(Problem::StoreAway),
                _ => Err(Problem::Denied),
            }
        }

        fn brand(&self) -> &Brand {
            &self.0
        }
    }

    async fn ask(proxy: Proxy, peer: [u8; 4], path: &str) -> Response<Body> {
        let uri = match proxy {
            Proxy::Envoy => format!("{}{path}", proxy.path()),
            _ => proxy.path().to_owned(),
        };
        let request = Request::get(uri)
            .header("host", "shop.example")
            .header("x-forwarded-method", "GET")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "shop.example")
            .header("x-forwarded-uri", path)
            .header("x-forwarded-for", "203.0.113.9")
            .header("cookie", "session=1; theme=dark")
            .header("accept", "text/html")
            .extension(PeerAddr(peer.into()));
        let app = router(
            vec!["10.0.0.0/8".parse().unwrap()],
            Own {
                cookies: OwnCookies::new(vec!["session".to_owned()]),
                tokens: TokenHeaders::default(),
            },
            Arc::new(ByPath(Brand { title: Some("The Shop".to_owned()), logo: false })),
        );
        app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    const OURS: [u8; 4] = [10, 0, 0, 1];

    #[tokio::test]
    async fn a_proxy_hears_who_asks() {
        for proxy in Proxy::ALL {
            let response = ask(proxy, OURS, "/open").await;
            assert_eq!(response.status(), StatusCode::OK, "{proxy:?}");
            assert_eq!(response.headers()["x-user-id"], "a");
            let nginx = proxy == Proxy::Nginx;
            let name = if nginx { "x-visitor-cookie" } else { "set-cookie" };
            assert_eq!(response.headers()[name], "anon=1");
            assert_eq!(response.headers()["cache-control"], "no-store");
            assert_eq!(response.headers()["cookie"], "theme=dark");
        }
    }

    #[tokio::test]
    async fn nobody_else_hears_anything() {
        for proxy in Proxy::ALL {
            let response = ask(proxy, [203, 0, 113, 9], "/open").await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{proxy:?}");
            assert!(!response.headers().contains_key("x-user-id"));
        }
    }

    #[tokio::test]
    async fn a_refusal_is_in_a_form_that_the_proxy_passes_on() {
        for proxy in Proxy::ALL {
            for (path, status) in [("/api", 401), ("/x", 403), ("/away", 503)] {
                assert_eq!(ask(proxy, OURS, path).await.status(), status, "{proxy:?} {path}");
            }
            let login = ask(proxy, OURS, "/login").await;
            let expected = if proxy == Proxy::Nginx { 401 } else { 303 };
            assert_eq!(login.status(), expected, "{proxy:?}");
            assert_eq!(login.headers()["location"], "/.cloakroom/login");
        }
    }

    #[tokio::test]
    async fn a_problem_is_on_a_page_that_says_whose_it_is() {
        for proxy in Proxy::ALL {
            let response = ask(proxy, OURS, "/x").await;
            let page = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
            let page = String::from_utf8(page.to_vec()).unwrap();
            assert!(page.contains("The Shop") && page.contains("theme.css"), "{proxy:?}: {page}");
        }
    }

    #[tokio::test]
    async fn the_root_is_asked_about_as_well() {
        for proxy in Proxy::ALL {
            assert_eq!(ask(proxy, OURS, "/").await.status(), StatusCode::FORBIDDEN, "{proxy:?}");
        }
    }
}
