"""Runs a command for which the system refuses one system call, as a seccomp profile can: prctl(PR_SET_DUMPABLE), or with
`--event-queue FD`, epoll_wait on that descriptor."""

import ctypes
import os
import struct
import sys

PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 4, 22, 38
SECCOMP_MODE_FILTER = 2
LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000  # with the error in the lower half
EPERM, EBADF = 1, 9
NUMBER_OF_PRCTL = {"x86_64": 157, "aarch64": 167}[os.uname().machine]
NUMBER_OF_EPOLL_WAIT = {"x86_64": 232, "aarch64": 22}[os.uname().machine]
NUMBER, FIRST_ARGUMENT = 0, 16  # offsets in the filter's input, on a little-endian machine

command = sys.argv[1:]
call, argument, error = NUMBER_OF_PRCTL, PR_SET_DUMPABLE, EPERM
if command[0] == "--event-queue":
    call, argument, error = NUMBER_OF_EPOLL_WAIT, int(command[1]), EBADF
    command = command[2:]

STEPS = [
    (LOAD, 0, 0, NUMBER),
    (IF_EQUAL, 0, 3, call),
    (LOAD, 0, 0, FIRST_ARGUMENT),
    (IF_EQUAL, 0, 1, argument),
    (RETURN, 0, 0, REFUSE | error),
    (RETURN, 0, 0, ALLOW),
]

steps = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in STEPS))
filter = struct.pack("HxxxxxxP", len(STEPS), ctypes.addressof(steps))
prctl = ctypes.CDLL(None, use_errno=True).prctl
prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong]
for option, value, pointer in [(PR_SET_NO_NEW_PRIVS, 1, None), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter)]:
    if prctl(option, value, pointer, 0, 0) != 0:
        sys.exit(f"prctl({option}): {os.strerror(ctypes.get_errno())}")
os.execvp(command[0], command)
