import hashlib
import json
import struct

from shardwright.drive.checkpoint import FILES, write_checkpoint
from shardwright.engines.vllm import split_layers
from shardwright.facts import models
from shardwright.model.layout import Layout
from shardwright.rehearse.shrink import shrink


def small():
    layout = Layout(tensor_parallel=2, pipeline_parallel=2)
    planned = Layout(tensor_parallel=8, pipeline_parallel=2)
    return shrink(models.load("Qwen/Qwen3-30B-A3B").config, planned, layout, split_layers)


def digest(folder):
    return [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES]


def test_the_folder_is_the_same_for_a_seed_and_small(tmp_path):
    size = write_checkpoint(small(), tmp_path / "a", seed=3)
    write_checkpoint(small(), tmp_path / "b", seed=3)
    write_checkpoint(small(), tmp_path / "c", seed=4)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert digest(tmp_path / "a")[3] != digest(tmp_path / "c")[3]
    assert size < 100e6


def test_the_header_covers_the_data(tmp_path):
    write_checkpoint(small(), tmp_path / "m")
    data = (tmp_path / "m" / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    del header["__metadata__"]
    ends = [0, *(t["data_offsets"][1] for t in header.values())]
    assert [t["data_offsets"][0] for t in header.values()] == ends[:-1]
    assert ends[-1] == len(data) - 8 - length
    head = header["lm_head.weight"]
    assert head["shape"] == [512, 256]
    assert head["data_offsets"][1] - head["data_offsets"][0] == 512 * 256 * 2


def test_half_a_folder_is_made_whole_and_nothing_is_left_beside_it(tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    write_checkpoint(small(), folder)
    assert json.loads((folder / "config.json").read_text())["num_hidden_layers"] == 4
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_what_is_there_is_not_written_again(tmp_path):
    folder = tmp_path / "m"
    write_checkpoint(small(), folder)
    before = (folder / "model.safetensors").stat().st_mtime_ns
    write_checkpoint(small(), folder)
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
