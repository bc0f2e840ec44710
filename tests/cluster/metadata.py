# SPDX-License-Identifier: Apache-2.0
"""The cloud's metadata service, as every machine of a cloud has it: it gives the node's role away
to whoever can reach it. usage: metadata.py ADDRESS"""
import http.server
import json
import sys

ROLES = '/latest/meta-data/iam/security-credentials'
CREDENTIALS = {'Code': 'Success', 'AccessKeyId': 'AKIANODE', 'SecretAccessKey': 'secret-of-node',
               'Token': 'token-of-node', 'Expiration': '2099-01-01T00:00:00Z'}


class Metadata(http.server.BaseHTTPRequestHandler):
    def answer(self, text):
        self.send_response(200)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_PUT(self):
        self.answer('token-of-the-session')

    def do_GET(self):
        path = self.path.rstrip('/')
        if path == ROLES:
            self.answer('NODE-ROLE')
        elif path.startswith(ROLES):
            self.answer(json.dumps(CREDENTIALS))
        else:
            self.answer('i-0123456789')

    def log_message(self, *words):
        print(self.client_address[0], self.requestline, flush=True)


http.server.ThreadingHTTPServer((sys.argv[1], 80), Metadata).serve_forever()
