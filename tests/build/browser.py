#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# builds: examples/chat
"""The page of the chat server in Chromium, without a window: two tabs and a member with nc, on a desktop and a phone,
light and dark, by keyboard; the connection is cut and the server is started again meanwhile. Pictures of what a person
should look at are left in BUILD/pictures. Skipped where Chromium, its driver or selenium is not there, and by ./test
without --all."""
import contextlib
import os
import re
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time

from programs import LIMIT, ROOT, TESTS, Program, expect, member, port_of, test

PICTURES = os.path.join(ROOT, os.environ.get("BUILD", "build/test/gcc"), "pictures")
# ---- The server, and the wire to it ---------------------------------------------------------------------------------


class Wire:
    """Forwards connections to a port, which may change; can be cut."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.target, self.pairs = 0, set()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                client = self.listener.accept()[0]
                if not self.target:
                    client.close()
                    continue
                try:
                    server = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    client.close()
                    continue
                self.pairs.add((client, server))
                threading.Thread(target=self.forward, args=(client, server), daemon=True).start()

    def forward(self, client, server):
        to = {client: server, server: client}
        with contextlib.suppress(OSError, ValueError), selectors.DefaultSelector() as selector:
            for side in to:
                selector.register(side, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    data = key.fileobj.recv(65536)
                    if not data:
                        raise OSError
                    to[key.fileobj].sendall(data)
        self.pairs.discard((client, server))
        for side in to:
            side.close()

    def cut(self):
        self.target = 0
        for pair in list(self.pairs):
            for side in pair:
                with contextlib.suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)


class Server:
    def __init__(self, wire):
        self.program = Program("epoll", "chat", "--lines", "127.0.0.1:0", "--web", "127.0.0.1:0")
        self.program.timer.cancel()  # it lives as long as all the tests do
        line = self.program.line()
        self.lines = port_of(line)
        self.web = wire.target = int(re.search(r"http://[^/]*:(\d+)/", line)[1])
        threading.Thread(target=self.program.process.stdout.read, daemon=True).start()

    def kill(self):
        self.program.process.kill()
        self.program.process.wait()


# ---- The browser ----------------------------------------------------------------------------------------------------


def start_browser(folder):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    options = webdriver.ChromeOptions()
    for argument in ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                     f"--user-data-dir={folder}/profile", "--lang=en-GB"] + ["--no-sandbox"] * (os.getuid() == 0):
        options.add_argument(argument)
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = Service(shutil.which("chromedriver"), env={**os.environ, "TMPDIR": folder, "TZ": "UTC"})
    return webdriver.Chrome(options=options, service=service)


class Page:
    """One tab."""

    def __init__(self, driver, url):
        if driver.current_url != "data:,":
            driver.switch_to.new_window("tab")
        self.driver, self.window = driver, driver.current_window_handle
        self.desktop()
        driver.get(url)

    def front(self):
        self.driver.switch_to.window(self.window)
        return self

    def desktop(self, dark=False):
        self.screen(1280, 800, dark, 1, False)

    def phone(self, dark=False):
        self.screen(390, 844, dark, 2, True)

    def screen(self, width, height, dark, scale, mobile):
        self.front()
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale,
                     mobile=mobile)
        self.command("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"}])

    def command(self, name, **arguments):
        return self.driver.execute_cdp_cmd(name, arguments)

    def run(self, script, *arguments):
        self.front()
        return self.driver.execute_script(script, *arguments)

    def find(self, selector):
        self.front()
        return self.driver.find_element("css selector", selector)

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).innerText", selector)

    def keys(self, *keys):
        self.front()
        self.driver.switch_to.active_element.send_keys(*keys)

    def state(self):
        return self.run("return document.body.dataset.state")

    def said(self):
        """The texts of the log, without times."""
        return self.run("""return [...document.querySelectorAll('#log .text, #log .line')].map((e) => {
            const copy = e.cloneNode(true);
            copy.querySelectorAll('time').forEach((t) => t.remove());
            return copy.textContent; })""")

    def join(self, name):
        wait(lambda: self.state() == "door")
        self.find("#name").send_keys(name, "\n")
        wait(lambda: self.state() == "here")

    def sees(self, *texts):
        """These are the last that were said."""
        wait_for(lambda: self.said()[-len(texts):], list(texts))

    def picture(self, name):
        self.front()
        os.makedirs(PICTURES, exist_ok=True)
        self.driver.save_screenshot(os.path.join(PICTURES, name + ".png"))

    def fits(self):
        """Nothing is wider than the screen, and what is to be touched is large enough."""
        self.comes_to("return document.documentElement.scrollWidth <= innerWidth", True)

    def comes_to(self, script, value, *arguments):
        """The page runs handlers of its own after the driver's call has returned."""
        wait_for(lambda: self.run(script, *arguments), value)


def wait(what, seconds=LIMIT):
    ends = time.monotonic() + seconds
    while not what():
        if time.monotonic() > ends:
            raise AssertionError("this has not come")
        time.sleep(0.03)


def wait_for(what, value):
    with contextlib.suppress(AssertionError):
        wait(lambda: what() == value)
    expect(what(), value)


class Scene:
    """Two tabs, ada and bob, and cem with nc."""

    def __init__(self, folder):
        self.wire = Wire()
        self.server = Server(self.wire)
        self.driver = start_browser(folder)
        self.url = f"http://127.0.0.1:{self.wire.port}/"
        self.ada, self.bob = Page(self.driver, self.url), Page(self.driver, self.url)
        self.cem = None

    def end(self):
        self.driver.quit()
        self.server.kill()


# ---- What must hold -------------------------------------------------------------------------------------------------


@test
def two_tabs_and_nc_talk(s):
    s.ada.picture("1-door-light")
    s.ada.phone(dark=True)
    s.ada.picture("1-door-phone-dark")
    s.ada.screen(844, 390, False, 1, True)
    s.ada.comes_to("return document.querySelector('#enter').getBoundingClientRect().bottom < innerHeight", True)
    s.ada.desktop()
    s.ada.join("ada")
    s.bob.find("#name").send_keys("Ada\n")
    wait_for(lambda: s.bob.text("#refused"), "Ada is taken; Ada2 is free")
    s.bob.comes_to("return document.querySelector('#name').value", "Ada2")
    s.bob.picture("2-door-refused")
    s.bob.find("#name").clear()
    s.bob.join("bob")
    s.cem = member(s.server.lines, "cem")
    s.ada.sees("bob joined", "cem joined")
    s.cem.send("hello from a terminal\n")
    s.ada.sees("hello from a terminal")
    s.bob.sees("hello from a terminal")
    s.ada.find("#text").send_keys("hi cem, <b>this</b> is a browser: https://example.org/a?b=1.\n")
    expect(s.cem.line().split(" ", 1)[1], "ada: hi cem, <b>this</b> is a browser: https://example.org/a?b=1.\n")
    s.bob.sees("hi cem, <b>this</b> is a browser: https://example.org/a?b=1.")
    expect(s.bob.run("return [...document.querySelectorAll('#log a')].map((a) => a.href + a.rel)"),
           ["https://example.org/a?b=1noopener noreferrer"])
    s.bob.find("#text").send_keys("/me waves\n")
    s.ada.sees("bob waves")
    expect(s.cem.line(), "* bob waves\n")
    s.ada.sees("bob waves")
    s.ada.comes_to("return [...document.querySelectorAll('#members .who')].map((e) => e.textContent)",
                   ["ada", "bob", "cem"])


@test
def a_whisper_is_seen_by_two(s):
    s.bob.run("document.querySelector('#members li:nth-child(2) button').click()")  # ada
    s.bob.comes_to("return document.querySelector('#text').value", "/msg ada ")
    s.bob.keys("psst\n")
    s.ada.sees("psst")
    s.bob.sees("psst")
    expect(s.ada.text("#log .whisper .aside"), "only you see this")
    expect(s.bob.text("#log .whisper .aside"), "only ada sees this")


@test
def what_comes_unseen_is_counted_in_the_title(s):
    s.bob.run("document.hasFocus = () => false")  # the driver gives the focus to all tabs
    s.cem.send("one\ntwo\n")
    wait(lambda: s.bob.run("return document.title") == "(2) crank chat")
    s.bob.run("delete document.hasFocus; window.dispatchEvent(new Event('focus'))")
    expect(s.bob.run("return document.title"), "crank chat")


@test
def the_keyboard_does_all(s):
    from selenium.webdriver.common.keys import Keys
    s.ada.find("#text").send_keys("first\nsecond\n")
    s.bob.sees("first", "second")
    s.ada.keys(Keys.ARROW_UP)
    s.ada.keys(Keys.ARROW_UP)
    value = "return document.querySelector('#text').value"
    s.ada.comes_to(value, "first")
    s.ada.keys(Keys.ARROW_DOWN)
    s.ada.comes_to(value, "second")
    s.ada.keys(Keys.ESCAPE)
    s.ada.comes_to(value, "")
    reached = []
    for _ in range(12):
        s.ada.keys(Keys.TAB)
        reached.append(s.ada.run("const e = document.activeElement; return e.id || e.name || e.parentElement.tagName"))
    for part in "LI", "theme", "log", "text":
        expect(part in reached, True)
    s.ada.find("#text").click()


@test
def colours_have_contrast_and_follow_the_system_and_the_switch(s):
    contrast = """
        const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
        const rgb = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
            return [...canvas.getImageData(0, 0, 1, 1).data]; };
        const linear = (v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
        const light = (c) => { const [r, g, b] = c.map(linear);
            return .2126 * r + .7152 * g + .0722 * b; };
        const ground = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
            if (c[3] === 255) return c; } return [255, 255, 255]; };
        const found = [];
        const look = (e, what) => { const a = light(rgb(getComputedStyle(e).color)), b = light(ground(e));
            const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
            if (ratio < 4.5) found.push(what + ' ' + ratio.toFixed(2)); };
        for (const e of document.querySelectorAll('body *'))
            if (e.checkVisibility() && !e.closest('.lead, .unseen') &&
                [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
                look(e, e.className + ' ' + e.textContent.slice(0, 20));
        const names = [...document.querySelectorAll('#members .disc')].map((e) => getComputedStyle(e).color);
        if (new Set(names).size < names.length) found.push('names have one colour: ' + names);
        const heads = document.querySelectorAll('#log .head, #members .disc, #tree .member');
        for (const e of heads)
            for (let hue = 0; hue < 360; hue += 10) {
                const before = e.closest('[style]').style.getPropertyValue('--hue');
                e.closest('[style]').style.setProperty('--hue', hue);
                look(e, e.className + ' of hue ' + hue);
                e.closest('[style]').style.setProperty('--hue', before);
            }
        return [heads.length > 3, found];"""
    wait(lambda: "member" in s.ada.run("return document.querySelector('#tree').innerHTML"))
    for dark in False, True:
        s.ada.desktop(dark)
        s.ada.comes_to("return document.documentElement.dataset.theme", "dark" if dark else "light")
        expect(s.ada.run(contrast), [True, []])
        s.ada.picture("3-desktop-dark" if dark else "3-desktop-light")
        s.ada.fits()
    s.ada.run("document.querySelector('#theme input[value=light]').click()")
    s.ada.comes_to("return [document.documentElement.dataset.theme, localStorage.theme]", ["light", "light"])
    s.ada.run("document.querySelector('#theme input[value=\"\"]').click()")
    s.ada.desktop()


@test
def everything_has_a_name_for_a_screen_reader(s):
    for page in s.ada, s.bob:
        page.front()
        nodes = page.command("Accessibility.getFullAXTree")["nodes"]
        kinds = {}
        for node in nodes:
            role, name = node.get("role", {}).get("value"), node.get("name", {}).get("value", "")
            if not node["ignored"] and role in ("button", "textbox", "radio", "log", "complementary"):
                expect((role, name != ""), (role, True))
                kinds[role] = kinds.get(role, 0) + 1
        expect(sorted(kinds), ["button", "complementary", "log", "radio", "textbox"])


@test
def a_phone_has_sheets(s):
    from selenium.webdriver.common.keys import Keys
    s.bob.phone()
    s.bob.fits()
    s.bob.comes_to("""return [...document.querySelectorAll('button, input, textarea')].filter((e) =>
        e.checkVisibility({ checkVisibilityCSS: true }) && e.type !== 'radio').filter((e) => {
        const box = e.getBoundingClientRect();
        return box.width < 44 || box.height < 44; }).map((e) => e.outerHTML)""", [])
    expect(s.bob.run("return parseFloat(getComputedStyle(document.querySelector('#text')).fontSize) >= 16"), True)
    s.bob.picture("4-phone-light")
    shown = "return getComputedStyle(document.getElementById(arguments[0])).visibility"
    for which in "people", "panel":
        s.bob.comes_to(shown, "hidden", which)
        s.bob.find(f"#show-{which}").click()
        s.bob.comes_to(shown, "visible", which)
        if which == "panel":
            wait(lambda: "member" in s.bob.run("return document.querySelector('#tree').innerHTML"))
        s.bob.picture(f"5-phone-{which}")
        s.bob.keys(Keys.ESCAPE)
        s.bob.comes_to(shown, "hidden", which)
        s.bob.comes_to("return document.activeElement.id", f"show-{which}")
    s.bob.phone(dark=True)
    s.bob.picture("4-phone-dark")
    s.bob.screen(800, 700, False, 1, False)
    s.bob.fits()
    s.bob.comes_to("""const left = document.querySelector('#show-panel').getBoundingClientRect().left;
        return [...document.querySelectorAll('#log .text')].filter((e) => e.getBoundingClientRect().right > left).length
        """, 0)
    s.bob.picture("4-tablet-light")
    s.bob.desktop()


@test
def the_console_is_clean(s):
    for page in s.ada, s.bob:
        page.front()
        expect([entry["message"] for entry in s.driver.get_log("browser")], [])


@test
def what_is_missed_in_a_cut_comes_once(s):
    before = s.ada.said()
    s.wire.cut()
    wait(lambda: s.ada.state() == "lost" and s.bob.state() == "lost")
    s.ada.find("#text").send_keys("being written")
    wait(lambda: re.fullmatch(r"Connection lost\. Again in \d+ s", s.ada.text("#lost-text")))
    s.ada.picture("6-connection-lost")
    wait(lambda: not s.ada.find("#send").is_enabled())
    s.cem.send("missed 1\nmissed 2\n")
    s.wire.target = s.server.web
    for page in s.ada, s.bob:
        wait(lambda: page.state() == "here")
    wait(lambda: "missed 2" in s.ada.said())
    said = s.ada.said()
    expect(said[:len(before)], before)
    expect([said.count("missed 1"), said.count("missed 2")], [1, 1])
    s.ada.comes_to("return document.querySelector('#text').value", "being written")
    s.ada.keys("\n")
    s.bob.sees("being written")


@test
def the_room_is_kept_over_a_restart(s):
    s.ada.run("document.querySelector('#text').value = 'kept'")
    before = s.ada.said()
    s.server.kill()
    s.wire.cut()
    wait(lambda: re.search(r"Again in [3-9] s", s.ada.text("#lost-text")))
    s.server = Server(s.wire)
    s.ada.run("document.querySelector('#now').click()")  # on a slow machine it has come again by itself
    for page in s.ada, s.bob:
        wait(lambda: page.state() == "here")
        wait(lambda: "the server was restarted" in page.said())
    expect(s.ada.said()[:len(before)], before)
    expect(s.ada.run("return document.querySelector('#text').value"), "kept")
    s.ada.find("#text").send_keys("\n")
    s.bob.sees("kept")
    s.ada.picture("7-restarted")


@test
def a_newcomer_reads_the_history_and_a_reload_comes_back(s):
    dee = Page(s.driver, s.url)
    dee.join("dee")
    wait(lambda: "kept" in dee.said())
    wait(lambda: dee.run("return document.querySelector('#log').getAttribute('aria-live')") == "polite")
    s.driver.refresh()
    wait(lambda: dee.state() == "here")
    wait_for(lambda: dee.text("#members .who"), "dee")
    dee.find("#text").send_keys("/quit\n")
    wait(lambda: dee.state() == "door")
    wait_for(lambda: dee.text("#door-text"), "You have left. Come in again?")


@test
def a_reader_of_old_messages_is_not_moved(s):
    for i in range(40):
        s.server.program.type(f"/say line {i}\n")
    s.ada.sees("line 39")
    s.ada.run("document.querySelector('#log').scrollTop = 0")
    s.server.program.type("/say new\n")
    s.bob.sees("new")
    wait_for(lambda: s.ada.text("#newer"), "1 new")
    expect(s.ada.run("return document.querySelector('#log').scrollTop"), 0)
    s.ada.picture("8-new-below")
    s.ada.find("#newer").click()
    s.ada.comes_to("const l = document.querySelector('#log'); return l.scrollHeight - l.scrollTop - l.clientHeight < 2",
                   True)


def missing():
    """Why it cannot be run, or None."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "python3-selenium"
    return next((package for command, package in [("chromium", "chromium"), ("chromedriver", "chromium-driver")]
                 if not shutil.which(command)), None)


def main():
    if os.environ.get("QUICK") == "1" or missing():
        if os.environ.get("QUICK") != "1":
            print(f"browser.py: the page is not looked at: {missing()} is not installed")
        print(f"0 passed, 0 failed, {len(TESTS)} skipped")
        return 0
    shutil.rmtree(PICTURES, ignore_errors=True)
    passed = failed = 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(folder)
        try:
            for function in TESTS:  # each goes on where the one before has stopped
                try:
                    function(scene)
                    passed += 1
                except Exception as error:  # whatever it is, the others run
                    failed += 1
                    why = str(error).split("Stacktrace")[0].strip()
                    print(f"FAIL {function.__name__.replace('_', ' ')}\n    {type(error).__name__}: {why}")
        finally:
            scene.end()
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
