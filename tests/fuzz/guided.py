"""One target under libFuzzer, by atheris: `python -m tests.fuzz.guided TARGET FOLDER -max_total_time=60 ...`.

New inputs that reach new code are kept in FOLDER. Ends with an error at the first broken promise.
"""

from __future__ import annotations

import sys

import atheris


def main() -> None:
    name = sys.argv[1]
    with atheris.instrument_imports(include=["rtwist", "autobahn.websocket", "twisted.web"]):
        from tests.fuzz.targets import TARGETS
    atheris.enabled_hooks.add("RegEx")
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
