#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From what run.sh collected: results.json, results.md and data for plot.gp. report.py RAW OUT"""
import glob
import json
import os
import platform
import random
import re
import subprocess
import sys
from statistics import median

RAW, OUT = sys.argv[1:3]
NOISY = 0.10  # interquartile range of the ratios of single rounds
NOISY_AGAIN = 0.01  # how far the second direct node may be from the first
VARIANTS = {
    'direct': 'direct',
    'again': 'direct, once more',
    'legacy': 'iptables-legacy DNAT',
    'compat': 'iptables-nft DNAT',
    'nftables': 'nftables DNAT, map',
    'podcred': 'podcred',
    'bridged': 'podcred, across the bridge',
    'connects': 'podcred, connect hooks only',
    'proxied': 'direct, rules of kube-proxy',
    'neighbours': 'podcred, rules of kube-proxy',
    'untracked': 'the same, with NOTRACK',
}
# of one file: (what stands for the round, unit); ns unless it says otherwise
WORKLOADS = {'visit': 'ns', 'keep': 'ns', 'connect': 'ns', 'udp': 'ns', 'associate': 'ns',
             'first': 'ns', 'many': '1/s', 'bulk': 'MB/s', 'conntrack': 'entries', 'slab': 'bytes'}
MANY_SECONDS = int(os.environ['MANY_MS']) / 1000
LINES = []  # of results.md


def quantile(values, share):
    values = sorted(values)
    at = share * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (at - low)


def bootstrap(values):
    """95% interval of the median, resampling rounds; seeded, so that one run has one answer."""
    rng = random.Random(1)
    medians = [median(rng.choices(values, k=len(values))) for _ in range(2000)]
    return quantile(medians, 0.025), quantile(medians, 0.975)


def words(path):
    with open(path, encoding='ascii') as lines:
        return [line.split() for line in lines]


def stands_for(workload, row):
    """What one round's line says, as one number."""
    if workload == 'many':
        return len(row) / MANY_SECONDS
    if workload == 'bulk':
        return row[0] / row[1] * 1000
    return median(row)


def read_rounds():
    """(workload, variant, rules, pods) -> rounds, each with its value, single times and CPU time."""
    cells = {}
    for path in glob.glob(f'{RAW}/*.*.*.*'):
        name = os.path.basename(path).split('.')
        if len(name) != 4:
            continue
        workload, variant, rules, pods = name
        rows = [[float(word) for word in row] for row in words(path)]
        cpu = words(path + '.cpu') if os.path.exists(path + '.cpu') else [[0]] * len(rows)
        cells[workload, variant, int(rules), int(pods)] = [
            {'value': stands_for(workload, row), 'count': len(row),
             'times': row if workload in ('visit', 'many') else [], 'cpu_us': int(used[0])}
            for row, used in zip(rows, cpu)]
    return cells


def summary(cells):
    result = {}
    for (workload, variant, rules, pods), rounds in sorted(cells.items()):
        base = cells[workload, 'direct', rules, pods]
        values = [r['value'] for r in rounds]
        row = {'workload': workload, 'variant': variant, 'rules': rules, 'pods': pods,
               'unit': WORKLOADS[workload], 'rounds': len(values), 'median': median(values)}
        times = [t for r in rounds for t in r['times']]
        if times:
            row.update({f'p{name}_us': quantile(times, share) / 1000
                        for name, share in (('50', 0.5), ('99', 0.99), ('999', 0.999))})
        if workload == 'many':
            row['cpu_s_per_10000'] = median(
                [r['cpu_us'] / r['count'] / 100 for r in rounds])
        if workload in ('connect', 'udp', 'associate'):
            more = [r['value'] - b['value'] for r, b in zip(rounds, base)]
            row['more_ns'] = median(more)
            row['more_low_ns'], row['more_high_ns'] = bootstrap(more)
        if all(b['value'] for b in base):
            ratios = [r['value'] / b['value'] for r, b in zip(rounds, base)]
            low, high = bootstrap(ratios)
            row.update({'ratio': median(ratios), 'low': low, 'high': high,
                        'spread': quantile(ratios, 0.75) - quantile(ratios, 0.25)})
        result[workload, variant, rules, pods] = row
    return result


def programs():
    """Each phase: program -> runs, ns per run, ns without what a program that does nothing takes."""
    result = []
    for phase in ('redirected', 'connect', 'datagram', 'bulk'):
        before = {row[0]: row for row in words(f'{RAW}/programs-{phase}-before')}
        rows = []
        for name, runs, ns, insns, size in words(f'{RAW}/programs-{phase}-after'):
            runs, ns = int(runs) - int(before[name][1]), int(ns) - int(before[name][2])
            if runs >= 300:  # the rest is cgroup life and strays
                rows.append({'phase': phase, 'program': name, 'runs': runs, 'ns': ns / runs,
                             'verified_insns': int(insns), 'jited_bytes': int(size)})
        floor = {row['program']: row['ns'] for row in rows if row['program'].startswith('empty_')}
        for row in rows:
            empty = 'empty_connect' if row['program'] in (
                'podcred_conn4', 'podcred_peern4', 'podcred_smsg4') else 'empty_packet'
            row['net_ns'] = row['ns'] - floor.get(empty, floor.get('empty_packet', 0))
        result += sorted(rows, key=lambda row: row['program'])
    return result


def spread_of(values):
    return {'ns': median(values), 'low': quantile(values, 0.25), 'high': quantile(values, 0.75)}


def named_times(path):
    times = {}
    for name, ns in words(path):
        times.setdefault(name, []).append(float(ns))
    return {name: spread_of(values) for name, values in times.items()}


def memory():
    sizes = {pods: {name: int(size) for name, size in words(f'{RAW}/maps-{pods}')}
             for pods in (10, 5000)}
    return {'maps': sizes[10], 'sum': sum(sizes[10].values()),
            'per_pod': (sum(sizes[5000].values()) - sum(sizes[10].values())) / 4990}


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
        'iptables': output('iptables', '--version'), 'nftables': output('nft', '--version'),
    }


# ---- what a person reads ----

def line(*cells):
    LINES.append('| ' + ' | '.join(str(cell) for cell in cells) + ' |')


def table(title, *head):
    LINES.extend(['', title, ''])
    line(*head)
    line(*('---' for _ in head))


def ratio(row):
    return f'{row["ratio"]:.3f} ({row["low"]:.3f}–{row["high"]:.3f})' if 'ratio' in row else '–'


def write_short(cell):
    """The table of the README."""
    table('**In short**, against direct:', 'way', 'short connection', 'connections/s of ten pods',
          'the same two behind 10,000 rules', 'request on a kept connection', 'datagram to another address',
          'connection tracking')
    for name in ('legacy', 'compat', 'nftables', 'podcred'):
        def of(workload, rules=0, name=name):
            return f'{cell[workload, name, rules, 10]["ratio"]:.2f}'

        tracked = cell['conntrack', name, 100, 10]['median'] / 100
        line(VARIANTS[name], of('visit'), of('many'), f'{of("visit", 10000)}, {of("many", 10000)}',
             of('keep'), of('udp'), 'an entry each' if tracked > 0.5 else 'none')


def write_headline(cell):
    table('**One rule, ten pods.** A short connection is connect, request, response, close; ratios '
          'are against direct, with their 95% interval.', 'way', 'p50 µs', 'p99 µs', 'p99.9 µs',
          'ratio', 'ten pods at once: connections/s', 'ratio', 'CPU s per 10,000',
          'conntrack entries per connection; behind 100 rules', 'first request µs')
    for name, text in VARIANTS.items():
        one, many = cell['visit', name, 0, 10], cell['many', name, 0, 10]
        line(text, f'{one["p50_us"]:.1f}', f'{one["p99_us"]:.1f}', f'{one["p999_us"]:.1f}',
             ratio(one), f'{many["median"]:.0f}', ratio(many), f'{many["cpu_s_per_10000"]:.2f}',
             '; '.join(f'{cell["conntrack", name, n, 10]["median"] / 100:.2f}' for n in (0, 100)),
             f'{cell["first", name, 0, 10]["median"] / 1000:.0f}')


def write_rules(cell):
    for workload, title in (('visit', 'Short connections of one pod: time'),
                            ('many', 'Ten pods at once: connections per second')):
        levels = sorted({key[2] for key in cell if key[0] == workload and key[3] == 10})
        table(f'**Behind unrelated rules or targets.** {title} against direct.', 'way',
              *(f'{n:,}' for n in levels))
        for name, text in VARIANTS.items():
            line(text, *(ratio(cell[workload, name, n, 10]) for n in levels))


def write_pods(cell):
    levels = sorted({key[3] for key in cell if key[0] == 'visit' and key[2] == 0})
    table('**With more pods on the node.** Short connections of one pod: time against direct.',
          'way', *(f'{n:,}' for n in levels))
    for name, text in VARIANTS.items():
        line(text, *(ratio(cell['visit', name, 0, n]) for n in levels))


def write_others(cell):
    table('**Kept connections and unrelated traffic.** Against direct: time of a request on a kept '
          'connection, of a TCP connect and of a datagram to a machine behind the node, bytes per second to it.',
          'way', 'kept', 'connect', 'datagram', 'bulk (more is better)')
    for name, text in VARIANTS.items():
        line(text, *(ratio(cell[w, name, 0, 10]) for w in ('keep', 'connect', 'udp', 'bulk')))
    table('**The same as nanoseconds above direct**, with their 95% interval: connect(2) of a '
          'datagram socket, which is the call alone; a datagram end to end; a TCP connect.',
          'way', 'connect(2)', 'datagram', 'TCP connect')
    for name, text in VARIANTS.items():
        rows = [cell[w, name, 0, 10] for w in ('associate', 'udp', 'connect')]
        line(text, *(f'{row["more_ns"]:+.0f} ({row["more_low_ns"]:+.0f} to {row["more_high_ns"]:+.0f})'
                     for row in rows))


def write_lookups(rows):
    names = {'peer': '`podcred_peer()`', 'map': 'two map lookups (CAP_BPF)',
             'index': 'source IP in an index', 'cgroupfs': 'walk of cgroupfs'}
    table('**Identifying the caller.** ns per answer, by number of pods.', 'way',
          *(f'{n:,}' for n in rows))
    for name, text in names.items():
        line(text, *(f'{rows[n][name]["ns"]:,.0f}' for n in rows))


def write_programs(rows):
    table('**Cost of the programs.** ns per run by the kernel\'s statistics; net: minus what an empty '
          'program takes on that hook (statistics and call).', 'traffic', 'program', 'runs', 'ns',
          'net ns', 'instructions verified', 'bytes of code')
    for row in rows:
        line(row['phase'], f'`{row["program"]}`', row['runs'], f'{row["ns"]:.0f}',
             f'{row["net_ns"]:.0f}', f'{row["verified_insns"]:,}', row['jited_bytes'])
    sums = {}
    for phase, once in (('redirected', 'podcred_conn4'), ('connect', 'podcred_conn4'),
                        ('datagram', 'podcred_smsg4')):
        ours = {row['program']: row for row in rows
                if row['phase'] == phase and row['program'].startswith('podcred_')}
        sums[phase] = (sum(row['net_ns'] * row['runs'] for row in ours.values())
                       / ours[once]['runs'])
    LINES.extend(['', 'All programs together, net: ' + ', '.join(
        f'{sums[phase]:,.0f} ns for {text}' for phase, text in (
            ('redirected', 'a redirected connection from connect to close'),
            ('connect', 'a TCP connection to another address'), ('datagram', 'a datagram to another address')))
        + '.'])


def write_rest(result, cell):
    table('**getsockopt(2)**, ns per call.', 'option', 'outside', "in the agent's cgroup")
    for name in result['getsockopt']['outside']:
        line(name, *(f'{result["getsockopt"][where][name]["ns"]:.0f}'
                     for where in ('outside', 'agent')))
    mem = result['memory']
    biggest = sorted(mem['maps'].items(), key=lambda item: -item[1])[:3]
    held = {name: cell['slab', name, 0, 10]['median'] for name in ('direct', 'podcred')}
    LINES.extend(['', f'**Memory.** Maps {mem["sum"] / 1e6:.1f} MB, of that ' + ', '.join(
        f'`{name}` {size / 1e6:.1f}' for name, size in biggest)
        + f'; {mem["per_pod"]:.0f} bytes more for each pod. An open connection, both ends: '
        f'{held["direct"]:,.0f} bytes of kernel memory direct, {held["podcred"]:,.0f} with podcred.'])


def write_data(cell, lookups):
    def data(name, rows):
        with open(f'{OUT}/{name}.dat', 'w', encoding='ascii') as file:
            file.writelines(' '.join(str(value) for value in row) + '\n' for row in rows)

    drawn = ('legacy', 'compat', 'nftables', 'podcred', 'neighbours', 'untracked')
    levels = sorted({key[2] for key in cell if key[0] == 'many'})
    data('rules', [[i] + [cell['many', name, n, 10][value] for name in drawn
                          for value in ('ratio', 'low', 'high')] for i, n in enumerate(levels)])
    rows = [(VARIANTS[name], cell['visit', name, 0, 10]) for name in VARIANTS if name != 'direct']
    data('redirect', [[f'"{name}"', row['ratio'], row['low'], row['high']] for name, row in rows])
    data('lookup', [[n] + [row[way]['ns'] for way in ('peer', 'map', 'index', 'cgroupfs')]
                    for n, row in lookups.items()])


def main():
    cell = summary(read_rounds())
    lookups = {n: named_times(f'{RAW}/lookup-{n}') for n in sorted(
        int(path.rsplit('-', 1)[1]) for path in glob.glob(f'{RAW}/lookup-*'))}
    result = {'machine': machine(), 'cells': list(cell.values()), 'programs': programs(),
              'lookup': lookups, 'memory': memory(),
              'getsockopt': {where: named_times(f'{RAW}/sockopt-{where}')
                             for where in ('outside', 'agent')}}
    again, spread = cell['visit', 'again', 0, 10], max(
        cell['visit', name, 0, 10]['spread'] for name in VARIANTS)
    result['noisy'] = abs(again['ratio'] - 1) > NOISY_AGAIN or spread > NOISY
    host = result['machine']
    LINES.append(f'Linux {host["kernel"]}, {host["cpus"]} x {host["cpu"]}'
                 f'{" (virtual machine)" if host["virtual"] else ""}, {host["iptables"]}, '
                 f'{host["nftables"]}, podcred {host["revision"]}. The ratios of single rounds '
                 f'spread by up to {spread:.2f} (interquartile range); direct against direct: {ratio(again)}.')
    if result['noisy']:
        LINES.extend(['', '**NOISY: run it again on a quiet machine before you believe a ratio.**'])
    write_short(cell)
    write_headline(cell)
    write_rules(cell)
    write_pods(cell)
    write_others(cell)
    write_lookups(lookups)
    write_programs(result['programs'])
    write_rest(result, cell)
    write_data(cell, lookups)
    with open(f'{OUT}/results.json', 'w', encoding='utf-8') as file:
        json.dump(result, file, indent=1)
        file.write('\n')
    with open(f'{OUT}/results.md', 'w', encoding='utf-8') as file:
        file.write('\n'.join(LINES) + '\n')
    print('\n'.join(LINES))


if __name__ == '__main__':
    main()
