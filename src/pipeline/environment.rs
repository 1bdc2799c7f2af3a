//! What the environment adds to the configuration that is built in.

use crate::export::redis;

/// Values to set, as `--set` takes them: an exporter of Redis where the environment says where one is. Variables are named
/// rather than read, so that a configuration that is printed shows no more than one from a file.
pub fn additions(lookup: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    // What is wrong with the variables is a problem of the configuration, and found there.
    if matches!(redis::Config::from_lookup(lookup), Ok(None)) {
        return Vec::new();
    }
    let is_set = |name: &&str| lookup(name).is_some_and(|value| !value.trim().is_empty());
    let url =
        if is_set(&"REDIS_URL") { "${env:REDIS_URL}" } else { "redis://${env:REDIS_HOST}:${env:REDIS_PORT:-6379}" };
    let mut additions = vec![
        format!("exporters.redis.url={url}"),
        "exporters.redis.stream=spanlight:events".into(),
        "exporters.redis.pubsub=spanlight:live".into(),
        "service.pipelines.logs/events.exporters=[file, debug, redis]".into(),
    ];
    let beside = [("REDIS_PASSWORD", "password"), ("REDIS_DB", "db")].into_iter().filter(|(name, _)| is_set(name));
    additions.extend(beside.map(|(name, key)| format!("exporters.redis.{key}=${{env:{name}}}")));
    additions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, DEFAULT, Override, print};
    use crate::pipeline::plan;

    #[test]
    fn the_default_gets_an_exporter_of_redis_where_the_environment_names_one() {
        let load = |variables: &[(&str, &str)]| {
            let find =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into());
            let overrides: Vec<_> = additions(&find).iter().map(|text| Override::parse(text).unwrap()).collect();
            let (config, problems) = Config::parse(DEFAULT, &overrides, &find);
            let config = config.unwrap();
            let planned = plan(&config).map(drop).map_err(|problems| format!("{problems:?}"));
            (print(&config.tree), planned, problems.len())
        };
        let (printed, planned, problems) = load(&[("REDIS_PORT", "7000")]);
        assert!(!printed.contains("redis") && planned.is_ok() && problems == 0, "{printed}");
        let variables = [("REDIS_HOST", "cache"), ("REDIS_PASSWORD", "#h: ush"), ("REDIS_DB", "3")];
        let (printed, planned, problems) = load(&variables);
        assert_eq!((planned, problems), (Ok(()), 0));
        assert!(
            printed.contains("redis://cache:6379") && printed.contains("db: 3") && !printed.contains("ush"),
            "{printed}"
        );
        let (_, planned, _) = load(&[("REDIS_URL", "redis://:ush@cache/x")]);
        let problem = planned.unwrap_err();
        assert!(problem.contains("exporters.redis") && !problem.contains("ush"), "{problem}");
    }
}
