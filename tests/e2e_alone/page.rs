//! The status page in a real browser: it shows what happens as it happens, to everybody who can use a
//! browser, asks nobody but the proxy, and changes nothing unless it was allowed to.

use std::env;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::alone;
use crate::browser::Browser;
use crate::support::Admin;
use crate::support::Group;
use crate::support::Load;
use crate::support::PATIENCE;
use crate::support::Pool;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;
use crate::support::now;

/// From the crash of a server to red on the page.
const RED_WITHIN: Duration = Duration::from_secs(2);

/// Each of them would run, or break out of an attribute, if a name became markup.
const HOSTILE: &str = "x\"><img/src=x/onerror=alert(1)><script>alert(1)</script>";

fn open(browser: &Browser, admin: &Admin) -> String {
    let origin = format!("http://{}", admin.address());
    browser.open(&origin);
    browser.until(
        "the page has its first answer",
        "document.querySelectorAll('.pool').length > 0",
    );
    origin
}

/// That nobody else was asked, and nothing went wrong.
fn is_clean(browser: &Browser, origin: &str) {
    let complaints = browser.console();
    assert!(complaints.is_empty(), "{complaints:?}");
    let own = |url: &String| url.starts_with(&format!("{origin}/")) || url == "data:,";
    let requests = browser.requests();
    let others: Vec<&String> = requests.iter().filter(|url| !own(url)).collect();
    assert!(!requests.is_empty() && others.is_empty(), "{others:?}");
}

/// A picture for the documents: written where the documents are, compared with nothing, for it is
/// never the same twice.
fn picture(browser: &Browser, name: &str) {
    let bytes = browser.picture();
    assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 10_000);
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(name);
    match env::var_os("COREMUX_WRITE_DOCS") {
        Some(_) => fs::write(path, bytes).unwrap(),
        None => assert!(path.exists(), "COREMUX_WRITE_DOCS=1 makes docs/{name}"),
    }
}

fn eventually_long(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = now() + 10 * PATIENCE;
    while !is_so() {
        assert!(now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn it_moves_under_load_and_a_killed_server_is_red_within_two_seconds() {
    let _alone = alone(module_path!());
    let group = Group::start(1, 1, "");
    let mut fleet = Redis::fleet(3);
    let cache = Pool::over("cache", &fleet)
        .with("auto_eject_hosts", true)
        .with("server_failure_limit", 1)
        .with("server_retry_timeout", 500)
        .with("slow_log_len", 3);
    let store = Pool::new("store")
        .with("sentinels", group.yml())
        .with("read_from", "prefer-replica")
        .server(group.servers[0][0].address());
    let (admin, proxy) = Admin::start(&["--cores", "2"], &[cache, store]);
    let load = Load::start_with_errors(proxy.address("cache"), 8, 3);
    let mut reports = proxy.client("store");
    reports.call(["CLIENT", "SETNAME", "reports"]);
    let mut direct = group.servers[0][0].client();
    direct.call(["CLIENT", "PAUSE", "100", "ALL"]);
    assert_eq!(reports.call(["SET", "user:1", "value"]), Reply::ok());
    let browser = Browser::start();
    let origin = open(&browser, &admin);
    browser.until(
        "it is at peace",
        "document.getElementById('state').textContent === 'All is well'",
    );
    browser.until(
        "requests are shown",
        "/[1-9]/.test(document.querySelector('#tiles dd').textContent)",
    );
    browser.until(
        "the replica is in the picture",
        "/, read/.test(document.querySelector('svg.masters')?.textContent)",
    );
    let line = "document.querySelector('svg.chart path').getAttribute('d')";
    let before = browser.run(&format!("return {line}"));
    browser.until("the chart moves", &format!("{line} !== {before}"));
    let slow = "document.querySelectorAll('.pool')[0].querySelectorAll('svg.chart path')[1]";
    browser.until(
        "it is shown how long replies take",
        &format!("/[1-9][0-9.]* [µm]?s/.test({slow}.closest('figure').textContent) && {slow}.getAttribute('d').length > 0"),
    );
    browser.until(
        "each server has its times",
        "[...document.querySelectorAll('.pool')[0].querySelectorAll('tbody tr')].every((tr) => /[1-9][0-9.]* [µm]?s$/.test(tr.children[6].textContent))",
    );
    browser.until(
        "the chart has points of the past",
        &format!("{line}.split('L').length > 2"),
    );
    if env::var_os("COREMUX_WRITE_DOCS").is_some() {
        // A line that somebody can see as one.
        eventually_long("a minute has passed", || {
            let history = admin.get("/api/history").json();
            history["last_step"].as_u64().unwrap() > 12
        });
    }
    browser.until(
        "so is a slow request",
        "/reports.*user:1/.test(document.getElementById('slow').textContent)",
    );
    browser.resize(1200, 1800, false);
    picture(&browser, "status-page.png");
    browser.prefer("dark");
    picture(&browser, "status-page-dark.png");

    fleet[1].kill();
    let took = browser.until(
        "the server is red",
        "[...document.querySelectorAll('.pool tbody tr')].some((tr) => tr.children[0].textContent === 's2' && tr.children[1].className === 'bad')",
    );
    assert!(took < RED_WITHIN, "{took:?}");
    browser.until("all of the page says so", "document.getElementById('state').className === 'state bad' && /s2/.test(document.getElementById('state').textContent)");
    let red = browser.run("return getComputedStyle(document.querySelector('.pool td.bad')).color");
    assert_eq!(red, "rgb(255, 143, 143)", "in the dark");
    browser.until(
        "it is an event",
        "/server ejected/.test(document.getElementById('events').textContent)",
    );
    fleet[1].restart();
    browser.until(
        "it is good again",
        "document.getElementById('state').textContent === 'All is well'",
    );
    is_clean(&browser, &origin);
    load.end();

    // An answer that does not come is said, and nothing old is taken for new.
    drop(proxy);
    browser.until("it is stale", "!document.getElementById('stale').hidden");
}

#[test]
fn names_are_text_and_everybody_can_use_it() {
    let _alone = alone(module_path!());
    let redis = Redis::start();
    let name = HOSTILE;
    let pools = [
        Pool::new(&format!("'{name}'")).server(redis.address()),
        Pool::new("beta")
            .server(redis.address())
            .server("127.0.0.1:1"),
    ];
    let (admin, _proxy) = Admin::start(&[], &pools);
    let browser = Browser::start();
    let origin = open(&browser, &admin);
    let shown = browser
        .run("return [...document.querySelectorAll('.pool .name')].map((e) => e.textContent)");
    assert!(shown.as_array().unwrap().contains(&name.into()), "{shown}");
    assert_eq!(
        browser.run("return document.querySelectorAll('main img, main script').length"),
        0
    );

    // What a screen reader finds.
    let unnamed = browser.run(
        "return [...document.querySelectorAll('button, input, summary, a')].filter((e) => e.checkVisibility() && \
         !(e.textContent.trim() || e.labels?.length || e.getAttribute('aria-label'))).length",
    );
    assert_eq!(unnamed, 0);
    let tree = browser.devtools("Accessibility.getFullAXTree", serde_json::json!({}));
    let roles: Vec<(String, String)> = tree["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| {
            [&node["role"]["value"], &node["name"]["value"]]
                .map(|v| v.as_str().unwrap_or_default().to_owned())
                .into()
        })
        .collect();
    for (role, name) in [
        ("heading", "Pools"),
        ("heading", "Events"),
        ("searchbox", "Search"),
        ("main", ""),
        ("columnheader", "state"),
        ("rowheader", "s1"),
        ("status", ""),
    ] {
        assert!(
            roles
                .iter()
                .any(|(r, n)| r == role && (name.is_empty() || n == name)),
            "{role} {name}: {roles:?}"
        );
    }
    let images: Vec<&String> = roles
        .iter()
        .filter(|(role, _)| role == "image")
        .map(|(_, name)| name)
        .collect();
    assert!(
        !images.is_empty() && images.iter().all(|name| !name.is_empty()),
        "{images:?}"
    );
    assert_eq!(browser.run("return document.documentElement.lang"), "en");

    // By keyboard alone: the search, then a pool that opens and closes.
    browser.keys("/beta");
    assert_eq!(browser.run("return document.activeElement.id"), "search");
    browser.until(
        "only that pool is there",
        "document.getElementById('found').textContent === '1 of 2 pools'",
    );
    assert_eq!(browser.count(".pool"), 1);
    let (tab, enter) = ("\u{e004}", "\u{e007}");
    browser.keys(tab);
    assert_eq!(
        browser.run("return document.activeElement.tagName"),
        "SUMMARY"
    );
    let was = browser.run("return document.activeElement.parentNode.open");
    browser.keys(enter);
    browser.until(
        "it opens, or closes",
        &format!("document.activeElement.parentNode.open !== {was}"),
    );

    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        let faint = browser.run(FAINT);
        assert_eq!(faint, Value::Array(Vec::new()), "{scheme}");
    }
    browser.resize(390, 844, true);
    let wide = browser.run("return document.documentElement.scrollWidth - window.innerWidth");
    assert!(
        wide.as_i64().unwrap() <= 0,
        "{wide} pixels too wide for a phone"
    );
    is_clean(&browser, &origin);
}

/// Text whose contrast with what is behind it is less than 4.5 (WCAG 2, level AA).
const FAINT: &str = "
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = numbers(color).map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if ((numbers(color)[3] ?? 1) === 1) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  const faint = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest('svg, script, style, dialog')) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) faint.push(`${element.tagName}.${element.className} ${contrast.toFixed(2)} ${element.textContent.slice(0, 20)}`);
  }
  return faint;
";

#[test]
fn a_slow_request_appears_whatever_its_client_has_written() {
    let _alone = alone(module_path!());
    let redis = Redis::start();
    let pool = |name: &str| {
        let pool = Pool::new(name).server(redis.address());
        pool.with("slow_log_ms", 100)
    };
    let (admin, proxy) = Admin::start(&["--cores", "2"], &[pool("one"), pool("two")]);
    let browser = Browser::start();
    let origin = open(&browser, &admin);
    browser.until(
        "there is none",
        "document.getElementById('no-slow').textContent === 'None.' && document.getElementById('slow').hidden",
    );
    let mut direct = redis.client();
    let mut slow = |pool: &str, name: &str, command: [&str; 2]| {
        let mut client = proxy.client(pool);
        assert_eq!(client.call(["CLIENT", "SETNAME", name]), Reply::ok());
        direct.call(["CLIENT", "PAUSE", "250", "ALL"]);
        assert_eq!(client.call(command), Reply::Null);
        client.local_port()
    };
    let port = slow("one", HOSTILE, ["GET", HOSTILE]);
    browser.until(
        "it is on the page",
        "document.querySelectorAll('#slow tbody tr').length === 1 && !document.getElementById('slow').hidden",
    );
    let cells =
        "return [...document.querySelector('#slow tbody tr').children].map((e) => e.textContent)";
    let cells = browser.run(cells);
    let escaped = HOSTILE.as_bytes().escape_ascii().to_string();
    for (column, text) in [
        (1, "one"),
        (2, &format!("127.0.0.1:{port} {escaped}")),
        (3, "get"),
        (4, &escaped),
        (7, "0 µs"),
        (9, "s1"),
    ] {
        assert_eq!(cells[column], text, "{cells}");
    }
    for column in [5, 8] {
        let took = cells[column].as_str().unwrap();
        assert!(took.ends_with(" ms") && took.len() == 6, "{cells}");
    }
    let made = "return document.querySelectorAll('main img, main script').length";
    assert_eq!(browser.run(made), 0);

    slow("two", "batch", ["LPOP", "queue"]);
    let commands = "[...document.querySelectorAll('#slow tbody tr')].map((tr) => tr.children[3].textContent).join()";
    browser.until(
        "the newest comes first",
        &format!("{commands} === 'lpop,get'"),
    );
    for (wanted, left) in [("batch", "lpop"), ("ONERROR", "get"), ("nobody", "")] {
        browser.run(&format!(
            "const search = document.getElementById('search'); search.value = '{wanted}'; search.dispatchEvent(new Event('input'));"
        ));
        browser.until(
            "only what is searched for is there",
            &format!("{commands} === '{left}'"),
        );
    }
    let none = browser.run("return document.getElementById('no-slow').textContent");
    assert_eq!(none, "None that matches.");
    is_clean(&browser, &origin);
}

#[test]
fn buttons_are_there_only_where_they_are_allowed_and_only_for_the_page() {
    let _alone = alone(module_path!());
    let redis = Redis::start();
    let pools = [Pool::new("a").server(redis.address())];
    let (plain, _plain_proxy) = Admin::start(&[], &pools);
    let (admin, _proxy) = Admin::start(&["--admin-actions"], &pools);
    let browser = Browser::start();
    open(&browser, &plain);
    assert_eq!(browser.count("#actions, #actions button"), 0);
    let off = "return (await fetch('api/actions/drain', {method: 'POST'})).status";
    assert_eq!(browser.run_async(off), 403);
    assert_eq!(plain.get("/health").status, 200);
    browser.console();
    browser.open("about:blank");
    browser.requests();

    let origin = open(&browser, &admin);
    browser.until(
        "the buttons are there",
        "document.querySelectorAll('#actions button').length === 3",
    );
    browser.click("[data-action=drain]");
    browser.until("it asks first", "document.getElementById('confirm').open");
    assert_eq!(admin.get("/health").status, 200);
    browser.click("#confirm button[value=no]");
    browser.until(
        "it is called off",
        "!document.getElementById('confirm').open",
    );
    browser.click("[data-action=drain]");
    browser.click("#confirm-yes");
    browser.until(
        "it is said what came of it",
        "/draining: unhealthy/.test(document.getElementById('outcome').textContent)",
    );
    assert_eq!(admin.get("/health").status, 503);
    browser.until(
        "the page shows it",
        "/unhealthy: draining/.test(document.getElementById('state').textContent)",
    );
    browser.until(
        "it is an event",
        "/asked for by the status page/.test(document.getElementById('events').textContent)",
    );
    browser.click("[data-action=undrain]");
    browser.click("#confirm-yes");
    eventually("it drains no longer", || {
        (admin.get("/health").status == 200).then_some(())
    });
    browser.click("[data-action=reload]");
    browser.click("#confirm-yes");
    browser.until(
        "it is reloaded",
        "/nothing is different/.test(document.getElementById('outcome').textContent)",
    );
    is_clean(&browser, &origin);

    // Another site's page, in the same browser: it cannot read the token, and what it sends without
    // being asked first is refused.
    browser.open("data:text/html,<title>evil</title>");
    let read = format!("return await (await fetch('{origin}/api/actions')).text()");
    let answer = browser.run_async(&read);
    assert!(answer.as_str().unwrap().starts_with("failed: "), "{answer}");
    for options in [
        "{method: 'POST', mode: 'no-cors'}",
        "{method: 'POST', headers: {'x-coremux-token': 'guess'}}",
    ] {
        let send = format!("await fetch('{origin}/api/actions/drain', {options}); return 'sent'");
        browser.run_async(&send);
    }
    let form = format!(
        "const form = document.createElement('form'); form.method = 'POST'; form.action = '{origin}/api/actions/drain'; \
         document.body.append(form); form.submit();"
    );
    browser.run(&form);
    browser.until(
        "the form was answered",
        "/for the status page|must be/.test(document.body?.textContent)",
    );
    assert_eq!(admin.get("/health").status, 200);
}

#[test]
fn a_hundred_pools_of_fifty_servers_stay_smooth() {
    let _alone = alone(module_path!());
    let redis = Redis::start();
    let pool = |nth: usize| {
        let pool = Pool::new(&format!("pool-{nth:03}")).with("distribution", "modula");
        (0..50).fold(pool, |pool, _| pool.server(redis.address()))
    };
    let pools: Vec<Pool> = (0..100).map(pool).collect();
    let (admin, proxy) = Admin::start(&["--cores", "1"], &pools);
    let load = Load::start(proxy.address("pool-042"), 2, 5);
    let browser = Browser::start();
    let origin = open(&browser, &admin);
    browser.run(
        "window.long = []; new PerformanceObserver((list) => window.long.push(...list.getEntries().map((e) => e.duration))).observe({entryTypes: ['longtask']}); \
         window.frames_seen = []; let last = performance.now(); \
         const frame = (now) => { window.frames_seen.push(now - last); last = now; requestAnimationFrame(frame); }; requestAnimationFrame(frame);",
    );
    browser.keys("/pool-042");
    browser.until(
        "it is found",
        "document.getElementById('found').textContent === '1 of 100 pools'",
    );
    browser.click(".pool:not([hidden]) summary");
    browser.until(
        "its servers are there",
        "document.querySelectorAll('.pool[open] tbody tr').length === 50",
    );
    browser.run("const search = document.getElementById('search'); search.value = ''; search.dispatchEvent(new Event('input'));");
    browser.until(
        "it has drawn some seconds",
        "window.frames_seen.reduce((a, b) => a + b, 0) > 5000",
    );
    let frames = browser.run("const f = [...window.frames_seen].sort((a, b) => a - b); return [f[Math.floor(f.length / 2)], f[f.length - 1], Math.max(0, ...window.long)]");
    let [median, worst, task] = [0, 1, 2].map(|nth| frames[nth].as_f64().unwrap());
    println!("frames: median {median:.0} ms, worst {worst:.0} ms; longest task {task:.0} ms");
    assert!(median < 50.0 && worst < 1000.0, "{median} {worst} {task}");
    is_clean(&browser, &origin);
    load.end();
}
