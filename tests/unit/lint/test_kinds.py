from shardwright.lint.objects import from_values
from shardwright.lint.workload.kinds import read_workload
from shardwright.lint.workload.pod import Role


def workload(kind, spec, api="apps/v1"):
    (obj,) = from_values(
        [{"apiVersion": api, "kind": kind, "metadata": {"name": "w"}, "spec": spec}]
    )
    return read_workload(obj)


def template(name="c", **fields):
    return {"spec": {"containers": [{"name": name, "image": "i:1", **fields}]}}


def test_groups_of_a_leader_worker_set():
    spec = {"replicas": 3, "leaderWorkerTemplate": {"size": 4, "workerTemplate": template()}}
    found = workload("LeaderWorkerSet", spec, "leaderworkerset.x-k8s.io/v1")
    assert [(pod.role, pod.count) for pod in found.pods] == [(Role.LEADER, 1), (Role.WORKER, 3)]
    assert found.replicas == 3
    assert found.pods[0].labels["leaderworkerset.sigs.k8s.io/worker-index"] == "0"


def test_ray_workers_are_counted_by_group_and_hosts():
    spec = {
        "headGroupSpec": {"template": template("head")},
        "workerGroupSpecs": [{"replicas": 2, "numOfHosts": 2, "template": template("worker")}],
    }
    found = workload("RayCluster", spec, "ray.io/v1")
    assert [(p.role, p.count) for p in found.pods] == [(Role.RAY_HEAD, 1), (Role.RAY_WORKER, 4)]
    assert not found.is_managed
    assert workload("RayService", {"rayClusterConfig": spec}, "ray.io/v1").is_managed


def test_pods_are_found_inside_objects_of_unknown_kinds():
    found = workload("Stage", {"roles": [{"worker": {"podTemplate": template()}}]}, "x.example/v1")
    assert found.is_managed
    assert found.pods[0].path == ("spec", "roles", 0, "worker", "podTemplate", "spec")
    assert found.pods[0].role is Role.WORKER


def test_what_runs_no_pods_is_none():
    assert workload("Service", {"selector": {"a": "b"}}, "v1") is None
    assert workload("Deployment", {"template": {"spec": {}}}) is None


def test_a_patch_names_only_what_it_changes():
    spec = {"template": {"spec": {"containers": [{"name": "c", "args": ["$(X)"]}]}}}
    assert workload("Deployment", spec) is None


def test_roles_of_a_disaggregated_set_are_groups_of_their_own(linted):
    found = linted(
        """
        apiVersion: disaggregatedset.x-k8s.io/v1
        kind: DisaggregatedSet
        metadata: {name: pd}
        spec:
          roles:
            - name: prefill
              spec:
                leaderWorkerTemplate:
                  size: 1
                  workerTemplate:
                    spec:
                      containers:
                        - name: vllm
                          image: vllm/vllm-openai:v0.33.0
                          args: [m, --tensor-parallel-size=1]
                          resources: {limits: {nvidia.com/gpu: 1, memory: 64Gi}}
            - name: decode
              spec:
                leaderWorkerTemplate:
                  size: 1
                  workerTemplate:
                    spec:
                      containers:
                        - name: vllm
                          image: vllm/vllm-openai:v0.33.0
                          args: [m, --tensor-parallel-size=8]
                          resources: {limits: {nvidia.com/gpu: 4, memory: 64Gi}}
        """
    )
    wrong = found.one("gpus-do-not-match-ranks")
    assert (wrong.object, wrong.line) == ("LeaderWorkerSet/pd-decode", 27)


def test_pods_in_a_job_set_are_found(linted):
    found = linted(
        """
        apiVersion: jobset.x-k8s.io/v1alpha2
        kind: JobSet
        metadata: {name: batch}
        spec:
          replicatedJobs:
            - name: a
              template:
                spec:
                  template:
                    spec:
                      containers:
                        - name: vllm
                          image: vllm/vllm-openai:v0.33.0
                          args: [m, --tensor-paralel-size=8]
        """
    )
    assert found.one("flag-unknown").line == 15
