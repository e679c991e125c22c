"""The part of the substitution inside one process: its model, its flags, its environment.

Called by substitution for every process of every member.
"""

from __future__ import annotations

from dataclasses import replace

from shardwright.engines.rehearsal import FlagRule, Rehearsal
from shardwright.model.flags import drop_flag, flag_value, set_flag
from shardwright.model.process import EnvVar, Process
from shardwright.model.text import Text, text
from shardwright.rehearse.change import Change, Substitution


def substitute_process(
    process: Process,
    sub: Substitution,
    rules: Rehearsal,
    weights: str | None,
    changes: list[Change],
) -> Process:
    """Put the small model and fewer ranks into a command line; adds every touch to changes."""
    argv = process.argv
    if weights is not None and text(weights) in argv:
        where = f"processes[{process.name}].argv"
        argv = tuple(text(sub.model_path) if word == text(weights) else word for word in argv)
        changes.append(
            Change(
                path=where,
                old=weights,
                new=sub.model_path,
                why="a small model of the same architecture, random weights",
                not_proved="the real weights: their download, integrity, loading time and answers",
            )
        )
        argv = _flags(process, argv, sub, rules, changes)
    return replace(process, argv=argv, env=_env(process, sub, rules, changes))


def _flags(
    process: Process,
    argv: tuple[Text, ...],
    sub: Substitution,
    rules: Rehearsal,
    changes: list[Change],
) -> tuple[Text, ...]:
    fewer = "as many ranks as this machine has room for; both axes are kept"
    short = "the small model's own limit"
    sized = (
        FlagRule(
            names=rules.tensor, value=str(sub.tensor_parallel), why=fewer,
            not_proved="collectives of the full width",
        ),
        FlagRule(
            names=rules.pipeline, value=str(sub.pipeline_parallel), why=fewer,
            not_proved="a pipeline of the full depth",
        ),
        FlagRule(
            names=rules.length, value=str(sub.max_model_len), why=short,
            not_proved="long requests and a full KV cache",
        ),
    )  # fmt: skip
    for rule in (*sized, *rules.flags):
        old = flag_value(argv, rule.names)
        if old == rule.value or (old is None and not rule.is_added):
            continue
        if rule.value is None:
            argv = drop_flag(argv, rule.names)
        else:
            argv = set_flag(argv, rule.names, rule.value)
        changes.append(
            Change(
                path=f"processes[{process.name}].argv {rule.names[0]}",
                old=old or "(absent)",
                new=rule.value or "(absent)",
                why=rule.why,
                not_proved=rule.not_proved,
            )
        )
    return argv


def _env(
    process: Process, sub: Substitution, rules: Rehearsal, changes: list[Change]
) -> tuple[EnvVar, ...]:
    new = {var.name: var for var in sub.env}
    for var in process.env:
        if sub.interface and var.name.endswith("_SOCKET_IFNAME"):
            new[var.name] = replace(var, value=text(sub.interface), why="the device here")
        if var.name == rules.partition_env:
            split = ",".join(map(str, sub.layers))
            new[var.name] = replace(var, value=text(split), why="the small model's layers")
    old = {var.name: var for var in process.env}
    for name, var in new.items():
        before = old.get(name)
        if before is None or before.value != var.value:
            changes.append(
                Change(
                    path=f"processes[{process.name}].env {name}",
                    old=_shown(before.value) if before else "(absent)",
                    new=_shown(var.value),
                    why=var.why or "the CPU engine needs it",
                )
            )
    kept = (new.get(var.name, var) for var in process.env)
    return (*kept, *(var for name, var in new.items() if name not in old))


def _shown(words: Text) -> str:
    return "".join(word if isinstance(word, str) else f"<{type(word).__name__}>" for word in words)
