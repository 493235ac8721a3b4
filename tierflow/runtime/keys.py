"""A fabric's keys on its head: what signs join tokens, the certificates of the door, the authority and the nodes.

All of it is in ``keys/`` of the fabric's state, readable by its owner only; a node's own part is in the node's folder.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tierflow.errors import TrustError
from tierflow.runtime.cache import write_whole
from tierflow.runtime.record import node_folder
from tierflow.trust import Facts, Pair, ask, authority, crossed, facts, fingerprint, issue
from tierflow.trust.authority import CA_LIFE

__all__ = ["Keys", "tls_environment"]

CERTIFICATE, KEY, TRUSTED = "node.pem", "node.key", "ca.pem"
"""The files of a node: its certificate, its private key, and the authorities that it trusts."""
END = b"-----END CERTIFICATE-----\n"


def tls_environment(folder: Path) -> dict[str, str]:
    """What Ray must find in the environment of a node, or of a driver on it, whose certificate is in `folder`."""
    return {
        "RAY_USE_TLS": "1",
        "RAY_TLS_SERVER_CERT": str(folder / CERTIFICATE),
        "RAY_TLS_SERVER_KEY": str(folder / KEY),
        "RAY_TLS_CA_CERT": str(folder / TRUSTED),
    }


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of the fabric whose state is in the folder `state`."""

    state: Path

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self.state / "keys"

    @property
    def encrypted(self) -> bool:
        """Whether the fabric has an authority, and so TLS."""
        return (self.folder / "ca.key").exists()

    @property
    def secret(self) -> bytes:
        """What join tokens are signed with."""
        return self._read("secret")

    def of_site(self, site: str) -> bytes:
        """The secret of a site, spread from the fabric's own: what seals values that may not leave it."""
        return hmac.digest(self.secret, f"tierflow site {site}".encode(), "sha256")

    @property
    def pin(self) -> str:
        """The fingerprint of the certificate that the door shows."""
        return fingerprint(self._read("door.pem"))

    @property
    def trusted(self) -> bytes:
        """The certificates of the authorities that nodes trust, PEM: the present one, and the last one for a while."""
        return self._read("ca.pem")

    @property
    def rotated(self) -> float | None:
        """When the last rotation began, in seconds since 1970, if it is not finished."""
        path = self.folder / "link.pem"
        return path.stat().st_mtime if path.exists() else None

    def make(self, fabric: str, *, encrypted: bool) -> None:
        """Make all of them for a new fabric; with `encrypted` an authority too."""
        self.folder.mkdir(mode=0o700)
        self._write("secret", secrets.token_hex(32).encode())
        key, request = ask("door")
        # Nobody follows a chain to it: join tokens hold its fingerprint. So its signer's key is not kept.
        signer = authority(f"{fabric} door", time.time())
        self._write("door.pem", issue(signer, request, "door", [], time.time(), CA_LIFE))
        self._write("door.key", key)
        if encrypted:
            self._keep(authority(fabric, time.time()))

    def certify(self, request: bytes, node: str, address: str) -> bytes:
        """The certificate of a node at an address for its request, PEM, with what links it to the last authority.

        Raises:
            TrustError: the request is none.
        """
        link = self.folder / "link.pem"
        mine = issue(self._authority(), request, node, [address], time.time())
        return mine + (link.read_bytes() if link.exists() else b"")

    def equip(self, node: str, address: str) -> Path:
        """Put a node's key, its certificate and the trusted authorities into its folder, here; the folder."""
        key, request = ask(node)
        certificate = self.certify(request, node, address)
        folder = node_folder(self.state, node)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(folder / KEY, key.decode())
        write_whole(folder / CERTIFICATE, certificate.decode())
        write_whole(folder / TRUSTED, self.trusted.decode())
        return folder

    def rotate(self, fabric: str, nodes: Mapping[str, str]) -> None:
        """Make a new authority, trusted beside the present one, and new certificates for the nodes of this machine.

        Whatever runs goes on with what it has. `nodes` are the addresses of the nodes that run here, by name.

        Raises:
            TrustError: the last rotation is not finished.
        """
        if self.rotated is not None:
            raise TrustError(
                "the last rotation is not finished", "restart every node, then `tierflow certs rotate --finish`"
            )
        old, new = self._authority(), authority(fabric, time.time())
        self._write("link.pem", crossed(new, old, time.time()))
        self._keep(new, old.certificate)
        for node, address in nodes.items():
            self.equip(node, address)

    def finish(self, nodes: Mapping[str, str]) -> None:
        """Trust the last authority no more: whoever has only its certificate stays outside from the next start on."""
        self._keep(self._authority())
        (self.folder / "link.pem").unlink(missing_ok=True)
        for node, address in nodes.items():
            self.equip(node, address)

    def shown(self) -> dict[str, Facts]:
        """What each certificate on this machine says, by the file it is in (relative to the state)."""
        found = {}
        if self.encrypted:
            for number, pem in enumerate(self.trusted.split(END)[:-1]):
                found["authority" if number == 0 else "last authority"] = facts(pem + END)
        found["door"] = facts(self._read("door.pem"))
        for path in sorted((self.state / "nodes").glob(f"*/{CERTIFICATE}")):
            found[path.parent.name] = facts(path.read_bytes())
        return found

    def _authority(self) -> Pair:
        if not self.encrypted:
            raise TrustError(
                "this fabric has no certificates: it runs without TLS", "write `tls: true` into its cluster file"
            )
        return Pair(self.trusted.split(END)[0] + END, self._read("ca.key"))

    def _keep(self, pair: Pair, old: bytes = b"") -> None:
        self._write("ca.key", pair.key)
        self._write("ca.pem", pair.certificate + old)

    def _read(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            raise TrustError(
                f"the fabric's keys in {self.folder} cannot be read ({error.strerror})",
                "take the fabric down and start it again",
            ) from None

    def _write(self, name: str, content: bytes) -> None:
        write_whole(self.folder / name, content.decode())
