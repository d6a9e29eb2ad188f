# SPDX-License-Identifier: Apache-2.0
"""An instance with a transport of its own for each case of a test: mail to NAME.test leaves by NAME's settings."""
import smtplib

from instance import wait_until
from receiver import Receiver


class Case:
    """What stands behind one domain: a scripted receiver, or a next hop of the test's own, and -o settings."""

    def __init__(self, nexthop=None, program="smtp", params=None, files=None, **receiver):
        self.files = files or {}        # {name: text}; DIR in params is their directory
        self.receiver = None if nexthop is not None else Receiver(lmtp=program == "lmtp", **receiver)
        self.nexthop = nexthop if nexthop is not None else (f"inet:127.0.0.1:{self.receiver.port}" if program == "lmtp"
                                   else f"[127.0.0.1]:{self.receiver.port}")
        self.program, self.params = program, params or {}


class Outbound:
    def __init__(self, make_instance, tmp_path, cases, routes=(), **params):
        self.cases, services, routes = cases, [], list(routes)
        for name, case in cases.items():
            for file, text in case.files.items():
                (tmp_path / file).write_text(text)
                (tmp_path / file).chmod(0o644)
            options = "".join(f"\n    -o {{ {k} = {v.replace('DIR', str(tmp_path))} }}"
                              for k, v in case.params.items())
            services.append(f"t-{name} unix - - n - - {case.program}{options}")
            routes.append(f"{name}.test t-{name}:{case.nexthop}")
        table = tmp_path / "transport"
        table.write_text("\n".join(routes) + "\n")
        table.chmod(0o644)
        self.instance = make_instance(domain="a.test", users=("alice",), services=services, params={
            "transport_maps": f"texthash:{table}", "minimal_backoff_time": "1h", "maximal_backoff_time": "1h",
            "smtputf8_autodetect_classes": "", "smtp_connection_cache_time_limit": "60s", **params})

    def __getitem__(self, name):
        return self.cases[name].receiver

    def submit(self, *to, content="Subject: x\r\n\r\nbody\r\n", sender="alice@a.test", options=(), rcpt_options=()):
        if isinstance(content, str):
            content = content.encode()
        with smtplib.SMTP("127.0.0.1", self.instance.port["smtp"], "client.test") as s:
            s.ehlo()
            code, text = s.mail(sender, options)
            assert code == 250, text
            for rcpt in to:
                code, text = s.rcpt(rcpt, rcpt_options)
                assert code == 250, text
            code, text = s.data(content)
            assert code == 250, text

    def send(self, *to, **how):
        """Submit a message; what is said of the last recipient in the log, once it is there."""
        seen = len(self.outcomes(to[-1]))
        self.submit(*to, **how)
        return self.outcome(to[-1], seen)

    def outcome(self, rcpt, seen=0):
        try:
            return wait_until(lambda: self.outcomes(rcpt)[seen:], 20, f"an outcome for {rcpt}")[0]
        except AssertionError as e:
            raise AssertionError(f"{e}; the log ends:\n{self.instance.log()[-3000:]}") from None

    def outcomes(self, rcpt):
        return [line for line in self.instance.log().splitlines() if f" to=<{rcpt}>, " in line]

    def message(self, name, n=1):
        """The n-th message that the receiver of a case has taken: (sender, recipients, bytes)"""
        taken = self.cases[name].receiver.messages
        wait_until(lambda: len(taken) >= n, 10, f"message {n} of {name}")
        return taken[n - 1]

    def commands(self, name, verb):
        return [c for c in self.cases[name].receiver.commands if c.upper().startswith(verb)]
