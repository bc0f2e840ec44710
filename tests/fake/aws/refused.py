# SPDX-License-Identifier: Apache-2.0
"""Errors that a service answers with, and the end of a connection."""


class Refused(Exception):
    """An error of the service: its code, the HTTP status, what it says, and more headers."""

    def __init__(self, code, message, status=400, headers=None):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status, self.headers = code, message, status, headers or {}


class Cut(Exception):
    """The connection ends here, whatever was promised."""
