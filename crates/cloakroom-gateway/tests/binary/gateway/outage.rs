//! The store stops under the gateway, and comes back: a logout it is not.

use cloakroom_testkit::servers::Redis;

use super::support::Gateway;
use super::wire::{NAVIGATES, Reply, Witness, ask, get, sign_in, try_to_sign_in};
use crate::support::becomes;

const RULES: [(&str, &str); 3] =
    [("/order/**", "login"), ("/admin/**", "role:admin"), ("/**", "public")];

/// What cannot be said without the store is said so, and takes nothing from anybody.
fn is_away(reply: &Reply) {
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.all("retry-after").join("").parse::<u64>().is_ok(), "{reply:?}");
    assert!(reply.all("set-cookie").is_empty(), "cookies stay: {reply:?}");
    assert!(reply.all("clear-site-data").is_empty() && reply.location().is_empty(), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_stops_signs_nobody_out_and_public_pages_go_on() {
    let mut redis = Redis::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let witness = Witness::start();
    let store =
        format!("[store]\nurl = \"{}\"\n[login]\nusers = \"sqlite://users.db\"\n", redis.url());
    let gateway = Gateway::start(&format!("{store}{}", witness.config(&RULES)));
    let port = gateway.port;
    gateway.add_user("alice", "wonderland-7", &["admin"]);
    let alice = format!("Cookie: {}\r\n", sign_in(port, "alice", "wonderland-7"));
    assert_eq!(get(port, "/order", &alice).status, 200);
    redis.kill();
    let away = becomes(
        "the store is missed",
        async || get(port, "/order", &alice),
        |reply| reply.status != 200,
    );
    is_away(&away.await);
    for headers in ["", &alice, NAVIGATES, "Cookie: id=made-up\r\n"] {
        let public = get(port, "/item", headers);
        assert_eq!((public.status, &*public.body), (200, "/item"), "{headers}");
        assert!(public.all("set-cookie").is_empty(), "{public:?}");
    }
    witness.take();
    for path in ["/order", "/admin", "/.cloakroom/api/me", "/.cloakroom/me"] {
        is_away(&get(port, path, &alice));
        is_away(&get(port, path, &format!("{alice}{NAVIGATES}")));
    }
    is_away(&get(port, "/order", NAVIGATES));
    is_away(&try_to_sign_in(port, "alice", "wonderland-7", ""));
    is_away(&try_to_sign_in(port, "nobody", "wonderland-7", ""));
    let form = "Sec-Fetch-Site: same-origin\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    is_away(&ask(port, "POST", "/.cloakroom/logout", &format!("{form}{alice}"), "x=y"));
    assert!(witness.take().is_empty(), "nobody passed");
    assert_eq!(get(port, "/.cloakroom/health/live", "").status, 200);
    assert_eq!(get(port, "/.cloakroom/health/ready", "").status, 200);
    let _redis = redis.restart().await;
    let back = becomes(
        "the store is found",
        async || get(port, "/order", &alice).status,
        |status| *status != 503,
    );
    assert_eq!(back.await, 200, "who was signed in, is");
    let told = witness.take();
    assert_eq!(told[0].all("x-user-id"), ["alice"]);
}
