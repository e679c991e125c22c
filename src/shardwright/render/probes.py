"""Probes of a container, from those of its process."""

from __future__ import annotations

from shardwright.model.process import ExecCheck, HttpCheck, Probe, Probes, TcpCheck
from shardwright.model.text import Text
from shardwright.render.emit import Because, Object
from shardwright.render.symbols import Symbols

BROKEN_S = 30
"""Seconds from SIGTERM to SIGKILL for a container whose probe failed; a pod that is deleted has the
time its requests may take. Kubernetes 1.28 or newer.
"""


def probe_fields(probes: Probes, symbols: Symbols) -> Object:
    """Write the probe fields of a container; a probe that is None has no field."""
    fields = {
        "startupProbe": probes.startup,
        "readinessProbe": probes.readiness,
        "livenessProbe": probes.liveness,
    }
    out = {name: _probe(probe, symbols) for name, probe in fields.items() if probe is not None}
    for name in ("startupProbe", "livenessProbe"):
        if name in out:
            why = "what does not answer finishes no requests"
            out[name]["terminationGracePeriodSeconds"] = Because(BROKEN_S, why)
    return out


def _probe(probe: Probe, symbols: Symbols) -> Object:
    match probe.check:
        case HttpCheck(path=path, port=port):
            check: Object = {"httpGet": {"path": path, "port": port}}
        case TcpCheck(port=port):
            check = {"tcpSocket": {"port": port}}
        case ExecCheck(argv=argv):
            check = {"exec": {"command": _command(argv, symbols)}}
    return {
        **check,
        "periodSeconds": probe.period_s,
        "timeoutSeconds": probe.timeout_s,
        "failureThreshold": Because(probe.failures, f"{probe.budget_s} s of failure are tolerated"),
    }


def _command(argv: tuple[Text, ...], symbols: Symbols) -> list[str]:
    """Write a probe's command; the kubelet expands nothing in it, so a shell in the pod does."""
    if all(isinstance(word, str) for words in argv for word in words):
        return [symbols.word(words).replace("$$(", "$(") for words in argv]
    return ["/bin/bash", "-c", " ".join(symbols.shell(words) for words in argv)]
