//! A real Chromium without a window, driven by chromedriver (WebDriver, a command an HTTP request).

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::alone;
use crate::support::Port;
use crate::support::Process;
use crate::support::eventually;
use crate::support::now;

/// A browser with one tab.
pub struct Browser {
    // Dropped in this order: the session, which ends the browser, before its driver.
    session: Session,
    _driver: Process,
    _directory: TempDir,
}

struct Session {
    driver: Port,
    id: String,
}

impl Drop for Session {
    fn drop(&mut self) {
        _ = command(
            &self.driver,
            "DELETE",
            &format!("/session/{}", self.id),
            None,
        );
    }
}

fn command(driver: &Port, method: &str, path: &str, body: Option<Value>) -> Value {
    let body = body.map_or_else(String::new, |body| body.to_string());
    let length = body.len();
    let address = driver.address();
    let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    stream
        .get_mut()
        .write_all(&[head.as_bytes(), body.as_bytes()].concat())
        .unwrap();
    // The driver keeps its connections open, so the answer ends where it says.
    let (mut status, mut length) = (String::new(), 0);
    stream.read_line(&mut status).unwrap();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        match line.trim().to_ascii_lowercase().split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().unwrap(),
            Some(_) => {}
            None => break,
        }
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    let answer: Value = serde_json::from_slice(&bytes).unwrap();
    let value = answer["value"].clone();
    assert!(status.contains(" 200 "), "{method} {path} {body}: {value}");
    value
}

impl Browser {
    /// Starts one.
    pub fn start() -> Browser {
        let directory = TempDir::new().unwrap();
        let driver = Port::reserve();
        let process = Process::start(
            Command::new("chromedriver").arg(format!("--port={}", driver.number())),
            &directory.path().join("driver.log"),
        );
        eventually("chromedriver listens", || {
            process.listens_on(driver.number()).then_some(())
        });
        let profile = directory.path().join("profile");
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--hide-scrollbars",
            "--window-size=1200,900",
            &format!("--user-data-dir={}", profile.display()),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let session = command(&driver, "POST", "/session", Some(wanted));
        let id = session["sessionId"].as_str().unwrap().to_owned();
        let browser = Browser {
            session: Session { driver, id },
            _driver: process,
            _directory: directory,
        };
        // The page that Chromium begins with is no page of a test.
        browser.open("about:blank");
        browser.requests();
        browser
    }

    fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let path = format!("/session/{}{path}", self.session.id);
        command(&self.session.driver, method, &path, body)
    }

    /// Opens an address.
    pub fn open(&self, url: &str) {
        self.ask("POST", "/url", Some(json!({"url": url})));
    }

    /// What a function body returns in the page.
    pub fn run(&self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        self.ask("POST", "/execute/sync", Some(body))
    }

    /// The same for one that returns a promise.
    pub fn run_async(&self, script: &str) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1]; \
             (async () => {{ {script} }})().then(done, (error) => done('failed: ' + error));"
        );
        let body = json!({"script": script, "args": []});
        self.ask("POST", "/execute/async", Some(body))
    }

    /// How many elements there are that can be seen.
    pub fn count(&self, selector: &str) -> u64 {
        let script = format!(
            "return [...document.querySelectorAll({selector:?})].filter((e) => e.checkVisibility()).length"
        );
        self.run(&script).as_u64().unwrap()
    }

    /// Waits until that is true in the page, and says for how long.
    pub fn until(&self, what: &str, condition: &str) -> Duration {
        let begun = now();
        eventually(what, || {
            let is_so = self.run(&format!("return Boolean({condition})"));
            (is_so == true).then_some(())
        });
        begun.elapsed()
    }

    /// Types keys; special ones are characters of WebDriver's own.
    pub fn keys(&self, keys: &str) {
        let each = keys.chars().flat_map(|key| {
            ["keyDown", "keyUp"].map(|act| json!({"type": act, "value": key.to_string()}))
        });
        let each: Vec<Value> = each.collect();
        let body = json!({"actions": [{"type": "key", "id": "keyboard", "actions": each}]});
        self.ask("POST", "/actions", Some(body));
    }

    /// Clicks on an element as a mouse does.
    pub fn click(&self, selector: &str) {
        let body = json!({"using": "css selector", "value": selector});
        let element = self.ask("POST", "/element", Some(body));
        let id = element
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()
            .clone();
        let path = format!("/element/{}/click", id.as_str().unwrap());
        self.ask("POST", &path, Some(json!({})));
    }

    /// A command of Chromium's own protocol.
    pub fn devtools(&self, name: &str, parameters: Value) -> Value {
        let body = json!({"cmd": name, "params": parameters});
        self.ask("POST", "/goog/cdp/execute", Some(body))
    }

    /// Dark or light, as the user's system says.
    pub fn prefer(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// The size of the window, or of the phone.
    pub fn resize(&self, width: u32, height: u32, phone: bool) {
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}),
        );
    }

    /// A picture of the window, as a PNG.
    pub fn picture(&self) -> Vec<u8> {
        let text = self.ask("GET", "/screenshot", None);
        from_base64(text.as_str().unwrap())
    }

    /// What the page has said at its console since the last time.
    pub fn console(&self) -> Vec<Value> {
        let entries = self.ask("POST", "/se/log", Some(json!({"type": "browser"})));
        entries.as_array().unwrap().clone()
    }

    /// The addresses that were asked for since the last time.
    pub fn requests(&self) -> Vec<String> {
        let entries = self.ask("POST", "/se/log", Some(json!({"type": "performance"})));
        let messages = entries.as_array().unwrap().iter().map(|entry| {
            let text = entry["message"].as_str().unwrap();
            serde_json::from_str::<Value>(text).unwrap()["message"].clone()
        });
        let sent = messages.filter(|message| message["method"] == "Network.requestWillBeSent");
        sent.map(|message| {
            let url = &message["params"]["request"]["url"];
            url.as_str().unwrap().to_owned()
        })
        .collect()
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.bytes().filter(|byte| *byte != b'=') {
        let value = alphabet.iter().position(|known| *known == byte).unwrap();
        bits = (bits << 6) | u32::try_from(value).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).unwrap());
        }
    }
    bytes
}

#[test]
fn base64_is_read() {
    let _alone = alone(module_path!());
    for (text, bytes) in [
        ("", &b""[..]),
        ("aA==", b"h"),
        ("aGk=", b"hi"),
        ("+/8A", b"\xfb\xff\0"),
    ] {
        assert_eq!(from_base64(text), bytes);
    }
}
