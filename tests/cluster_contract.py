"""What every adapter of the Cluster port does: the one in memory and the real one.

Subclasses give the fixtures `cluster` and `namespace`: an adapter, and a namespace of it that
exists and that nobody else uses.
"""

from __future__ import annotations

import re

import pytest

from shardwright.model.cluster import Cluster, Object, ObjectRef, reference
from shardwright.model.errors import ShardwrightError

NO_KIND = ObjectRef(api_version="no.such.group/v1", kind="Thing", name="a", namespace="default")


def a_config(
    namespace: str, name: str = "a", labels: dict[str, str] | None = None, **data: str
) -> Object:
    meta: Object = {"name": name, "namespace": namespace}
    if labels:
        meta["labels"] = labels
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def names(objects: tuple[Object, ...]) -> list[str]:
    return [each["metadata"]["name"] for each in objects]


def version(obj: Object | None) -> str:
    assert obj is not None
    return str(obj["metadata"]["resourceVersion"])


def is_applied(owner: Object) -> bool:
    return bool(owner["operation"] == "Apply")


class ClusterContract:
    """The cases. A subclass is a test class of its adapter."""

    def test_what_is_not_there(self, cluster: Cluster, namespace: str) -> None:
        ref = reference(a_config(namespace))
        assert cluster.get(ref) is None
        assert cluster.delete(ref) is False

    def test_what_is_applied_is_there_until_it_is_deleted(
        self, cluster: Cluster, namespace: str
    ) -> None:
        applied = cluster.apply(a_config(namespace, key="value"))
        found = cluster.get(reference(applied))
        assert found == applied
        assert found is not None
        assert (found["apiVersion"], found["kind"]) == ("v1", "ConfigMap")
        assert found["data"] == {"key": "value"}
        assert cluster.delete(reference(applied)) is True
        assert cluster.get(reference(applied)) is None

    def test_what_exists_is_not_created_again(self, cluster: Cluster, namespace: str) -> None:
        created = cluster.create(a_config(namespace, key="1"))
        assert cluster.get(reference(created)) == created
        with pytest.raises(ShardwrightError) as told:
            cluster.create(a_config(namespace, key="2"))
        assert told.value.code == "object-exists"
        assert cluster.get(reference(created)) == created

    def test_an_object_is_applied_to_only_if_it_is_the_one_that_was_meant(
        self, cluster: Cluster, namespace: str
    ) -> None:
        """A field is added to what was created; nothing to what is gone, or has its name."""
        created = cluster.create(a_config(namespace, key="1"))
        more = a_config(namespace, more="1")
        more["metadata"]["uid"] = created["metadata"]["uid"]
        first = cluster.apply(more)
        assert first["data"] == {"key": "1", "more": "1"}
        more["data"]["more"] = "2"
        second = cluster.apply(more)
        assert second["data"] == {"key": "1", "more": "2"}
        assert len({version(each) for each in (created, first, second)}) == 3
        cluster.delete(reference(created))
        with pytest.raises(ShardwrightError) as gone:
            cluster.apply(more)
        assert gone.value.code in ("field-conflict", "object-refused")
        assert cluster.get(reference(created)) is None
        other = cluster.create(a_config(namespace, key="2"))
        with pytest.raises(ShardwrightError) as another:
            cluster.apply(more)
        assert another.value.code in ("field-conflict", "object-refused")
        assert cluster.get(reference(created)) == other

    def test_an_object_is_deleted_only_if_it_is_the_one_that_was_meant(
        self, cluster: Cluster, namespace: str
    ) -> None:
        created = cluster.create(a_config(namespace))
        assert cluster.delete(reference(created), uid="another") is False
        assert cluster.get(reference(created)) == created
        assert cluster.delete(reference(created), uid=created["metadata"]["uid"]) is True
        assert cluster.get(reference(created)) is None

    def test_applying_the_same_again_changes_nothing(
        self, cluster: Cluster, namespace: str
    ) -> None:
        first = version(cluster.apply(a_config(namespace, key="1")))
        assert version(cluster.apply(a_config(namespace, key="1"))) == first
        assert version(cluster.apply(a_config(namespace, key="2"))) != first

    def test_a_field_that_is_applied_no_longer_is_removed(
        self, cluster: Cluster, namespace: str
    ) -> None:
        cluster.apply(a_config(namespace, labels={"one": "1", "two": "2"}, old="x", kept="y"))
        cluster.apply(a_config(namespace, labels={"two": "2"}, kept="y", new="z"))
        found = cluster.get(reference(a_config(namespace)))
        assert found is not None
        assert found["data"] == {"kept": "y", "new": "z"}
        assert found["metadata"]["labels"] == {"two": "2"}

    def test_a_field_that_another_manager_set_is_a_conflict(
        self, cluster: Cluster, namespace: str
    ) -> None:
        """What was created counts as set by another manager than what is applied."""
        cluster.create(a_config(namespace, key="1", other="x"))
        for dry_run in (True, False):
            with pytest.raises(ShardwrightError) as refused:
                cluster.apply(a_config(namespace, key="2"), dry_run=dry_run)
            assert refused.value.code == "field-conflict"
            assert ".data.key" in refused.value.what
        shared = cluster.apply(a_config(namespace, key="1"))
        assert shared["data"] == {"key": "1", "other": "x"}
        with pytest.raises(ShardwrightError):
            cluster.apply(a_config(namespace, key="2"))

    def test_a_manager_that_is_struck_off_has_no_say_any_more(
        self, cluster: Cluster, namespace: str
    ) -> None:
        read = cluster.create(a_config(namespace, key="1", other="x"))
        shared = cluster.apply(a_config(namespace, key="1"))
        ours = [each for each in shared["metadata"]["managedFields"] if is_applied(each)]
        with pytest.raises(ShardwrightError) as stale:
            cluster.set_owners(read, ours)
        assert stale.value.code == "field-conflict"
        left = cluster.set_owners(shared, ours)
        assert left == cluster.get(reference(shared))
        assert left["data"] == {"key": "1", "other": "x"}
        assert cluster.apply(a_config(namespace, key="2"))["data"] == {"key": "2", "other": "x"}
        assert cluster.apply(a_config(namespace, new="y"))["data"] == {"other": "x", "new": "y"}

    def test_a_field_that_is_anothers_too_stays_when_we_leave_it_out(
        self, cluster: Cluster, namespace: str
    ) -> None:
        cluster.create(a_config(namespace, key="1"))
        cluster.apply(a_config(namespace, key="1", own="z"))
        assert cluster.apply(a_config(namespace, new="y"))["data"] == {"key": "1", "new": "y"}

    def test_whose_a_field_is_can_be_read(self, cluster: Cluster, namespace: str) -> None:
        cluster.create(a_config(namespace, key="1"))
        found = cluster.apply(a_config(namespace, own="z"))
        owners = sorted(found["metadata"]["managedFields"], key=is_applied)
        assert [each["manager"] for each in owners] == ["shardwright", "shardwright"]
        assert [each["operation"] for each in owners] == ["Update", "Apply"]
        created, applied = (set(each["fieldsV1"]["f:data"]) - {"."} for each in owners)
        assert (created, applied) == ({"f:key"}, {"f:own"})

    def test_a_dry_run_says_what_would_be_and_leaves_what_is(
        self, cluster: Cluster, namespace: str
    ) -> None:
        assert cluster.apply(a_config(namespace, key="1"), dry_run=True)["data"] == {"key": "1"}
        assert cluster.get(reference(a_config(namespace))) is None
        cluster.apply(a_config(namespace, key="1", old="x"))
        would_be = cluster.apply(a_config(namespace, key="2"), dry_run=True)
        assert would_be["data"] == {"key": "2"}
        found = cluster.get(reference(a_config(namespace)))
        assert found is not None
        assert found["data"] == {"key": "1", "old": "x"}

    def test_lists_hold_what_matches_by_name(self, cluster: Cluster, namespace: str) -> None:
        cluster.apply(a_config(namespace, "b", {"app": "x", "tier": "1"}))
        cluster.apply(a_config(namespace, "a", {"app": "x", "tier": "2"}))
        cluster.apply(a_config(namespace, "c", {"app": "y"}))

        def listed(**labels: str) -> list[str]:
            return names(cluster.list("v1", "ConfigMap", namespace=namespace, labels=labels))

        assert listed(app="x") == ["a", "b"]
        assert listed(app="x", tier="1") == ["b"]
        assert listed(app="z") == []
        assert {"a", "b", "c"} <= set(listed())
        everywhere = cluster.list("v1", "ConfigMap", labels={"app": "y"})
        assert namespace in [each["metadata"]["namespace"] for each in everywhere]
        assert {(each["apiVersion"], each["kind"]) for each in everywhere} == {("v1", "ConfigMap")}

    def test_a_namespace_has_no_namespace(self, cluster: Cluster, namespace: str) -> None:
        ref = ObjectRef(api_version="v1", kind="Namespace", name=namespace)
        found = cluster.get(ref)
        assert found is not None
        assert reference(found) == ref
        assert namespace in names(cluster.list("v1", "Namespace"))

    def test_kinds_that_are_not_served_are_said_to_be(
        self, cluster: Cluster, namespace: str
    ) -> None:
        assert cluster.serves("v1", "ConfigMap")
        assert not cluster.serves(NO_KIND.api_version, NO_KIND.kind)
        thing: Object = {
            "apiVersion": NO_KIND.api_version,
            "kind": NO_KIND.kind,
            "metadata": {"name": "a", "namespace": namespace},
        }
        for asked in (
            lambda: cluster.get(NO_KIND),
            lambda: cluster.list(NO_KIND.api_version, NO_KIND.kind),
            lambda: cluster.delete(NO_KIND),
            lambda: cluster.apply(thing),
        ):
            with pytest.raises(ShardwrightError) as refused:
                asked()
            assert refused.value.code == "kind-not-served"

    def test_a_pod_that_is_not_there_has_no_log(self, cluster: Cluster, namespace: str) -> None:
        pod = ObjectRef(api_version="v1", kind="Pod", name="nobody", namespace=namespace)
        assert cluster.logs(pod, "main") == ""
        assert cluster.logs(pod, "main", previous=True, tail_lines=3, since_s=5) == ""

    def test_who_may_do_everything_may(self, cluster: Cluster, namespace: str) -> None:
        ref = reference(a_config(namespace))
        assert cluster.may("create", ref)
        pod = ObjectRef(api_version="v1", kind="Pod", name="a", namespace=namespace)
        assert cluster.may("get", pod, "log")

    def test_the_version_is_three_numbers(self, cluster: Cluster) -> None:
        assert re.fullmatch(r"\d+\.\d+\.\d+.*", cluster.server_version())
