//! Holds every file of the fuzz corpus to the properties that fuzzing looks for, on any compiler.

#![allow(clippy::expect_used, reason = "a property that does not hold fails its test")]

#[path = "../../../fuzz/properties/corpus.rs"]
mod corpus;
#[path = "../../../fuzz/properties/jwt.rs"]
mod jwt;

#[test]
fn no_text_of_the_corpus_breaks_signed_tokens() {
    assert!(corpus::feed("jwt", jwt::holds).unwrap() > 30, "files are missing");
}
