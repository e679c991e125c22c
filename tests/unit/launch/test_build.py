"""From the examples to launch plans; expected values are read off the recipe by hand."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from shardwright import shape
from shardwright.launch.build import build_launch_plan, checkpoint_bytes
from shardwright.model.consistency import inconsistencies
from shardwright.model.errors import ShardwrightError
from shardwright.model.launch import Ray, Role, RunAs, TaskKind, TorchStore
from shardwright.model.request import Mechanism
from shardwright.model.text import GroupSize, LeaderHost, MemberIndex, resolve
from shardwright.model.volumes import VolumeKind
from shardwright.planner.plan import make_plan
from shardwright.spec.load import load

EXAMPLES = Path(__file__).parents[3] / "examples"


def launch(name, mechanism=None, **engine):
    request = load((EXAMPLES / f"{name}.yaml").read_text(), name).request
    if mechanism:
        request = replace(request, launch=mechanism)
    if engine:
        request = replace(request, engine=replace(request.engine, **engine))
    model = shape.load(request.model.id)
    return build_launch_plan(request, model, make_plan(request, model))


def argv(process):
    return [resolve(words, lambda symbol: f"<{type(symbol).__name__}>") for words in process.argv]


def test_405b_is_two_members_that_meet_at_the_leaders_store():
    plan = launch("llama-3.1-405b")
    assert plan.mechanism is Mechanism.LWS
    assert plan.group.rendezvous == TorchStore(port=29501)
    leader, worker = plan.group.members
    assert (leader.role, worker.role) == (Role.LEADER, Role.WORKER)
    # 126 layers in two stages of 63; ranks 0-7 hold stage 0 on the leader, 8-15 stage 1
    assert [r.index for r in worker.ranks] == list(range(8, 16))
    assert {r.layers for r in leader.ranks} == {(0, 62)}
    assert {r.layers for r in worker.ranks} == {(63, 125)}
    assert [r.tensor for r in worker.ranks] == list(range(8))


def test_405b_leader_runs_vllm_serve_with_the_flags_of_the_recipe():
    leader, worker = launch("llama-3.1-405b").group.members
    words = argv(leader.processes[0])
    assert words[:3] == ["vllm", "serve", "/models/meta-llama/Llama-3.1-405B-Instruct-FP8"]
    pairs = dict(pairwise(words))
    assert pairs["--tensor-parallel-size"] == "8"
    assert pairs["--pipeline-parallel-size"] == "2"
    assert pairs["--nnodes"] == f"<{GroupSize.__name__}>"
    assert pairs["--node-rank"] == f"<{MemberIndex.__name__}>"
    assert pairs["--master-addr"] == f"<{LeaderHost.__name__}>"
    assert pairs["--port"] == "8000"
    assert "--headless" not in words
    assert argv(worker.processes[0])[-1] == "--headless"


def test_over_ray_only_the_leader_runs_vllm():
    plan = launch("llama-3.1-405b", Mechanism.RAY_STATEFULSET)
    leader, worker = plan.group.members
    assert plan.group.rendezvous == Ray(port=6379)
    assert "--distributed-executor-backend" in argv(leader.processes[0])
    assert worker.processes == ()


def test_one_node_needs_no_rendezvous():
    plan = launch("llama-3.1-70b")
    assert plan.mechanism is Mechanism.DEPLOYMENT
    assert plan.group.rendezvous is None
    assert len(plan.group.members) == 1
    assert "--nnodes" not in argv(plan.group.members[0].processes[0])


VLLM_EXAMPLES = sorted(
    path.stem for path in EXAMPLES.glob("*.yaml") if "triton-engines" not in path.read_text()
)


@pytest.mark.parametrize("name", VLLM_EXAMPLES)
@pytest.mark.parametrize(
    "mechanism",
    [Mechanism.LWS, Mechanism.STATEFULSET, Mechanism.RAY_STATEFULSET, Mechanism.KUBERAY],
)
def test_every_launch_plan_keeps_its_promises(name, mechanism):
    assert inconsistencies(launch(name, mechanism)) == ()


def test_an_inner_timer_is_never_shorter_than_the_start_it_waits_for():
    budgets = launch("llama-3.1-405b").budgets
    assert budgets.engine_ready_s >= budgets.startup_s
    assert budgets.distributed_timeout_s >= budgets.startup_s
    leader = launch("llama-3.1-405b").group.members[0]
    assert leader.processes[0].probes.startup.budget_s >= budgets.startup_s


def test_checkpoint_bytes_of_llama_8b():
    # 8,030,261,248 bf16 parameters, published
    assert checkpoint_bytes(shape.load("meta-llama/Llama-3.1-8B")) == 2 * 8_030_261_248


def test_users_environment_wins():
    plan = launch("llama-3.1-405b", env=(("NCCL_DEBUG", "WARN"),))
    values = [e.value for e in plan.group.members[0].processes[0].env if e.name == "NCCL_DEBUG"]
    assert values == [("WARN",)]


@pytest.mark.parametrize(
    ("name", "mechanism", "engine", "code"),
    [
        ("llama-3.1-405b", Mechanism.MPI, {}, "engine-not-on-mechanism"),
        ("llama-3.1-405b", Mechanism.DEPLOYMENT, {}, "deployment-is-one-node"),
        ("llama-3.1-405b", Mechanism.STATEFULSET, {"version": "0.6.6"}, "engine-needs-ray"),
    ],
)
def test_what_cannot_be_launched_says_why(name, mechanism, engine, code):
    with pytest.raises(ShardwrightError) as caught:
        launch(name, mechanism, **engine)
    assert caught.value.code == code
    assert caught.value.remedy


def test_vllm_0_6_6_meets_over_ray_by_itself():
    plan = launch("llama-3.1-405b", Mechanism.LWS, version="0.6.6")
    assert plan.group.rendezvous == Ray(port=6379)


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("scheduling: {gang: kueue}", "queue-missing"),
        ("scheduling: {gang: native, queue: gpus}", "queue-without-scheduler"),
        ("scheduling: {gang: native}", "gang-not-possible"),
        ('scheduling: {kubernetes: "1.37"}', "gang-not-possible"),
        ("access: {gateway: public}", "route-without-host"),
        ("access: {route: llm.example.org, gateway: a, tlsSecret: b}", "route-of-two-kinds"),
        ("images: {prePull: job}", "pre-pull-without-nodes"),
        ("images: {pinDigests: true}", "image-not-pinned"),
        ("network: {s3Region: eu-central-1}", "bucket-without-source"),
        ("access: {s3Secret: keys}", "bucket-without-source"),
        ("monitoring: {alerts: true}", "monitoring-without-targets"),
        ("monitoring: {labels: {release: prometheus}}", "monitoring-without-targets"),
    ],
)
def test_no_field_is_ignored_in_silence(field, code):
    text = (EXAMPLES / "llama-3.1-70b.yaml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("  access:")]
    request = load("\n".join([*lines, f"  {field}"]), "s").request
    model = shape.load(request.model.id)
    with pytest.raises(ShardwrightError) as caught:
        build_launch_plan(request, model, make_plan(request, model))
    assert caught.value.code == code


def test_an_image_pinned_by_digest_is_taken():
    image = "vllm/vllm-openai@sha256:" + "0" * 64
    text = (EXAMPLES / "llama-3.1-70b.yaml").read_text() + "  images: {pinDigests: true}\n"
    request = load(text, "s").request
    request = replace(request, engine=replace(request.engine, image=image))
    model = shape.load(request.model.id)
    built = build_launch_plan(request, model, make_plan(request, model))
    assert built.group.members[0].image == image


def test_a_claim_two_replicas_mount_can_be_mounted_by_both():
    request = load((EXAMPLES / "llama-3.1-70b.yaml").read_text(), "s").request
    model = shape.load(request.model.id)
    made = make_plan(request, model)
    chosen = replace(made, layout=replace(made.layout, replicas=2), num_nodes=2)
    assert build_launch_plan(request, model, made).claims[0].access_mode == "ReadWriteOnce"
    assert build_launch_plan(request, model, chosen).claims[0].access_mode == "ReadWriteMany"


def test_weights_that_are_in_the_claim_are_not_said_to_be_in_a_bucket_too():
    text = (EXAMPLES / "llama-3.1-70b.yaml").read_text()
    request = load(text, "s").request
    request = replace(
        request,
        model=replace(request.model, source="s3://models/llama", path="/models/llama"),
        storage=replace(request.storage, claim="weights"),
    )
    model = shape.load(request.model.id)
    with pytest.raises(ShardwrightError) as caught:
        build_launch_plan(request, model, make_plan(request, model))
    assert caught.value.code == "source-without-download"


def test_a_bucket_is_read_with_its_keys_and_another_bucket_is_another_download():
    text = (EXAMPLES / "llama-3.1-70b.yaml").read_text()
    request = load(text, "s").request
    model = shape.load(request.model.id)

    def download(source):
        asked = replace(
            request,
            model=replace(request.model, source=source),
            access=replace(request.access, s3_secret="bucket-keys"),
            images=replace(request.images, download="example/boto3:1"),
        )
        built = build_launch_plan(asked, model, make_plan(asked, model))
        (task,) = [each for each in built.tasks if each.kind is TaskKind.DOWNLOAD]
        return task, {secret.name: secret.keys for secret in built.secrets}

    task, secrets = download("s3://models/llama")
    words = [word for argument in task.argv for word in argument]
    assert words[2:] == ["s3://models/llama", "--local-dir", built_path(request)]
    assert secrets["bucket-keys"] == ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= {var.name for var in task.env}
    assert task.image == "example/boto3:1"
    assert task.key != download("s3://models/other")[0].key


def built_path(request):
    return f"/models/{request.model.id}"


def on(**cluster):
    request = load((EXAMPLES / "llama-3.1-405b.yaml").read_text(), "spec").request
    request = replace(request, cluster=replace(request.cluster, **cluster))
    model = shape.load(request.model.id)
    return build_launch_plan(request, model, make_plan(request, model))


def test_nodes_are_selected_by_the_product_of_the_gpu_only_where_asked():
    own = (("pool", "gpu"),)
    assert on(node_selector=own).placement.node_selector == own
    selected = on(node_selector=own, gpu_product_selector=True).placement.node_selector
    assert selected == (("nvidia.com/gpu.product", "NVIDIA-H200"), ("pool", "gpu"))


@pytest.mark.parametrize(
    ("engine", "cluster", "user"),
    [
        ({}, {}, RunAs(user=2000, group=0)),  # `vllm` in its own image
        ({"version": "0.20.2"}, {}, None),
        ({"image": "site/vllm:1"}, {}, None),
        # added capabilities reach root alone
        ({}, {"rdma_memlock": "capability", "rdma_resource": "rdma/ib"}, None),
    ],
)
def test_vllm_runs_without_root_where_its_own_image_has_a_user(engine, cluster, user):
    request = load((EXAMPLES / "llama-3.1-405b.yaml").read_text(), "spec").request
    request = replace(
        request,
        engine=replace(request.engine, **engine),
        cluster=replace(request.cluster, **cluster),
    )
    model = shape.load(request.model.id)
    plan = build_launch_plan(request, model, make_plan(request, model))
    assert {member.run_as for member in plan.group.members} == {user}


def test_weights_come_as_an_image_in_place_of_claim_and_download():
    request = load((EXAMPLES / "llama-3.1-70b.yaml").read_text(), "spec").request
    model = shape.load(request.model.id)
    plan = make_plan(request, model)
    by_claim = build_launch_plan(request, model, plan)
    storage = replace(request.storage, image="models/llama:1")
    images = replace(request.images, registry="registry.example.com")
    by_image = build_launch_plan(replace(request, storage=storage, images=images), model, plan)
    assert (by_image.claims, by_image.tasks, by_image.configs) == ((), (), ())
    mount = by_image.group.members[0].mounts[0]
    assert (mount.kind, mount.path) == (VolumeKind.IMAGE, "/models")
    assert mount.source == "registry.example.com/models/llama:1"
    assert argv(by_image.group.members[0].processes[0])[:3] == ["vllm", "serve", "/models"]
    # 70.55e9 parameters of 2 bytes more to pull, at 50 MB/s with half as much again
    longer = by_image.budgets.image_pull_s - by_claim.budgets.image_pull_s
    assert longer == pytest.approx(141.1e9 / 50e6 * 1.5, rel=0.01)
    assert inconsistencies(by_image) == ()


@pytest.mark.parametrize(
    ("example", "storage", "model", "code"),
    [
        ("llama-3.1-405b", {"claim": "weights"}, {}, "weights-twice"),
        ("llama-3.1-405b", {}, {"source": "s3://b/m"}, "weights-twice"),
        ("llama-3.1-405b", {"storage_class": "fast"}, {}, "claim-without-use"),
        ("llama-3.1-70b-triton", {}, {}, "weights-read-only"),
    ],
)
def test_an_image_of_weights_goes_with_no_claim(example, storage, model, code):
    request = load((EXAMPLES / f"{example}.yaml").read_text(), "spec").request
    request = replace(
        request,
        storage=replace(request.storage, image="models/llama:1", **storage),
        model=replace(request.model, **model),
    )
    shape_of = shape.load(request.model.id)
    with pytest.raises(ShardwrightError) as caught:
        build_launch_plan(request, shape_of, make_plan(request, shape_of))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("cluster", "code"),
    [
        ({"gpu": "MI300X"}, "gpu-product-unknown"),
        ({"node_selector": (("nvidia.com/gpu.product", "NVIDIA-H200"),)}, "gpu-selected-twice"),
    ],
)
def test_a_product_that_is_not_known_or_said_twice_is_refused(cluster, code):
    with pytest.raises(ShardwrightError) as caught:
        on(gpu_product_selector=True, **cluster)
    assert caught.value.code == code


def test_one_pod_of_vllm_drains_and_a_group_ends_at_once():
    def given(name, **engine):
        words = argv(launch(name, **engine).group.members[0].processes[0])
        return dict(pairwise(words)).get("--shutdown-timeout")

    assert given("llama-3.1-70b") == "90"  # of 120 s until SIGKILL
    assert given("llama-3.1-70b", version="0.11.1") is None
    assert given("llama-3.1-405b") is None


@pytest.mark.parametrize(
    ("revision", "folder"),
    [
        (None, "/models/meta-llama/Llama-3.1-405B-Instruct-FP8"),  # where it always was
        ("main", "/models/meta-llama/Llama-3.1-405B-Instruct-FP8"),  # the same download
        ("v1.0", "/models/meta-llama/Llama-3.1-405B-Instruct-FP8@v1.0"),
        ("refs/pr/1", "/models/meta-llama/Llama-3.1-405B-Instruct-FP8@refs--pr--1"),
        ("../../etc", "/models/meta-llama/Llama-3.1-405B-Instruct-FP8@..--..--etc"),
    ],
)
def test_each_revision_is_downloaded_to_and_served_from_a_folder_of_its_own(revision, folder):
    request = load((EXAMPLES / "llama-3.1-405b.yaml").read_text(), "a").request
    request = replace(request, model=replace(request.model, revision=revision))
    model = shape.load(request.model.id)
    plan = build_launch_plan(request, model, make_plan(request, model))
    task = next(each for each in plan.tasks if each.kind is TaskKind.DOWNLOAD)
    words = argv(task)
    assert words[words.index("--local-dir") + 1] == folder
    assert task.done_marker == f"{folder}/.shardwright-complete"
    assert [argv(each.processes[0])[2] for each in plan.group.members] == [folder, folder]
