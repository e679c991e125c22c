"""The way in from outside: an HTTPRoute where a gateway is named, else an Ingress."""

from __future__ import annotations

from shardwright.model.launch import Endpoint, LaunchPlan, Route
from shardwright.render.emit import Because, Object
from shardwright.render.labels import metadata
from shardwright.render.names import object_name


def routes(plan: LaunchPlan) -> list[Object]:
    """Write the route of every endpoint that asks for one."""
    return [
        _http_route(plan, each, each.route)
        if each.route.gateway
        else _ingress(plan, each, each.route)
        for each in plan.endpoints
        if each.route is not None
    ]


def _http_route(plan: LaunchPlan, endpoint: Endpoint, route: Route) -> Object:
    namespace, name = route.gateway or (None, "")
    parent: Object = {"name": name} if namespace is None else {"name": name, "namespace": namespace}
    port = _port(plan, endpoint)
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata(plan, object_name("HTTPRoute", plan.name)),
        "spec": {
            "hostnames": [route.host],
            "parentRefs": [parent],
            "rules": [
                {
                    "backendRefs": [{"name": object_name("Service", plan.name), "port": port}],
                    "timeouts": {
                        "request": Because("0s", "an answer may take minutes; some cut at 15 s")
                    },
                }
            ],
        },
    }


def _ingress(plan: LaunchPlan, endpoint: Endpoint, route: Route) -> Object:
    backend = {
        "service": {"name": object_name("Service", plan.name), "port": {"name": endpoint.port}}
    }
    paths = [{"backend": backend, "path": "/", "pathType": "Prefix"}]
    spec: Object = {"rules": [{"host": route.host, "http": {"paths": paths}}]}
    if route.ingress_class:
        spec["ingressClassName"] = route.ingress_class
    if route.tls_secret:
        spec["tls"] = [{"hosts": [route.host], "secretName": route.tls_secret}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata(plan, object_name("Ingress", plan.name)),
        "spec": spec,
    }


def _port(plan: LaunchPlan, endpoint: Endpoint) -> int:
    """Number of an endpoint's port: a route, unlike an Ingress, names no port by its name."""
    leader = plan.group.members[0]
    return next(
        port.number
        for process in leader.processes
        if process.name == endpoint.process
        for port in process.ports
        if port.name == endpoint.port
    )
