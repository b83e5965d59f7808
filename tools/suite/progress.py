# SPDX-License-Identifier: MIT
"""How far ./test is: one line on a terminal, a line a minute anywhere else; and what is printed above it."""
import os
import sys
import time

REDRAWN = 0.1  # seconds between two pictures of the line on a terminal


def seconds_text(seconds):
    return f"{seconds:.0f} s" if seconds < 120 else f"{int(seconds) // 60} min {int(seconds) % 60} s"


class Progress:
    def __init__(self, out=sys.stdout):
        self.out = out
        self.terminal = out.isatty()
        self.interval = float(os.environ.get("TEST_PROGRESS_SECONDS") or (REDRAWN if self.terminal else 60))
        self.started = self.shown = time.monotonic()
        self.configuration = self.test = ""
        self.done = 0          # tests that have ended
        self.expected = 0      # and about how many there are to come
        self.later = 0.0       # seconds that the configurations to come take, about
        self.now_left = 0.0    # and the present one
        self.drawn = False

    def seconds(self):
        return time.monotonic() - self.started

    def text(self):
        total = max(self.done + self.expected, self.done)
        left = self.later + self.now_left
        parts = [f"{self.configuration}: {self.test}" if self.test else self.configuration,
                 f"{self.done}/{total} tests", seconds_text(self.seconds()), f"about {seconds_text(left)} to go"]
        return ", ".join(part for part in parts if part)

    def tick(self):
        now = time.monotonic()
        if now - self.shown < self.interval:
            return
        self.shown = now
        if self.terminal:
            self.draw()
        else:
            print(self.text(), file=self.out, flush=True)

    def draw(self):
        try:
            width = max(os.get_terminal_size(self.out.fileno()).columns, 40)
        except OSError:
            width = 80
        text = self.text()
        if len(text) >= width: # its head is cut: the figures stand at the end
            head, _, tail = text.partition(", ")
            text = head[:max(0, width - len(tail) - 6)] + "..., " + tail
        self.out.write("\r\033[K" + text[:width - 1])
        self.out.flush()
        self.drawn = True

    def clear(self):
        if self.drawn:
            self.out.write("\r\033[K")
            self.drawn = False

    def say(self, text):
        """Lines that stay, above the line that moves."""
        self.clear()
        print(text, file=self.out, flush=True)
