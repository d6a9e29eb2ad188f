# SPDX-License-Identifier: Apache-2.0
"""A real Thunderbird without a display, with a profile of its own, driven from within by scripts (Marionette)."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess

from instance import SLOW, free_ports, wait_until

PROGRAM = shutil.which("thunderbird", path="/usr/lib/thunderbird:/usr/bin")

# An account as its assistant would make it: IMAP and submission, both with STARTTLS and a password; everything is kept for
# offline use. Nothing but the mail servers is ever asked: other requests go to a proxy that is not there.
PREFS = {
    "mail.accountmanager.accounts": "account1,account2",
    "mail.accountmanager.defaultaccount": "account1",
    "mail.accountmanager.localfoldersserver": "server2",
    "mail.account.account1.server": "server1",
    "mail.account.account1.identities": "id1",
    "mail.account.account2.server": "server2",
    "mail.server.server1.type": "imap",
    "mail.server.server1.hostname": "localhost",
    "mail.server.server1.socketType": 2,
    "mail.server.server1.authMethod": 3,
    "mail.server.server1.login_at_startup": False,
    "mail.server.server1.check_new_mail": False,
    "mail.server.server1.offline_download": True,
    "mail.server.server1.use_condstore": True,
    "mail.server.server2.type": "none",
    "mail.server.server2.hostname": "Local Folders",
    "mail.server.server2.userName": "nobody",
    "mail.identity.id1.smtpServer": "smtp1",
    "mail.identity.id1.compose_html": False,
    "mail.smtpservers": "smtp1",
    "mail.smtp.defaultserver": "smtp1",
    "mail.smtpserver.smtp1.type": "smtp",
    "mail.smtpserver.smtp1.hostname": "localhost",
    "mail.smtpserver.smtp1.try_ssl": 2,
    "mail.smtpserver.smtp1.authMethod": 3,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.spotlight.firstRunDone": True,
    "mailnews.start_page.enabled": False,
    "mailnews.database.global.indexer.enabled": False,
    "mail.check_all_imap_folders_for_new": True,
    "offline.send.unsent_messages": 1,
    "offline.download.download_messages": 2,
    "offline.autoDetect": False,
    "network.manage-offline-status": False,
    "app.donation.eoy.version.viewed": 999,
    "app.update.enabled": False,
    "browser.safebrowsing.downloads.enabled": False,
    "datareporting.healthreport.uploadEnabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "extensions.systemAddon.update.enabled": False,
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "services.settings.server": "http://127.0.0.1:9/",
    "toolkit.telemetry.enabled": False,
}

# What the scripts below share.
PRELUDE = """
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const server = MailServices.accounts.getIncomingServer("server1");
const identity = MailServices.accounts.getIdentity("id1");
const inbox = () => server.rootFolder.getChildNamed("INBOX");
const folder = path => path.split("/").reduce((f, name) => f && f.getChildNamed(name), server.rootFolder);
const headers = f => [...f.messages];
const bySubject = (f, subjects) => headers(f).filter(h => subjects.includes(h.mime2DecodedSubject));
const done = start => new Promise((resolve, reject) => start({
    QueryInterface: ChromeUtils.generateQI(["nsIUrlListener", "nsIMsgCopyServiceListener"]),
    OnStartRunningUrl() {}, OnStopRunningUrl(url, status) { status ? reject(`status ${status}`) : resolve(); },
    onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() { return ""; },
    onStopCopy(status) { status ? reject(`status ${status}`) : resolve(); },
}));
const compose = async (subject, to, text, mode) => {
    const params = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
    params.composeFields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
    Object.assign(params.composeFields, { subject, to, from: identity.email, body: text });
    params.identity = identity;
    params.format = Ci.nsIMsgCompFormat.PlainText;
    const message = MailServices.compose.initCompose(params);
    await message.sendMsg(mode, identity, "account1", null, null);
};
"""


class Thunderbird:
    """One profile below `directory`; start(), which leaves it offline, run() scripts in it, stop()."""

    def __init__(self, directory, suite, user):
        self.dir, self.suite, self.user = directory, suite, suite.address(user)
        self.profile = directory / "profile"
        self.profile.mkdir()
        self.starts = 0
        self.process = None

    def write_prefs(self):
        prefs = {
            **PREFS,
            "mail.server.server1.port": self.suite.port["imap"],
            "mail.server.server1.userName": self.user,
            "mail.server.server2.directory": str(self.profile / "local"),
            "mail.identity.id1.useremail": self.user,
            "mail.identity.id1.fullName": "Ann",
            "mail.smtpserver.smtp1.port": self.suite.port["submission"],
            "mail.smtpserver.smtp1.username": self.user,
            "marionette.port": self.port,
        }
        (self.profile / "user.js").write_text("".join(f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in prefs.items()))

    # ---- life ----

    def start(self):
        self.port = free_ports(1)[0]
        self.write_prefs()
        self.starts += 1
        self.process = subprocess.Popen(
            [PROGRAM, "--headless", "--no-remote", "--offline", "--marionette", "--remote-allow-system-access",
             "--profile", self.profile],
            env={"HOME": str(self.dir), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "MOZ_CRASHREPORTER_DISABLE": "1",
                 "MOZ_LOG": "sync,IMAP:5", "MOZ_LOG_FILE": str(self.dir / f"log{self.starts}")},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.sock = wait_until(self.connect, 60, "Thunderbird")
        self.file = self.sock.makefile("rb")
        self.ids = 0
        self.receive()
        self.command("WebDriver:NewSession", capabilities={"alwaysMatch": {"timeouts": {"script": int(60000 * SLOW)}}})
        self.command("Marionette:SetContext", value="chrome")
        if self.starts == 1:
            self.trust()
        return self

    def trust(self):
        """Say yes to the server's certificate and let it remember the password, as its user would."""
        certificate = "".join(self.suite.certificate[1].read_text().splitlines()[1:-1])
        self.run("""
            const [certificate, ports, user, password] = args;
            const x509 = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).constructX509FromBase64(certificate);
            const overrides = Cc["@mozilla.org/security/certoverride;1"].getService(Ci.nsICertOverrideService);
            for (const port of ports)
                overrides.rememberValidityOverride("localhost", port, {}, x509, false);
            for (const origin of ["imap://localhost", "smtp://localhost"]) {
                const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
                login.init(origin, null, origin, user, password, "", "");
                await Services.logins.addLoginAsync(login);
            }
        """, certificate, [self.suite.port["imap"], self.suite.port["submission"]], self.user, self.suite.password)

    def connect(self):
        try:
            return socket.create_connection(("127.0.0.1", self.port), 90 * SLOW)
        except OSError:
            assert self.process.poll() is None, "Thunderbird ended"
            return None

    def stop(self):
        """End it as its menu does; by force what does not end. True: it ended by itself."""
        if not self.process:
            return True
        process, self.process = self.process, None
        try:
            self.command("Marionette:Quit", flags=["eAttemptQuit"])
            process.wait(timeout=30 * SLOW)
            return True
        except (AssertionError, OSError, subprocess.TimeoutExpired):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return False

    # ---- Marionette: length, colon, JSON ----

    def receive(self):
        digits = b""
        while (c := self.file.read(1)) != b":":
            assert c, "Thunderbird closed the connection"
            digits += c
        return json.loads(self.file.read(int(digits)))

    def command(self, name, **parameters):
        self.ids += 1
        text = json.dumps([0, self.ids, name, parameters]).encode()
        self.sock.sendall(b"%d:%s" % (len(text), text))
        _, number, error, result = self.receive()
        assert number == self.ids
        assert not error, f"{error.get('message')}\n{error.get('stacktrace')}"
        return result.get("value") if result else None

    def run(self, script, *arguments):
        """Run the body of an async function within Thunderbird; its value."""
        return self.command("WebDriver:ExecuteScript", args=list(arguments),
                            script=PRELUDE + "return (async args => {" + script + "})([...arguments]);")

    def wait(self, script, *arguments, what=None):
        return wait_until(lambda: self.run(script, *arguments), 30, what or script)

    def said(self):
        """What was said on its IMAP connections, in all its lives: ["> command", "< answer", ...]"""
        log = "".join(p.read_text(errors="replace") for p in sorted(self.dir.glob("log*")))
        return [("> " if m[1] == "SendData" else "< ") + m[2]
                for m in re.finditer(r"(SendData|CreateNewLineFromSocket): (.*)", log)]
