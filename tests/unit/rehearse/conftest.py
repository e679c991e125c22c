"""Launch plans of the examples, and their substituted twins."""

from dataclasses import replace
from pathlib import Path

import pytest

from shardwright import shape
from shardwright.engines.vllm_rehearsal import VLLM_REHEARSAL
from shardwright.launch.build import build_launch_plan
from shardwright.model.process import EnvVar
from shardwright.model.text import text
from shardwright.planner.plan import make_plan
from shardwright.rehearse.change import Substitution
from shardwright.spec.load import load

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture
def launch():
    def build(name="llama-3.1-405b", mechanism=None, **engine):
        request = load((EXAMPLES / f"{name}.yaml").read_text(), name).request
        request = replace(request, launch=mechanism or request.launch)
        request = replace(request, engine=replace(request.engine, **engine))
        model = shape.load(request.model.id)
        return build_launch_plan(request, model, make_plan(request, model))

    return build


@pytest.fixture
def substitution():
    return Substitution(
        tensor_parallel=2,
        layers=(2, 2),
        model_path="/cache/small",
        max_model_len=512,
        env=(*VLLM_REHEARSAL.env, EnvVar(name="SHARDWRIGHT_RANKS_PER_NODE", value=text("2"))),
    )
