"""Names and Services by which ranks find each other."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.lint.finding import Found, Rule
from shardwright.lint.names import Kind
from shardwright.lint.scene import Scene
from shardwright.model.finding import Severity

_DNS = "https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/"


def _rendezvous_name_unknown(scene: Scene) -> Iterator[Found]:
    for member, host, site, resolution in scene.meetings:
        if resolution.kind is not Kind.MISSING or member.workload.is_managed:
            continue
        has_peers = any(
            other.workload is not member.workload
            and (other.engine is not None or other.command.rays)
            for other in scene.members_in(member.workload.namespace)
        )
        is_alone = len(scene.objects) == 1  # the Service may stand in another file
        is_sure = has_peers or (member.workload.replicas > 1 and not is_alone)
        yield Found(
            object=site.object,
            path=site.path,
            near=host,
            severity=Severity.ERROR if is_sure else Severity.WARNING,
            what=f"no pod and no Service here will have the name {host}: {resolution.reason}",
            remedy=(
                "write the name that will exist: `<statefulset>-0.<serviceName>` with its"
                " headless Service, or `$(LWS_LEADER_ADDRESS)` in a LeaderWorkerSet"
                + ("" if is_sure else "; lint the files that define it together with this one")
            ),
        )


RULES = (
    Rule(
        code="rendezvous-name-unknown",
        severity=Severity.ERROR,
        title="a rendezvous name that no pod or Service will have",
        why=(
            "Ranks find their leader by DNS. A StatefulSet's pod is `name-0.serviceName`, and only"
            " while that headless Service exists; any other name never resolves and the group"
            " waits until its timeout, again and again."
        ),
        remedy="write the name that will exist",
        references=(_DNS,),
        check=_rendezvous_name_unknown,
    ),
)
