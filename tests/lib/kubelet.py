#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kubelet.py KUBEPODS [TIMES [PID]]: what a kubelet does to cgroups of pods that it does not know,
without its pause of two seconds: end their processes, remove them. It knows those that are there at the
start. TIMES: end after that many, and let process PID go on, which somebody has stopped."""
import glob
import os
import signal
import sys

kubepods = sys.argv[1]
times = int(sys.argv[2]) if len(sys.argv) > 2 else 0


def pods():
    return set(glob.glob(kubepods + "/*pod????????[-_]*") + glob.glob(kubepods + "/*/*pod????????[-_]*"))


def remove(pod):
    while True:
        try:
            with open(pod + "/cgroup.procs", encoding="ascii") as procs:
                for pid in procs.read().split():
                    os.kill(int(pid), signal.SIGKILL)
            os.rmdir(pod)
            return
        except FileNotFoundError:
            return
        except OSError:  # ended meanwhile, or not quite ended yet
            continue


known = pods()
removed = 0
print("kubelet ready", flush=True)
while not times or removed < times:
    for pod in pods() - known:
        remove(pod)
        removed += 1
if len(sys.argv) > 3:
    os.kill(int(sys.argv[3]), signal.SIGCONT)
