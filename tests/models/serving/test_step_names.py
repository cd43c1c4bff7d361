"""Every way in which engines name their steps."""

import pytest

from etsim.models.serving.step_names import Share, StepPhase, parse_step_name

NOTHING = Share()


@pytest.mark.parametrize(
    ("name", "phase", "context", "generation"),
    [
        (
            "execute_context_2(900)_generation_3(3)",
            StepPhase.MIXED,
            Share(2, 900, None, None, None),
            Share(3, 3, None, None, None),
        ),
        (
            "execute_context_1(888_788544)_generation_0(0)",
            StepPhase.PREFILL,
            Share(1, 888, None, 788544, None),
            NOTHING,
        ),
        (
            "execute_32_context_0(sq0sk0sqsq0sqsk0)_generation_32(sq32sk55086sqsq32sqsk55086)",
            StepPhase.DECODE,
            NOTHING,
            Share(32, 32, 55086, 32, 55086),
        ),
        (
            "execute_8192_context_9(sq8155sk8430sqsq7475785sqsk7671310)"
            "_generation_37(sq37sk34489sqsq37sqsk34489)",
            StepPhase.MIXED,
            Share(9, 8155, 8430, 7475785, 7671310),
            Share(37, 37, 34489, 37, 34489),
        ),
        (
            "execute_new_2_cached_30",
            StepPhase.MIXED,
            Share(2, None, None, None, None),
            Share(30, 30, None, None, None),
        ),
        (
            "step[EXTEND bs=15 toks=15360]",
            StepPhase.PREFILL,
            Share(15, 15360, None, None, None),
            NOTHING,
        ),
        ("step[DECODE bs=32]", StepPhase.DECODE, NOTHING, Share(32, 32, None, None, None)),
        (
            "step[DECODE bs=2 g_sq=2 g_sk=500 g_sqsq=2 g_sqsk=500]",
            StepPhase.DECODE,
            NOTHING,
            Share(2, 2, 500, 2, 500),
        ),
        (
            "step[MIXED bs=10 toks=4104 c_sq=4096 c_sk=5000 c_sqsq=9 c_sqsk=11 g_sq=8 g_sk=900 "
            "g_sqsq=8 g_sqsk=900]",
            StepPhase.MIXED,
            Share(2, 4096, 5000, 9, 11),
            Share(8, 8, 900, 8, 900),
        ),
        (
            "prefill[bs=4 tok=512 ctx=100]",
            StepPhase.PREFILL,
            Share(4, 512, 612, None, None),
            NOTHING,
        ),
        (
            "decode[bs=117/128 tok=117 ctx=90000]",
            StepPhase.DECODE,
            NOTHING,
            Share(117, 117, 90000, None, None),
        ),
        ("execute_diffusion_2_1024x768", StepPhase.OTHER, NOTHING, NOTHING),
    ],
)
def test_a_step_name_is_understood(
    name: str, phase: StepPhase, context: Share, generation: Share
) -> None:
    for written in (name, f"worker0: {name}"):
        label = parse_step_name(written)
        assert label is not None
        assert (label.phase, label.context, label.generation) == (phase, context, generation)


@pytest.mark.parametrize("name", ["ProfilerStep#3", "capture_32_FULL", "aten::mm", "prefill"])
def test_other_names_are_no_steps(name: str) -> None:
    assert parse_step_name(name) is None


def test_pairs_follow_from_the_sums_under_a_causal_mask() -> None:
    """One prompt of 4 behind 6 cached: 7 + 8 + 9 + 10 = 34 pairs; Σq·KV - Σq²/2 = 40 - 8 = 32."""
    assert Share(1, 4, 10, 16, 40).pairs == 32
    assert Share(1, 4, None, 16, None).pairs == 8
    assert Share(1, 4, None, None, None).pairs is None
