//! Histories in which a promise is broken, each of which has to be rejected.

use super::*;
use crate::history::Moment;

const PROMISED: Promised = Promised { stale: Duration::from_millis(1500) };
const SESSION: u64 = 0;

/// A history that is told line by line; each request is asked and answered before the next one,
/// unless it says otherwise.
#[derive(Default)]
struct Tale {
    history: History,
    order: u64,
    millis: u64,
}

impl Tale {
    fn moment(&mut self) -> Moment {
        self.order += 1;
        Moment { order: self.order, at: Duration::from_millis(self.millis) }
    }

    fn later(&mut self, millis: u64) {
        self.millis += millis;
    }

    /// Client and node, what for, and what came of it.
    fn tell(&mut self, (client, node): (usize, usize), work: Work, answer: Answer) {
        let (asked, told) = (self.moment(), self.moment());
        self.tell_at((client, node), work, answer, asked, told);
    }

    fn tell_at(
        &mut self,
        (client, node): (usize, usize),
        work: Work,
        answer: Answer,
        asked: Moment,
        told: Moment,
    ) {
        let session = Some(SESSION);
        let (fenced, token_of) = (client < 5, 0);
        let request =
            Request { client, fenced, node, session, token_of, work, asked, told, answer };
        self.history.requests.push(request);
    }

    fn left(&mut self, left: Option<Left>) {
        self.history.stored.insert(SESSION, left);
    }

    /// It breaks a promise; `saying` tells which.
    fn rejected_for(self, saying: &str) {
        let broken = check(&self.history, PROMISED).expect_err("a promise is broken");
        assert!(broken.contains(saying), "{broken}");
    }

    fn accepted(self) -> Counts {
        check(&self.history, PROMISED).expect("nothing is broken")
    }
}

fn seen(count: u64) -> Answer {
    noted(count, 0)
}

/// An addition's mark is its count and 100.
fn noted(count: u64, note: u64) -> Answer {
    Answer::Done(Seen { count, mark: if count > 0 { count + 100 } else { 0 }, note })
}

fn add(count: u64) -> Work {
    Work::Add(count + 100)
}

fn left(count: u64) -> Option<Left> {
    Some(Left { count, mark: count + 100, notes: BTreeMap::new() })
}

#[test]
fn an_ordinary_history_accepted() {
    let mut tale = Tale::default();
    tale.tell((0, 0), add(1), seen(1));
    tale.tell((1, 1), add(2), Answer::Unknown);
    tale.tell((0, 1), Work::Read, seen(2));
    tale.tell((0, 0), Work::Note(7), noted(2, 7));
    tale.tell((1, 1), add(3), Answer::NotDone);
    tale.tell((0, 1), Work::End, Answer::Over);
    tale.tell((5, 0), Work::Read, seen(2));
    tale.tell((0, 1), Work::Read, Answer::Absent);
    tale.left(None);
    let counts = tale.accepted();
    assert_eq!((counts.acknowledged, counts.unknown, counts.refused), (1, 1, 1));
    assert_eq!((counts.ended, counts.late, counts.latest), (1, 1, Duration::ZERO));
}

#[test]
fn a_lost_update_rejected_for() {
    let mut tale = Tale::default();
    tale.tell((0, 0), add(1), seen(1));
    tale.tell((1, 1), add(2), seen(2));
    tale.left(left(1));
    tale.rejected_for("1 additions in the end, of 2 acknowledged");
}

#[test]
fn two_additions_that_make_one_count_are_rejected() {
    let mut tale = Tale::default();
    let (asked, again) = (tale.moment(), tale.moment());
    let (told, later) = (tale.moment(), tale.moment());
    tale.tell_at((0, 0), add(1), seen(1), asked, told);
    tale.tell_at((1, 1), add(1), seen(1), again, later);
    tale.rejected_for("an update is lost");
}

#[test]
fn an_addition_out_of_order_rejected_for() {
    let mut tale = Tale::default();
    tale.tell((0, 0), add(2), seen(2));
    tale.tell((1, 1), add(1), seen(1));
    tale.rejected_for("an addition counts less than one before it");
}

#[test]
fn an_update_that_is_done_twice_rejected_for() {
    let mut tale = Tale::default();
    tale.tell((0, 0), add(1), seen(1));
    tale.tell((0, 0), add(2), Answer::Unknown);
    tale.left(left(3));
    tale.rejected_for("3 additions in the end, of 1 acknowledged, 1 unknown");
}

#[test]
fn what_was_refused_and_done_rejected_for() {
    let mut tale = Tale::default();
    tale.tell((0, 0), add(1), Answer::NotDone);
    tale.tell((1, 1), Work::Read, seen(1));
    tale.rejected_for("a mark that nobody left");
}

#[test]
fn a_value_that_nobody_wrote_rejected_for() {
    let mut tale = Tale::default();
    tale.tell((0, 0), add(1), seen(1));
    tale.tell((1, 1), Work::Read, Answer::Done(Seen { count: 1, mark: 9, note: 0 }));
    tale.rejected_for("one count and two marks");
}

#[test]
fn a_value_from_the_future_rejected_for() {
    let mut tale = Tale::default();
    tale.tell((1, 1), Work::Read, seen(1));
    tale.tell((0, 0), add(1), seen(1));
    tale.rejected_for("a mark that nobody left");
}

#[test]
fn a_client_that_does_not_read_its_addition_rejected_for() {
    let mut tale = Tale::default();
    tale.tell((0, 0), add(1), seen(1));
    tale.tell((0, 1), Work::Read, seen(0));
    tale.rejected_for("a client is sent back in time");
}

#[test]
fn a_client_that_reads_backwards_rejected_for_where_it_returns_its_fence() {
    for (client, rejected) in [(1, true), (6, false)] {
        let mut tale = Tale::default();
        tale.tell((0, 0), add(1), seen(1));
        tale.tell((0, 0), add(2), seen(2));
        tale.tell((client, 0), Work::Read, seen(2));
        tale.tell((client, 1), Work::Read, seen(1));
        match rejected {
            true => tale.rejected_for("a client is sent back in time"),
            false => drop(tale.accepted()),
        }
    }
}

#[test]
fn a_client_that_does_not_read_its_note_rejected_for() {
    let mut tale = Tale::default();
    tale.tell((0, 0), Work::Note(1), noted(0, 1));
    tale.tell((0, 0), Work::Note(2), noted(0, 2));
    tale.tell((0, 1), Work::Read, noted(0, 1));
    tale.rejected_for("a client does not read its own note");
}

#[test]
fn a_note_that_is_lost_in_the_end_rejected_for() {
    let mut tale = Tale::default();
    tale.tell((0, 0), Work::Note(1), noted(0, 1));
    tale.left(Some(Left::default()));
    tale.rejected_for("the note 0 of 0 in the end");
}

#[test]
fn what_is_older_than_promised_rejected_for() {
    for (millis, rejected) in [(1501, true), (1500, false)] {
        let mut tale = Tale::default();
        tale.tell((0, 0), add(1), seen(1));
        tale.later(millis);
        tale.tell((6, 1), Work::Read, seen(0));
        match rejected {
            true => tale.rejected_for("what is read is too old"),
            false => drop(tale.accepted()),
        }
    }
}

#[test]
fn a_revived_session_rejected_for() {
    let ended = || {
        let mut tale = Tale::default();
        tale.tell((0, 0), add(1), seen(1));
        tale.tell((0, 0), Work::LogOut, Answer::Over);
        tale
    };
    let mut on_the_same_node = ended();
    on_the_same_node.tell((1, 0), Work::Read, seen(1));
    on_the_same_node.rejected_for("read where it was ended");
    let mut too_late = ended();
    too_late.later(1501);
    too_late.tell((1, 1), Work::Read, seen(1));
    too_late.rejected_for("an ended session is read 1.501s after");
    let mut written = ended();
    written.tell((1, 1), add(2), seen(2));
    written.rejected_for("an ended session is written to");
    let mut in_the_end = ended();
    in_the_end.left(left(1));
    in_the_end.rejected_for("revived in the end");
}

#[test]
fn a_dropped_session_rejected_for() {
    let mut tale = Tale::default();
    tale.tell((0, 0), add(1), seen(1));
    tale.tell((1, 1), Work::Read, Answer::Absent);
    tale.rejected_for("a session is dropped");
    let mut tale = Tale::default();
    tale.tell((0, 0), add(1), seen(1));
    tale.left(None);
    tale.rejected_for("dropped in the end");
}

#[test]
fn a_session_whose_token_a_login_has_replaced_may_be_absent() {
    let mut tale = Tale::default();
    tale.tell((0, 0), add(1), seen(1));
    tale.tell((0, 0), Work::LogIn, seen(1));
    tale.tell((1, 1), Work::Read, Answer::Absent);
    let token_of = tale.order;
    tale.left(left(1));
    let (mut with_the_new, history) = (Tale::default(), tale.history.clone());
    tale.accepted();
    with_the_new.history = history;
    with_the_new.history.requests[2].token_of = token_of;
    with_the_new.rejected_for("a session is dropped");
}

#[test]
fn a_node_that_stays_behind_rejected_for() {
    let mut tale = Tale::default();
    tale.tell((0, 0), add(1), seen(1));
    tale.left(left(1));
    tale.history.shown = vec![[(SESSION, left(1))].into(), [(SESSION, left(0))].into()];
    tale.rejected_for("session 0: 1 shows");
}
