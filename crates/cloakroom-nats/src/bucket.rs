//! The bucket: what it is called, what it has to be like, and how it is made.

use std::time::Duration;

use serde_json::{Value, json};

use crate::connect::ConnectError;
use crate::fault::{Fault, NO_STREAM, STREAM_EXISTS};
use crate::link::Link;

/// For how long a bucket remembers that something was removed: longer than a watch may lag.
pub(crate) const REMEMBERS: Duration = Duration::from_secs(600);

/// A bucket's names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Bucket {
    name: String,
}

/// A stream, as far as it matters whether it still is the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Stream {
    pub(crate) created: String,
    /// The number of its last message.
    pub(crate) last: u64,
}

impl Bucket {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    /// The stream below it.
    pub(crate) fn stream(&self) -> String {
        format!("KV_{}", self.name)
    }

    /// What every place's subject begins with.
    pub(crate) fn places(&self) -> String {
        format!("$KV.{}.place.", self.name)
    }

    /// Where a node sends what it wants to hear again.
    pub(crate) fn beats(&self, node: &str) -> String {
        format!("$KV.{}.beat.{node}", self.name)
    }

    /// Makes the bucket where it is missing, and sees that it keeps what is promised.
    pub(crate) async fn open(&self, link: &Link, replicas: usize) -> Result<(), ConnectError> {
        let info = match self.info(link).await {
            Err(fault) if fault.is(&[NO_STREAM]) => self.create(link, replicas).await,
            other => other,
        };
        let info = info.map_err(ConnectError::bucket)?;
        wrong(&info["config"], replicas)
            .map_or(Ok(()), |wrong| Err(ConnectError::Unfit { bucket: self.name.clone(), wrong }))
    }

    async fn create(&self, link: &Link, replicas: usize) -> Result<Value, Fault> {
        let subject = format!("STREAM.CREATE.{}", self.stream());
        match link.api("the creation of a bucket", &subject, &self.config(replicas)).await {
            // Somebody else was faster.
            Err(fault) if fault.is(&[STREAM_EXISTS]) => self.info(link).await,
            other => other,
        }
    }

    async fn info(&self, link: &Link) -> Result<Value, Fault> {
        let subject = format!("STREAM.INFO.{}", self.stream());
        link.api("a question for a bucket", &subject, &Value::Null).await
    }

    /// Which stream it is, and how far it has come.
    pub(crate) async fn state(&self, link: &Link) -> Result<Stream, Fault> {
        let info = self.info(link).await?;
        let created = info["created"].as_str();
        let last = info["state"]["last_seq"].as_u64();
        match (created, last) {
            (Some(created), Some(last)) => Ok(Stream { created: created.to_owned(), last }),
            _ => Err(Fault::Unexpected("a question for a bucket")),
        }
    }

    fn config(&self, replicas: usize) -> Value {
        json!({
            "name": self.stream(),
            "subjects": [format!("$KV.{}.>", self.name)],
            "description": "Sessions, kept by Cloakroom",
            "retention": "limits",
            "storage": "file",
            "num_replicas": replicas,
            "max_msgs_per_subject": 1,
            "max_msgs": -1,
            "max_bytes": -1,
            "max_age": 0,
            "discard": "new",
            "deny_delete": true,
            "allow_rollup_hdrs": true,
            "allow_msg_ttl": true,
            "subject_delete_marker_ttl": nanoseconds(REMEMBERS),
        })
    }
}

/// As JetStream writes a duration.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What is wrong with a bucket, and what to do about it.
fn wrong(config: &Value, replicas: usize) -> Option<String> {
    let number = |name: &str| config[name].as_i64().unwrap_or(0);
    let is = |name: &str| config[name].as_bool().unwrap_or(false);
    let has = u64::try_from(number("num_replicas")).unwrap_or(0);
    let says = |what: &str| Some(what.to_owned());
    if config["storage"] != "file" {
        return says("it is kept in memory, and lost with its servers: make it with file storage");
    }
    if has < replicas as u64 {
        return Some(format!(
            "it has {has} replicas and not {replicas}: give it more (`nats stream edit \
             --replicas={replicas}`), or ask for {has} in the URL"
        ));
    }
    if number("max_msgs_per_subject") != 1 {
        return says("it keeps a history, and old sessions with it: make it with --history=1");
    }
    if number("max_age") != 0 {
        return says("it drops what has not changed for a while: make it without --ttl");
    }
    let limited = number("max_bytes") > 0 || number("max_msgs") > 0;
    if limited && config["discard"] != "new" {
        return says(
            "it drops the oldest sessions where it is full: set its discard policy to new",
        );
    }
    if !is("allow_msg_ttl") || number("subject_delete_marker_ttl") == 0 {
        return says(
            "its entries cannot expire one by one, or nobody is told when they do: make it with \
             --marker-ttl=10m",
        );
    }
    if is("sealed") || !config["mirror"].is_null() || config["sources"].is_array() {
        return says("it is sealed, a mirror, or fed by another: use a bucket of its own");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_that_breaks_a_promise_is_named() {
        let good = Bucket::new("b").config(3);
        assert_eq!(wrong(&good, 3), None);
        assert_eq!(wrong(&good, 1), None);
        for (name, value, says) in [
            ("storage", json!("memory"), "file storage"),
            ("num_replicas", json!(1), "--replicas=3"),
            ("max_msgs_per_subject", json!(5), "--history=1"),
            ("max_age", json!(1), "without --ttl"),
            ("allow_msg_ttl", json!(false), "--marker-ttl"),
            ("subject_delete_marker_ttl", Value::Null, "--marker-ttl"),
            ("sealed", json!(true), "sealed"),
            ("mirror", json!({"name": "x"}), "mirror"),
        ] {
            let mut bad = good.clone();
            bad[name] = value;
            let wrong = wrong(&bad, 3).unwrap_or_default();
            assert!(wrong.contains(says), "{name}: {wrong}");
        }
        let full = json!({"max_bytes": 5, "discard": "old"});
        let mut bad = good;
        bad["max_bytes"] = full["max_bytes"].clone();
        assert_eq!(wrong(&bad, 3), None);
        bad["discard"] = full["discard"].clone();
        assert!(wrong(&bad, 3).is_some_and(|wrong| wrong.contains("discard policy")));
    }
}
