//! All cases, a file for each group. Their order is that of the results.

mod accept;
mod grpc;
mod ids;
mod json;
mod protobuf;
mod refuse;
mod size;
mod transport;

use super::case::Case;

/// All cases.
pub fn all() -> Vec<Case> {
    [
        accept::CASES,
        refuse::CASES,
        protobuf::CASES,
        json::CASES,
        ids::CASES,
        transport::CASES,
        size::HTTP,
        grpc::CASES,
        protobuf::OVER_GRPC,
        ids::OVER_GRPC,
        size::GRPC,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn cases_have_names_of_their_own_and_say_what_they_are_about() {
        let cases = all();
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), cases.len());
        for case in &cases {
            assert!(case.name.starts_with(case.protocol().name()), "{}", case.name);
            assert!(case.rule.len() > 10 && case.matters.len() > 10, "{}", case.name);
            assert!(!case.section.contains(' '), "{}", case.name);
        }
    }
}
