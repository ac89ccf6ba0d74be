# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""OpenPGP keys for signing charts, made without GnuPG, which not every machine has.

RSA, version 4, without a passphrase; packet formats of RFC 4880 (sections 4.2, 5.2, 5.5 and 5.11).
"""

from __future__ import annotations

import hashlib
import struct
import time
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

RSA, SHA256, CERTIFICATION = 1, 8, 0x13
SIGNATURE, SECRET_KEY, PUBLIC_KEY, USER_ID = 2, 5, 6, 13
CREATED, PREFERRED_HASHES, KEY_FLAGS, ISSUER = 2, 21, 27, 16
CERTIFIES_AND_SIGNS = b"\x03"


@dataclass(frozen=True)
class Keys:
    """A keyring with the secret key, and one with the public key."""

    secret: bytes
    public: bytes


def make(user_id: str) -> Keys:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    secret, created = key.private_numbers(), struct.pack(">I", int(time.time()) - 60)
    public_body = b"\x04" + created + bytes([RSA]) + _number(secret.public_numbers.n) + _number(secret.public_numbers.e)
    p, q = sorted((secret.p, secret.q))
    numbers = b"".join(map(_number, (secret.d, p, q, pow(p, -1, q))))
    secret_body = public_body + b"\x00" + numbers + struct.pack(">H", sum(numbers) % 65536)

    framed_key = b"\x99" + struct.pack(">H", len(public_body)) + public_body
    name = user_id.encode()
    hashed = (
        _field(CREATED, created) + _field(KEY_FLAGS, CERTIFIES_AND_SIGNS) + _field(PREFERRED_HASHES, bytes([SHA256]))
    )
    head = bytes([4, CERTIFICATION, RSA, SHA256]) + struct.pack(">H", len(hashed)) + hashed
    signed = (
        framed_key + b"\xb4" + struct.pack(">I", len(name)) + name + head + b"\x04\xff" + struct.pack(">I", len(head))
    )
    unhashed = _field(ISSUER, hashlib.sha1(framed_key, usedforsecurity=False).digest()[-8:])
    signature = int.from_bytes(key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))
    signature_body = (
        head + struct.pack(">H", len(unhashed)) + unhashed + hashlib.sha256(signed).digest()[:2] + _number(signature)
    )
    identity = _packet(USER_ID, name) + _packet(SIGNATURE, signature_body)
    return Keys(_packet(SECRET_KEY, secret_body) + identity, _packet(PUBLIC_KEY, public_body) + identity)


def _packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, 0xFF]) + struct.pack(">I", len(body)) + body


def _field(kind: int, data: bytes) -> bytes:
    return bytes([len(data) + 1, kind]) + data


def _number(value: int) -> bytes:
    return struct.pack(">H", value.bit_length()) + value.to_bytes((value.bit_length() + 7) // 8)
