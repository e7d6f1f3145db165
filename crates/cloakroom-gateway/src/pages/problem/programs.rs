//! What programs are told, in English: whoever wrote them reads it.

use std::borrow::Cow;

use super::Problem;

/// What happened, and what the program or its author can do: one text, without names of buttons.
pub(super) fn words(problem: Problem) -> Cow<'static, str> {
    let text = match problem {
        Problem::BadRequest(why) => {
            return format!(
                "The request cannot be meant: {why}. Mend it before you send it again."
            )
            .into();
        }
        Problem::TooMany(seconds) => {
            return format!(
                "The login was tried too often, for this account or from this address. Wait for \
                 {seconds} s, as Retry-After says; until then no password is looked at."
            )
            .into();
        }
        Problem::NotSignedIn => {
            "Sign in first: POST username and password to /.cloakroom/api/login, and send what it \
             answers with, a cookie or a token."
        }
        Problem::SessionEnded => {
            "The session was ended while the request was under way, and nothing was changed. Sign \
             in again."
        }
        Problem::WrongCredentials => {
            "This name and this password do not belong together. Check both, and try again."
        }
        Problem::CookieNotKept => {
            "No cookie came back, as browsers keep the gateway’s over HTTPS alone. Ask by HTTPS."
        }
        Problem::Denied => "A rule lets nobody have this from outside.",
        Problem::RoleMissing => {
            "Whoever is signed in lacks the role that the rule asks for. Have it given to them, and \
             sign in again."
        }
        Problem::WrongAddress => "A rule lets this be had from certain addresses only.",
        Problem::CrossSite => {
            "A page of another site has sent this, so nothing was done. Send it from a page of this \
             host, or, from what is no browser, without the headers Origin and Sec-Fetch-Site."
        }
        Problem::WrongHost => "This host is not served here. Check the address.",
        Problem::NotFound => "There is nothing at this address of the gateway’s own.",
        Problem::MethodNotAllowed => {
            "This address knows other methods, which the header Allow names."
        }
        Problem::TooSlow => {
            "Only a part of the request’s body came in time. Look whether anything was done before you \
             send it again."
        }
        Problem::TooManySessions => {
            "The user is signed in as often as they may be. End one of their sessions, and try \
             again."
        }
        Problem::Settling => {
            "The token has just been replaced by a login, and nothing was changed. Send the request \
             again with the new one."
        }
        Problem::TooLarge => "The request’s body is larger than is accepted here. Send less.",
        Problem::UpstreamAway => {
            "The service behind the gateway cannot be reached. Try again in a minute."
        }
        Problem::UpstreamSlow => {
            "The service behind the gateway did not answer in time. Look whether the request was \
             carried out before you send it again."
        }
        Problem::StoreAway => {
            "The session store does not answer. Nobody is signed out by that: keep the token, and \
             send the request again after what Retry-After says."
        }
        Problem::Busy => {
            "Many sign in at this moment. Send the request again after what Retry-After says."
        }
        Problem::Loop => {
            "The client is signed in, and was sent to the login again and again. Send what the \
             login set along with each request."
        }
        Problem::Circle => {
            "The service behind the gateway leads back to the gateway, so the request was stopped. \
             Tell whoever runs it."
        }
        Problem::Broken => {
            "Something went wrong in the gateway; its log says what. Try again, and if it stays \
             like this, tell whoever runs it."
        }
    };
    text.into()
}
