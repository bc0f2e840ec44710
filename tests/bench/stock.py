#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An agent with the limits of EKS's own, to compare with: stock.py ADDRESS PORT UPSTREAM_MS COUNT

1,000 requests a second with a burst of 500, others get 429. What a pod (by its token) has not asked for is got from upstream, which
takes UPSTREAM_MS and is given up after a second; who asks for the same meanwhile waits nine times 200 ms. COUNT: a file that gets the
number of calls upstream, after each.
"""
import asyncio
import sys
import time

RATE, BURST = 1000, 500
UPSTREAM_S, POLL_S, POLLS = 1.0, 0.2, 9
BODY = (b'{"AccessKeyId":"ASIASTOCK","SecretAccessKey":"secret-of-stock","Token":"' + b"t" * 700 +
        b'","AccountId":"111122223333","Expiration":"2036-01-02T03:04:05Z"}')


class Bucket:
    def __init__(self):
        self.left, self.at = BURST, time.monotonic()

    def take(self):
        now = time.monotonic()
        self.left = min(BURST, self.left + (now - self.at) * RATE)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


class Agent:
    def __init__(self, upstream_ms, count):
        self.upstream_s, self.count = upstream_ms / 1000, count
        self.bucket, self.known, self.flights, self.calls = Bucket(), set(), set(), 0

    async def fetch(self, token):
        self.flights.add(token)
        self.calls += 1
        with open(self.count, "w", encoding="ascii") as file:
            file.write(f"{self.calls}\n")
        await asyncio.sleep(min(self.upstream_s, UPSTREAM_S))
        self.flights.discard(token)
        if self.upstream_s < UPSTREAM_S:
            self.known.add(token)

    async def answer(self, token):
        if not self.bucket.take():
            return b"429 Too Many Requests", b"Too Many Requests"
        if token not in self.known and token not in self.flights:
            await self.fetch(token)
        for _ in range(POLLS):
            if token in self.known or token not in self.flights:
                break
            await asyncio.sleep(POLL_S)
        return (b"200 OK", BODY) if token in self.known else (b"503 Service Unavailable", b"")

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                token = head.lower().partition(b"authorization: ")[2].partition(b"\r\n")[0]
                status, body = await self.answer(token)
                writer.write(b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
                if b"connection: close" in head.lower():
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


async def main():
    address, port, upstream_ms, count = sys.argv[1:]
    server = await asyncio.start_server(Agent(float(upstream_ms), count).serve, address, int(port), backlog=4096)
    async with server:
        await server.serve_forever()


asyncio.run(main())
