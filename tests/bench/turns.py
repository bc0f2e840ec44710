#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients take turns. turns.py ROUNDS N OUT IN:FROM:NAME...

IN and FROM are the pipes of a client that waits for turns (client.c). A round asks each of them for
N, one after another, and begins with another one than the round before. The answers of NAME go to
OUT.NAME, one line each round: OUT.NAME is WORKLOAD.VARIANT.RULES.PODS.
"""
import sys


def main():
    rounds, n, clients = int(sys.argv[1]), sys.argv[2], []
    for words in sys.argv[4:]:
        to, back, name = words.split(':')
        # in the order in which the shell on the other side opens them
        clients.append((open(to, 'w', encoding='ascii'), open(back, encoding='ascii'), name, []))
    for i in range(rounds):
        for j in range(len(clients)):
            to, back, name, lines = clients[(i + j) % len(clients)]
            to.write(n + '\n')
            to.flush()
            lines.append(back.readline())
            if not lines[-1].strip():
                sys.exit(f'turns: {name} does not answer')
    for to, _, name, lines in clients:
        to.close()
        with open(f'{sys.argv[3]}.{name}', 'w', encoding='ascii') as file:
            file.writelines(lines)


try:
    main()
except KeyboardInterrupt:
    sys.exit(130)
except BrokenPipeError:
    sys.exit('turns: a client is gone')
