"""What must not leave the host, and how it is taken out of what does."""

import json
import re
import urllib.parse

SECRET_NAME = re.compile(r"PASS|SECRET|TOKEN|KEY|DSN|URL|CREDENTIAL", re.IGNORECASE)
URL_PASSWORD = re.compile(r"://[^:/@\s]*:([^@\s]+)@")
REDACTED = b"[REDACTED]"


def secret_values(env, keys, more=()):
    """What must not leave the host: the values of `keys`, `more` values, and passwords inside their URLs."""
    found = set()
    for value in [env.get(key, "") for key in keys] + list(more):
        for secret in [value, *URL_PASSWORD.findall(value)]:
            found.update(appearances(secret))
    return sorted((v.encode("utf-8", "surrogateescape") for v in found if len(v) >= 4), key=len, reverse=True)


def appearances(secret):
    """How a secret may be printed: as it is, without its percent signs, in a repr or in JSON, a line of it alone."""
    plain = urllib.parse.unquote(secret)
    lines = [line for line in secret.splitlines() if len(line) >= 8]
    quoted = [show(text)[1:-1] for show in (repr, json.dumps) for text in (secret, plain)]
    return [secret, plain, *quoted, *lines]


class Redactor:
    """Replaces secrets in a stream, those that straddle two pieces included."""

    def __init__(self, secrets):
        self.pattern = re.compile(b"|".join(re.escape(s) for s in secrets)) if secrets else None
        self.keep = max([len(s) for s in secrets] or [1]) - 1
        self.held = b""

    def feed(self, data, last=False):
        if self.pattern is None:
            return data
        data = self.held + data
        cut = len(data) if last else self._cut(data)
        self.held = data[cut:]
        return self.pattern.sub(REDACTED, data[:cut])

    def _cut(self, data):
        """A place that splits no secret: what follows it may still become one."""
        cut = max(0, len(data) - self.keep)
        for match in self.pattern.finditer(data):  # from the start, as `sub` does: a secret may overlap itself
            if match.start() >= cut:
                break
            if match.end() > cut:
                return match.end()
        return cut
