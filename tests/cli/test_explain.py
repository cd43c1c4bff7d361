"""`etsim explain`: real runs are explained by what bounds them; the JSON keeps its keys."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from etsim.cli.explain import command
from etsim.models.errors import UsageError

BERT = "traces/pair_h100_mi300/h100_bert_small.json.gz"
KERNELS = ("compute_bound_kernels", "memory_bound_kernels", "short_kernels")
HOST = ("host_work", "host_gaps", "launch_calls")


def explained(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(command, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def share(document: dict[str, Any], kinds: tuple[str, ...]) -> float:
    by_kind = document["critical_path"]["by_kind"]
    return float(sum(by_kind.get(kind, 0) for kind in kinds) / document["total_ns"])


def deltas(document: dict[str, Any]) -> dict[str, float]:
    return {entry["resource"]: entry["delta"] for entry in document["sensitivity"]}


@pytest.mark.shared
def test_a_device_bound_run_is_kernels_and_does_not_care_for_the_host(shared_data: Path) -> None:
    document = explained("--et", str(shared_data / "traces/gpubound_v100"))
    assert share(document, KERNELS) > 0.9
    delta = deltas(document)
    assert delta["host.speed"] > -0.005
    assert -0.1 < delta["memory.bandwidth"] + delta["flops"] < -0.07


@pytest.mark.shared
def test_a_host_bound_run_is_host_time_and_does_not_care_for_the_device(shared_data: Path) -> None:
    document = explained("--et", str(shared_data / BERT))
    assert share(document, HOST) > 0.95
    delta = deltas(document)
    assert delta["host.speed"] == pytest.approx(1 / 1.1 - 1, abs=0.005)
    assert abs(delta["flops"]) < 0.001
    assert abs(delta["memory.bandwidth"]) < 0.001


@pytest.mark.shared
def test_the_json_has_its_published_keys_and_adds_up(shared_data: Path) -> None:
    document = explained("--et", str(shared_data / BERT), "--top", "3", "--change", "20")
    assert set(document) == {
        "target", "total_ns", "critical_path", "ranks", "slack", "sensitivity", "notes",
    }  # fmt: skip
    path = document["critical_path"]
    assert sum(path["by_kind"].values()) == document["total_ns"]
    assert len(path["top"]) == len(document["slack"]) == 3
    assert set(path["top"][0]) == {"name", "kind", "count", "duration_ns"}
    assert set(document["slack"][0]) == {"name", "count", "duration_ns", "least_ns", "median_ns"}
    assert set(document["sensitivity"][0]) == {"resource", "change", "total_ns", "delta"}
    assert document["sensitivity"][0]["change"] == "+20 %"


@pytest.mark.shared
def test_the_result_is_the_first_line(shared_data: Path) -> None:
    result = CliRunner().invoke(command, ["--et", str(shared_data / BERT)])
    first = result.stdout.splitlines()[0]
    assert first.startswith("The critical path takes 4.426 ms on h100-sxm: 66.2 % host gaps")
    assert "host.speed +10 %: -9.1 %" in first


@pytest.mark.shared
def test_another_machine_is_explained_as_it_would_be_there(shared_data: Path) -> None:
    document = explained("--et", str(shared_data / BERT), "--hw", "mi300x")
    assert document["target"] == "mi300x"


def test_a_bad_scale_is_refused_before_anything_is_read() -> None:
    with pytest.raises(UsageError, match="unknown name"):
        CliRunner().invoke(command, ["--et", "nowhere", "--scale", "kernels=2"],
                           catch_exceptions=False)  # fmt: skip
