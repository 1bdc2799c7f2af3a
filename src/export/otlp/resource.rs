//! Who emits telemetry, as the environment says it to every OpenTelemetry SDK.

use uuid::Uuid;

use super::env::Lookup;
use super::percent;
use crate::semconv::resource::{SERVICE_INSTANCE_ID, SERVICE_NAME};

/// The attributes of a process's resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Names and values, each name once. `service.name` and `service.instance.id` are always among them.
    pub attributes: Vec<(String, String)>,
    /// What is wrong with the environment, if anything is: what it says is then left out.
    pub problem: Option<String>,
}

/// The resource of this process.
pub fn of_this_process(lookup: Lookup<'_>) -> Resource {
    let program = std::env::current_exe().ok();
    let program = program.as_deref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
    read(lookup, program.as_deref(), &Uuid::new_v4().to_string())
}

/// The resource of a program with this name, as this instance of it.
pub fn read(lookup: Lookup<'_>, program: Option<&str>, instance: &str) -> Resource {
    const LIST: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let (said, problem) = match percent::pairs(&lookup(LIST).unwrap_or_default()) {
        Ok(said) => (said, None),
        Err(what) => (Vec::new(), Some(format!("{LIST}: {what}"))),
    };
    let mut attributes: Vec<(String, String)> = Vec::new();
    let name = lookup("OTEL_SERVICE_NAME").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    for (key, value) in said.into_iter().chain(name.map(|name| (SERVICE_NAME.to_owned(), name))) {
        // The last word counts: the variable of the name wins over the list.
        match attributes.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = value,
            None => attributes.push((key, value)),
        }
    }
    let unknown = program.map_or("unknown_service".to_owned(), |program| format!("unknown_service:{program}"));
    for (key, value) in [(SERVICE_NAME, unknown.as_str()), (SERVICE_INSTANCE_ID, instance)] {
        match attributes.iter_mut().find(|(known, _)| known == key) {
            Some((_, known)) if known.is_empty() => value.clone_into(known),
            Some(_) => {}
            None => attributes.push((key.to_owned(), value.to_owned())),
        }
    }
    Resource { attributes, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_from(list: &str, name: &str) -> (String, bool) {
        let lookup = |variable: &str| match variable {
            "OTEL_RESOURCE_ATTRIBUTES" => Some(list.to_owned()),
            "OTEL_SERVICE_NAME" => Some(name.to_owned()),
            _ => None,
        };
        let Resource { attributes, problem } = read(&lookup, Some("agent"), "1-2");
        let pairs: Vec<String> = attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
        (pairs.join(" "), problem.is_some())
    }

    #[test]
    fn the_environment_says_who_emits() {
        for (list, name, expected, is_wrong) in [
            ("", "", "service.name=unknown_service:agent service.instance.id=1-2", false),
            ("", "shop", "service.name=shop service.instance.id=1-2", false),
            ("service.name=a,x=1%2C2", "shop", "service.name=shop x=1,2 service.instance.id=1-2", false),
            (
                "service.instance.id=7,x=1,x=2",
                "",
                "service.instance.id=7 x=2 service.name=unknown_service:agent",
                false,
            ),
            ("service.name=", "", "service.name=unknown_service:agent service.instance.id=1-2", false),
            ("x=1,broken", "shop", "service.name=shop service.instance.id=1-2", true),
        ] {
            assert_eq!(read_from(list, name), (expected.to_owned(), is_wrong), "{list} {name}");
        }
    }

    #[test]
    fn every_process_is_an_instance_of_its_own() {
        let (one, other) = (of_this_process(&|_| None), of_this_process(&|_| None));
        assert_ne!(one, other);
        assert!(one.attributes[0].1.starts_with("unknown_service:spanlight"), "{one:?}");
    }
}
