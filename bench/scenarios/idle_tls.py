"""idle-tls: idle-smtp with STARTTLS: 2000 SMTP sessions that have shaken hands, said EHLO, and then nothing.

The metrics are those of idle-smtp; a session is open when its EHLO over TLS is answered. Measured ten seconds
after the last one, when what an idle session can give back has been given back.
"""
from scenarios import idle_smtp

ROLE = "mta"
DEFAULTS = {"n": 2000}
METRICS = idle_smtp.METRICS


def options(p):
    return {"users": 1, "max_sessions": p["n"], "tls": True}


def run(peer, p):
    return idle_smtp.hold(peer, p["n"], "idle-smtp", peer.smtp_port, p["n"], program="tlsload", settle=10)
