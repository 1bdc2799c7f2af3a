//! The client of `clients/ts`: it type-checks, and its own tests hold against this collector.

use super::support::tools;

#[tokio::test]
async fn the_client_in_typescript_holds() {
    let mut command = tools::npm_of_client();
    command.args(["test", "--silent"]).env("SPANLIGHT", env!("CARGO_BIN_EXE_spanlight"));
    let output = tools::feed(command, "").await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("# fail 0") && !said.contains("# tests 0"), "{said}");
}
