"""The launch plan can say all six mechanisms and every kind of task, before any of them is built.

Each case writes one known-good deployment as a launch plan and resolves it by hand to the command
lines its engine documents; what cannot be said shows up here first.
"""

from dataclasses import replace

import pytest

from shardwright.model.consistency import inconsistencies
from shardwright.model.launch import (
    Budgets,
    Endpoint,
    Group,
    LaunchPlan,
    Member,
    Mpi,
    OnMemberLoss,
    Placement,
    Rank,
    Ray,
    Rendezvous,
    Role,
    RunAs,
    SecretOrigin,
    SecretRef,
    Start,
    Task,
    TaskKind,
    TorchStore,
)
from shardwright.model.process import (
    EnvVar,
    HttpCheck,
    Per,
    Port,
    Probe,
    Probes,
    Process,
    TcpCheck,
)
from shardwright.model.request import Mechanism
from shardwright.model.text import (
    GroupSize,
    LeaderHost,
    MemberHost,
    MemberIndex,
    OwnAddress,
    RankIndex,
    SecretValue,
    Symbol,
    Text,
    resolve,
    text,
)
from shardwright.model.units import GIB
from shardwright.model.volumes import Claim, ConfigFiles, Mount, VolumeKind

MODEL = "meta-llama/Llama-3.1-405B-Instruct-FP8"
HTTP = Port(name="http", number=8000, is_public=True)
WEIGHTS = Mount(
    volume="weights", kind=VolumeKind.CLAIM, path="/models", source="weights", is_read_only=True
)
_OK = HttpCheck(path="/health", port="http")
HEALTH = Probes(
    startup=Probe(check=_OK, period_s=10, timeout_s=5, failures=180),
    readiness=Probe(check=_OK, period_s=5, timeout_s=5, failures=3),
)
BUDGETS = Budgets(
    image_pull_s=600, download_s=3600, rendezvous_s=900, load_s=600, compile_s=300, graphs_s=120,
    startup_s=1800, engine_ready_s=1800, distributed_timeout_s=1800, drain_s=120,
)  # fmt: skip


def words(*parts: str) -> tuple[Text, ...]:
    return tuple(text(part) for part in parts)


def member(index: int, *processes: Process, gpus: int = 8, first_rank: int | None = None) -> Member:
    first = index * gpus if first_rank is None else first_rank
    return Member(
        role=Role.LEADER if index == 0 else Role.WORKER,
        index=index,
        image="engine:1",
        processes=processes,
        ranks=tuple(
            Rank(
                index=first + device,
                tensor=device,
                pipeline=index,
                local_device=device,
                layers=(63 * index, 63 * index + 62),
            )
            for device in range(gpus)
        ),
        gpus=gpus,
        cpu_millis=32_000,
        memory_bytes=256 * GIB,
        shm_bytes=16 * GIB,
        mounts=(WEIGHTS,),
    )


def plan(mechanism: Mechanism, rendezvous: Rendezvous, *members: Member) -> LaunchPlan:
    return LaunchPlan(
        name="llama",
        namespace="default",
        engine="vllm",
        engine_version="0.33.0",
        model=MODEL,
        served_name=MODEL,
        mechanism=mechanism,
        group=Group(members=members, rendezvous=rendezvous),
        replicas=1,
        endpoints=(Endpoint(name="http", process="serve", port="http", health_path="/health"),),
        budgets=BUDGETS,
        placement=Placement(gpu_resource="nvidia.com/gpu", gpu_product="NVIDIA-H200"),
        claims=(
            Claim(name="weights", is_ours=True, access_mode="ReadWriteMany", size_bytes=500 * GIB),
        ),
    )


def command(process: Process, index: int, *, rank: int = 0) -> str:
    """Resolve the command line as in the first group of an LWS."""

    def value(symbol: Symbol) -> str:
        match symbol:
            case LeaderHost() | MemberHost(index=0):
                return "llama-0.llama"
            case MemberHost(index=other):
                return f"llama-0-{other}.llama"
            case MemberIndex():
                return str(index)
            case RankIndex():
                return str(rank)
            case GroupSize():
                return "2"
            case OwnAddress():
                return f"10.0.0.{index}"
            case SecretValue():
                raise AssertionError("a secret in a command line")

    return " ".join(resolve(part, value) for part in process.argv)


def serve(*extra: Text, probes: Probes = HEALTH, ports: tuple[Port, ...] = (HTTP,)) -> Process:
    return Process(
        name="serve",
        argv=(*words("vllm", "serve", "/models/llama", "--tensor-parallel-size=8"), *extra),
        env=(EnvVar(name="VLLM_HOST_IP", value=text(OwnAddress()), why="unique per member"),),
        ports=ports,
        probes=probes,
    )


def one_node() -> LaunchPlan:
    return plan(Mechanism.DEPLOYMENT, None, member(0, serve()))


def ray_free(mechanism: Mechanism) -> LaunchPlan:
    meet = (
        *words("--pipeline-parallel-size=2"),
        text("--nnodes=", GroupSize()),
        text("--node-rank=", MemberIndex()),
        text("--master-addr=", LeaderHost()),
    )
    follower = serve(*meet, text("--headless"), probes=Probes(), ports=())
    return plan(mechanism, TorchStore(port=29501), member(0, serve(*meet)), member(1, follower))


def over_ray(mechanism: Mechanism) -> LaunchPlan:
    gcs = Port(name="gcs", number=6379)
    head = Process(
        name="ray",
        argv=words("ray", "start", "--head", "--port=6379", "--block"),
        ports=(gcs,),
        probes=Probes(
            startup=Probe(check=TcpCheck(port="gcs"), period_s=2, timeout_s=2, failures=150)
        ),
    )
    joined = Process(
        name="ray-nodes", argv=words("wait-for-nodes", "2"), after=("ray",), is_setup=True
    )
    engine = replace(serve(text("--distributed-executor-backend=ray")), after=("ray", "ray-nodes"))
    node = Process(
        name="ray",
        argv=(*words("ray", "start"), text("--address=", LeaderHost(), ":6379"), text("--block")),
    )
    return plan(mechanism, Ray(port=6379), member(0, head, joined, engine), member(1, node))


def over_mpi() -> LaunchPlan:
    """One tritonserver per rank: rank 0 with HTTP, the others without; sshd on every member."""
    ssh = Mount(volume="ssh", kind=VolumeKind.SECRET, path="/etc/ssh-keys", source="llama-ssh")
    settings = Mount(volume="sshd", kind=VolumeKind.CONFIG, path="/etc/sshd", source="llama-sshd")
    sshd = Process(
        name="sshd",
        argv=words("/usr/sbin/sshd", "-D", "-e", "-f", "/etc/sshd/sshd_config"),
        ports=(Port(name="ssh", number=2222),),
    )
    repository = "--model-repository=/models/repository"
    first = Process(
        name="serve",
        argv=words("tritonserver", repository),
        ports=(HTTP,),
        probes=HEALTH,
        after=("sshd",),
        per=Per.RANK,
        ranks=(0,),
    )

    def rest(ranks: tuple[int, ...]) -> Process:
        return Process(
            name="follow",
            argv=(
                *words("tritonserver", repository, "--allow-http=false"),
                text("--id=rank", RankIndex()),
            ),
            after=("sshd",),
            per=Per.RANK,
            ranks=ranks,
        )

    leader = member(0, sshd, first, rest(tuple(range(1, 8))))
    worker = member(1, sshd, rest(tuple(range(8, 16))))
    members = [
        replace(m, mounts=(*m.mounts, ssh, settings), run_as=RunAs(user=1000, group=1000))
        for m in (leader, worker)
    ]
    return replace(
        plan(Mechanism.MPI, Mpi(port=2222), *members),
        secrets=(
            SecretRef(
                name="llama-ssh",
                keys=("id_ed25519", "authorized_keys"),
                origin=SecretOrigin.GENERATED,
            ),
        ),
        configs=(ConfigFiles(name="llama-sshd", files=(("sshd_config", "Port 2222\n"),)),),
    )


EVERY = {
    Mechanism.DEPLOYMENT: one_node(),
    Mechanism.STATEFULSET: ray_free(Mechanism.STATEFULSET),
    Mechanism.RAY_STATEFULSET: over_ray(Mechanism.RAY_STATEFULSET),
    Mechanism.LWS: ray_free(Mechanism.LWS),
    Mechanism.KUBERAY: over_ray(Mechanism.KUBERAY),
    Mechanism.MPI: over_mpi(),
}


def test_every_mechanism_is_here():
    assert set(EVERY) == set(Mechanism)


@pytest.mark.parametrize("mechanism", Mechanism, ids=lambda m: m.value)
def test_plan_holds_together(mechanism):
    assert inconsistencies(EVERY[mechanism]) == ()
    assert EVERY[mechanism].mechanism is mechanism


@pytest.mark.parametrize("mechanism", [Mechanism.STATEFULSET, Mechanism.LWS])
def test_ray_free_members_differ_by_rank_and_headless_only(mechanism):
    leader, worker = EVERY[mechanism].group.members
    common = (
        "vllm serve /models/llama --tensor-parallel-size=8 --pipeline-parallel-size=2 --nnodes=2"
    )
    assert command(leader.processes[0], 0) == f"{common} --node-rank=0 --master-addr=llama-0.llama"
    assert (
        command(worker.processes[0], 1)
        == f"{common} --node-rank=1 --master-addr=llama-0.llama --headless"
    )


@pytest.mark.parametrize("mechanism", [Mechanism.RAY_STATEFULSET, Mechanism.KUBERAY])
def test_ray_head_starts_before_the_engine_and_the_worker_joins_it(mechanism):
    leader, worker = EVERY[mechanism].group.members
    assert [p.name for p in leader.processes] == ["ray", "ray-nodes", "serve"]
    assert [p.is_setup for p in leader.processes] == [False, True, False]
    assert command(leader.processes[0], 0) == "ray start --head --port=6379 --block"
    assert command(worker.processes[0], 1) == "ray start --address=llama-0.llama:6379 --block"


def test_mpi_world_is_one_process_per_rank_and_only_rank_0_serves():
    group = EVERY[Mechanism.MPI].group
    processes = {
        rank: (member_, process)
        for member_ in group.members
        for process in member_.processes
        if process.per is Per.RANK
        for rank in process.ranks
    }
    assert sorted(processes) == list(range(16))
    assert [rank for rank, (_, process) in processes.items() if process.ports] == [0]
    follower, process = processes[9]
    assert follower.index == 1
    assert command(process, 1, rank=9).endswith("--allow-http=false --id=rank9")
    assert isinstance(group.rendezvous, Mpi)


def test_group_life_can_be_told():
    group = replace(
        EVERY[Mechanism.LWS].group,
        start=Start.LEADER_FIRST,
        on_member_loss=OnMemberLoss.RESTART_MEMBER,
        gang="volcano",
        topology_domain="topology.example/rack",
    )
    assert group.start is Start.LEADER_FIRST


TOKEN = SecretRef(name="hf", keys=("token",))
WRITABLE = replace(WEIGHTS, is_read_only=False)
TASKS = {
    TaskKind.DOWNLOAD: Task(
        kind=TaskKind.DOWNLOAD,
        name="download",
        key="llama@rev",
        image="engine:1",
        argv=words("python3", "/etc/download/download.py"),
        env=(
            EnvVar(name="HF_TOKEN", value=text(SecretValue("hf", "token"))),
            EnvVar(name="HTTPS_PROXY", value=text("http://proxy.corp.example:3128")),
        ),
        mounts=(
            WRITABLE,
            Mount(
                volume="script",
                kind=VolumeKind.CONFIG,
                path="/etc/download",
                source="llama-scripts",
            ),
        ),
        outputs=("/models/llama",),
        done_marker="/models/llama/.complete",
        deadline_s=7200,
    ),
    TaskKind.ENGINE_BUILD: Task(
        kind=TaskKind.ENGINE_BUILD,
        name="build",
        key="llama-h200-1.0.0-tp8-pp2",
        image="tritonserver:25.08",
        argv=words("bash", "/etc/build/build.sh"),
        mounts=(WRITABLE,),
        gpus=1,
        inputs=("/models/llama",),
        outputs=("/models/repository/tensorrt_llm/1", "/models/repository/config.pbtxt"),
        done_marker="/models/repository/.complete",
    ),
    TaskKind.HARDWARE_CHECK: Task(
        kind=TaskKind.HARDWARE_CHECK,
        name="nccl",
        key="2x8",
        image="engine:1",
        argv=(
            *words("torchrun", "--nproc-per-node=8"),
            text("--nnodes=", GroupSize()),
            text("--node-rank=", MemberIndex()),
            text("--master-addr=", LeaderHost()),
        ),
        gpus=8,
        pods=2,
        blocks=False,
    ),
    TaskKind.SHRINK_MODEL: Task(
        kind=TaskKind.SHRINK_MODEL,
        name="shrink",
        key="llama-seed-0",
        image="shardwright:1",
        argv=words("shardwright", "shrink", "/models/llama"),
        mounts=(WRITABLE,),
        outputs=("/models/llama-small",),
    ),
}


@pytest.mark.parametrize("kind", TaskKind, ids=lambda k: k.value)
def test_every_task_can_be_told(kind):
    whole = replace(
        one_node(),
        tasks=(TASKS[kind],),
        secrets=(TOKEN,),
        configs=(ConfigFiles(name="llama-scripts", files=(("download.py", "print()\n"),)),),
    )
    assert inconsistencies(whole) == ()
    assert whole.tasks[0].kind is kind


BROKEN = {
    "no claim named weights": replace(one_node(), claims=()),
    "task download: no config named llama-scripts": replace(
        one_node(), tasks=(TASKS[TaskKind.DOWNLOAD],), secrets=(TOKEN,)
    ),
    "download: secret hf has no key token": replace(
        one_node(),
        tasks=(TASKS[TaskKind.DOWNLOAD],),
        configs=(ConfigFiles(name="llama-scripts", files=()),),
    ),
    "members without a rendezvous": plan(
        Mechanism.LWS, None, *ray_free(Mechanism.LWS).group.members
    ),
    "members are not counted from 0": plan(Mechanism.DEPLOYMENT, None, member(1, serve())),
    "ranks are not counted from 0": plan(
        Mechanism.DEPLOYMENT, None, member(0, serve(), first_rank=1)
    ),
    "probes port http, which it does not have": plan(
        Mechanism.DEPLOYMENT, None, member(0, serve(ports=()))
    ),
    "endpoint http: no such port": plan(Mechanism.DEPLOYMENT, None, member(0, serve(ports=()))),
    "starts after ray, which is not listed": plan(
        Mechanism.DEPLOYMENT, None, member(0, replace(serve(), after=("ray",)))
    ),
    "a secret in an argument": plan(
        Mechanism.DEPLOYMENT, None, member(0, serve(text("--api-key=", SecretValue("k", "k"))))
    ),
    "/dev/shm takes the whole memory": plan(
        Mechanism.DEPLOYMENT, None, replace(member(0, serve()), memory_bytes=GIB)
    ),
}


@pytest.mark.parametrize("said", BROKEN)
def test_contradiction_is_named(said):
    assert any(said in line for line in inconsistencies(BROKEN[said])), inconsistencies(
        BROKEN[said]
    )
