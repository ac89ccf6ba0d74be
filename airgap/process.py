"""Runs the commands that build: output to a log, the log's end in the error, all children ended on interrupt."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import BinaryIO

from .errors import AirgapError

TAIL = 30
_running: set[subprocess.Popen[bytes]] = set()
_lock = threading.Lock()
_stopped = threading.Event()


def run(args: list[str], log: Path, *, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    """Runs a command to its end; its output goes to the log, after what is there."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as out:
        out.write(f"$ {' '.join(args)}\n".encode())
        out.flush()
        code = _wait(args, out, cwd, env)
    if code:
        lines = log.read_text(errors="replace").splitlines()[-TAIL:]
        raise AirgapError("\n".join([f"{' '.join(args[:3])} … ended with {code}; full log: {log}", *lines]))


def _wait(args: list[str], out: BinaryIO, cwd: Path | None, env: dict[str, str] | None) -> int:
    with _lock:
        if _stopped.is_set():
            raise AirgapError("interrupted")
        try:
            # a session of its own, so that the command and all its children can be ended together
            process = subprocess.Popen(
                args, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=cwd, env=env,
                start_new_session=True,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise AirgapError(f"{args[0]}: not found on this machine; install it or put it on PATH") from error
        _running.add(process)
    try:
        return process.wait()
    finally:
        with _lock:
            _running.discard(process)


def stop_all() -> None:
    """Ends every running command, and lets no further one start."""
    with _lock:
        _stopped.set()
        for process in _running:
            try:
                os.killpg(process.pid, signal.SIGTERM)
            except ProcessLookupError:
                continue
