//! How many connections and files the process may have open: as many as the system grants.
//!
//! Many systems begin processes with 1024, for the sake of programs that cannot handle more, and leave it to others to ask
//! for what they are entitled to. Thousands of agents and clients are more than that.

/// Asks for all that may be had. Without success it stays as it is: connections beyond are refused then, and counted.
#[cfg(unix)]
pub fn raise_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        crate::report::warn(&format!("no more files and connections can be open than {current:?}: {error}"));
    }
}

/// Elsewhere there is no such limit.
#[cfg(not(unix))]
pub fn raise_limit() {}

#[cfg(all(test, unix))]
mod tests {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    #[test]
    fn as_many_as_may_be_had() {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(512), maximum }).unwrap();
        super::raise_limit();
        assert_eq!(getrlimit(Resource::Nofile), Rlimit { current: maximum, maximum });
    }
}
