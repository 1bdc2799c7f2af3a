//! Wrong use of the library that must not compile, and what the compiler says of it.
//!
//! The messages are compared, and not only that there are some, because half of the cases are about the help that our
//! macros and attributes give. They are those of one compiler: after another is installed, or a message was changed on
//! purpose, `UPDATE_SNAPSHOTS=1 cargo test --test compile_fail` writes them again.
#![cfg(feature = "layer")]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn wrong_use_does_not_compile() {
    let library = library();
    let mut cases: Vec<PathBuf> = fs::read_dir("tests/compile_fail").unwrap().map(|one| one.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    cases.sort();
    assert!(cases.len() >= 7, "{cases:?}");
    for case in cases {
        let said = compile(&case, &library).unwrap_or_else(|| panic!("{} compiles", case.display()));
        let expected = case.with_extension("stderr");
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            fs::write(&expected, &said).unwrap();
        }
        assert_eq!(said, fs::read_to_string(&expected).unwrap(), "{}", case.display());
    }
}

/// The library as it was built last, which cargo has done for this test.
fn library() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let beside = fs::read_dir(program.parent().unwrap()).unwrap().map(|one| one.unwrap());
    let is_library = |name: &str| name.starts_with("libspanlight-") && name.ends_with(".rlib");
    let libraries = beside.filter(|file| file.file_name().to_str().is_some_and(is_library));
    libraries.max_by_key(|file| file.metadata().unwrap().modified().unwrap()).unwrap().path()
}

/// What the compiler says of a program that is wrong; nothing of one that is not.
fn compile(case: &Path, library: &Path) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--edition", "2024", "--emit", "metadata", "--out-dir"]).arg(folder.path());
    rustc.arg("--extern").arg(format!("spanlight={}", library.display()));
    rustc.arg("-L").arg(format!("dependency={}", library.parent().unwrap().display())).arg(case);
    let outcome = rustc.output().unwrap();
    let is_summary =
        |line: &&str| line.starts_with("error: aborting") || line.starts_with("For more information about");
    let said = String::from_utf8(outcome.stderr).unwrap();
    let said: Vec<&str> = said.lines().filter(|line| !is_summary(line)).map(without_place).collect();
    (!outcome.status.success()).then(|| said.join("\n").trim_end().to_owned() + "\n")
}

/// A line without where the library has what it shows, which is nobody's concern, and without numbers of lines.
fn without_place(line: &str) -> &str {
    let line = line.trim_start();
    let code = line.trim_start_matches(|letter: char| letter.is_ascii_digit());
    match (code.starts_with(" |"), line.starts_with("--> src/")) {
        (true, _) => code.trim_start(),
        (_, true) => line.split(':').next().unwrap(),
        _ => line,
    }
}
