"""Runs a command on whose behalf the system refuses prctl(PR_SET_DUMPABLE), as a seccomp profile can."""

import ctypes
import os
import struct
import sys

PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 4, 22, 38
SECCOMP_MODE_FILTER = 2
LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | 1  # with EPERM
NUMBER_OF_PRCTL = {"x86_64": 157, "aarch64": 167}[os.uname().machine]
NUMBER, FIRST_ARGUMENT = 0, 16  # offsets in what the filter sees, on a little-endian machine

STEPS = [
    (LOAD, 0, 0, NUMBER),
    (IF_EQUAL, 0, 3, NUMBER_OF_PRCTL),
    (LOAD, 0, 0, FIRST_ARGUMENT),
    (IF_EQUAL, 0, 1, PR_SET_DUMPABLE),
    (RETURN, 0, 0, REFUSE),
    (RETURN, 0, 0, ALLOW),
]

steps = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in STEPS))
filter = struct.pack("HxxxxxxP", len(STEPS), ctypes.addressof(steps))
prctl = ctypes.CDLL(None, use_errno=True).prctl
prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong]
for option, value, pointer in [(PR_SET_NO_NEW_PRIVS, 1, None), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter)]:
    if prctl(option, value, pointer, 0, 0) != 0:
        sys.exit(f"prctl({option}): {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[1], sys.argv[1:])
