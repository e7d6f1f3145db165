//! Holds every file of the fuzz corpus to the property that fuzzing looks for, on any compiler.

#[path = "../../../fuzz/properties/cookies.rs"]
mod cookies;
#[path = "../../../fuzz/properties/corpus.rs"]
mod corpus;

#[test]
fn no_header_of_the_corpus_breaks_cookies() {
    assert!(corpus::feed("cookies", cookies::holds).unwrap() > 20, "files are missing");
}
