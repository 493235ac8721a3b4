"""Certificates: a fabric's own authority, a certificate for each node, and the way from an old authority to a new one.

All are X.509 v3 with P-256 keys (RFC 5280). A node's certificate holds its name and its address, because gRPC checks
the address that it connects to, and serves both ends of a connection: Ray asks clients for one too.

Rotation needs no moment at which all nodes change at once. The new authority is also signed by the old one
(`crossed`), and a node's new certificate carries that link: who trusts only the old authority follows it, and who
started later trusts both.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tierflow.errors import TrustError

__all__ = ["Facts", "Pair", "ask", "authority", "crossed", "facts", "fingerprint", "issue"]

CA_LIFE = 10 * 365 * 86400.0
NODE_LIFE = 90 * 86400.0
SKEW = 3600.0
"""Seconds that the clocks of two machines may differ: a certificate holds from that long ago."""
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
LOOPBACK = ("127.0.0.1", "localhost")
"""What Ray calls the machine that it is on."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate, with what links it to an authority, and its private key; both PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Facts:
    """What a certificate says: whose it is, for which addresses and names, who signed it; seconds since 1970."""

    subject: str
    names: tuple[str, ...]
    issuer: str
    since: float
    until: float
    fingerprint: str


def authority(fabric: str, now: float, life: float = CA_LIFE) -> Pair:
    """A new authority for a fabric, signed by itself; `now` in seconds since 1970, `life` in seconds."""
    key = ec.generate_private_key(ec.SECP256R1())
    # Two authorities of one fabric must have two names, or a verifier could take the one for the other.
    name = _name(f"tierflow {fabric} {x509.random_serial_number():x}"[:60])
    made = _signed(_authority_of(name, key.public_key()), name, key, now, life)
    return Pair(_pem(made), _key_pem(key))


def crossed(new: Pair, old: Pair, now: float) -> bytes:
    """The certificate of the authority `new` as the authority `old` signs it, PEM: it ends when the old one does."""
    signer, key = _certificate(old.certificate), _private(old.key)
    subject = _certificate(new.certificate)
    public = subject.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    until = signer.not_valid_after_utc.timestamp()
    return _pem(_signed(_authority_of(subject.subject, public), signer.subject, key, now, until - now))


def ask(node: str) -> tuple[bytes, bytes]:
    """A new private key, PEM, and the request (PKCS 10, PEM) for its certificate: the key stays where it was made."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(_name(node)).sign(key, hashes.SHA256())
    return _key_pem(key), request.public_bytes(serialization.Encoding.PEM)


def issue(
    signer: Pair, request: bytes, node: str, addresses: Sequence[str], now: float, life: float = NODE_LIFE
) -> bytes:
    """The certificate of a node for the key of its request, PEM. What else the request says is not looked at.

    Args:
        signer: the authority.
        request: what `ask` made.
        node: the node's name.
        addresses: where others reach it: IP addresses or host names. Its own loopback is added.
        now: seconds since 1970.
        life: seconds that it holds, at most as long as the authority.

    Raises:
        TrustError: the request is none or asks with a key of another kind, or an address is none.
    """
    try:
        asked = x509.load_pem_x509_csr(request)
        public = asked.public_key()
        good = asked.is_signature_valid
    except ValueError:
        public, good = None, False
    if not good or not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
        raise TrustError("this is not a request for a certificate with a P-256 key", "let `tierflow join` make it")
    names = dict.fromkeys((*addresses, *LOOPBACK, node))
    until = min(now + life, _certificate(signer.certificate).not_valid_after_utc.timestamp())
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(node))
        .public_key(public)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    return _pem(_signed(builder, _certificate(signer.certificate).subject, _private(signer.key), now, until - now))


def facts(certificate: bytes) -> Facts:
    """What a certificate (PEM; the first of several) says."""
    read = _certificate(certificate)
    names: tuple[str, ...] = ()
    for found in read.extensions:
        if isinstance(found.value, x509.SubjectAlternativeName):
            names = tuple(str(name.value) for name in found.value)
    return Facts(
        subject=_common(read.subject),
        names=names,
        issuer=_common(read.issuer),
        since=read.not_valid_before_utc.timestamp(),
        until=read.not_valid_after_utc.timestamp(),
        fingerprint=fingerprint(certificate),
    )


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a certificate (PEM; the first of several), in hex."""
    return _certificate(certificate).fingerprint(hashes.SHA256()).hex()


def _authority_of(name: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(public)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _signed(
    builder: x509.CertificateBuilder, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: float, life: float
) -> x509.Certificate:
    return (
        builder.issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(now - SKEW, UTC))
        .not_valid_after(datetime.fromtimestamp(now + life, UTC))
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _common(name: x509.Name) -> str:
    return str(name.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        if not _HOST.fullmatch(name):
            raise TrustError(f"{name!r} is neither an address nor a host's name", "give an IP address") from None
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise TrustError(f"this is not a certificate ({error})", "make it again with `tierflow certs rotate`") from None


def _private(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key
