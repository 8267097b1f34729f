#!/usr/bin/env python3
"""The manual pages: mandoc accepts them, and they name every verb and every setting of the program's own tables.
usage: manual.py SOURCE STEAD.CONF.5"""
import pathlib
import re
import subprocess
import sys


def lint(page):
    run = subprocess.run(["mandoc", "-T", "lint", "-W", "error", str(page)], capture_output=True, text=True)
    return (run.stdout + run.stderr).splitlines() if run.returncode else []


def unnamed(names, page, pattern):
    text = page.read_text().replace("\\-", "-")
    return [f"{page.name}: '{name}' is missing" for name in names
            if not re.search(pattern.format(re.escape(name)), text, flags=re.M)]


def main():
    root, conf = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    page = root / "docs/man/stead.1"
    table = re.search(r"verbs\[\] = \{(.*?)\n\};", (root / "src/cli/main.c").read_text(), flags=re.S).group(1)
    verbs = re.findall(r'^    \{"(\w+)",', table, flags=re.M)
    rows = (root / "src/node/settings.c").read_text()
    settings = re.findall(r'ROW\("[^"]*", "([^"]+)",', rows)
    found = lint(page) + lint(conf)
    if len(verbs) < 10 or len(settings) < 30:
        found.append("the tables of verbs and settings could not be read")
    found += unnamed(verbs, page, r"^\.SS stead {}\b")
    found += unnamed(settings, conf, r"^\.B {}$")
    if "@SETTINGS@" in conf.read_text():
        found.append(f"{conf.name}: the settings are not filled in")
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
