"""Runs a module and samples what its main thread does: `sampler OUTPUT MODULE [ARGUMENT...]`.

The samples are taken by CPU time. On a busy machine, a sampler by the clock would mostly see a
thread that waits for a processor. SIGUSR1 begins, and SIGUSR2 ends and writes the stacks to OUTPUT.
"""

import os
import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType

INTERVAL = 0.0005
"""The seconds of CPU time between two samples; the kernel rounds them up to its tick."""

Stack = tuple[tuple[CodeType, int | None], ...]
"""The functions that run and their lines, the innermost first."""


class Sampler:
    """Counts the stacks of the main thread, which is the one that handles signals."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._stacks: Counter[Stack] = Counter()
        signal.signal(signal.SIGPROF, self._sample)
        signal.signal(signal.SIGUSR1, self._begin)
        signal.signal(signal.SIGUSR2, self._end)

    def _sample(self, number: int, frame: FrameType | None) -> None:
        stack = []
        while frame is not None:
            stack.append((frame.f_code, frame.f_lineno))
            frame = frame.f_back
        self._stacks[tuple(stack)] += 1

    def _begin(self, number: int, frame: FrameType | None) -> None:
        self._stacks.clear()
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)

    def _end(self, number: int, frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        part = self._output.with_suffix(".part")
        with part.open("w") as out:
            for stack, count in self._stacks.items():
                for code, line in reversed(stack):
                    out.write(f"{code.co_qualname}\t{code.co_filename}\t{line or 0}\n")
                out.write(f"{count}\n")
        os.replace(part, self._output)


def main() -> None:
    output, module = sys.argv[1:3]
    sys.argv = sys.argv[2:]
    Sampler(Path(output))
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
