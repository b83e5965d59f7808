#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write a test file of calls with signatures drawn at random: signatures.py COUNT [SEED] > signatures.c

Each function checks every argument against the value its call was written with and gives a result that the caller
checks. What does not fit the stack words that a capture saves is drawn again.
"""
import random
import sys

STACK_WORDS = 16

# type: (members or None for a scalar, C type, x86-64 registers and memory, aarch64 registers)
# A register need is (general, vector, stack bytes when there is none).
SCALARS = {
    "signed char": "int", "unsigned char": "int", "short": "int", "unsigned short": "int", "int": "int",
    "unsigned": "int", "long": "int", "unsigned long": "int", "_Bool": "int", "const char *": "int",
    "float": "real", "double": "real", "long double": "big",
}
# name: (members, x86 (general, vector), aarch64 (general, vector), bytes)
STRUCTS = {
    "one_char": (["signed char"], (1, 0), (1, 0), 8),
    "two_ints": (["int", "int"], (1, 0), (1, 0), 8),
    "int_short_char": (["int", "short", "signed char"], (1, 0), (1, 0), 8),
    "two_longs": (["long", "long"], (2, 0), (2, 0), 16),
    "long_int": (["long", "int"], (2, 0), (2, 0), 16),
    "one_float": (["float"], (0, 1), (0, 1), 8),
    "two_floats": (["float", "float"], (0, 1), (0, 2), 8),
    "three_floats": (["float", "float", "float"], (0, 2), (0, 3), 16),
    "four_floats": (["float", "float", "float", "float"], (0, 2), (0, 4), 16),
    "one_double": (["double"], (0, 1), (0, 1), 8),
    "two_doubles": (["double", "double"], (0, 2), (0, 2), 16),
    "float_int": (["float", "int"], (1, 0), (1, 0), 8),
    "double_long": (["double", "long"], (1, 1), (2, 0), 16),
    "long_double_": (["long", "double"], (1, 1), (2, 0), 16),
    "float_double": (["float", "double"], (0, 2), (2, 0), 16),
    "pointer_float": (["const char *", "float"], (1, 1), (2, 0), 16),
    "char_double": (["signed char", "double"], (1, 1), (2, 0), 16),
    "only_long_double": (["long double"], None, (0, 1), 16),
}
RESULTS = ["signed char", "unsigned char", "short", "unsigned short", "int", "unsigned", "long", "unsigned long",
           "_Bool", "float", "double", "const char *", "void"]
RANGES = {
    "signed char": (-128, 127), "unsigned char": (0, 255), "short": (-32768, 32767), "unsigned short": (0, 65535),
    "int": (-2**31 + 1, 2**31 - 1), "unsigned": (0, 2**32 - 1), "long": (-2**63 + 1, 2**63 - 1),
    "unsigned long": (0, 2**64 - 1), "_Bool": (0, 1),
}
SUFFIX = {"unsigned": "u", "long": "L", "unsigned long": "UL"}


def literal(chance, scalar, result=False):
    """A C literal of the type; results are not negative where they are wide enough to be taken for failures."""
    if scalar == "const char *":
        return f"&letters[{chance.randrange(26)}]"
    if scalar == "float":
        return f"{chance.randrange(-4096, 4096) / 16}f"
    if scalar == "double":
        return repr(chance.randrange(-2**40, 2**40) / 1024)
    if scalar == "long double":
        return f"({chance.randrange(-2**40, 2**40)}.0L / 3)"
    low, high = RANGES[scalar]
    value = chance.choice([low, high, chance.randint(low, high), chance.randint(low, high)])
    if result and scalar == "unsigned long":
        value >>= 1
    if result and scalar == "long":
        value = abs(value)
    return f"({value}{SUFFIX.get(scalar, '')})"


def is_wide_on_stack(kind):
    return kind in ("long double", "only_long_double")


def needs(kind):
    """(x86 registers or None for memory, aarch64 registers, stack bytes)."""
    if kind in STRUCTS:
        return STRUCTS[kind][1:]
    return {"int": ((1, 0), (1, 0), 8), "real": ((0, 1), (0, 1), 8), "big": (None, (0, 1), 16)}[SCALARS[kind]]


def stack_words(kinds):
    """The most stack words that either calling convention spends on these arguments."""
    worst = 0
    for machine, general, vector in ((0, 6, 8), (1, 8, 8)):
        stack = 0
        for kind in kinds:
            need, size = needs(kind)[machine], needs(kind)[2]
            if need and need[0] <= general and need[1] <= vector:
                general -= need[0]
                vector -= need[1]
                continue
            if machine == 1 and need[0]:
                general = 0
            if machine == 1 and need[1]:
                vector = 0
            if is_wide_on_stack(kind):
                stack += stack % 16
            stack += size
        worst = max(worst, stack)
    return (worst + 7) // 8


def draw(chance):
    while True:
        count = chance.choice([0, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14])
        pool = list(SCALARS) + list(STRUCTS) if chance.random() < 0.7 else list(SCALARS)
        kinds = [chance.choice(pool) for _ in range(count)]
        if stack_words(kinds) <= STACK_WORDS:
            return kinds


def condition(name, kind, values):
    if kind in SCALARS:
        return f"{name} == ({kind})({values[0]})"
    members = STRUCTS[kind][0]
    return " && ".join(f"{name}.m{i} == ({member})({value})" for i, (member, value) in enumerate(zip(members, values)))


def write_function(chance, number, out):
    kinds = draw(chance)
    result = chance.choice(RESULTS)
    values = [[literal(chance, member) for member in (STRUCTS[kind][0] if kind in STRUCTS else [kind])]
              for kind in kinds]
    parameters = ", ".join(f"{('struct ' + kind) if kind in STRUCTS else kind} a{i}" for i, kind in enumerate(kinds))
    out.append(f"static {result} f{number}({parameters or 'void'})\n{{")
    for i, (kind, value) in enumerate(zip(kinds, values)):
        out.append(f"    EXPECT({condition(f'a{i}', kind, value)});")
    given = literal(chance, result, True) if result != "void" else None
    out.append("    seen++;")
    out.append(f"    return {given};\n}}" if given else "}")
    written = []
    for kind, value in zip(kinds, values):
        written.append(f"((struct {kind}){{ {', '.join(value)} }})" if kind in STRUCTS else f"({kind})({value[0]})")
    call = ", ".join([f"f{number}"] + written)
    if result in ("float", "double"):
        return f"    EXPECT(crank_await_double(crank_spawn({call})) == (double)({given}));"
    if result == "const char *":
        return f"    EXPECT(crank_await_ptr(crank_spawn({call})) == ({given}));"
    if result == "void":
        return f"    EXPECT_EQ(crank_await(crank_spawn({call})), 0);"
    return f"    EXPECT_EQ(crank_await(crank_spawn({call})), {given});"


def main():
    count = int(sys.argv[1])
    chance = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    out = ["/* SPDX-License-Identifier: MIT */", "/* Written by signatures.py. */", '#include "test.h"', "",
           'static const char letters[27] = "abcdefghijklmnopqrstuvwxyz";', "static int seen;"]
    for name, entry in STRUCTS.items():
        members = " ".join(f"{member} m{i};" for i, member in enumerate(entry[0]))
        out.append(f"struct {name} {{ {members} }};")
    calls = [write_function(chance, number, out) for number in range(count)]
    for start in range(0, count, 50):
        part = calls[start:start + 50]
        out.append(f"TEST_SIM(signatures, from_{start}_on_pass_through)\n{{\n    (void)letters;")
        out.extend(part)
        out.append(f"    EXPECT_EQ(seen, {len(part)});\n    return 0;\n}}")
    print("\n".join(out))


if __name__ == "__main__":
    main()
