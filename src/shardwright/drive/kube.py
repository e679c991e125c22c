"""The real Kubernetes API over HTTP, in the API's own JSON.

The only place where its errors become ours. Whom to talk to is found in drive/kubeconfig, who we
are in drive/kube_credentials.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx2 as httpx

from shardwright.drive.clock import SystemClock
from shardwright.drive.kube_credentials import credentials, impersonation
from shardwright.drive.kube_errors import checked, connection_error, status_error
from shardwright.drive.kube_http import ProxiedHttp
from shardwright.drive.kube_retry import LOST, REPEATABLE, patiently
from shardwright.drive.kubeconfig import Access, find_access
from shardwright.model.cluster import FIELD_MANAGER, Object, ObjectRef, reference
from shardwright.model.errors import ExitCode, ShardwrightError
from shardwright.model.running import Clock

TIMEOUT_S = 30
CONNECT_S = 10
"""Seconds to wait for a connection: a wrong context must not look like a hang."""
PAGE = 500


def connect(kubeconfig: Path | None = None, context: str | None = None) -> KubeCluster:
    """Connect with a kubeconfig: the named one, $KUBECONFIG, ~/.kube/config, or in a pod."""
    access = find_access(kubeconfig, context)
    try:
        tls, auth = credentials(access)
        client = httpx.Client(
            base_url=access.server,
            verify=tls,
            auth=auth,
            headers=impersonation(access.user),
            timeout=httpx.Timeout(TIMEOUT_S, connect=CONNECT_S),
            proxy=access.cluster.get("proxy-url"),
        )
    except (OSError, ValueError, httpx.InvalidURL) as error:
        raise ShardwrightError(
            code="kubeconfig-unusable",
            what=f"the credentials of {access.source} cannot be used: {error}",
            remedy="check the certificates and keys it names, or pass --context NAME",
            exit_code=ExitCode.USAGE,
        ) from error
    return KubeCluster(client, access)


class KubeCluster:
    """One API server, as one user."""

    def __init__(self, client: httpx.Client, access: Access, clock: Clock | None = None) -> None:
        self._client = client
        self._clock = clock or SystemClock()
        self.access = access
        self._server = access.server
        self._is_met = False
        self.default_namespace = access.namespace
        self._resources: dict[str, dict[str, tuple[str, bool]]] = {}

    def __enter__(self) -> KubeCluster:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def server_version(self) -> str:
        """Return the version, such as 1.34.4."""
        return str(self._json("GET", "/version")["gitVersion"]).removeprefix("v")

    def serves(self, api_version: str, kind: str) -> bool:
        """Tell whether the server knows a kind."""
        return kind in self._kinds(api_version)

    def may(self, verb: str, ref: ObjectRef, subresource: str = "") -> bool:
        """Ask the server whether we are allowed to."""
        group = ref.api_version.rpartition("/")[0]
        attributes = {
            "verb": verb,
            "group": group,
            "resource": self._plural(ref.api_version, ref.kind)[0],
            "subresource": subresource,
            "namespace": ref.namespace,
        }
        answer = self._json(
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            body={
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": attributes},
            },
        )
        return bool(answer["status"]["allowed"])

    def get(self, ref: ObjectRef) -> Object | None:
        """Return an object, or None if there is none."""
        response = self._send("GET", self._path(ref))
        return None if response.status_code == httpx.codes.NOT_FOUND else checked(response)

    def list(
        self,
        api_version: str,
        kind: str,
        *,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> tuple[Object, ...]:
        """Return objects of a kind, page by page."""
        ref = ObjectRef(api_version=api_version, kind=kind, name="", namespace=namespace or "")
        params = {"limit": str(PAGE)}
        if labels:
            params["labelSelector"] = ",".join(f"{k}={v}" for k, v in sorted(labels.items()))
        found: list[Object] = []
        while True:
            response = self._send("GET", self._path(ref), params=params)
            if response.status_code == httpx.codes.GONE and "continue" in params:
                # etcd has forgotten the state that the pages before were of: all at once, anew
                found, params = [], {k: v for k, v in params.items() if k == "labelSelector"}
                continue
            page = checked(response)
            # items of a list leave out what is the same for all
            found += [{"apiVersion": api_version, "kind": kind, **item} for item in page["items"]]
            token = page["metadata"].get("continue")
            if not token:
                return tuple(found)
            params["continue"] = token

    def apply(self, obj: Object, *, dry_run: bool = False) -> Object:
        """Apply server side. A field that somebody else set on purpose is an error, not a fight."""
        params = {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {})
        return self._json(
            "PATCH",
            self._path(reference(obj)),
            params=params,
            body=obj,
            content_type="application/apply-patch+yaml",
        )

    def set_owners(self, live: Object, managed_fields: Sequence[Object]) -> Object:
        """Patch managedFields, which the server takes as they are said to be."""
        version = live["metadata"]["resourceVersion"]
        return self._json(
            "PATCH",
            self._path(reference(live)),
            body={"metadata": {"resourceVersion": version, "managedFields": [*managed_fields]}},
            content_type="application/merge-patch+json",
        )

    def create(self, obj: Object) -> Object:
        """Create an object; one of its name is an error."""
        path = self._path(replace(reference(obj), name=""))
        return self._json("POST", path, params={"fieldManager": FIELD_MANAGER}, body=obj)

    def delete(self, ref: ObjectRef, *, uid: str | None = None) -> bool:
        """Delete an object; what it owns follows in the background."""
        body: Object = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
        }
        gone = {httpx.codes.NOT_FOUND}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
            gone.add(httpx.codes.CONFLICT)
        response = self._send("DELETE", self._path(ref), body=body)
        if response.status_code in gone:
            return False
        checked(response)
        return True

    def logs(
        self, pod: ObjectRef, container: str, *, previous: bool = False, tail_lines: int = 400,
        since_s: float | None = None,
    ) -> str:  # fmt: skip
        """Return the end of a container's log; a container that never ran has none."""
        params = {"container": container, "tailLines": str(tail_lines)}
        if previous:
            params["previous"] = "true"
        if since_s is not None:
            params["sinceSeconds"] = str(max(1, round(since_s)))
        response = self._send("GET", f"{self._path(pod)}/log", params=params)
        absent = (httpx.codes.NOT_FOUND, httpx.codes.BAD_REQUEST)
        if response.status_code in absent:
            return ""
        if response.is_error:
            raise status_error(response.status_code, response.text)
        return response.content.decode("utf-8", errors="replace")

    def follow(self, pod: ObjectRef, container: str, *, tail_lines: int = 400) -> Iterator[str]:
        """Yield the end of a container's log, then its lines as they come."""
        params = {"container": container, "tailLines": str(tail_lines), "follow": "true"}
        path = f"{self._path(pod)}/log"
        # a rank may be silent for minutes, so only connecting is timed
        limits = httpx.Timeout(None, connect=CONNECT_S)
        request = self._client.build_request("GET", path, params=params, timeout=limits)
        with closing(self._answer(request, stream=True)) as response:
            try:
                if response.is_error:
                    raise status_error(response.status_code, response.read().decode())
                yield from response.iter_lines()
            except (httpx.TransportError, OSError) as error:
                raise connection_error(self._server, error) from error

    def proxy_base(self, ref: ObjectRef, port: str) -> str:
        """Return the path below which the API server passes requests on to a Service or pod."""
        return f"{self._path(ref)}:{port}/proxy"

    def http(self) -> ProxiedHttp:
        """Return a client for paths below `proxy_base`: no route from here to pods is needed."""
        return ProxiedHttp(self._client)

    def node_stats(self, node: str) -> Object:
        """Return what a kubelet says its pods use; needs the right to nodes/proxy."""
        return self._json("GET", f"/api/v1/nodes/{node}/proxy/stats/summary")

    def _kinds(self, api_version: str) -> dict[str, tuple[str, bool]]:
        if api_version not in self._resources:
            response = self._send("GET", f"/{_prefix(api_version)}")
            if response.status_code == httpx.codes.NOT_FOUND:
                return {}
            self._resources[api_version] = {
                item["kind"]: (item["name"], item["namespaced"])
                for item in checked(response)["resources"]
                if "/" not in item["name"]
            }
        return self._resources[api_version]

    def _plural(self, api_version: str, kind: str) -> tuple[str, bool]:
        kinds = self._kinds(api_version)
        if kind not in kinds:
            raise ShardwrightError(
                code="kind-not-served",
                what=f"the cluster does not know {kind} of {api_version}",
                cause="its controller is not installed, or is of another version",
                remedy="install it, or choose another spec.launch",
            )
        return kinds[kind]

    def _path(self, ref: ObjectRef) -> str:
        plural, is_namespaced = self._plural(ref.api_version, ref.kind)
        space = f"/namespaces/{ref.namespace}" if is_namespaced and ref.namespace else ""
        return f"/{_prefix(ref.api_version)}{space}/{plural}" + (f"/{ref.name}" if ref.name else "")

    def _json(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
    ) -> Object:
        return checked(
            self._send(method, path, params=params, body=body, content_type=content_type)
        )

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
    ) -> httpx.Response:
        request = self._client.build_request(
            method,
            path,
            params=params,
            content=None if body is None else json.dumps(body).encode(),
            headers={} if body is None else {"Content-Type": content_type},
        )
        return self._answer(request)

    def _answer(self, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        # a server that has answered is at the right address, so it is away only for now
        lost = (*LOST, httpx.ConnectError) if self._is_met else LOST
        try:
            response = patiently(
                lambda: self._client.send(request, stream=stream),
                self._clock.sleep,
                is_repeatable=request.method in REPEATABLE,
                lost=lost,
            )
        except (httpx.TransportError, OSError) as error:
            raise connection_error(self._server, error) from error
        self._is_met = True
        return response


def _prefix(api_version: str) -> str:
    return f"apis/{api_version}" if "/" in api_version else f"api/{api_version}"
