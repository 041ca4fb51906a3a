//! A headless Chromium, driven by `chromedriver` over the [WebDriver
//! protocol](https://www.w3.org/TR/webdriver2/).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use integration_tests::server::TIMEOUT;
use serde_json::{Value, json};

use crate::poll::until_found;

/// The member that holds the id of an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    profile: tempfile::TempDir,
}

impl Browser {
    /// Starts a browser whose window has this size.
    #[must_use]
    pub fn start(width: u32, height: u32) -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test needs ChromeDriver, which `cargo xtask peers browser` installs");
        let output = BufReader::new(driver.stdout.take().unwrap());
        let port = output.lines().find_map(|line| {
            let line = line.unwrap();
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Browser {
            driver,
            address: (Ipv4Addr::LOCALHOST, port.unwrap()).into(),
            session: String::new(),
            profile,
        };
        let arguments = [
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--no-first-run".to_owned(),
            "--hide-scrollbars".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            format!("--window-size={width},{height}"),
            format!("--user-data-dir={}", browser.profile.path().display()),
        ];
        let always = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
            // A dialog stays until a test has seen it.
            "unhandledPromptBehavior": "ignore",
        });
        let session = browser.command(
            "POST",
            "/session",
            &json!({ "capabilities": { "alwaysMatch": always } }),
        );
        browser.session = text(&session.unwrap()["sessionId"]);
        browser
    }

    /// Opens a page, and waits until it is loaded.
    pub fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// Returns the title of the page.
    #[must_use]
    pub fn title(&self) -> String {
        text(&on_one_page(|| self.try_get("/title")))
    }

    /// Clicks the first element that a CSS selector selects.
    pub fn click(&self, selector: &str) {
        on_one_page(|| {
            let element = self.first(selector)?;
            match self.try_post(&format!("/element/{element}/click"), &json!({})) {
                // The element is gone, and was not clicked.
                Err(error) if error["error"] == "stale element reference" => Err(error),
                clicked => Ok(clicked.unwrap()),
            }
        });
    }

    /// Returns the visible texts of all elements that a CSS selector selects.
    #[must_use]
    pub fn texts(&self, selector: &str) -> Vec<String> {
        on_one_page(|| {
            let elements = self.elements(selector)?.into_iter();
            elements
                .map(|element| Ok(text(&self.try_get(&format!("/element/{element}/text"))?)))
                .collect()
        })
    }

    /// Returns the names and roles that a screen reader tells of all elements that a selector
    /// selects.
    #[must_use]
    pub fn accessible(&self, selector: &str) -> Vec<(String, String)> {
        on_one_page(|| {
            let elements = self.elements(selector)?.into_iter();
            elements
                .map(|element| {
                    let role = self.try_get(&format!("/element/{element}/computedrole"))?;
                    let label = self.try_get(&format!("/element/{element}/computedlabel"))?;
                    Ok((text(&role), text(&label)))
                })
                .collect()
        })
    }

    /// Returns a computed property of the first element that a selector selects.
    #[must_use]
    pub fn style(&self, selector: &str, property: &str) -> String {
        let style = on_one_page(|| {
            let element = self.first(selector)?;
            self.try_get(&format!("/element/{element}/css/{property}"))
        });
        text(&style)
    }

    /// Presses keys, as a person does without a mouse.
    pub fn press(&self, keys: &str) {
        let mut actions = Vec::new();
        for key in keys.chars() {
            actions.push(json!({ "type": "keyDown", "value": key.to_string() }));
            actions.push(json!({ "type": "keyUp", "value": key.to_string() }));
        }
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.post("/actions", &json!({ "actions": [keyboard] }));
    }

    /// Returns the text of the element that has the focus.
    #[must_use]
    pub fn focused(&self) -> String {
        let focused = on_one_page(|| {
            let element = text(&self.try_get("/element/active")?[ELEMENT]);
            self.try_get(&format!("/element/{element}/text"))
        });
        text(&focused)
    }

    /// Waits until a condition holds.
    pub fn wait_until(&self, condition: impl Fn(&Self) -> bool) {
        until_found(|| {
            if condition(self) {
                return Ok(());
            }
            let source = self.try_get("/source");
            Err(source.map_or_else(|error| error.to_string(), |source| text(&source)))
        });
    }

    /// Chooses the preferred color scheme, `dark` or `light`.
    pub fn prefer(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        let command = json!({ "cmd": "Emulation.setEmulatedMedia", "params": { "features": features } });
        self.post("/goog/cdp/execute", &command);
    }

    /// Returns the text of a dialog, if a script has opened one.
    #[must_use]
    pub fn dialog(&self) -> Option<Value> {
        self.try_get("/alert/text").ok()
    }

    /// Returns the messages of the console since the last call, such as violations of a policy.
    #[must_use]
    pub fn console(&self) -> Vec<Value> {
        let entries = self.post("/se/log", &json!({ "type": "browser" }));
        entries.as_array().cloned().unwrap_or_default()
    }

    /// Returns a picture of the window as PNG.
    #[must_use]
    pub fn screenshot(&self) -> Vec<u8> {
        let picture = on_one_page(|| self.try_get("/screenshot"));
        BASE64_STANDARD.decode(text(&picture)).unwrap()
    }

    fn elements(&self, selector: &str) -> Result<Vec<String>, Value> {
        let found = self.try_post("/elements", &json!({ "using": "css selector", "value": selector }))?;
        let found = found.as_array().unwrap().iter();
        Ok(found.map(|element| text(&element[ELEMENT])).collect())
    }

    fn first(&self, selector: &str) -> Result<String, Value> {
        let first = self.elements(selector)?.into_iter().next();
        first.ok_or_else(|| json!(format!("no {selector} on {}", self.title())))
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.try_post(path, body).unwrap()
    }

    fn try_get(&self, path: &str) -> Result<Value, Value> {
        self.command("GET", &format!("/session/{}{path}", self.session), &Value::Null)
    }

    fn try_post(&self, path: &str, body: &Value) -> Result<Value, Value> {
        self.command("POST", &format!("/session/{}{path}", self.session), body)
    }

    /// Sends a command, and returns its value, or the error.
    fn command(&self, method: &str, path: &str, body: &Value) -> Result<Value, Value> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let mut connection = TcpStream::connect(self.address).unwrap();
        connection.set_read_timeout(Some(TIMEOUT * 2)).unwrap();
        let length = body.len();
        write!(
            connection,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut reader = BufReader::new(connection);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let is_success = line.starts_with("HTTP/1.1 200");
        let mut length = 0;
        while line.trim() != "" {
            line.clear();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut response = vec![0; length];
        reader.read_exact(&mut response).unwrap();
        let mut response: Value = serde_json::from_slice(&response).unwrap();
        let value = response["value"].take();
        if is_success { Ok(value) } else { Err(value) }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends Chromium, which the driver has started.
        let _ = self.command("DELETE", &format!("/session/{}", self.session), &Value::Null);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Takes steps, again if one of them fails.
///
/// A page may reload itself between two steps, or during one. Then an element belongs to the page
/// that is no longer there. The errors that the driver has for that depend on the moment.
fn on_one_page<T>(steps: impl Fn() -> Result<T, Value>) -> T {
    until_found(|| {
        steps().map_err(|error| {
            // Not due to a reload: a script of the page has run.
            assert_ne!(error["error"], "unexpected alert open", "{error}");
            error.to_string()
        })
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}
