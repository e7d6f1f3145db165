//! What people are told in English.

use std::borrow::Cow;

use super::Problem;

/// What happened, and what its reader can do.
pub(super) fn words(problem: Problem) -> (&'static str, Cow<'static, str>) {
    let (title, text) = match problem {
        Problem::TooMany(seconds) => return ("Too many tries", too_many(seconds).into()),
        Problem::BadRequest(_) => (
            "This cannot be understood",
            "Check the address. If you came here by a link, tell whoever wrote it.",
        ),
        Problem::NotSignedIn => ("Please sign in", "Only somebody who is signed in can see this."),
        Problem::SessionEnded => (
            "Your session has ended",
            "It was ended a moment ago, here or on another device. Nothing was changed. Sign \
             in again.",
        ),
        Problem::WrongCredentials => (
            "You are not signed in",
            "This name and this password do not belong together. Check both, and try again.",
        ),
        Problem::CookieNotKept => (
            "Please come by HTTPS",
            "Your browser keeps no login over plain HTTP, so nobody was signed in. Write https:// \
             before this site’s address; if that does not help, tell whoever runs it that it \
             needs HTTPS.",
        ),
        Problem::Denied => (
            "This is not open to visitors",
            "Nobody can see this from here. If you think that you should, ask whoever runs \
             this site.",
        ),
        Problem::RoleMissing => (
            "You may not see this",
            "You are signed in, but your account lacks the right to this page. Ask whoever \
             runs this site for it, or sign in as somebody else.",
        ),
        Problem::WrongAddress => (
            "Not from this network",
            "This can be seen from certain networks only. Connect to yours, by its VPN perhaps, \
             and try again.",
        ),
        Problem::CrossSite => (
            "This came from another site",
            "Another site’s page has sent this form, so nothing was done. Open the page here, \
             and send the form from there.",
        ),
        Problem::WrongHost => (
            "This address is not served here",
            "No site of this name is behind this gateway. Check the address.",
        ),
        Problem::NotFound => ("There is no such page", "Check the address, or begin at the start."),
        Problem::MethodNotAllowed => (
            "This page cannot be used like that",
            "Go back and use the page’s own buttons. Programs find the methods that it knows \
             in the header Allow.",
        ),
        Problem::TooSlow => (
            "This took too long to arrive",
            "Only a part of what you have sent has come in time. Look whether anything was done before \
             you try again.",
        ),
        Problem::TooManySessions => (
            "You are signed in elsewhere",
            "You are signed in on as many devices as you may be. Sign out on one of them, and \
             try again.",
        ),
        Problem::Settling => (
            "You have just signed in",
            "This page was from before that. Nothing was changed; try again.",
        ),
        Problem::TooLarge => (
            "This is too large",
            "More was sent than is accepted here. Send less, or a smaller file.",
        ),
        Problem::UpstreamAway => (
            "The service is away",
            "It cannot be reached at this moment. Try again in a minute. This changes nothing \
             about whether you are signed in.",
        ),
        Problem::UpstreamSlow => (
            "The service takes too long",
            "It did not answer in time. If you have sent something, look whether it was done \
             before you try again.",
        ),
        Problem::StoreAway => (
            "Please try again in a moment",
            "We cannot look up who is signed in at this moment. You are not signed out, and \
             nothing is lost.",
        ),
        Problem::Busy => (
            "Please try again in a moment",
            "Many people sign in at this moment. Wait a few seconds, and try again.",
        ),
        Problem::Loop => (
            "You are being sent to and fro",
            "You are signed in, but the page that you asked for keeps sending you to the \
             login. We have stopped this. Sign out and in again; if that does not help, allow \
             cookies for this site or tell whoever runs it.",
        ),
        Problem::Circle => (
            "This request goes in a circle",
            "The service that it is for leads back to this gateway, so it was stopped. Tell \
             whoever runs this site.",
        ),
        Problem::Broken => (
            "Something went wrong here",
            "It is our fault, not yours. Try again; if it stays like this, tell whoever runs \
             this site.",
        ),
    };
    (title, text.into())
}

fn too_many(seconds: u64) -> String {
    let wait = match seconds {
        0..=1 => "a second".to_owned(),
        2..=90 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    };
    format!(
        "The login was tried too often, for this account or from this address. Wait {wait}, and try \
         again. Until then no password is looked at, not even the right one."
    )
}
