"""Which ranks stand for which layout."""

import pytest

from shardwright.model.errors import ExitCode, ShardwrightError
from shardwright.model.layout import Layout
from shardwright.rehearse.scene import rehearsed_layout


@pytest.mark.parametrize(
    ("planned", "ranks", "here"),
    [
        ((8, 2), None, (2, 2)),
        ((8, 1), None, (2, 1)),
        ((1, 1), None, (1, 1)),
        ((16, 4), (4, 3), (4, 3)),
        ((8, 2), (8, 2), (8, 2)),
    ],
)
def test_both_axes_are_kept(planned, ranks, here):
    layout = rehearsed_layout(
        Layout(tensor_parallel=planned[0], pipeline_parallel=planned[1]), ranks
    )
    assert (layout.tensor_parallel, layout.pipeline_parallel) == here


@pytest.mark.parametrize(
    ("planned", "ranks", "axis"),
    [((8, 1), (2, 2), "pipeline"), ((8, 2), (1, 2), "tensor"), ((2, 2), (4, 2), "tensor")],
)
def test_ranks_of_another_layout_are_refused(planned, ranks, axis):
    with pytest.raises(ShardwrightError) as caught:
        rehearsed_layout(Layout(tensor_parallel=planned[0], pipeline_parallel=planned[1]), ranks)
    assert caught.value.code == "ranks-not-of-the-plan"
    assert axis in caught.value.what
    assert caught.value.exit_code is ExitCode.USAGE
