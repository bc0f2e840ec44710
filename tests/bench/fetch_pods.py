#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pods for fetch.sh: fetch_pods.py KUBEPODS DIR NAME:COUNT:ACCOUNTS...

For each NAME so many pods, of service accounts NAME0, NAME1, ... They get cgroups; DIR/pods.json is their PodList, DIR/NAME.cgroups has
the directory of each one's container.
"""
import json
import os
import sys
import uuid


def make(kubepods, name, number, accounts):
    uid = str(uuid.uuid4())
    cgroup = f"{kubepods}/kubepods-burstable.slice/kubepods-burstable-pod{uid.replace('-', '_')}.slice/container"
    os.makedirs(cgroup)
    pod = {"metadata": {"name": f"{name}-{number}", "namespace": "shop", "uid": uid},
           "spec": {"serviceAccountName": f"{name}{number % accounts}", "hostNetwork": False}}
    return cgroup, pod


def main():
    kubepods, folder, items = sys.argv[1], sys.argv[2], []
    for group in sys.argv[3:]:
        name, count, accounts = group.split(":")
        made = [make(kubepods, name, number, int(accounts)) for number in range(int(count))]
        items += [pod for _, pod in made]
        with open(f"{folder}/{name}.cgroups", "w", encoding="ascii") as file:
            file.writelines(cgroup + "\n" for cgroup, _ in made)
    with open(f"{folder}/pods.json", "w", encoding="ascii") as file:
        json.dump({"kind": "PodList", "apiVersion": "v1", "items": items}, file)


if __name__ == "__main__":
    main()
