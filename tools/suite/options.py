# SPDX-License-Identifier: MIT
"""The words behind ./test."""
from dataclasses import dataclass, field

import configurations as known

USAGE = ("known are --all --long --only CONFIGURATION --failed --load --list --repeat N --help and parts of "
         "test names")
HELP = """./test [options] [NAME]...
  What a user needs to trust a build: gcc on all backends, the examples, an installed copy, the documentation.
  At most 5 minutes on two cores.
  NAME          build and run only what has NAME in it, a program's name or a part of a test's sentence
  --all         the matrix: {matrix}
                (hibernate: gcc again, the stack of every parked task put away at once; assurance: a sample of each
                part of tests/assurance). At most 40 minutes on two cores
  --long        --all, with gcc's sanitizers, LTO and no optimisation too, all of tests/assurance, and the slow
                tests, which only gcc runs
  --only NAME   this configuration only (may be repeated); also {named}
  --failed      what failed when it was last run, where it failed
  --load        with every core kept busy by something else
  --repeat N    each test N times, in a changing order
  --list        print the names of the tests
Examples:
  ./test                              before a change is proposed
  ./test "queue: gives items in"      one test, on each backend
  ./test --failed                     after a fault was mended
Build folders lie in ${{TEST_BUILD_DIR:-build/test}}."""


class Refused(Exception):
    """What is wrong with what was asked for, in a sentence."""


@dataclass
class Options:
    names: list = field(default_factory=list)
    only: list = field(default_factory=list)
    all: bool = False
    long: bool = False
    failed: bool = False
    load: bool = False
    list: bool = False
    repeat: int = 1

    def configurations(self):
        if self.only:
            return [name for name in known.KNOWN if name in self.only]
        if self.long:
            return [name for name in known.KNOWN if name in known.LONG]
        if self.whole():
            return known.MATRIX
        return known.DEFAULT

    def whole(self):
        return self.all or self.long


def parse(words):
    """The options, or None where there is nothing to do any more."""
    options, words = Options(), list(words)
    while words:
        word = words.pop(0)
        if word in ("--help", "-h"):
            named = [name for name in known.KNOWN if name not in known.MATRIX]
            print(HELP.format(matrix=" ".join(known.MATRIX), named=" ".join(named)))
            return None
        if word in ("--repeat", "--only"):
            if not words:
                raise Refused(f"{word} needs a value; {USAGE}")
            take_value(options, word, words.pop(0))
        elif word in ("--all", "--long", "--failed", "--load", "--list"):
            setattr(options, word[2:], True)
        elif word.startswith("-") or not word:
            raise Refused(f"unknown option {word!r}; {USAGE}")
        else:
            options.names.append(word)
    if options.failed and options.names:
        raise Refused("--failed takes no names: it knows which tests failed")
    return options


def take_value(options, word, value):
    if word == "--only":
        if value not in known.KNOWN:
            raise Refused(f"unknown configuration {value}; known are {' '.join(known.KNOWN)}")
        options.only.append(value)
    elif not value.isascii() or not value.isdigit() or int(value) == 0:
        raise Refused(f'--repeat takes a number from 1 on, not "{value}"')
    else:
        options.repeat = int(value)
