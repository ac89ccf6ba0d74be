# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Generated credentials of an S3 server that runs inside the cluster.

One Secret, in the server's namespace, is the source of truth: an S3 key pair, the key that the server encrypts objects
with, and a certificate with its authority. Whatever it holds is used again; only what is missing or worn out is
generated. Copies for clients hold the key pair and the authority, never the server's private keys.

The authority signs one certificate and its own key is then forgotten, so nobody can sign another one. A renewal
therefore replaces both, and clients have to read the new authority.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import re
import secrets
import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from textwrap import indent
from typing import Any, TypeAlias

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import rfc3339
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan, Step, diff_entry, run_steps
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.local.files import LocalFile, read_file, write_file
from ansible_collections.orion.tracing.plugins.module_utils.local.secret import create_namespace, secret_document

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError as error:  # pragma: no cover
    IMPORT_ERROR: ImportError | None = error
else:
    IMPORT_ERROR = None

# What the source Secret holds, and the part of it that clients get.
CREDENTIAL_KEYS = ("access_key", "secret_key")
CERTIFICATE_KEYS = ("ca.crt", "tls.crt", "tls.key")
SOURCE_KEYS = (*CREDENTIAL_KEYS, "sse_kek", *CERTIFICATE_KEYS, "s3.json")
# Kept out of everything that the module returns; the other secrets contain them or span lines.
SHORT_SECRETS = (*CREDENTIAL_KEYS, "sse_kek")
COPIED_KEYS = (*CREDENTIAL_KEYS, "ca.crt")

CA_FILE = "s3-ca.crt"
CREDENTIALS_FILE = "s3-credentials.json"
FILE_MODES = {CA_FILE: 0o644, CREDENTIALS_FILE: 0o600}

VALIDITY = timedelta(days=730)
RENEW_BEFORE = timedelta(days=30)
# Clocks of nodes differ a little.
BACKDATE = timedelta(minutes=5)

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
DNS_NAME = re.compile(rf"(\*\.)?{DNS_LABEL.pattern}(\.{DNS_LABEL.pattern})*")
DNS_SUBDOMAIN = re.compile(rf"{DNS_LABEL.pattern}(\.{DNS_LABEL.pattern})*")

Data = dict[str, bytes]
# A value that is not known yet, because it will be generated, is None.
Known: TypeAlias = "dict[str, bytes | None]"


@dataclass(frozen=True)
class Wanted:
    """What the module was asked for.

    name: the Secrets' name; namespace: where the source is; copy_to: further namespaces; namespace_labels: labels of
    namespaces that have to be created; names: subject alternative names (DNS names and IP addresses); files_dir:
    directory for the two files, or None.
    """

    name: str
    namespace: str
    copy_to: tuple[str, ...]
    namespace_labels: dict[str, str]
    names: tuple[str, ...]
    files_dir: Path | None = None

    @classmethod
    def of(cls, params: dict[str, Any]) -> Wanted:
        """From the module's options. Raises InvalidInput, naming the option."""
        if not DNS_SUBDOMAIN.fullmatch(params["name"]):
            raise InvalidInput(
                f"name '{params['name']}' is not valid for a Secret",
                remedy="Use lower-case letters, digits, '-' and '.'.",
            )
        for option, namespaces in (("namespace", [params["namespace"]]), ("copy_to", params["copy_to"])):
            for namespace in namespaces:
                if not DNS_LABEL.fullmatch(namespace):
                    raise InvalidInput(
                        f"{option} '{namespace}' is not valid for a namespace",
                        remedy="Use at most 63 lower-case letters, digits and '-'.",
                    )
        if not params["subject_alt_names"]:
            raise InvalidInput(
                "subject_alt_names is empty",
                "a certificate without names fits no address",
                "Give the DNS names and IP addresses that clients connect to.",
            )
        return cls(
            name=params["name"],
            namespace=params["namespace"],
            copy_to=tuple(ns for ns in dict.fromkeys(params["copy_to"]) if ns != params["namespace"]),
            namespace_labels=dict(params["namespace_labels"]),
            names=tuple(dict.fromkeys(canonical_name(name) for name in params["subject_alt_names"])),
            files_dir=Path(params["files_dir"]) if params["files_dir"] else None,
        )

    @property
    def namespaces(self) -> tuple[str, ...]:
        return (self.namespace, *self.copy_to)

    @property
    def file_paths(self) -> dict[str, Path]:
        return {} if self.files_dir is None else {name: self.files_dir / name for name in FILE_MODES}


@dataclass(frozen=True)
class Current:
    """What was read: the Secrets' data by namespace (None: no Secret), namespaces that do not exist, files by name."""

    secrets: dict[str, Data | None]
    missing_namespaces: frozenset[str] = frozenset()
    files: dict[str, LocalFile | None] = field(default_factory=dict)

    def source(self, wanted: Wanted) -> Data:
        return self.secrets[wanted.namespace] or {}


def canonical_name(name: str) -> str:
    """A subject alternative name in the one form in which it is compared: compressed address or lower-case name."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    if len(name) > 253 or not DNS_NAME.fullmatch(name.lower()):
        raise InvalidInput(
            f"subject_alt_names: '{name}' is neither a DNS name nor an IP address",
            remedy="Give names without a scheme and port, for example localhost or 127.0.0.1.",
        )
    return name.lower()


# Certificate


def new_certificate(names: Iterable[str], now: datetime) -> Data:
    """A new authority and a server certificate from it, valid 730 days: ca.crt, tls.crt, tls.key (PEM, ECDSA P-256).

    The extensions are those that strict verifiers want (RFC 5280 §4.2.1): key identifiers, constraints, key usage.
    """
    names = list(names)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = _common_name("orion.tracing S3 authority " + secrets.token_hex(4))
    ca = (
        _builder(issuer, issuer, ca_key.public_key(), ca_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    leaf = (
        _builder(_common_name(names[0]), issuer, key.public_key(), ca_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return {
        "ca.crt": ca.public_bytes(pem),
        "tls.crt": leaf.public_bytes(pem),
        "tls.key": key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    }


def certificate_problem(data: Data, names: Iterable[str], now: datetime) -> str:
    """Why the certificate in a Secret cannot be used again; '' when it can, or 'missing' when there is none at all."""
    present = [key for key in CERTIFICATE_KEYS if data.get(key)]
    if not present:
        return "missing"
    if len(present) < len(CERTIFICATE_KEYS):
        return f"{', '.join(sorted(set(CERTIFICATE_KEYS) - set(present)))} is missing"
    try:
        ca, leaf = (x509.load_pem_x509_certificate(data[key]) for key in ("ca.crt", "tls.crt"))
        key = serialization.load_pem_private_key(data["tls.key"], password=None)
        leaf.verify_directly_issued_by(ca)
        found = {str(name.value) for name in _subject_alt_names(leaf)}
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound) as problem:
        return f"it cannot be read or verified ({type(problem).__name__})"
    if _spki(key.public_key()) != _spki(leaf.public_key()):
        return "tls.key does not belong to tls.crt"
    if found != set(names):
        return f"it names {', '.join(sorted(found))} instead of {', '.join(sorted(names))}"
    ends = min(ca.not_valid_after_utc, leaf.not_valid_after_utc)
    if ends - now < RENEW_BEFORE:
        return f"it expires on {ends.date()}"
    return ""


def describe_certificate(data: Data) -> dict[str, str]:
    """ca_fingerprint (SHA-256, as openssl x509 -fingerprint prints it) and not_after (ISO 8601, UTC)."""
    ca, leaf = (x509.load_pem_x509_certificate(data[key]) for key in ("ca.crt", "tls.crt"))
    return {
        "ca_fingerprint": ca.fingerprint(hashes.SHA256()).hex(":").upper(),
        "not_after": rfc3339(leaf.not_valid_after_utc),
    }


def _builder(subject: Any, issuer: Any, public_key: Any, authority_key: Any, now: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key), critical=False)
    )


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _common_name(text: str) -> x509.Name:
    # RFC 5280 appendix A: at most 64 characters.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _subject_alt_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def _spki(public_key: Any) -> bytes:
    encoded: bytes = public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


# Key pair


def new_credentials() -> Data:
    """A random S3 key pair of the length and alphabet that AWS uses: 20 upper-case characters, 40 base64 characters."""
    alphabet = string.ascii_uppercase + string.digits
    return {
        "access_key": "".join(secrets.choice(alphabet) for _character in range(20)).encode(),
        "secret_key": base64.b64encode(secrets.token_bytes(30)),
    }


def new_sse_kek() -> bytes:
    """A random 256-bit key in hexadecimal: SeaweedFS's s3.sse.kek. Without it, SSE-S3 buckets refuse every object."""
    return secrets.token_hex(32).encode()


def s3_identities(access_key: bytes, secret_key: bytes) -> bytes:
    """SeaweedFS's -s3.config: one identity that may do everything, and no anonymous one."""
    identity = {
        "name": "tempo",
        "credentials": [{"accessKey": access_key.decode(), "secretKey": secret_key.decode()}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    return json.dumps({"identities": [identity]}, sort_keys=True).encode()


# Plan


def known_values(source: Data, wanted: Wanted, now: datetime) -> tuple[Known, list[str]]:
    """The values that the source Secret shall hold, None where they have to be generated, and warnings for people."""
    known: Known = {key: source.get(key) or None for key in SOURCE_KEYS}
    where, warnings = f"Secret {wanted.namespace}/{wanted.name}", []
    access_key, secret_key = known["access_key"], known["secret_key"]
    if access_key is None or secret_key is None:
        if access_key is not None or secret_key is not None:
            warnings.append(f"{where} holds only half of a key pair, so both halves are generated anew.")
        known["access_key"] = known["secret_key"] = known["s3.json"] = None
    else:
        try:
            known["s3.json"] = s3_identities(access_key, secret_key)
        except UnicodeDecodeError as error:
            raise InvalidInput(
                f"{where} holds a key pair that is not text", remedy="Delete its access_key and secret_key."
            ) from error
    problem = certificate_problem(source, wanted.names, now)
    if problem:
        known.update(dict.fromkeys(CERTIFICATE_KEYS))
        if problem != "missing":
            warnings.append(
                f"The certificate in {where} is replaced: {problem}. "
                "Clients read ca.crt when they start, so restart those that use a copy (Tempo)."
            )
    return known, warnings


def complete(known: Known, wanted: Wanted, now: datetime) -> Data:
    """Generate what is None."""
    made: Known = dict(known)
    if made["access_key"] is None:
        made.update(new_credentials())
    if made["sse_kek"] is None:
        made["sse_kek"] = new_sse_kek()
    if made["ca.crt"] is None:
        made.update(new_certificate(wanted.names, now))
    values = {key: value for key, value in made.items() if value is not None}
    return values | {"s3.json": s3_identities(values["access_key"], values["secret_key"])}


def file_contents(known: Mapping[str, bytes | None]) -> Known:
    """The two files; a file whose values are still to be generated is None."""
    access_key, secret_key = known["access_key"], known["secret_key"]
    credentials = None
    if access_key is not None and secret_key is not None:
        pair = {"access_key": access_key.decode(), "secret_key": secret_key.decode()}
        credentials = (json.dumps(pair, indent=2) + "\n").encode()
    return {CA_FILE: known["ca.crt"], CREDENTIALS_FILE: credentials}


def make_plan(current: Current, wanted: Wanted, now: datetime, digest_key: bytes) -> tuple[Plan, Known]:
    """The steps, and the values they start from. Nothing in the plan is secret.

    The diff names each value by its HMAC-SHA256 under digest_key, which must be random and thrown away with the run:
    values can then be compared within a diff, but not guessed from it.
    """
    known, warnings = known_values(current.source(wanted), wanted, now)
    plan = Plan(warnings=warnings)
    for namespace in wanted.namespaces:
        if namespace in current.missing_namespaces:
            plan.steps.append(Step(f"create namespace {namespace}", "namespace", namespace))
            labels = "".join(f"{key}: {value}\n" for key, value in sorted(wanted.namespace_labels.items()))
            plan.diff.append(diff_entry(f"Namespace {namespace}", "", f"labels:\n{indent(labels, '  ')}"))
    for namespace in wanted.namespaces:
        keys = SOURCE_KEYS if namespace == wanted.namespace else COPIED_KEYS
        before = current.secrets[namespace] or {}
        if any(known[key] is None or known[key] != before.get(key) for key in keys):
            plan.steps.append(Step(f"apply Secret {namespace}/{wanted.name}", "secret", namespace))
            texts = [
                "".join(f"{key}: {_digest(values[key], digest_key)}\n" for key in keys if key in values)
                for values in (before, known)
            ]
            plan.diff.append(diff_entry(f"Secret {namespace}/{wanted.name}", *texts))
    contents = file_contents(known)
    for name, path in wanted.file_paths.items():
        there, content, mode = current.files[name], contents[name], FILE_MODES[name]
        if there is None or content is None or there != LocalFile(content, mode):
            plan.steps.append(Step(f"write {path}", "file", name))
            old = f"mode: {there.mode:04o}\ncontent: {_digest(there.content, digest_key)}\n" if there else ""
            new = f"mode: {mode:04o}\ncontent: {_digest(content, digest_key)}\n"
            plan.diff.append(diff_entry(str(path), old, new))
    plan.result = {
        "secrets": [f"{namespace}/{wanted.name}" for namespace in wanted.namespaces],
        "files": {
            "ca_bundle": str(wanted.files_dir / CA_FILE) if wanted.files_dir else None,
            "credentials": str(wanted.files_dir / CREDENTIALS_FILE) if wanted.files_dir else None,
        },
        **describe(known),
    }
    return plan, known


def describe(known: Mapping[str, bytes | None]) -> dict[str, str | None]:
    """ca_fingerprint, not_after and revision; None as long as they depend on something that is still to be generated.

    revision changes with every value of the source Secret. It is an HMAC under one of them, a random key, so it tells
    nothing about them and can stand in a pod annotation.
    """
    values = {key: value for key, value in known.items() if value is not None}
    certificate: dict[str, str | None] = {"ca_fingerprint": None, "not_after": None}
    if set(CERTIFICATE_KEYS) <= set(values):
        certificate |= describe_certificate(values)
    revision = None
    if set(SOURCE_KEYS) <= set(values):
        text = b"\0".join(key.encode() + b"=" + values[key] for key in SOURCE_KEYS)
        revision = hmac.new(values["sse_kek"], text, hashlib.sha256).hexdigest()[:16]
    return {**certificate, "revision": revision}


def secret_texts(values: Mapping[str, bytes | None]) -> set[str]:
    """The short secrets, for the module to strike out of anything that it returns."""
    return {value.decode("utf-8", "replace") for key, value in values.items() if value and key in SHORT_SECRETS}


def _digest(value: bytes | None, digest_key: bytes) -> str:
    if value is None:
        return "(to be generated)"
    return "hmac-sha256:" + hmac.new(digest_key, value, hashlib.sha256).hexdigest()[:16]


# The world


def read(kube: Kube, wanted: Wanted) -> Current:
    """One request for each namespace, and a second where the Secret is missing."""
    found: dict[str, Data | None] = {}
    missing = set()
    for namespace in wanted.namespaces:
        secret = kube.get(f"/api/v1/namespaces/{namespace}/secrets/{wanted.name}")
        if secret is None:
            found[namespace] = None
            if kube.get(f"/api/v1/namespaces/{namespace}") is None:
                missing.add(namespace)
        else:
            found[namespace] = {key: base64.b64decode(text) for key, text in (secret.get("data") or {}).items()}
    files = {name: read_file(path) for name, path in wanted.file_paths.items()}
    return Current(found, frozenset(missing), files)


def apply(kube: Kube, plan: Plan, known: Known, wanted: Wanted, now: datetime) -> Data:
    """Do the steps with values generated once; the plan's result then tells about them. Returns the values."""
    values = complete(known, wanted, now)
    contents = file_contents(values)

    def namespace(name: str) -> None:
        create_namespace(kube, name, wanted.namespace_labels)

    def secret(name: str) -> None:
        keys = SOURCE_KEYS if name == wanted.namespace else COPIED_KEYS
        data = {key: base64.b64encode(values[key]).decode() for key in keys}
        kube.apply(f"/api/v1/namespaces/{name}/secrets/{wanted.name}", secret_document(wanted.name, name, data))

    def file(name: str) -> None:
        write_file(wanted.file_paths[name], contents[name] or b"", FILE_MODES[name])

    actions: dict[str, Callable[[str], None]] = {"namespace": namespace, "secret": secret, "file": file}
    run_steps(plan.steps, lambda step: actions[step.action](step.data))
    plan.result.update(describe(values))
    return values
