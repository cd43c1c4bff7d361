"""`etsim capture`: the script runs as under python, and is recorded."""

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from etsim.cli.main import main
from etsim.tests.recorded_pair import read_pair, run_python, with_checkout

SCRIPT = """
import sys
import torch

def work():
    torch.ones(2) + 1
    {action}

print(sys.argv, __name__, __file__, sys.path[0])
if __name__ == "__main__":
    work()
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    code: int
    out: str
    err: str


class Runner:
    """Write a script that does `action`; run `etsim capture` on it in this process."""

    def __init__(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        self.folder = folder
        self.script = folder / "code" / "train.py"
        self._monkeypatch = monkeypatch
        self._capfd = capfd

    def __call__(self, action: str, *arguments: str, switches: tuple[str, ...] = ()) -> Outcome:
        self.script.parent.mkdir(exist_ok=True)
        self.script.write_text(SCRIPT.format(action=action))
        verb = ["etsim", "capture", "--out", str(self.folder / "out"), *switches]
        self._monkeypatch.setattr(sys, "argv", [*verb, str(self.script), *arguments])
        self._monkeypatch.setattr(sys, "path", sys.path.copy())
        self._monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
        with pytest.raises(SystemExit) as end:
            main()
        told = self._capfd.readouterr()
        assert isinstance(end.value.code, int)
        return Outcome(end.value.code, told.out, told.err)


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Runner:
    return Runner(tmp_path, monkeypatch, capfd)


@pytest.mark.torch
def test_the_script_sees_what_python_would_show_it(run: Runner) -> None:
    outcome = run("pass", "--lr", "0.1", "-h")
    seen, told = outcome.out.splitlines()
    script = str(run.script)
    assert seen == f"{[script, '--lr', '0.1', '-h']} __main__ {script} {run.script.parent}"
    assert told.startswith("Recorded ")
    assert told.endswith(
        "train.et.json, {0}train.trace.json, {0}train.wall.json".format(f"{run.folder}/out/")
    )
    assert outcome.code == 0
    pair = read_pair(run.folder / "out", "train")
    assert pair.whole
    assert pair.names["aten::add"] == 1
    assert pair.unmatched == []


@pytest.mark.torch
@pytest.mark.parametrize(
    ("action", "code", "told"),
    [
        ("sys.exit()", 0, ""),
        ("sys.exit(7)", 7, ""),
        ("sys.exit('no data')", 1, "no data\n"),
    ],
)
def test_the_scripts_exit_code_passes_through(
    run: Runner, action: str, code: int, told: str
) -> None:
    outcome = run(action)
    assert outcome.code == code
    assert told in outcome.err
    assert (f"ended with code {code}" in outcome.err) == (code != 0)
    assert read_pair(run.folder / "out", "train").whole


@pytest.mark.torch
def test_an_error_of_the_script_shows_the_scripts_own_traceback(run: Runner) -> None:
    outcome = run("raise ValueError('own fault')")
    assert outcome.code == 1
    _, _, traceback = outcome.err.partition("Traceback (most recent call last):\n")
    assert traceback.startswith(f'  File "{run.script}", line 11, in <module>')
    assert "ValueError: own fault" in traceback
    assert "runpy" not in outcome.err
    assert "cli/capture.py" not in outcome.err
    assert read_pair(run.folder / "out", "train").whole


@pytest.mark.torch
def test_with_json_stdout_holds_nothing_else(run: Runner) -> None:
    outcome = run("os = __import__('os'); os.write(1, b'low')", switches=("--json", "--gzip"))
    told = json.loads(outcome.out)
    assert [Path(path).name for path in told["files"]] == [
        "train.et.json.gz",
        "train.trace.json.gz",
        "train.wall.json",
    ]
    assert told["exit_code"] == 0
    assert "low" in outcome.err


@pytest.mark.torch
def test_a_script_that_records_itself_is_told_in_one_line(run: Runner) -> None:
    outcome = run("torch.profiler.profile().start()")
    assert outcome.code == 1
    line = outcome.err.splitlines()[-1]
    assert line.startswith("error: train: this process is being recorded already")


@pytest.mark.torch
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_script_leaves_whole_files(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import time, torch\n"
        "torch.ones(2) + 1\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    torch.ones(2) * 2\n"
        "    time.sleep(0.01)\n"
    )
    command = [
        sys.executable,
        "-m",
        "etsim",
        "capture",
        "--out",
        str(tmp_path / "out"),
        str(script),
    ]
    with subprocess.Popen(
        command,
        env=with_checkout(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(number)
        _, err = child.communicate(timeout=60)
    assert child.returncode == 128 + number
    assert ("KeyboardInterrupt" in err) == (number == signal.SIGINT)
    pair = read_pair(tmp_path / "out", "train")
    assert pair.whole
    assert pair.names["aten::add"] == 1
    assert pair.unmatched == []
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "train.et.json",
        "train.trace.json",
        "train.wall.json",
    ]


@pytest.mark.torch
@pytest.mark.slow
def test_under_torchrun_each_rank_writes_its_own_pair(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import torch\n"
        "from torch import distributed\n"
        "distributed.init_process_group('gloo')\n"
        "distributed.all_reduce(torch.ones(4))\n"
        "distributed.destroy_process_group()\n"
    )
    done = run_python(
        *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
        *("-m", "etsim", "capture", "--out", tmp_path / "out", script),
        **({"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}),
    )
    assert done.returncode == 0, done.stderr
    for rank in (0, 1):
        pair = read_pair(tmp_path / "out", "train", rank)
        assert pair.whole
        assert pair.annotations["gloo:all_reduce"] == 1
        assert pair.unmatched == []
        assert isinstance(pair.groups, dict)
        assert pair.groups["rank"] == rank


def test_a_missing_script_is_bad_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["etsim", "capture", str(tmp_path / "nothing.py")])
    with pytest.raises(SystemExit, match="3"):
        main()
    assert capsys.readouterr().err == f"error: {tmp_path}/nothing.py: there is no such script\n"


def test_without_torch_the_remedy_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text("")
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(sys, "argv", ["etsim", "capture", str(tmp_path / "train.py")])
    with pytest.raises(SystemExit, match="4"):
        main()
    assert "pip install torch" in capsys.readouterr().err
