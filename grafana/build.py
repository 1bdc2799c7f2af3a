#!/usr/bin/env python3
"""Writes grafana/dashboards/*.json from grafana/source. With --check it only says which are not current."""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

from source import agents, calls, coding, cost, health  # noqa: E402: the path has to be known first.


def main():
    folder = HERE / "dashboards"
    made = {f"{one.DASHBOARD['uid']}.json": json.dumps(one.DASHBOARD, indent=2, ensure_ascii=False) + "\n"
            for one in (agents, cost, calls, coding, health)}
    there = {path.name: path.read_text() for path in folder.glob("*.json")}
    stale = sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))
    if "--check" in sys.argv[1:]:
        if stale:
            sys.exit(f"{', '.join(stale)}: not what the sources say; run grafana/build.py")
        return
    folder.mkdir(exist_ok=True)
    for name in stale:
        if name in made:
            (folder / name).write_text(made[name])
        else:
            (folder / name).unlink()
        print(name)


main()
