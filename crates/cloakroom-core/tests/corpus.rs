//! Holds every file of the fuzz corpora to the properties that fuzzing looks for, on any compiler.

#[path = "../../../fuzz/properties/corpus.rs"]
mod corpus;
#[path = "../../../fuzz/properties/record.rs"]
mod record;
#[cfg(feature = "sealed")]
#[path = "../../../fuzz/properties/seal.rs"]
mod seal;
#[path = "../../../fuzz/properties/token.rs"]
mod token;

#[test]
fn no_text_of_the_corpus_breaks_tokens() {
    assert!(corpus::feed("token", token::holds).unwrap() > 30, "files are missing");
}

#[test]
fn no_bytes_of_the_corpus_break_records() {
    assert!(corpus::feed("record", record::holds).unwrap() > 30, "files are missing");
}

#[cfg(feature = "sealed")]
#[test]
fn no_text_of_the_corpus_breaks_seals() {
    assert!(corpus::feed("seal", seal::holds).unwrap() > 15, "files are missing");
}
