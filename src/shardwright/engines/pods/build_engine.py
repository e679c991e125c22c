"""Build TensorRT-LLM engines and the Triton model repository around them.

Runs once in the Triton image that will serve, on the GPU type that will serve. The repository is
the image's own (its preprocessing, postprocessing and ensemble models fit its backend), with every
`${...}` of the config.pbtxt files filled; the directory appears under its final name only when it
is whole.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
MODELS = ("preprocessing", "tensorrt_llm", "postprocessing", "ensemble")


def fill(template: str, values: dict[str, str]) -> str:
    """Fill the placeholders of a config.pbtxt.

    One inside quotes may stay, which the backend reads as not set; elsewhere it would not parse.
    """
    filled = PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), template)
    for line in filled.splitlines():
        bare = PLACEHOLDER.search(re.sub(r'"[^"]*"', "", line.split("#")[0]))
        if bare:
            sys.exit(f"build: config.pbtxt of this image wants {bare[1]}, which is not known here")
    return filled


def find(root: Path, *names: str) -> Path:
    """Find the first of some paths in the image, or say that this image cannot build engines."""
    for name in names:
        if (root / name).exists():
            return root / name
    sys.exit(
        f"build: this image has none of {', '.join(names)} under {root}: it has no TensorRT engine"
        " backend (removed upstream in July 2026); use the PyTorch backend or an older image"
    )


def build(options: argparse.Namespace, work: Path) -> Path:
    """Convert the checkpoint and compile one engine per rank."""
    convert = find(
        options.app,
        f"examples/models/core/{options.family}/convert_checkpoint.py",
        f"examples/{options.family}/convert_checkpoint.py",
    )
    checkpoint, engines = work / "checkpoint", work / "engines"
    run(
        [sys.executable, str(convert), "--model_dir", str(options.model_dir)],
        ["--output_dir", str(checkpoint), "--dtype", options.dtype],
        ["--tp_size", str(options.tp_size), "--pp_size", str(options.pp_size)],
        ["--workers", str(options.workers)],
    )
    run(
        ["trtllm-build", "--checkpoint_dir", str(checkpoint), "--output_dir", str(engines)],
        ["--max_batch_size", str(options.max_batch_size)],
        ["--max_num_tokens", str(options.max_num_tokens)],
        ["--max_seq_len", str(options.max_seq_len)],
        ["--max_input_len", str(options.max_seq_len - 1)],
        ["--gemm_plugin", "auto", "--kv_cache_type", "paged"],
        ["--use_paged_context_fmha", "enable", "--workers", str(options.workers)],
    )
    ranks = options.tp_size * options.pp_size
    missing = [rank for rank in range(ranks) if not (engines / f"rank{rank}.engine").exists()]
    if missing:
        sys.exit(f"build: trtllm-build wrote no engine for ranks {missing} of {ranks}")
    shutil.rmtree(checkpoint)
    return engines


def run(*parts: list[str]) -> None:
    """Run one command; its failure is ours."""
    argv = [word for part in parts for word in part]
    print("build:", " ".join(argv), flush=True)  # noqa: T201
    code = subprocess.run(argv, check=False).returncode
    if code:
        sys.exit(f"build: {argv[0]} failed with status {code}")


def repository(options: argparse.Namespace, work: Path, engines: Path) -> None:
    """Lay out the model repository in the work directory, as it will stand under its final name."""
    templates = find(options.app, "all_models/inflight_batcher_llm")
    version = options.out / "tensorrt_llm" / "1"
    values = {
        "triton_backend": "tensorrtllm",
        "triton_max_batch_size": str(options.max_batch_size),
        "decoupled_mode": "true",
        "max_queue_delay_microseconds": "0",
        "max_queue_size": "0",
        "batching_strategy": "inflight_fused_batching",
        "batch_scheduler_policy": "guaranteed_no_evict",
        "engine_dir": str(version),
        "kv_cache_free_gpu_mem_fraction": str(options.kv_cache_fraction),
        "enable_kv_cache_reuse": "true",
        "enable_chunked_context": "true",
        "exclude_input_in_output": "true",
        "max_beam_width": "1",
        "encoder_input_features_data_type": "TYPE_FP16",
        "prompt_embedding_table_data_type": "TYPE_FP16",
        "logits_datatype": "TYPE_FP32",
        "tokenizer_dir": str(options.model_dir),
        "preprocessing_instance_count": "1",
        "postprocessing_instance_count": "1",
        "bls_instance_count": "1",
        "add_special_tokens": "false",
        "skip_special_tokens": "true",
        "max_num_images": "1",
    }
    for model in MODELS:
        source, target = find(templates, model), work / model
        shutil.copytree(source, target, dirs_exist_ok=True)
        config = target / "config.pbtxt"
        config.write_text(fill(config.read_text(), values))
        (target / "1").mkdir(exist_ok=True)
    for engine in engines.iterdir():
        engine.rename(work / "tensorrt_llm" / "1" / engine.name)
    engines.rmdir()


def main() -> None:
    """Read the command line, build, and put the whole repository in place at once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--app", type=Path, default=Path("/app"))
    parser.add_argument("--family", required=True)
    parser.add_argument("--dtype", required=True)
    parser.add_argument("--kv-cache-fraction", type=float, required=True)
    for name in ("tp-size", "pp-size", "workers"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("max-batch-size", "max-num-tokens", "max-seq-len"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args()
    work = options.out.with_name(options.out.name + ".partial")
    for leftover in (work, options.out):
        shutil.rmtree(leftover, ignore_errors=True)
    work.mkdir(parents=True)
    repository(options, work, build(options, work))
    work.rename(options.out)


if __name__ == "__main__":
    main()
