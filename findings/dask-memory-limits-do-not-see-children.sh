#!/usr/bin/env bash
# distributed 2026.8.0. A local cluster with a memory limit of 400 MB a worker, kept by its nanny. A task that
# takes 600 MB itself is killed, four times over. A task that starts a CHILD process that takes 600 MB ends as
# if nothing were: the worker's memory, as Dask measures and shows it, is that of its own process alone (some
# 60 to 130 MB meanwhile), for the limit and for spilling alike. A solver that is run as a supervised
# subprocess is under no limit, and a machine shared by several such workers runs out of memory with every bar
# of the dashboard green.
# Guess before: the limit holds for what a task starts, as a container's does. Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet distributed==2026.8.0 dask==2026.8.0 || exit 2
cd "$folder"
cat >task.py <<'PY'
import logging, subprocess, sys, time
import distributed
from distributed import Client, KilledWorker, LocalCluster, get_worker

SIZE, LIMIT = 600 * 2**20, "400MB"
TOUCH = "b[::4096] = b'1' * len(b[::4096])"
CHILD = f"import time; b = bytearray({SIZE}); {TOUCH}; print(1, flush=True); time.sleep(9)"


def seen():
    time.sleep(2.5)
    return get_worker().monitor.recent()["memory"] / 2**20


def by_child():
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE)
    child.stdout.readline()
    memory = seen()
    child.kill()
    return memory


def by_itself():
    block = bytearray(SIZE)
    block[::4096] = b"1" * len(block[::4096])
    return seen()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    options = dict(n_workers=1, threads_per_worker=1, memory_limit=LIMIT, dashboard_address=None)
    with LocalCluster(**options, silence_logs=50) as cluster, Client(cluster) as client:
        memory = client.submit(by_child).result(timeout=600)
        print("distributed", distributed.__version__, "limit", LIMIT)
        print(f"a child of 600 MiB: the task ends, its worker counted {memory:.0f} MiB")
        try:
            own = f"the task ends, its worker counted {client.submit(by_itself).result(timeout=600):.0f} MiB"
        except KilledWorker:
            own = "KilledWorker"
        print("the task itself takes 600 MiB:", own)
    raise SystemExit(0 if memory < 300 and own == "KilledWorker" else 1)
PY
venv/bin/python task.py
