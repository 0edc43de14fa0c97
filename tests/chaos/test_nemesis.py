"""The schedule of faults, and the clock of a process."""

import subprocess
import sys
from collections import Counter

import pytest

from tests.chaos import stack
from tests.chaos.nemesis import PROFILES, schedule
from tests.chaos.stack import Clock, SetupError, find_libfaketime


@pytest.mark.parametrize("name", PROFILES)
def test_a_seed_gives_the_same_schedule_each_time(name: str) -> None:
    first, again, other = [schedule(PROFILES[name], seed, 30, 3) for seed in ("1", "1", "2")]
    assert first == again != other
    assert [step.at for step in first] == sorted(step.at for step in first)
    kinds = {kind for profile in PROFILES[name] for kind in profile.kinds}
    assert {step.kind for step in first} <= kinds


@pytest.mark.parametrize("name", ["processes", "everything"])
def test_a_round_in_which_processes_die_ends_with_a_kill(name: str) -> None:
    assert schedule(PROFILES[name], "1", 30, 3)[-1].kind == "kill"


def test_the_clock_of_a_process_is_off_and_its_timers_are_right() -> None:
    library = find_libfaketime()
    if library is None:
        pytest.skip("libfaketime is not installed")
    program = "import time; print(time.time(), time.monotonic())"

    def read(environment: dict[str, str]) -> list[float]:
        output = subprocess.check_output([sys.executable, "-c", program], env=environment)
        return [float(word) for word in output.split()]

    faults: Counter[str] = Counter()
    wall, timer = read({})
    late_wall, late_timer = read(Clock(-100.0, library, faults).environment())
    assert -100 <= late_wall - wall < -50 and 0 <= late_timer - timer < 50
    assert faults == {"clock off": 1}


def test_a_missing_library_is_an_error_in_the_continuous_integration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stack, "LIBFAKETIME", "/nowhere/*")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(SetupError, match="apt-get install faketime"):
        find_libfaketime()
    monkeypatch.delenv("CI")
    assert find_libfaketime() is None
    assert "all clocks are correct in this run" in capsys.readouterr().err
