#!/usr/bin/env python3
"""playground.py RAPT GOLDENS FOLDER CHROMIUM [PICTURE.png [serve's options...]]: the page at / of rapt serve in a real browser, driven over its debugging pipe: both columns are
answered and scored. With PICTURE it takes the server's options, asks its own prompt of that model and saves what the page looks like then: docs/images/playground.png was made so."""
import json
import os
import subprocess
import sys
import time

RAPT, GOLDENS, FOLDER, CHROMIUM = sys.argv[1:5]
PICTURE, OPTIONS = (sys.argv[5], sys.argv[6:]) if len(sys.argv) > 5 else (None, None)
LIMIT_S = 120


def check(ok, *what):
    if not ok:
        print("FAILED:", *what)
        raise SystemExit(1)


class Browser:
    """Commands of the DevTools protocol, JSON with a zero byte behind, through file descriptors 3 and 4."""

    def __init__(self):
        to_read, self.to = os.pipe()
        self.back, back_write = os.pipe()

        def files():
            a, b = os.dup(to_read), os.dup(back_write)
            os.dup2(a, 3)
            os.dup2(b, 4)
        self.process = subprocess.Popen([CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--user-data-dir=" + FOLDER + "/profile",
                                         "--disable-background-networking", "--no-first-run", "about:blank"], preexec_fn=files, close_fds=False, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(back_write)
        self.rest, self.id, self.errors = b"", 0, []
        page = next(t for t in self.ask("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.ask("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        self.ask("Runtime.enable")
        self.ask("Network.enable")
        self.requests = []

    def ask(self, method, **params):
        self.id += 1
        message = {"id": self.id, "method": method, "params": params}
        if hasattr(self, "session"):
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.rest:
                part = os.read(self.back, 1 << 16)
                check(part, "the browser ended")
                self.rest += part
            one, self.rest = self.rest.split(b"\0", 1)
            got = json.loads(one)
            if got.get("method") == "Runtime.exceptionThrown":
                self.errors.append(got["params"]["exceptionDetails"])
            if got.get("method") == "Network.requestWillBeSent":
                self.requests.append(got["params"]["request"]["url"])
            if got.get("id") == self.id:
                check("result" in got, method, got)
                return got["result"]

    def js(self, code):
        got = self.ask("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        check("exceptionDetails" not in got, code, got)
        return got["result"].get("value")

    def wait(self, what, code):
        until = time.monotonic() + LIMIT_S * (5 if PICTURE else 1)
        while not self.js(code):
            if time.monotonic() >= until:
                check(False, "waited too long for", what, self.js("document.body ? document.body.innerText : 'no page yet'"))
            time.sleep(0.05)

    def picture(self, path, width, height, dark=False):
        import base64
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        with open(path, "wb") as f:
            f.write(base64.b64decode(self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]))


def open_server(*options):
    server = subprocess.Popen([RAPT, "serve", "--port", "0", *options], stdout=subprocess.PIPE, stderr=open(FOLDER + "/server.err", "w"), text=True)
    address = server.stdout.readline().strip()
    check(address, open(FOLDER + "/server.err").read())
    return server, address


def columns(browser):
    return browser.js("""[...document.querySelectorAll('section')].map(s => ({answer: s.querySelector('.answer').textContent, goal: s.querySelector('.goal output').value,
        score: s.querySelector('.score').hidden ? null : s.querySelector('.score').textContent, state: s.querySelector('.state').textContent}))""")


def answered(browser, address, setup):
    browser.ask("Page.navigate", url=address + "/")
    browser.wait("the page", "document.readyState === 'complete' && !!document.querySelector('#model option')")
    browser.js(setup)
    browser.js("document.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', ctrlKey: true }))")
    browser.wait("both answers", "!document.querySelector('#send').disabled")
    return columns(browser)


def test(browser):
    tiny, lora = os.path.join(GOLDENS, "score_chat"), os.path.join(GOLDENS, "score_chat_lora")
    common = ("--model", tiny, "--adapter", "a=" + lora, "--threads", "1", "--dtype", "reference")
    setup = "$('temperature').value = 0; $('tokens').value = 24; $('prompt').value = 'the cat'"
    server, address = open_server(*common, "--scorer", "rule", "--rule", "length", "--length", "3", "--unit", "characters", "--score-range", "1,5")
    both = answered(browser, address, setup)
    # characters of the answer; the scale of goals is 1 to 5 (the adapter's)
    for c in both:
        goal = float(c["goal"])
        want = round(1 + 4 * max(0, 1 - abs(len(c["answer"]) - 3) / 3), 2)
        off = round(want - goal, 2)
        words = f"goal {goal:g}, " + ("met" if off == 0 else f"{abs(off):g} {'below' if off < 0 else 'above'} it")
        check(c["score"] == f"Achieved score {want:g}{words}rule length, 1 to 5", c, want, words)
        check(c["answer"] and "tokens in" in c["state"], c)
    check(both[0]["goal"] != both[1]["goal"], both)
    check(browser.js("document.querySelectorAll('.answer span').length") > 2, "no tokens")
    browser.js("document.querySelector('.none input').click()")
    browser.js("document.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', ctrlKey: true }))")
    browser.wait("the answer without a goal", "!document.querySelector('#send').disabled && document.querySelector('.score').textContent.endsWith('1 to 5')")
    check("goal" not in columns(browser)[0]["score"] and "goal" in columns(browser)[1]["score"], columns(browser))
    server.terminate()
    check(server.wait(LIMIT_S) == 0, "exit code")
    server, address = open_server(*common)
    both = answered(browser, address, setup)
    check([c["score"] for c in both] == [None, None], "scores without a scorer", both)
    server.terminate()
    check(server.wait(LIMIT_S) == 0, "exit code")
    server, address = open_server(*common, "--scorer", "rule", "--rule", "command", "--command", "exit 3")
    both = answered(browser, address, setup)
    check(all("the scorer failed" in c["score"] for c in both), "a scorer that fails", both)
    server.terminate()
    check(server.wait(LIMIT_S) == 0, "exit code")
    check(not browser.errors, browser.errors)
    outside = [u for u in browser.requests if not u.startswith(("http://127.0.0.1:", "data:", "about:"))]
    check(not outside, "the page asks for something outside", outside)


def take_picture(browser):
    server, address = open_server(*OPTIONS)
    setup = os.environ.get("PLAYGROUND_SETUP", "")
    print(json.dumps(answered(browser, address, setup), indent=1, ensure_ascii=False))
    browser.js("columns[1].point(columns[1].answer.querySelectorAll('span')[4])")
    stem = PICTURE.removesuffix(".png")
    for name, width, height, dark in ((PICTURE, 1180, 830, False), (stem + "-dark.png", 1180, 830, True), (stem + "-phone.png", 390, 1300, False)):
        browser.picture(name, width, height, dark)
    server.terminate()
    server.wait(LIMIT_S)


browser = Browser()
try:
    (take_picture if PICTURE else test)(browser)
finally:
    browser.process.terminate()
    browser.process.wait()
print("ok")
