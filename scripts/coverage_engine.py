"""Runs small models in the engine's own Python: at TP=2 PP=2, then in one process to compare.

Started by `scripts/coverage`, with folders as arguments; writes one JSON line for each. The engine
is imported once and every run forks from here, so a run costs seconds.
"""

import contextlib
import json
import multiprocessing
import os
import re
import signal
import sys
import traceback
from pathlib import Path

from vllm import LLM, SamplingParams

PROMPTS = (
    "What is the name of this place?",
    "The leader opens the port and the endpoint is ready to answer the first request, " * 8,
    "0 1 2 3 5 8 13 21",
)
NUM_TOKENS = 16
LIMIT_S = 400


def serve(folder: str, tensor: int, pipeline: int, log: Path) -> LLM:
    """Start an engine whose talk goes to a file."""
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    return LLM(
        model=folder,
        tensor_parallel_size=tensor,
        pipeline_parallel_size=pipeline,
        max_model_len=512,
        max_num_seqs=8,
        max_num_batched_tokens=512,
        disable_log_stats=True,
    )


def generate(folder: str, log: Path) -> list:
    """Return (prompt ids, token ids, log probabilities) of greedy answers at TP=2 PP=2."""
    wanted = SamplingParams(max_tokens=NUM_TOKENS, temperature=0, logprobs=1, ignore_eos=True)
    out = []
    for answer in serve(folder, 2, 2, log).generate(list(PROMPTS), wanted, use_tqdm=False):
        tokens = answer.outputs[0]
        pairs = zip(tokens.token_ids, tokens.logprobs, strict=True)
        chosen = [step[token].logprob for token, step in pairs]
        out.append([list(answer.prompt_token_ids), list(tokens.token_ids), chosen])
    return out


def score(folder: str, log: Path, answers: list) -> list:
    """Return one process's log probabilities of the same tokens."""
    engine = serve(folder, 1, 1, log)
    asked = [{"prompt_token_ids": prompt + tokens} for prompt, tokens, _ in answers]
    wanted = SamplingParams(max_tokens=1, temperature=0, prompt_logprobs=1)
    out = []
    for (_, tokens, _), seen in zip(
        answers, engine.generate(asked, wanted, use_tqdm=False), strict=True
    ):
        steps = seen.prompt_logprobs[-len(tokens) :]
        out.append([step[token].logprob for token, step in zip(tokens, steps, strict=True)])
    return out


def apart(what, *arguments):
    """Call in a forked child, with a limit of time; return its value, or raise what it raised."""
    near, far = multiprocessing.Pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        try:
            far.send(("ok", what(*arguments)))
        except (Exception, SystemExit):  # noqa: BLE001  (whatever ends an engine is its verdict)
            far.send(("error", traceback.format_exc()))
        os._exit(0)
    far.close()
    kind, value = ("error", f"RuntimeError: nothing after {LIMIT_S} s")
    if near.poll(LIMIT_S):
        with contextlib.suppress(EOFError):
            kind, value = near.recv()
    mapped = shared_files(child)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for name in mapped:
        Path(name).unlink(missing_ok=True)
    if kind == "error":
        raise RuntimeError(value)
    return value


def shared_files(session: int) -> set[str]:
    """Files of /dev/shm that a session's processes have mapped: the engine leaves them behind."""
    found = set()
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if int((process / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                found |= set(re.findall(r"/dev/shm/\S+", (process / "maps").read_text()))
    return found


def reason(trace: str, logs: tuple[Path, ...]) -> str:
    """Return the first error a rank logged, else the last line of the exception."""
    for log in logs:
        if log.exists():
            text = log.read_text(errors="replace")
            ranks = re.findall(r"^\(Worker.*?(\w+(?:Error|Implemented)\b.*)$", text, re.MULTILINE)
            if ranks:
                return ranks[0]
    return trace.strip().splitlines()[-1]


def main() -> None:
    """Try each folder."""
    for folder in sys.argv[1:]:
        logs = (Path(folder + ".2x2.log"), Path(folder + ".1x1.log"))
        try:
            answers = apart(generate, folder, logs[0])
            scores = apart(score, folder, logs[1], answers)
            differences = [
                abs(a - b)
                for (_, _, chosen), scored in zip(answers, scores, strict=True)
                for a, b in zip(chosen, scored, strict=True)
            ]
            mean = sum(sum(c) for _, _, c in answers) / len(differences)
            result = {"difference": max(differences), "mean_logprob": mean}
        except RuntimeError as error:
            result = {"error": reason(str(error), logs)}
        print(json.dumps({"folder": folder, **result}), flush=True)


if __name__ == "__main__":
    main()
