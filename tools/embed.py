#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turn files into C: embed.py HEADER FILE... prints a source that includes HEADER and defines for page.html the array
page_html, of unsigned char, and its page_html_size."""
import os
import re
import sys


def array(path):
    with open(path, "rb") as file:
        content = file.read()
    name = re.sub(r"\W", "_", os.path.basename(path))
    rows = [",".join(map(str, content[i:i + 32])) for i in range(0, len(content), 32)]
    body = ",\n".join(rows) or "0"
    return f"const unsigned char {name}[] = {{\n{body}\n}};\nconst size_t {name}_size = {len(content)};\n"


if __name__ == "__main__":
    print(f'#include "{sys.argv[1]}"')
    print("\n".join(array(path) for path in sys.argv[2:]))
