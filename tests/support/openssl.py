"""OpenSSL's command line as the other side of the cryptography."""

import base64
import subprocess
from pathlib import Path


def pem(public_key: str) -> bytes:
    """Write a bare Base64 SubjectPublicKeyInfo as PEM."""
    lines = "\n".join(public_key[start : start + 64] for start in range(0, len(public_key), 64))
    return f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n".encode()


def verifies(folder: Path, public_key: str, message: str, signature: str) -> bool:
    """Have OpenSSL check a Base64 signature with MD5 over a text."""
    key, signed = folder / "public.pem", folder / "signature"
    key.write_bytes(pem(public_key))
    signed.write_bytes(base64.b64decode(signature, validate=True))
    command = ["openssl", "dgst", "-md5", "-verify", f"{key}", "-signature", f"{signed}"]
    run = subprocess.run(command, input=message.encode(), capture_output=True, check=False)
    return run.returncode == 0


def decrypt(private_key: Path, ciphertext: str) -> str:
    """Have OpenSSL decrypt a Base64 RSAES-PKCS1-v1_5 block; an empty text where it can't."""
    run = subprocess.run(
        ["openssl", "pkeyutl", "-decrypt", "-inkey", private_key],
        input=base64.b64decode(ciphertext, validate=True),
        capture_output=True,
        check=False,
    )
    return run.stdout.decode("utf-8", "replace")


def new_private_key(path: Path, bits: int) -> None:
    """Make a PKCS#8 key in PEM."""
    algorithm = ["-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}"]
    subprocess.run(["openssl", "genpkey", *algorithm, "-out", path], check=True, capture_output=True)


def public_half(private_key: Path) -> str:
    """Return a private key's public half as bare Base64."""
    command = ["openssl", "pkey", "-in", str(private_key), "-pubout", "-outform", "DER"]
    return base64.b64encode(subprocess.run(command, check=True, capture_output=True).stdout).decode()


def bare(private_key: Path) -> str:
    """Return a private key as bare Base64 of PKCS#8."""
    lines = private_key.read_text().splitlines()
    return "".join(line for line in lines if not line.startswith("-----"))
