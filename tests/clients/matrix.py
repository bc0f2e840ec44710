#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Real clients ask for credentials in every way they know, until theirs have been renewed. As TAP.

matrix.py SETTING.json [--markdown FILE] [--only TEXT]

With --pods alone: the names of the pods that there must be, and what they speak: IMDSv2, which is required of their pods, or IMDSv1.

SETTING.json (run.sh writes it): clients (folder), calls (the log of aws.py: whose the keys are), sts (its URL, for a client that
shows no keys), log (the agent's: where each pod asked), home, role (an ARN that a pod's name completes), and pods: {"name": {"cgroup", "netns", "token"}}, as --pods has them.
"""
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import threading
import time

PATIENCE = 180  # seconds, until credentials that live half a minute have been replaced
WAYS = {  # how a client is told, and the address that it then dials
    "IMDS": {},
    "RELATIVE_URI": {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v1/credentials"},
    "FULL_URI, IPv4": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials"},
    "FULL_URI, IPv6": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://[fd00:ec2::23]/v1/credentials"},
    "web identity": {"AWS_ENDPOINT_URL_STS": "http://169.254.170.83", "AWS_ROLE_ARN": "{role}", "AWS_WEB_IDENTITY_TOKEN_FILE": "{token}"},
}
DIALS = {"IMDS": "169.254.169.254:80", "RELATIVE_URI": "169.254.170.2:80", "FULL_URI, IPv4": "169.254.170.23:80",
         "FULL_URI, IPv6": "[fd00:ec2::23]:80", "web identity": "169.254.170.83:80"}
NO_FULL = ("FULL_URI, IPv4", "FULL_URI, IPv6")  # of clients that are older than EKS Pod Identity
NO_STS = ("web identity",)  # of those that do not read AWS_ENDPOINT_URL_STS, and ask AWS


class Client:
    """A row. pod: what its pods' names begin with. command, version: words, {clients} is the folder. build: what has to be there. ends: each question is a
    program of its own. refuses: ways that the client does not know; instead: what it does then. imds: the version that it
    speaks."""

    def __init__(self, name, pod, build, command, version, refuses=(), **more):  # pylint: disable=too-many-arguments
        self.name, self.pod, self.build, self.command, self.version, self.refuses = name, pod, build, command, version, refuses
        self.ends, self.imds, self.instead = more.get("ends", False), more.get("imds", "IMDSv2"), more.get("instead", "refuses")

    def pod_for(self, way):
        return f"{self.pod}-{list(WAYS).index(way)}"

    def cell(self, way, result):
        """A word for the table."""
        if result == "yes":
            return self.imds if way == "IMDS" else "yes"
        return {"refuses": "not known to it", "other": "asks IMDS instead"}[result]

    def wanted(self, way):
        return self.instead if way in self.refuses else "yes"


def program(*words):
    return [*words, "--again"], [*words, "--version"]


def cli(path):
    return [path, "sts", "get-caller-identity", "--output", "text", "--query", "Arn", "--endpoint-url", "{sts}"], [path, "--version"]


CLIENTS = [
    Client("AWS CLI v1", "cli1", "python", *cli("{clients}/python/bin/aws"), ends=True),
    Client("AWS CLI v2, Debian's", "clideb", None, *cli("/usr/bin/aws"), NO_FULL + NO_STS, ends=True),
    Client("boto3", "boto", "python", *program("{clients}/python/bin/python", "{clients}/credentials.py")),
    Client("boto3, Debian's", "botodeb", None, *program("/usr/bin/python3", "{clients}/credentials.py"), NO_FULL + NO_STS),
    Client("AWS Common Runtime", "crt", "python", *program("{clients}/python/bin/python", "{clients}/crt.py"), NO_STS),
    Client("SDK for JavaScript v3", "js", "javascript", *program("node", "{clients}/javascript/credentials.mjs")),
    Client("SDK for JavaScript v3, of 2025", "js25", None, *program("node", "{clients}/credentials.mjs")),
    Client("SDK for Go v2", "go2", "go2", *program("{clients}/go2/credentials")),
    Client("SDK for Go v1", "go1", "go1", *program("{clients}/go1/credentials"), NO_STS),
    Client("SDK for Java v2", "java", "java", *program("java", "-cp", "{clients}/java/lib/*:{clients}/java", "Credentials")),
    Client("SDK for Rust", "rust", "rust", *program("{clients}/rust/credentials")),
    Client("SDK for Ruby, Debian's", "ruby", None, *program("ruby", "{clients}/credentials.rb"), NO_FULL + NO_STS),
    Client("AsyncAws for PHP, Debian's", "php", None, *program("php", "{clients}/credentials.php"), NO_FULL + NO_STS, imds="IMDSv1", instead="other"),
]
TEXTS = {"yes": "its pod's credentials, and new ones", "refuses": "it does not know that way, and asks nobody here",
         "other": "it does not know that way, and asks IMDS"}
ELSEWHERE = "AWS CLI v2's newest, and the SDKs for .NET, PHP, C++, Kotlin and Swift"


class Wrong(Exception):
    pass


class Setting:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.values = json.load(file)
        self.lock, self.read, self.owners = threading.Lock(), 0, {}

    def words(self, words):
        return [word.replace("{clients}", self.values["clients"]).replace("{sts}", self.values["sts"]) for word in words]

    def owner(self, key):
        """The name of the role whose session has this access key."""
        with self.lock, open(self.values["calls"], encoding="utf-8") as file:
            file.seek(self.read)
            for line in iter(file.readline, ""):
                if not line.endswith("\n"):
                    break
                self.read = file.tell()
                call = json.loads(line)
                if "issued" in call:
                    self.owners[call["issued"]] = call["roleArn"].rpartition("/")[2]
            return self.owners.get(key)

    def dialled(self, pod):
        """The addresses at which the agent was asked by a pod."""
        with open(self.values["log"], encoding="utf-8", errors="replace") as file:
            return set(re.findall(rf"^podcred-serve: .* pod={pod} .*destination=(\S+)", file.read(), re.MULTILINE))

    def environment(self, client, way):
        pod = client.pod_for(way)
        token = self.values["pods"][pod]["token"]
        told = {name: value.format(role=self.values["role"] + pod, token=token) for name, value in WAYS[way].items()}
        if way.startswith("FULL"):
            told["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = token
        return {"PATH": os.environ["PATH"], "HOME": self.values["home"], "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1",
                "NODE_NO_WARNINGS": "1", **({"AWS_EC2_METADATA_DISABLED": "true"} if way != "IMDS" else {}), **told}

    def start(self, client, way):
        """The client's program, in its pod."""
        pod = self.values["pods"][client.pod_for(way)]
        enter = ["bash", "-c", 'echo 0 >"$1/cgroup.procs" && exec nsenter --net="$2" "${@:3}"', "-", pod["cgroup"], pod["netns"]]
        return subprocess.Popen(enter + self.words(client.command), env=self.environment(client, way), stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class Conversation:
    """A program that is asked again and again, or one for each question."""

    def __init__(self, setting, client, way):
        self.setting, self.client, self.way, self.pod = setting, client, way, client.pod_for(way)
        self.process, self.watch, self.said = None, None, []

    def ask(self):
        """Whose credentials: (owner, what shows that they are others than before)."""
        if self.client.ends or self.process is None:
            self.close()
            self.process = self.setting.start(self.client, self.way)
            self.watch = threading.Timer(PATIENCE, self.process.kill)
            self.watch.daemon = True
            self.watch.start()
        else:
            self.process.stdin.write("again\n")
            self.process.stdin.flush()
        while True:
            line = self.process.stdout.readline()
            self.said.append(line.rstrip())
            if not line:
                raise Wrong("\n".join(self.said[-20:]))
            match = re.match(r"accessKeyId=(\w+)", line)
            if match:
                return self.setting.owner(match[1]), match[1]
            match = re.match(r"arn:aws:sts::\d+:assumed-role/([^/]+)/", line)
            if match:
                return match[1], self.used()

    def used(self):
        """The access key that a client has signed with: it does not say."""
        with open(self.setting.values["calls"], encoding="utf-8") as file:
            calls = [json.loads(line) for line in file if line.endswith("\n")]
        mine = [call["accessKeyId"] for call in calls
                if call["action"] == "GetCallerIdentity" and f":assumed-role/{self.pod}/" in (call["caller"] or "")]
        return mine[-1]

    def close(self):
        if self.process:
            self.process.stdin.close()
            self.process.stdout.read()
            self.process.wait()
            self.watch.cancel()


def renewed(setting, client, way):
    """Each answer has the pod's own credentials, and one has others than the first."""
    conversation = Conversation(setting, client, way)
    keys, ends = set(), time.monotonic() + PATIENCE
    try:
        while len(keys) < 2:
            owner, key = conversation.ask()
            if owner != conversation.pod:
                raise Wrong(f"credentials of {owner}, not of {conversation.pod}: {key}")
            keys.add(key)
            if time.monotonic() > ends:
                raise Wrong(f"still {key} after {PATIENCE} s")
            time.sleep(0.5)
    finally:
        conversation.close()


def outcome(setting, client, way):
    """yes, refuses, other (it asked elsewhere), or no; and what went wrong."""
    try:
        renewed(setting, client, way)
        why = ""
    except (Wrong, OSError, ValueError, IndexError) as error:
        why = str(error) or repr(error)
    dialled = setting.dialled(client.pod_for(way))
    if not dialled:
        return "refuses", why
    if dialled != {DIALS[way]}:
        return "other", f"it asked at {', '.join(sorted(dialled))}"
    return "no" if why else "yes", why


def missing(setting, client):
    """Why there is no such client here; None: there is."""
    if client.build:
        path = os.path.join(setting.values["clients"], client.build, "missing")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                return file.read().strip()
    return None


def version(setting, client):
    done = subprocess.run(setting.words(client.version), capture_output=True, text=True, check=False)
    text = (done.stdout + done.stderr).strip().splitlines()
    return re.sub(r"^aws-cli/(\S+).*", r"\1", text[0]) if text else "?"


def write_table(path, setting, rows):
    lines = ["# AWS clients", "",
             "Which ways of asking for credentials real clients use, through podcred's redirect. Each was started in a pod, got the",
             "credentials of that pod, and was asked again until they had been renewed. `make docs/clients.md` writes this page.", "",
             "| client | version | " + " | ".join(WAYS) + " |", "| --- | --- |" + " --- |" * len(WAYS)]
    for client, cells in rows:
        lines.append(f"| {client.name} | {version(setting, client)} | " + " | ".join(client.cell(way, cells[way]) for way in WAYS) + " |")
    lines += ["", "*Not known to it*: the client is older than EKS Pod Identity, and refuses the address without connecting. Give its pods",
              "`AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v1/credentials`, or no variable at all: then it uses IMDS.", "",
              "*Web identity*: the variables of IRSA, and `AWS_ENDPOINT_URL_STS` with [podcred's own",
              "address](configuration.md#sts-for-pods-with-a-web-identity). A client that does not know that variable asks AWS's own STS.", "",
              f"*IMDSv2*: the policy requires a session token of its pod (`imdsv2: required`). Not tried: {ELSEWHERE}.", ""]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))


def main():
    options = dict(zip(sys.argv[2::2], sys.argv[3::2]))
    setting = Setting(sys.argv[1])
    chosen = [client for client in CLIENTS if options.get("--only", "") in client.name]
    here = {client: missing(setting, client) for client in chosen}
    number, rows, good = 0, [], True
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        jobs = {(client, way): pool.submit(outcome, setting, client, way) for client in chosen if not here[client] for way in WAYS}
        for client in chosen:
            cells = {}
            for way in WAYS:
                number += 1
                if here[client]:
                    print(f"ok {number} - {client.name}, {way} # SKIP {here[client]}", flush=True)
                    continue
                cells[way], why = jobs[client, way].result()
                wanted = client.wanted(way)
                good = good and cells[way] == wanted
                print(f"{'ok' if cells[way] == wanted else 'not ok'} {number} - {client.name}, {way}: {TEXTS[wanted]}")
                if cells[way] != wanted:
                    print("\n".join("#   " + line for line in (f"{cells[way]}: {why}").splitlines()))
                sys.stdout.flush()
            if cells:
                rows.append((client, cells))
    print(f"1..{number}")
    if "--markdown" in options and good:
        write_table(options["--markdown"], setting, rows)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    if sys.argv[1:] == ["--pods"]:
        print("\n".join(f"{client.pod_for(way)} {client.imds}" for client in CLIENTS for way in WAYS))
    else:
        main()
