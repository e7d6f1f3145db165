//! Users over a real SQLite file.

use super::*;

const CHEAP: Cost = Cost { memory: 64, passes: 1 };

async fn open(dir: &tempfile::TempDir) -> Users {
    let url = format!("sqlite://{}/users 100%.db", dir.path().display());
    Users::with_cost(&UsersUrl(url), CHEAP).await.unwrap()
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn password(text: &str) -> Password {
    Password::new(text.to_owned())
}

async fn is_let_in(users: &Users, who: &str, with: &str) -> bool {
    users.check(Name::parse(who).ok().as_ref(), password(with), None).await.unwrap().is_some()
}

#[tokio::test]
async fn users_are_kept_and_changed() {
    let dir = tempfile::tempdir().unwrap();
    let users = open(&dir).await;
    let roles = ["staff".to_owned(), "admin".to_owned()];
    assert!(users.add(&name("Alice"), password("wonderland"), &roles).await.unwrap());
    assert!(!users.add(&name("alice "), password("other"), &[]).await.unwrap(), "taken");
    let again = open(&dir).await;
    assert!(is_let_in(&again, " ALICE", "wonderland").await);
    assert!(!is_let_in(&again, "alice", "Wonderland").await);
    assert!(!is_let_in(&again, "bob", "wonderland").await);
    assert!(!is_let_in(&again, "", "wonderland").await);

    let account =
        users.check(Some(&name("alice")), password("wonderland"), None).await.unwrap().unwrap();
    assert_eq!(account.roles, ["staff", "admin"]);
    assert!(users.is_unchanged(&account).await.unwrap());
    assert!(users.set_roles(&name("alice"), &[]).await.unwrap());
    assert!(!users.is_unchanged(&account).await.unwrap());

    assert!(users.set_disabled(&name("alice"), true).await.unwrap());
    assert!(!is_let_in(&again, "alice", "wonderland").await);
    assert!(users.set_disabled(&name("alice"), false).await.unwrap());
    assert!(users.set_password(&name("alice"), password("looking-glass")).await.unwrap());
    assert!(!is_let_in(&again, "alice", "wonderland").await);
    assert!(is_let_in(&again, "alice", "looking-glass").await);
    for done in [
        users.set_roles(&name("bob"), &[]).await,
        users.set_disabled(&name("bob"), true).await,
        users.set_password(&name("bob"), password("anything")).await,
        users.remove(&name("bob")).await,
    ] {
        assert!(!done.unwrap(), "there is no bob");
    }
    let listed = users.list().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert!(listed[0].roles.is_empty() && !listed[0].disabled);

    assert!(users.remove(&name("alice")).await.unwrap());
    assert!(users.list().await.unwrap().is_empty());
    // Somebody else who gets the name is not who signed in before.
    users.add(&name("alice"), password("looking-glass"), &[]).await.unwrap();
    let before = account;
    let account =
        users.check(Some(&name("alice")), password("looking-glass"), None).await.unwrap().unwrap();
    assert!(!users.is_unchanged(&before).await.unwrap());
    users.remove(&name("alice")).await.unwrap();
    users.add(&name("alice"), password("looking-glass"), &[]).await.unwrap();
    assert!(!users.is_unchanged(&account).await.unwrap());
}

#[tokio::test]
async fn whoever_is_refused_has_cost_the_same_work() {
    let dir = tempfile::tempdir().unwrap();
    let users = open(&dir).await;
    users.add(&name("alice"), password("wonderland"), &[]).await.unwrap();
    users.add(&name("carol"), password("wonderland"), &[]).await.unwrap();
    users.set_disabled(&name("carol"), true).await.unwrap();
    for (who, with) in [
        ("alice", "wrong"),
        ("nobody", "wrong"),
        ("nobody", "nobody's"),
        ("carol", "wonderland"),
        ("", ""),
        ("a\nb", "x"),
    ] {
        let before = users.hashed();
        assert!(!is_let_in(&users, who, with).await, "{who}");
        assert_eq!(users.hashed() - before, 1, "{who}");
    }
}

#[tokio::test]
async fn a_cheap_hash_is_made_a_better_one_at_login() {
    let dir = tempfile::tempdir().unwrap();
    let users = open(&dir).await;
    users.add(&name("alice"), password("wonderland"), &[]).await.unwrap();
    let url = UsersUrl(format!("sqlite://{}/users 100%.db", dir.path().display()));
    let dearer = Users::with_cost(&url, Cost { memory: 128, passes: 1 }).await.unwrap();
    assert!(!is_let_in(&dearer, "alice", "wrong").await);
    assert!(users.list().await.unwrap()[0].hash.contains("m=64,"));
    let account = dearer.check(Some(&name("alice")), password("wonderland"), None).await.unwrap();
    assert!(users.list().await.unwrap()[0].hash.contains("m=128,"));
    assert!(users.is_unchanged(&account.unwrap()).await.unwrap(), "it is the same password");
    assert!(is_let_in(&dearer, "alice", "wonderland").await);
}

#[tokio::test]
async fn the_first_admin_is_made_once() {
    let dir = tempfile::tempdir().unwrap();
    let users = open(&dir).await;
    let (who, with) = users.first_admin().await.unwrap().unwrap();
    assert_eq!(who.as_str(), "admin");
    assert!(is_let_in(&users, "admin", with.reveal()).await);
    assert_eq!(users.list().await.unwrap()[0].roles, ["admin"]);
    assert!(users.first_admin().await.unwrap().is_none());
    assert!(open(&dir).await.first_admin().await.unwrap().is_none());
}

#[tokio::test]
async fn users_can_be_kept_in_memory() {
    let users = Users::with_cost(&UsersUrl("memory:".to_owned()), CHEAP).await.unwrap();
    users.add(&name("张伟"), password("a long one"), &[]).await.unwrap();
    assert!(is_let_in(&users, "张伟", "a long one").await);
}

#[tokio::test]
async fn a_file_of_users_is_its_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    open(&dir).await;
    let made = std::fs::metadata(dir.path().join("users 100%.db")).unwrap();
    assert_eq!(made.permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn an_address_that_is_not_understood_is_not_repeated() {
    for url in
        ["redis://u:hunter2@h", "hunter2", "postgres://u:hunter2@h:hunter2/d", "sqlite://a?hunter2"]
    {
        let error = Users::open(&UsersUrl(url.to_owned())).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn passwords_are_neither_short_nor_endless_nor_shown() {
    assert!(password("1234567").check().is_err());
    assert!(password("éééééééé").check().is_ok());
    assert!(password(&"a".repeat(1025)).check().is_err());
    assert_eq!(format!("{:?}", password("hunter2")), "Password(..)");
    let generated = Password::generate();
    assert!(generated.check().is_ok());
    assert_eq!(generated.reveal().len(), 27, "{}", generated.reveal());
    assert_ne!(generated.reveal(), Password::generate().reveal());
}

/// What a server's SQL has to be good for.
async fn works_at(url: &str) {
    let url = UsersUrl(url.to_owned());
    let (users, again) = tokio::join!(
        Users::with_cost(&url, CHEAP),
        // Two nodes that begin at the same moment.
        Users::with_cost(&url, CHEAP),
    );
    let (users, again) = (users.unwrap(), again.unwrap());
    assert!(users.first_admin().await.unwrap().is_some());
    assert!(again.first_admin().await.unwrap().is_none());
    for who in ["张伟", "ärger", "arger"] {
        let roles = ["a".to_owned(), "b".to_owned()];
        assert!(users.add(&name(who), password("a long one"), &roles).await.unwrap(), "{who}");
        assert!(!again.add(&name(who), password("another"), &[]).await.unwrap(), "{who}");
        assert!(is_let_in(&again, who, "a long one").await, "{who}");
    }
    assert!(users.set_disabled(&name("ärger"), true).await.unwrap());
    assert!(!is_let_in(&again, "ärger", "a long one").await);
    assert!(is_let_in(&again, "arger", "a long one").await, "another name is another user");
    let zhang = again.list().await.unwrap().into_iter().find(|user| user.name == "张伟").unwrap();
    assert_eq!((&*zhang.roles, zhang.disabled), (&["a".to_owned(), "b".to_owned()][..], false));
    assert!(again.is_unchanged(&zhang).await.unwrap());
    assert!(users.set_roles(&name("张伟"), &[]).await.unwrap());
    assert!(!again.is_unchanged(&zhang).await.unwrap());
    let dearer = Users::with_cost(&url, Cost { memory: 128, passes: 1 }).await.unwrap();
    assert!(is_let_in(&dearer, "arger", "a long one").await);
    assert!(is_let_in(&users, "arger", "a long one").await);
}

#[tokio::test]
async fn users_are_kept_in_postgresql() {
    let database = cloakroom_testkit::servers::Postgres::database().await;
    works_at(database.url()).await;
}

#[tokio::test]
async fn users_are_kept_in_mariadb() {
    let database = cloakroom_testkit::servers::MariaDb::database().await;
    works_at(database.url()).await;
}
