//! A headless Chromium, driven through its DevTools protocol over two named pipes.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::skip;

/// How long an answer may take. Machines that test are busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// A page in a browser of its own.
pub struct Browser {
    process: Child,
    commands: File,
    answers: Receiver<Value>,
    /// What the page logged, and what went wrong in it.
    pub complaints: Vec<String>,
    last: u64,
    session: Option<String>,
    _folder: TempDir,
}

/// The name of the browser, which some systems call differently.
const NAMES: &str = "command -v chromium || command -v chromium-browser || command -v google-chrome";

impl Browser {
    /// Opens a page of this size, unless there is no browser: then the test is skipped.
    #[track_caller]
    pub fn open(page: &Path, [width, height]: [u32; 2]) -> Option<Self> {
        if !skip::possible("Chromium (chromium)", NAMES) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        // Chromium reads commands from descriptor 3 and writes answers to descriptor 4.
        let script = format!(
            "mkfifo commands answers; exec $({NAMES}) --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
             --no-first-run --user-data-dir=\"$PWD/profile\" --remote-debugging-pipe about:blank \
             3<commands 4>answers"
        );
        let process = Command::new("bash")
            .args(["-c", &script])
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pipe = |name: &str| {
            let path = folder.path().join(name);
            while !path.exists() {
                thread::sleep(Duration::from_millis(5));
            }
            path
        };
        let commands = File::options().write(true).open(pipe("commands")).unwrap();
        let replies = BufReader::new(File::open(pipe("answers")).unwrap());
        let (send, answers) = mpsc::channel();
        thread::spawn(move || {
            for message in replies.split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice(&message) else {
                    continue;
                };
                if send.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self {
            process,
            commands,
            answers,
            complaints: Vec::new(),
            last: 0,
            session: None,
            _folder: folder,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Runtime", "Log", "Page", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.resize([width, height]);
        browser.prefer("light");
        let url = format!("file://{}", page.display());
        browser.call("Page.navigate", json!({"url": url}));
        browser.wait("document.documentElement?.dataset.ready === 'yes'");
        Some(browser)
    }

    pub fn resize(&mut self, [width, height]: [u32; 2]) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// `dark` or `light`.
    pub fn prefer(&mut self, scheme: &str) {
        let features = json!({"features": [
            {"name": "prefers-color-scheme", "value": scheme},
            // Otherwise the page still scrolls smoothly to what has the focus, and clicks miss what moves away.
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]});
        self.call("Emulation.setEmulatedMedia", features);
    }

    /// Calls a method, and returns its result.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut message = message.to_string().into_bytes();
        message.push(0);
        self.commands.write_all(&message).unwrap();
        loop {
            let answer = self.answers.recv_timeout(PATIENCE);
            let answer = answer.unwrap_or_else(|error| panic!("{method}: no answer: {error}"));
            if answer["id"] == json!(self.last) {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            self.note(&answer);
        }
    }

    fn note(&mut self, event: &Value) {
        let is_request = event["method"] == "Network.requestWillBeSent";
        let url = event["params"]["request"]["url"].as_str().unwrap_or_default();
        let is_foreign = is_request && !url.starts_with("file://") && !url.starts_with("data:");
        let logs = ["Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"];
        if is_foreign || logs.iter().any(|&log| event["method"] == log) {
            self.complaints.push(event.to_string());
        }
    }

    /// The value of an expression.
    pub fn value(&mut self, expression: &str) -> Value {
        let call = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self.call("Runtime.evaluate", call);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    pub fn text(&mut self, selector: &str) -> String {
        let text = self.value(&format!("document.querySelector({}).textContent", json!(selector)));
        text.as_str().unwrap_or_else(|| panic!("{selector}: {text}")).to_owned()
    }

    /// Waits until an expression is true.
    pub fn wait(&mut self, expression: &str) {
        let started = std::time::Instant::now();
        while self.value(expression) != json!(true) {
            assert!(started.elapsed() < PATIENCE, "never true: {expression}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Where an element is in the window, after scrolling to it and waiting until that is drawn.
    pub fn place(&mut self, selector: &str) -> [f64; 4] {
        let script = format!(
            "new Promise(done => {{
                const element = document.querySelector({});
                element.scrollIntoView({{block: 'center', behavior: 'instant'}});
                const tell = () => {{
                    const place = element.getBoundingClientRect();
                    done([place.left, place.top, place.width, place.height]);
                }};
                requestAnimationFrame(() => requestAnimationFrame(tell));
            }})",
            json!(selector)
        );
        serde_json::from_value(self.value(&script)).unwrap()
    }

    pub fn mouse(&mut self, kind: &str, x: f64, y: f64) {
        let is_move = kind == "mouseMoved";
        let button = if is_move { "none" } else { "left" };
        let event = json!({"type": kind, "x": x, "y": y, "button": button, "clickCount": i32::from(!is_move)});
        self.call("Input.dispatchMouseEvent", event);
    }

    pub fn click(&mut self, selector: &str) {
        let [x, y, width, height] = self.place(selector);
        let (x, y) = (x + width / 2.0, y + height / 2.0);
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            self.mouse(kind, x, y);
        }
    }

    /// Presses a key, by its name in the DOM.
    pub fn key(&mut self, key: &str) {
        let mut event = json!({"type": "keyDown", "key": key});
        let code = match key {
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            "Home" => 36,
            "End" => 35,
            _ => 0,
        };
        if code > 0 {
            event["windowsVirtualKeyCode"] = json!(code);
        } else {
            event["text"] = json!(key);
        }
        self.call("Input.dispatchKeyEvent", event.clone());
        event["type"] = json!("keyUp");
        self.call("Input.dispatchKeyEvent", event);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its children end with it, as their pipes close.
        let _ = self.process.kill();
        let _ = self.process.wait();
        for _ in 0..50 {
            // They may still write into the folder.
            if fs::remove_dir_all(self._folder.path()).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}
