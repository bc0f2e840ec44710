#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tables, or with --json one document, of what bench.sh wrote into a directory."""
import glob
import json
import os
import platform
import random
import re
import subprocess
import sys
from statistics import median

NOISY = 0.10  # interquartile range of the rounds' medians, as a share of their median
WAYS = {
    'direct': 'direct, no podcred',
    'podcred': 'podcred, 169.254.170.2:80',
    'dnat': 'iptables DNAT, one rule',
    'other': 'guarded pod, other address',
}
# What design allows per run, nanoseconds: (low, high); getsockopt is what it adds to a call.
BUDGET = {
    ('matching', 'podcred_conn4'): (1000, 2000),
    ('other', 'podcred_conn4'): (154, 227),
    ('other', 'podcred_sockops'): (60, 80),
    ('datagram', 'podcred_smsg4'): (73, 79),
}
BUDGET_GETSOCKOPT = (420, 510)


def quantile(values, share):
    values = sorted(values)
    at = share * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (at - low)


def bootstrap(values):
    """95% interval of the median, resampling rounds; seeded, so that one run has one answer."""
    rng = random.Random(1)
    medians = [median(rng.choices(values, k=len(values))) for _ in range(4000)]
    return quantile(medians, 0.025), quantile(medians, 0.975)


def words(path):
    with open(path, encoding='ascii') as lines:
        return [line.split() for line in lines]


def latency(directory):
    rounds = {way: [] for way in WAYS}
    for way in WAYS:
        for number in range(len(glob.glob(f'{directory}/latency-{way}-*'))):
            rounds[way].append([int(row[0]) for row in words(f'{directory}/latency-{way}-{number}')])
    base = [median(values) for values in rounds['direct']]
    result = []
    for way, lists in rounds.items():
        medians = [median(values) for values in lists]
        everything = [value for values in lists for value in values]
        ratios = [m / b for m, b in zip(medians, base)]
        low, high = bootstrap(ratios)
        spread = (quantile(medians, 0.75) - quantile(medians, 0.25)) / median(medians)
        result.append({
            'way': way, 'rounds': len(lists), 'connections': len(everything),
            'p50_us': quantile(everything, 0.5) / 1000, 'p99_us': quantile(everything, 0.99) / 1000,
            'ratio': median(ratios), 'ratio_low': low, 'ratio_high': high, 'spread': spread,
        })
    return result


def programs(directory):
    result = []
    for phase in ('matching', 'other', 'datagram'):
        before = {row[0]: row for row in words(f'{directory}/progs-{phase}-before')}
        for name, runs, ns in sorted(words(f'{directory}/progs-{phase}-after')):
            runs, ns = int(runs) - int(before[name][1]), int(ns) - int(before[name][2])
            if runs < 1000:  # cgroup life and strays
                continue
            result.append({'phase': phase, 'program': name, 'runs': runs, 'ns': ns / runs,
                           'budget': BUDGET.get((phase, name))})
    return result


def sockopts(directory):
    result = []
    for where in ('in_host', 'in_agent'):
        times = {}
        for name, ns in words(f'{directory}/sockopt-{where}'):
            times.setdefault(name, []).append(float(ns))
        for name, values in times.items():
            result.append({'socket': 'agent' if where == 'in_agent' else 'outside', 'call': name,
                           'ns': median(values), 'low': quantile(values, 0.25),
                           'high': quantile(values, 0.75)})
    return result


def added(calls):
    """What the agent's cgroup adds to an option of the kernel's own."""
    ns = {(call['socket'], call['call']): call['ns'] for call in calls}
    return [{'call': name, 'ns': ns['agent', name] - ns['outside', name]}
            for socket, name in ns if socket == 'outside']


def first(path, pattern):
    with open(path, encoding='utf-8') as text:
        found = re.search(pattern, text.read(), re.M)
    return found.group(1).strip() if found else 'unknown'


def output(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def machine():
    here = os.path.dirname(os.path.abspath(__file__))
    return {
        'kernel': platform.release(),
        'cpu': first('/proc/cpuinfo', r'^model name\s*: (.*)$'),
        'cpus': os.cpu_count(),
        'virtual': 'hypervisor' in first('/proc/cpuinfo', r'^flags\s*: (.*)$').split(),
        'revision': output('git', '-C', here, 'describe', '--always', '--dirty') or 'unknown',
    }


def print_latency(rows):
    print('connect, request, response, close; ratio of the medians of each round, 95% interval\n')
    print(f'{"":28} {"p50 us":>8} {"p99 us":>8} {"ratio":>7}  {"interval":13}  spread')
    for row in rows:
        interval = f'{row["ratio_low"]:.3f}-{row["ratio_high"]:.3f}'
        print(f'{WAYS[row["way"]]:28} {row["p50_us"]:8.1f} {row["p99_us"]:8.1f} '
              f'{row["ratio"]:7.3f}  {interval:13}  {row["spread"]:.0%}')


def print_programs(rows):
    print('\nprograms, ns per run (kernel statistics)\n')
    print(f'{"phase":10} {"program":16} {"runs":>7} {"ns":>7}  budget')
    for row in rows:
        budget = row['budget']
        text = '-' if not budget else f'{budget[0]}-{budget[1]}' + (
            ' above' if row['ns'] > budget[1] else '')
        print(f'{row["phase"]:10} {row["program"]:16} {row["runs"]:7} {row["ns"]:7.0f}  {text}')


def print_sockopts(rows, extra):
    print('\ngetsockopt on one accepted socket, ns per call: median of rounds, quartiles\n')
    for row in rows:
        print(f'{row["socket"]:10} {row["call"]:16} {row["ns"]:7.0f}  '
              f'{row["low"]:.0f}-{row["high"]:.0f}')
    for row in extra:
        print(f'{"added":10} {row["call"]:16} {row["ns"]:7.0f}  '
              f'budget {BUDGET_GETSOCKOPT[0]}-{BUDGET_GETSOCKOPT[1]}')


def print_maps(rows):
    print('\nmemory of maps, bytes\n')
    for name, size in rows.items():
        print(f'{name:24} {size:10}')
    print(f'{"sum":24} {sum(rows.values()):10}')


def main():
    directory = sys.argv[-1]
    result = {'machine': machine(), 'latency': latency(directory), 'programs': programs(directory),
              'getsockopt': sockopts(directory),
              'maps': {name: int(size) for name, size in sorted(words(f'{directory}/maps'))}}
    result['getsockopt_added'] = added(result['getsockopt'])
    result['noisy'] = any(row['spread'] > NOISY for row in result['latency'])
    if '--json' in sys.argv[1:-1]:
        print(json.dumps(result, indent=2))
        return
    host = result['machine']
    print(f'Linux {host["kernel"]}, {host["cpus"]} x {host["cpu"]}, '
          f'{"virtual machine" if host["virtual"] else "bare metal"}, podcred {host["revision"]}\n')
    print_latency(result['latency'])
    print_programs(result['programs'])
    print_sockopts(result['getsockopt'], result['getsockopt_added'])
    print_maps(result['maps'])
    if result['noisy']:
        print(f'\nNOISY: the rounds of one way spread over more than {NOISY:.0%}; run it again on a '
              'quiet machine before you believe a ratio.')


if __name__ == '__main__':
    main()
