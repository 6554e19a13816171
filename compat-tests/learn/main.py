#!/usr/bin/env python3
"""Tries `--learn` and `--explain` on real programs.

    main.py BWRAP [PART...]      PART is trips, oracle, exact, hostile, floods, endings or explain; default: all of them

With LEARN=all on every program, else on one of each kind.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import endings
import explain
import floods
import hostile
import rounds
import world as worlds


def main():
    binary, *parts = sys.argv[1:]
    everything = os.environ.get("LEARN") == "all"
    world = worlds.World(binary)
    tests = {
        "trips": lambda: rounds.all_of(world, rounds.trip, "round trip of", everything),
        "oracle": lambda: rounds.all_of(world, rounds.oracle, "the record has what strace saw of", everything),
        "exact": lambda: (hostile.build(world), hostile.exact(world)),
        "hostile": lambda: hostile.run_all(world),
        "floods": lambda: (hostile.build(world), floods.run_all(world)),
        "explain": lambda: explain.run_all(world, everything),
        "endings": lambda: endings.run_all(world, everything),
    }
    try:
        for part in parts or tests:
            tests[part]()
    finally:
        world.close()
    return worlds.failed


sys.exit(main())
