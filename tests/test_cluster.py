"""The jobs of a small profile through a real SLURM of one node, which is started and stopped here (`make cluster-test`).

Its records are those of a run on this machine; what dies on the way costs what was not done, and no more.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stored import all_records
from test_grid import MINI, content

from qrsupport.book import chapters
from qrsupport.recorded import Folder

COMMANDS = ("srun", "sbatch", "squeue", "sinfo", "scontrol", "scancel", "sacct")
DAEMONS = ("munged", "slurmctld", "slurmd")
CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=36817
SlurmdPort=36818
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={room}/run/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MinJobAge=300
OverTimeLimit=0
StateSaveLocation={room}/state
SlurmdSpoolDir={room}/spool
SlurmctldPidFile={room}/run/slurmctld.pid
SlurmdPidFile={room}/run/slurmd.pid
SlurmctldLogFile={room}/slurmctld.log
SlurmdLogFile={room}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.environ.get("QRSUPPORT_CLUSTER"), reason="`make cluster-test` sets QRSUPPORT_CLUSTER"),
]


def absent():
    """What a SLURM of one's own needs and this machine lacks."""
    paths = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"
    return [name for name in (*COMMANDS, *DAEMONS) if not shutil.which(name, path=paths)]


@pytest.fixture(scope="module")
def queue():
    """A SLURM of one node; its commands come first on PATH, for they alone know where it is."""
    if os.geteuid() or absent():
        pytest.fail(f"a SLURM of one's own needs root and the packages slurm-wlm and munge; missing: {absent() or 'root'}")
    room = Path(subprocess.run(["mktemp", "-d"], check=True, capture_output=True, text=True).stdout.strip())
    room.chmod(0o755)
    for name in ("state", "spool", "run", "bin"):
        (room / name).mkdir()
    host = socket.gethostname().split(".")[0]
    (room / "slurm.conf").write_text(CONF.format(room=room, host=host, cpus=os.cpu_count()))
    for name in COMMANDS:
        script = f'#!/bin/sh\nSLURM_CONF={room}/slurm.conf exec {shutil.which(name)} "$@"\n'
        (room / "bin" / name).write_text(script)
        (room / "bin" / name).chmod(0o755)
    (room / "key").write_bytes(os.urandom(1024))
    (room / "key").chmod(0o400)
    for name in ("key", "run"):
        shutil.chown(room / name, "munge", "munge")
    before, conf = os.environ["PATH"], os.environ | {"SLURM_CONF": str(room / "slurm.conf")}
    munge = ["munged", f"--key-file={room}/key", f"--socket={room}/run/munge.socket", f"--pid-file={room}/run/munged.pid",
             f"--log-file={room}/run/munged.log", f"--seed-file={room}/run/seed", "--force"]  # fmt: skip
    paths = f"{before}{os.pathsep}/usr/sbin"
    subprocess.run(["runuser", "-u", "munge", "--", shutil.which("munged", path=paths), *munge[1:]], check=True)
    for name in DAEMONS[1:]:
        subprocess.run([shutil.which(name, path=paths)], check=True, env=conf)
    os.environ["PATH"] = f"{room / 'bin'}{os.pathsep}{before}"
    wait_for(lambda: "idle" in said("sinfo", "--noheader", "--format=%T"), 60)
    yield host
    os.environ["PATH"] = before
    for name in DAEMONS[::-1]:
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((room / "run" / f"{name}.pid").read_text()), signal.SIGTERM)
    shutil.rmtree(room, ignore_errors=True)


def said(*command):
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def wait_for(true, seconds):
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, f"waited {seconds} s"
        time.sleep(1)
    return found


def start(profile, run_dir, *words):
    """`qrsupport book` as a process of its own."""
    command = [sys.executable, "-m", "qrsupport", "book", "--profile", str(profile), "--records", *words]
    env = os.environ | {"QRSUPPORT_RUNS": str(run_dir)}
    return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True)


def end(process, seconds=600):
    """Its exit status and what it said."""
    _, text = process.communicate(timeout=seconds)
    return process.returncode, text


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    file = tmp_path_factory.mktemp("profile") / "mini.toml"
    file.write_text(MINI + "[resources]\nminutes = 20\nmem_mb = 3000\n")
    return file


@pytest.fixture(scope="module")
def local(profile, tmp_path_factory):
    """The records of a run on this machine."""
    folder = tmp_path_factory.mktemp("local")
    code, text = end(start(profile, folder, "--cores", "2"))
    assert code == 0, text
    return content(folder)


def shards(run_dir):
    return sorted((run_dir / chapters.ATTACKED).glob("*-of-*.json"))


def test_records_are_those_of_a_local_run(queue, profile, local, tmp_path):
    code, text = end(start(profile, tmp_path, "--executor", "slurm"))
    assert code == 0, text
    assert "5 jobs: 5 done, 0 reused, 0 missing" in text and "[5/5]" in text
    assert content(tmp_path) == local


def test_what_dies_on_the_way_costs_what_was_not_done(queue, profile, local, tmp_path):
    """A job is killed, then the engine, then the node is drained; each is gone on from."""
    process = start(profile, tmp_path, "--executor", "slurm", "--cores", "1")
    wait_for(lambda: shards(tmp_path), 300)
    job = wait_for(lambda: said("squeue", "--noheader", "--states=R", "--format=%A").split(), 120)[0]
    said("scancel", "--signal=KILL", "--full", job)  # a worker dies; it is tried again
    wait_for(lambda: len(shards(tmp_path)) > 1, 300)
    process.send_signal(signal.SIGKILL)
    os.killpg(process.pid, signal.SIGKILL)  # the engine dies
    process.communicate()
    said("scancel", "--user=root")
    done = {r.position: r.timing for file in tmp_path.glob("attacks/*/shards/*/meta.json") for r in Folder(file.parent).load()}
    assert done
    said("scontrol", "update", f"nodename={queue}", "state=drain", "reason=test")
    process = start(profile, tmp_path, "--executor", "slurm")
    wait_for(lambda: said("squeue", "--noheader", "--states=PD"), 120)
    said("scontrol", "update", f"nodename={queue}", "state=resume")
    code, text = end(process)
    assert code == 0, text
    assert content(tmp_path) == local
    kept = {r.position: r.timing for r in all_records(tmp_path) if r.position in done}
    assert kept == done, "no example that was done was attacked again"


def test_a_job_that_takes_too_long_is_named_with_what_to_raise(queue, profile, tmp_path):
    long = tmp_path / "long.toml"
    text = profile.read_text().replace('["quantize", "attack"]', '["finetune"]').replace("epochs = 1\n", "epochs = 300\n")
    assert "epochs = 300" in text
    long.write_text(text)
    code, text = end(start(long, tmp_path / "runs", "--executor", "slurm", "-q", "minutes", "1"))
    assert code == 1 and "a job took too long: raise minutes" in text, text
    assert "missing: 01-finetune-embedded-bert-small; " in text


def test_ctrl_c_leaves_jobs_or_cancels_them_as_asked(queue, profile, tmp_path):
    for words, left in (((), False), (("--leave",), True)):
        process = start(profile, tmp_path / str(left), "--executor", "slurm", *words)
        wait_for(lambda: said("squeue", "--noheader"), 120)
        os.killpg(process.pid, signal.SIGINT)
        code, text = end(process, 120)
        assert code == 130, text
        time.sleep(3)
        active = said("squeue", "--noheader", "--states=R,PD").strip()
        assert bool(active) == left and ("left in the queue" in text) == left
    said("scancel", "--user=root")


def test_a_queue_that_does_not_answer_and_a_wrong_partition(queue, profile, tmp_path):
    code, text = end(start(profile, tmp_path, "--executor", "slurm", "-q", "partition", "mian"))
    assert code == 2 and "did you mean 'main'" in text
    room = Path(shutil.which("sbatch")).parents[1]
    os.kill(int((room / "run" / "slurmctld.pid").read_text()), signal.SIGTERM)
    wait_for(lambda: "DOWN" in said("scontrol", "ping"), 60)
    code, text = end(start(profile, tmp_path, "--executor", "slurm"))
    assert code == 2 and "does not answer" in text and not tmp_path.joinpath("chapters").exists()
