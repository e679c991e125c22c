"""How the members of a group meet: the steps each rendezvous puts around a member's processes."""

from __future__ import annotations

import shlex

from shardwright.launch.ssh import SSH_FOLDER
from shardwright.model.launch import LaunchPlan, Member, Mpi, Ray, Role
from shardwright.model.process import Per
from shardwright.model.text import RankIndex, Symbol, Text
from shardwright.render.script import Step
from shardwright.render.symbols import Symbols

RAY_PRESENT = Step(
    command="command -v ray >/dev/null"
    ' || { echo "this image has no Ray: take one that has, or a Ray-free launch" >&2; exit 1; }',
    stays=False,
)


def steps_before(plan: LaunchPlan, member: Member, symbols: Symbols) -> tuple[Step, ...]:
    """Write what starts ahead of the member's own processes."""
    match plan.group.rendezvous:
        case Ray() as ray:
            return _ray(plan, ray, member, symbols)
        case Mpi() as mpi if member.role is Role.WORKER:
            return (_sshd(mpi),)
    return ()


def steps_after(plan: LaunchPlan, member: Member, symbols: Symbols) -> tuple[Step, ...]:
    """Write what starts after them: the MPI world, from the leader."""
    match plan.group.rendezvous:
        case Mpi() as mpi if member.role is Role.LEADER:
            return (*_await_workers(plan, mpi, symbols), _mpirun(plan, mpi, symbols))
    return ()


def _ray(plan: LaunchPlan, ray: Ray, member: Member, symbols: Symbols) -> tuple[Step, ...]:
    """Start Ray: the head on the leader, elsewhere a node that joins it.

    A worker waits until the head answers, since `ray start` gives up early on a head that is not
    there yet; neither starts on an image without Ray, which no recent vLLM image has.
    """
    patience = plan.budgets.rendezvous_s
    gpus = f"--num-gpus={member.gpus} --disable-usage-stats --block"
    if member.role is Role.LEADER:
        head = f'ray start --head --node-ip-address="${{POD_IP}}" --port={ray.port} {gpus}'
        return (RAY_PRESENT, Step(command=head, stays=True, opens=ray.port, patience_s=patience))
    host = symbols.shell_value(symbols.leader_host)
    join = f'ray start --address={host}:{ray.port} --node-ip-address="${{POD_IP}}" {gpus}'
    needs = (host, ray.port)
    return (RAY_PRESENT, Step(command=join, stays=True, needs=needs, patience_s=patience))


def _sshd(mpi: Mpi) -> Step:
    """Listen for the leader: no root, no passwords, one key, and nothing but this port."""
    options = {
        "Port": mpi.port,
        "HostKey": f"{SSH_FOLDER}/ssh_host_ed25519_key",
        "AuthorizedKeysFile": f"{SSH_FOLDER}/authorized_keys",
        "PidFile": "none",
        "StrictModes": "no",  # the keys belong to root, mounted from a Secret
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "UsePAM": "no",
        "AllowTcpForwarding": "no",
        "X11Forwarding": "no",
    }
    words = " ".join(f"-o {name}={value}" for name, value in options.items())
    return Step(command=f"/usr/sbin/sshd -D -e -f /dev/null {words}", stays=True)


def _await_workers(plan: LaunchPlan, mpi: Mpi, symbols: Symbols) -> tuple[Step, ...]:
    workers = [member for member in plan.group.members if member.role is Role.WORKER]
    return tuple(
        Step(
            command=":",
            stays=False,
            needs=(symbols.shell_value(symbols.member_host.format(index=worker.index)), mpi.port),
            patience_s=plan.budgets.rendezvous_s + plan.budgets.image_pull_s,
        )
        for worker in workers
    )


def _mpirun(plan: LaunchPlan, mpi: Mpi, symbols: Symbols) -> Step:
    """Start every rank from the leader, each with its own command line where they differ.

    mpirun is called by its full path, which makes it look for its daemon under the same prefix on
    the other members.
    """
    names = {var.name for m in plan.group.members for p in m.processes for var in p.env}
    # not -x, which holds for the first of several commands only
    exported = ";".join(sorted({*names, "PATH", "LD_LIBRARY_PATH"}))
    root = ["--allow-run-as-root"] if plan.group.members[0].run_as is None else []
    words = [
        "`command -v mpirun`",
        *root,
        *_over_ssh(plan, mpi, symbols),
        "--bind-to none --tag-output",
        f"--mca mca_base_env_list {shlex.quote(exported)}",
    ]
    contexts = " : \\\n  ".join(_contexts(plan, symbols))
    return Step(command=f"{' '.join(words)} \\\n  {contexts}", stays=True)


def _over_ssh(plan: LaunchPlan, mpi: Mpi, symbols: Symbols) -> tuple[str, ...]:
    """Say which hosts the ranks are on and how to reach them; nothing for a single member."""
    if len(plan.group.members) == 1:
        return ()
    ssh = {
        "BatchMode": "yes",
        "ConnectTimeout": 10,
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": f"{SSH_FOLDER}/known_hosts",
    }
    options = " ".join(f"-o {name}={value}" for name, value in ssh.items())
    ssh_args = f"-p {mpi.port} -i {SSH_FOLDER}/id_ed25519 {options}"
    hosts = [
        f"{symbols.shell_value(_host(symbols, member.index))}:{len(member.ranks)}"
        for member in plan.group.members
    ]
    return (
        f"--host {','.join(hosts)}",
        f"--mca plm_rsh_agent {mpi.agent} --mca plm_rsh_args {shlex.quote(ssh_args)}",
        # Open MPI 4 cuts host names at the first dot, and a pod's short name does not resolve
        "--mca orte_keep_fqdn_hostnames 1",
    )


def _host(symbols: Symbols, index: int) -> str:
    return symbols.leader_host if index == 0 else symbols.member_host.format(index=index)


def _contexts(plan: LaunchPlan, symbols: Symbols) -> list[str]:
    """Write `-n COUNT COMMAND` for each run of ranks with the same command."""
    commands = {
        rank: _rank_command(process.argv, symbols, rank)
        for member in plan.group.members
        for process in member.processes
        if process.per is Per.RANK
        for rank in (process.ranks or tuple(each.index for each in member.ranks))
    }
    runs: list[tuple[str, int]] = []
    for _, command in sorted(commands.items()):
        if runs and runs[-1][0] == command:
            runs[-1] = (command, runs[-1][1] + 1)
        else:
            runs.append((command, 1))
    return [f"-n {count} {command}" for command, count in runs]


def _rank_command(argv: tuple[Text, ...], symbols: Symbols, rank: int) -> str:
    def known(word: str | Symbol) -> str | Symbol:
        return str(rank) if isinstance(word, RankIndex) else word

    return " ".join(symbols.shell(tuple(known(word) for word in words)) for words in argv)
