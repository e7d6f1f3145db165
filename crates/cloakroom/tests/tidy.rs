//! Holds the repository to its own rules: which crate may know what, and what every file keeps to.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

type Checked<T = ()> = Result<T, Box<dyn Error>>;

/// HTTP, runtimes and drivers: the model is tested without them and may be used without them.
const FAR_FROM_THE_MODEL: [&str; 13] = [
    "async-nats",
    "axum",
    "axum-core",
    "http",
    "http-body",
    "hyper",
    "mongodb",
    "redis",
    "sqlx",
    "tokio",
    "tower",
    "tower-layer",
    "tower-service",
];
const DRIVERS: [&str; 5] = ["async-nats", "fred", "mongodb", "redis", "sqlx"];
/// What reads configuration files and command lines.
const GATEWAYS_ALONE: [&str; 2] = ["clap", "toml"];
/// Lines of a source file, its unit tests aside.
const LONGEST_FILE: usize = 500;
/// What marks unfinished work. Written in two halves, or this file would be found.
const UNFINISHED: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("to", "do!("),
    concat!("unimple", "mented!"),
];
/// Folders in which a machine keeps its own things.
const OF_ONE_MACHINE: [&str; 2] = ["/root/", "/home/"];

#[test]
fn the_model_knows_no_http_no_runtime_and_no_driver() -> Checked {
    none_of(&FAR_FROM_THE_MODEL, &closure("cloakroom-core")?, "cloakroom-core");
    Ok(())
}

#[test]
fn the_web_layer_knows_no_driver() -> Checked {
    none_of(&DRIVERS, &closure("cloakroom-web")?, "cloakroom-web");
    Ok(())
}

#[test]
fn each_crate_depends_only_on_those_of_ours_that_it_may_know() -> Checked {
    let mut broken = Vec::new();
    for package in &our_packages()? {
        let ours = depends_on(package).filter(|other| other.starts_with("cloakroom"));
        for other in ours.filter(|other| !may_know(&package.name, other)) {
            broken.push(format!("{} depends on {other}", package.name));
        }
    }
    none(
        "a store, the web layer and the testkit know the model alone; \
         the testkit is a dev-dependency and nobody knows the gateway",
        &broken,
    );
    Ok(())
}

#[test]
fn only_the_gateway_knows_configuration_files_and_the_command_line() -> Checked {
    let mut broken = Vec::new();
    for package in &our_packages()? {
        for other in depends_on(package).filter(|other| GATEWAYS_ALONE.contains(other)) {
            if package.name != "cloakroom-gateway" {
                broken.push(format!("{} depends on {other}", package.name));
            }
        }
    }
    none("only cloakroom-gateway reads files and command lines", &broken);
    Ok(())
}

#[test]
fn each_crate_inherits_what_the_workspace_says() -> Checked {
    let mut broken = Vec::new();
    for package in &our_packages()? {
        let manifest = fs::read_to_string(&package.manifest_path)?;
        for line in [
            "version.workspace = true",
            "edition.workspace = true",
            "license.workspace = true",
            "[lints]\nworkspace = true",
        ] {
            if !manifest.contains(&format!("\n{line}\n")) {
                broken.push(format!("{} lacks {line:?}", package.manifest_path));
            }
        }
    }
    none("version, edition, licence and lints are the workspace's", &broken);
    Ok(())
}

#[test]
fn each_source_file_says_first_what_it_is() -> Checked {
    let broken = files_where(|file| file.is_rust() && !file.text.starts_with("//! "))?;
    none("a source file begins with one //! sentence", &broken);
    Ok(())
}

#[test]
fn no_source_file_is_too_long() -> Checked {
    let broken = files_where(|file| {
        file.is_rust() && !file.is_test() && file.lines_before_tests() > LONGEST_FILE
    })?;
    none(&format!("a source file has at most {LONGEST_FILE} lines, its tests aside"), &broken);
    Ok(())
}

#[test]
fn nothing_unfinished_is_committed() -> Checked {
    let broken = lines_where(|file, line| {
        !file.is_prose() && UNFINISHED.iter().any(|mark| line.contains(mark))
    })?;
    none("what is committed is finished", &broken);
    Ok(())
}

#[test]
fn no_path_of_one_machine_is_committed() -> Checked {
    let broken = lines_where(|file, line| file.path != own_path() && has_machine_path(line))?;
    none("no file names a folder of one machine", &broken);
    Ok(())
}

#[test]
fn each_decision_is_found_from_the_architecture() -> Checked {
    let decisions: Vec<String> = files()?
        .into_iter()
        .map(|file| file.path)
        .filter(|path| path.starts_with("docs/decisions/") && path.ends_with(".md"))
        .collect();
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md"))
        .map_err(|error| format!("ARCHITECTURE.md cannot be read: {error}"))?;
    let broken: Vec<String> =
        decisions.into_iter().filter(|path| !architecture.contains(&format!("({path}"))).collect();
    none("ARCHITECTURE.md links to every decision", &broken);
    Ok(())
}

/// A document that names a law which is not there promises what nothing holds.
#[test]
fn each_law_that_a_document_names_is_there() -> Checked {
    let mut held = BTreeSet::new();
    for list in ["laws.rs", "promises.rs"] {
        let text = fs::read_to_string(root().join("crates/cloakroom-testkit/src").join(list))?;
        held.extend(text.split(|c: char| !is_of_a_name(c)).map(str::to_owned));
    }
    let mut broken = Vec::new();
    for file in files()?.into_iter().filter(|file| file.path.starts_with("docs/")) {
        for quoted in file.text.split('`').skip(1).step_by(2) {
            let name = quoted.strip_prefix("promises::").or(quoted.strip_prefix("laws::"));
            // In the list of laws, a quoted name of several words is one.
            let listed = file.path == "docs/laws.md" && quoted.matches('_').count() > 1;
            let name = name.or(Some(quoted).filter(|_| listed && quoted.chars().all(is_of_a_name)));
            broken.extend(
                name.filter(|name| !held.contains(*name))
                    .map(|name| format!("{}: {name}", file.path)),
            );
        }
    }
    none("each law that a document names is there", &broken);
    Ok(())
}

fn is_of_a_name(letter: char) -> bool {
    letter == '_' || letter.is_ascii_lowercase() || letter.is_ascii_digit()
}

#[test]
fn a_machine_path_is_told_from_an_address() {
    for theirs in ["cd /root/x", "\"/root/.cargo\"", "file:///home/alice"] {
        assert!(has_machine_path(theirs), "{theirs}");
    }
    for fine in ["https://example.org/home/", "{base}/root/1", "docs/home/x"] {
        assert!(!has_machine_path(fine), "{fine}");
    }
}

/// Whether one crate of ours may depend on another. One that is not named here is a store.
fn may_know(package: &str, other: &str) -> bool {
    match package {
        "cloakroom-core" => false,
        "cloakroom" | "cloakroom-gateway" => {
            !["cloakroom-gateway", "cloakroom-testkit"].contains(&other)
        }
        "cloakroom-identity" => ["cloakroom-core", "cloakroom-jwt"].contains(&other),
        _ => other == "cloakroom-core",
    }
}

/// The workspace's crates.
fn our_packages() -> Checked<Vec<Package>> {
    let metadata =
        MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec()?;
    assert!(metadata.packages.len() > 5, "the workspace has shrunk");
    Ok(metadata.packages)
}

/// What a crate depends on when it is used, optional dependencies among it.
fn depends_on(package: &Package) -> impl Iterator<Item = &str> {
    let used = |kind| kind != DependencyKind::Development;
    let dependencies = package.dependencies.iter();
    dependencies
        .filter(move |dependency| used(dependency.kind))
        .map(|dependency| dependency.name.as_str())
}

/// Every crate that is linked with `package` when all its features are on.
fn closure(package: &str) -> Checked<BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--all-features", "--package", package])
        .args(["--edges", "normal,no-proc-macro", "--prefix", "none"])
        .current_dir(root())
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let tree = String::from_utf8(output.stdout)?;
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    assert!(names.contains(package) && names.len() > 5, "not a tree: {tree}");
    Ok(names)
}

/// A committed text file.
struct File {
    /// From the root of the repository, with forward slashes.
    path: String,
    text: String,
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    fn is_prose(&self) -> bool {
        self.path.ends_with(".md") || self.path.starts_with("LICENSE")
    }

    fn lines_before_tests(&self) -> usize {
        let code = self.text.split("\n#[cfg(test)]\nmod tests {").next();
        code.unwrap_or_default().lines().count()
    }
}

/// The paths of the files that `breaks` says break a rule.
fn files_where(breaks: impl Fn(&File) -> bool) -> Checked<Vec<String>> {
    let broken = files()?.into_iter().filter(breaks);
    Ok(broken.map(|file| file.path).collect())
}

/// The lines, as `path:number: line`, that `breaks` says break a rule.
fn lines_where(breaks: impl Fn(&File, &str) -> bool) -> Checked<Vec<String>> {
    let mut broken = Vec::new();
    for file in files()? {
        for (index, line) in file.text.lines().enumerate() {
            if breaks(&file, line) {
                broken.push(format!("{}:{}: {}", file.path, index + 1, line.trim()));
            }
        }
    }
    Ok(broken)
}

/// Every text file of the repository that is not ignored.
fn files() -> Checked<Vec<File>> {
    let ignored = fs::read_to_string(root().join(".gitignore"))?;
    let ignored: Vec<&str> = ignored.lines().chain([".git"]).collect();
    let mut found = Vec::new();
    collect(&root(), "", &ignored, &mut found)?;
    assert!(found.len() > 20, "the repository has shrunk");
    Ok(found)
}

fn collect(folder: &Path, prefix: &str, ignored: &[&str], found: &mut Vec<File>) -> Checked {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if is_ignored(&path, &name, ignored) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{path}/"), ignored, found)?;
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            found.push(File { path, text });
        }
    }
    Ok(())
}

/// Whether a line of `.gitignore` names this file: `/path` from the root on, `name` anywhere.
/// Patterns with wildcards are left to git.
fn is_ignored(path: &str, name: &str, ignored: &[&str]) -> bool {
    ignored.iter().any(|line| match line.strip_prefix('/') {
        Some(rooted) => rooted.trim_end_matches('/') == path,
        None => line.trim_end_matches('/') == name,
    })
}

/// Whether the line names a folder of one machine: not the path of an address, which has
/// something before it.
fn has_machine_path(line: &str) -> bool {
    OF_ONE_MACHINE.iter().any(|folder| {
        line.match_indices(folder).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || "._-})>*".contains(c))
        })
    })
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// This file, which has to name what it forbids.
fn own_path() -> &'static str {
    "crates/cloakroom/tests/tidy.rs"
}

fn none_of(forbidden: &[&str], closure: &BTreeSet<String>, package: &str) {
    let broken: Vec<String> = forbidden
        .iter()
        .filter(|name| closure.contains(**name))
        .map(|name| format!("{package} leads to {name}: cargo tree -p {package} -i {name}"))
        .collect();
    none(&format!("{package} is built without these"), &broken);
}

/// Fails with the rule and with everything that breaks it.
fn none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}, but:\n  {}", broken.join("\n  "));
}
