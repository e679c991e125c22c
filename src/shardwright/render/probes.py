"""Probes of a container, from those of its process."""

from __future__ import annotations

from shardwright.model.process import ExecCheck, HttpCheck, Probe, Probes, TcpCheck
from shardwright.render.emit import Because, Object
from shardwright.render.symbols import Symbols


def probe_fields(probes: Probes, symbols: Symbols) -> Object:
    """Write the probe fields of a container; a probe that is None has no field."""
    fields = {
        "startupProbe": probes.startup,
        "readinessProbe": probes.readiness,
        "livenessProbe": probes.liveness,
    }
    return {name: _probe(probe, symbols) for name, probe in fields.items() if probe is not None}


def _probe(probe: Probe, symbols: Symbols) -> Object:
    match probe.check:
        case HttpCheck(path=path, port=port):
            check: Object = {"httpGet": {"path": path, "port": port}}
        case TcpCheck(port=port):
            check = {"tcpSocket": {"port": port}}
        case ExecCheck(argv=argv):
            # the kubelet expands nothing in a probe's command; the shell of the container does
            shell = " ".join(symbols.shell(words) for words in argv)
            check = {"exec": {"command": ["/bin/bash", "-c", shell]}}
    return {
        **check,
        "periodSeconds": probe.period_s,
        "timeoutSeconds": probe.timeout_s,
        "failureThreshold": Because(probe.failures, f"{probe.budget_s} s of failure are tolerated"),
    }
