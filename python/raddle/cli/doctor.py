"""`raddle doctor`: the surroundings, for a report of a bug, and what of them will bite."""

from __future__ import annotations

import argparse

from raddle._internal.diagnosis import diagnose
from raddle.cli.output import print_json


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "doctor",
        help="print what a bug report needs, and warn of what will bite",
        description="Print versions, cores, limits and settings, and warn of those that will bite.",
        epilog="exit codes: 0 nothing will bite; 1 something will",
    )
    parser.add_argument("--json", action="store_true", help="print an object, sizes in bytes")
    parser.set_defaults(do=_print_diagnosis)


def _print_diagnosis(options: argparse.Namespace) -> int:
    facts, bites = diagnose()
    if options.json:
        print_json({**facts, "warnings": [bite._asdict() for bite in bites]})
        return 1 if bites else 0
    for group, values in facts.items():
        if not values:
            continue
        print(group)
        width = max(map(len, values))
        for name, value in values.items():
            print(f"  {name.replace('_', ' '):{width}}  {_text(name, value)}")
    for bite in bites:
        print(f"warning: {bite.what}\n         {bite.cure}")
    return 1 if bites else 0


_SIZES = frozenset({"memory", "cgroup_memory", "shared_memory_room", "address_space"})


def _text(name: str, value: str | float | bool | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in _SIZES and isinstance(value, int | float):
        return f"{value / 2**30:.1f} GiB"
    return f"{value:g}" if isinstance(value, float) else str(value)
