"""Runs a caption job on three simulated hosts, cuts one of them off, kills another, and compares the captions.

    python -m benchmarks.scale.ray_partition MODEL IMAGES [--write FILE]        (as root, on Linux)

The hosts are network namespaces on a bridge, with addresses of their own: a head, which runs the driver, and two nodes
with a worker each. Once shards appear, the first node is cut off for three seconds and healed; then for so long that
Ray declares it dead, and healed: its raylet ends, and a loop starts it again, as systemd or Kubernetes would. Meanwhile
the second node is killed for good. The job must end with the ids and captions of one process. Ray's health check is set
to one second, five failures: usually it takes half a minute. Prints the figure `ray.partition_ok`.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.scale.ray_kills import captions, finished, start, undisturbed

COMMAND = "python -m benchmarks.scale.ray_partition MODEL IMAGES"
HOSTS = {"cs-head": "10.77.0.1", "cs-a": "10.77.0.2", "cs-b": "10.77.0.3"}
SWITCH, PORT = "cs-switch", 6399
HEALTH = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 1000, "health_check_timeout_ms": 1000}
_BRIEF, _LONG = 3, 30  # seconds of a cut
_RAY = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--object-store-memory", str(100 * 2**20)]


def ip(*words: str, check: bool = True) -> str:
    """Runs ``ip`` and returns what it prints."""
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True).stdout


@contextmanager
def network() -> Iterator[None]:
    """Makes the hosts, and removes them with all their processes."""
    try:
        ip("netns", "add", SWITCH)
        ip("-n", SWITCH, "link", "add", "br0", "type", "bridge")
        ip("-n", SWITCH, "link", "set", "br0", "up")
        for host, address in HOSTS.items():
            ip("netns", "add", host)
            ip("link", "add", "eth0", "netns", host, "type", "veth", "peer", "name", host, "netns", SWITCH)
            ip("-n", SWITCH, "link", "set", host, "master", "br0", "up")
            ip("-n", host, "address", "add", f"{address}/24", "dev", "eth0")
            ip("-n", host, "link", "set", "eth0", "up")
            ip("-n", host, "link", "set", "lo", "up")
        yield
    finally:
        for host in HOSTS:
            kill_all(host)
        for host in (*HOSTS, SWITCH):
            ip("netns", "del", host, check=False)


def kill_all(host: str) -> None:
    """Kills every process of a host."""
    for pid in ip("netns", "pids", host, check=False).split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass


@contextmanager
def cut(host: str) -> Iterator[None]:
    """Cuts a host off inside the block."""
    ip("-n", SWITCH, "link", "set", host, "down")
    try:
        yield
    finally:
        ip("-n", SWITCH, "link", "set", host, "up")


def run_ray(host: str, log: Path, *options: str, again: bool = False) -> subprocess.Popen[bytes]:
    """Starts Ray on a host; with ``again``, in a loop."""
    command = " ".join([*_RAY, "--node-ip-address", HOSTS[host], *(f"'{option}'" for option in options)])
    script = f"while true; do {command}; sleep 1; done" if again else command
    with log.open("wb") as output:
        return subprocess.Popen(["ip", "netns", "exec", host, "sh", "-c", script], stdout=output, stderr=output)


def wait_for_port() -> None:
    """Waits until the head answers."""
    code = f"import socket; socket.create_connection(('{HOSTS['cs-head']}', {PORT}), 2)"
    for _ in range(60):
        if not subprocess.run(
            ["ip", "netns", "exec", "cs-head", sys.executable, "-c", code], capture_output=True
        ).returncode:
            return
        time.sleep(1)


def shards(output: Path) -> int:
    """Returns the number of finished shards."""
    return len(list((output / "shards").glob("*.parquet"))) if (output / "shards").exists() else 0


def wait_for(more: int, output: Path, driver: subprocess.Popen[str]) -> None:
    """Waits until there are so many more shards, or the driver ended."""
    aim = shards(output) + more
    while shards(output) < aim and driver.poll() is None:
        time.sleep(0.1)


def in_namespace(model: str, images: Path, output: Path) -> subprocess.Popen[str]:
    """Starts the driver at the head."""
    os.environ["RAY_ADDRESS"] = f"{HOSTS['cs-head']}:{PORT}"
    return start(model, images, output, "ray", ["ip", "netns", "exec", "cs-head"])


def disturbed(args: argparse.Namespace, images: Path, folder: Path) -> bool:
    """Runs the job, and does the harm; returns whether it ended."""
    output = folder / "ray"
    system = json.dumps({**HEALTH, "health_check_failure_threshold": 5}, separators=(",", ":"))
    head = ["--head", "--port", str(PORT), "--num-cpus", "0", "--include-dashboard", "false", "--system-config", system]
    run_ray("cs-head", folder / "head.log", *head)
    wait_for_port()
    address = ["--address", f"{HOSTS['cs-head']}:{PORT}", "--num-cpus", "1"]
    run_ray("cs-a", folder / "a.log", *address, again=True)
    node = run_ray("cs-b", folder / "b.log", *address)
    time.sleep(20)  # the nodes register
    driver = in_namespace(args.model, images, output)
    wait_for(1, output, driver)
    with cut("cs-a"):
        time.sleep(_BRIEF)
    print(f"cut off for {_BRIEF} s and healed: {shards(output)} shards", flush=True)
    wait_for(2, output, driver)
    with cut("cs-a"):
        time.sleep(_LONG)
    print(f"cut off for {_LONG} s and healed: {shards(output)} shards", flush=True)
    wait_for(1, output, driver)
    kill_all("cs-b")
    node.wait()
    print(f"the other node killed: {shards(output)} shards, driver {'works' if driver.poll() is None else 'ENDED'}")
    if driver.poll() is not None:
        sys.exit("the job was over before the node was killed: take more images (--count)")
    return finished(driver)


def main() -> None:
    """Runs the job once undisturbed in one process, once on the simulated hosts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("images", type=Path)
    parser.add_argument("--count", type=int, default=4000, help="images that are captioned")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figures as JSON")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images, truth = undisturbed(args.model, args.images, args.count, folder)
        os.environ["RAY_AUTH_MODE"] = "disabled"  # the hosts are on a network of their own
        with network():
            right = disturbed(args, images, folder) and captions(folder / "ray") == truth
        if not right:
            for log in sorted(folder.glob("*.log")):
                print(f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}")
    print("the job ended with the same captions" if right else "THE JOB FAILED")
    if args.write:
        note = (
            f"a caption job of {len(truth):,} images on a head and two nodes in network namespaces: one node cut off "
            f"for {_BRIEF} s, then for {_LONG} s (declared dead, started again), the other killed; 1: it ended with "
            "the ids and captions of one process"
        )
        figure = {"value": int(right), "unit": "", "command": COMMAND, "note": note}
        args.write.write_text(json.dumps({"ray.partition_ok": figure}, indent=2) + "\n", encoding="utf-8")
    sys.exit(not right)


if __name__ == "__main__":
    main()
