//! What `conf/prometheus/` and `conf/grafana/` have works with the real Prometheus: the alerts come when
//! they should, and every query of the dashboard has an answer.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::Admin;
use crate::support::Group;
use crate::support::Load;
use crate::support::Pool;
use crate::support::Port;
use crate::support::Process;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;
use crate::support::http;

fn conf(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("conf")
        .join(path)
}

fn promtool(words: &[&str]) {
    let directory = conf("prometheus");
    let output = Command::new("promtool")
        .args(words)
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "promtool {words:?}: {output:?}");
}

#[test]
fn each_alert_comes_when_it_should_and_not_before() {
    promtool(&["check", "config", "prometheus.yml"]);
    promtool(&["test", "rules", "coremux.rules.test.yml"]);
    // An alert that no unit test expects would be one that nobody has seen.
    let rules = fs::read_to_string(conf("prometheus/coremux.rules.yml")).unwrap();
    let tests = fs::read_to_string(conf("prometheus/coremux.rules.test.yml")).unwrap();
    let names = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let names: Vec<&str> = names.collect();
    assert!(names.len() >= 10, "{names:?}");
    for name in names {
        let begin = format!("- alertname: {name}\n");
        let mut expected = tests.split(&begin).skip(1);
        let is_seen = expected.any(|rest| {
            let own = rest.split("- alertname: ").next().unwrap();
            own.contains("exp_alerts:")
        });
        assert!(is_seen, "no test expects {name}");
    }
}

/// A Prometheus that scrapes every second.
struct Prometheus {
    port: Port,
    _process: Process,
    _directory: TempDir,
}

impl Prometheus {
    fn of(admin: &Admin) -> Prometheus {
        let directory = TempDir::new().unwrap();
        let text = fs::read_to_string(conf("prometheus/prometheus.yml")).unwrap();
        let text = text
            .replace("interval: 15s", "interval: 1s")
            .replace("127.0.0.1:8080", &admin.address().to_string());
        let file = directory.path().join("prometheus.yml");
        fs::write(&file, text).unwrap();
        let rules = "coremux.rules.yml";
        fs::copy(conf("prometheus").join(rules), directory.path().join(rules)).unwrap();
        let port = Port::reserve();
        let process = Process::start(
            Command::new("prometheus")
                .arg(format!("--config.file={}", file.display()))
                .arg(format!(
                    "--storage.tsdb.path={}",
                    directory.path().join("data").display()
                ))
                .arg(format!("--web.listen-address={}", port.address())),
            &directory.path().join("prometheus.log"),
        );
        eventually("Prometheus listens", || {
            process.listens_on(port.number()).then_some(())
        });
        Prometheus {
            port,
            _process: process,
            _directory: directory,
        }
    }

    fn get(&self, path: &str) -> Value {
        let reply = http(self.port.address(), &format!("GET {path} HTTP/1.0\r\n\r\n"));
        match reply.status {
            // It is still starting.
            503 => Value::Null,
            _ => reply.json()["data"].clone(),
        }
    }

    fn query(&self, query: &str) -> Vec<Value> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let data = self.get(&format!("/api/v1/query?query={encoded}"));
        data["result"].as_array().cloned().unwrap_or_default()
    }
}

/// Every query of the dashboard, by its panel.
fn queries() -> Vec<(String, String)> {
    let text = fs::read_to_string(conf("grafana/coremux.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap();
            let query = query
                .replace("$__rate_interval", "10s")
                .replace("$instance", ".*")
                .replace("$pool", ".*");
            assert!(!query.contains('$'), "{query}");
            queries.push((panel["title"].as_str().unwrap().to_owned(), query));
        }
    }
    queries
}

#[test]
fn every_query_of_the_dashboard_has_an_answer_and_every_rule_is_evaluated() {
    let group = Group::start(1, 0, "");
    let mut fleet = Redis::fleet(2);
    let cache = Pool::over("cache", &fleet).with("client_connections", 1000);
    let store = Pool::new("store")
        .with("sentinels", group.yml())
        .server(group.servers[0][0].address());
    let options = ["--cores", "1", "--memory-limit", "512MiB"];
    let (admin, proxy) = Admin::start(&options, &[cache, store]);
    let load = Load::start_with_errors(proxy.address("cache"), 2, 3);
    let mut wrong = proxy.client("store");
    assert_eq!(wrong.call(["SET", "text", "x"]), Reply::ok());
    let prometheus = Prometheus::of(&admin);
    eventually("it has scraped", || {
        (prometheus.query("up == 1").len() == 1).then_some(())
    });
    fleet[1].kill();
    let queries = queries();
    assert!(queries.len() >= 20);
    for (panel, query) in &queries {
        eventually(&format!("panel {panel:?} has data: {query}"), || {
            assert!(matches!(wrong.call(["INCR", "text"]), Reply::Error(_)));
            (!prometheus.query(query).is_empty()).then_some(())
        });
    }
    eventually("the dead server is an alert", || {
        let alerts = prometheus.query("ALERTS{alertname=\"CoremuxServerDown\", server=\"s2\"}");
        (alerts.len() == 1).then_some(())
    });
    let groups = prometheus.get("/api/v1/rules")["groups"].clone();
    let rules = groups[0]["rules"].as_array().unwrap();
    assert!(rules.len() >= 10);
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    load.end();
}
