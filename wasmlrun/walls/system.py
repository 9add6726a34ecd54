"""The system's calls that have no name in Python, by number."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from functools import cache

from wasmlrun.support.records import Record


class Architecture(Record):
    """What differs between processors."""

    audit: int
    """`AUDIT_ARCH_…`, by which a filter knows whose numbers it sees."""
    numbers: Mapping[str, int]
    foreign: int | None = None
    """From this number on, calls belong to another ABI of the same processor."""
    absent: frozenset[str] = frozenset()
    """Calls that only other processors have."""


# asm/unistd_64.h
_X86_64 = {
    "clone": 56,
    "fork": 57,
    "vfork": 58,
    "execve": 59,
    "kill": 62,
    "ptrace": 101,
    "personality": 135,
    "modify_ldt": 154,
    "pivot_root": 155,
    "adjtimex": 159,
    "chroot": 161,
    "acct": 163,
    "settimeofday": 164,
    "mount": 165,
    "umount2": 166,
    "swapon": 167,
    "swapoff": 168,
    "reboot": 169,
    "sethostname": 170,
    "setdomainname": 171,
    "iopl": 172,
    "ioperm": 173,
    "init_module": 175,
    "delete_module": 176,
    "quotactl": 179,
    "tkill": 200,
    "clock_settime": 227,
    "tgkill": 234,
    "kexec_load": 246,
    "add_key": 248,
    "request_key": 249,
    "keyctl": 250,
    "unshare": 272,
    "perf_event_open": 298,
    "rt_sigqueueinfo": 129,
    "rt_tgsigqueueinfo": 297,
    "fanotify_init": 300,
    "prlimit64": 302,
    "name_to_handle_at": 303,
    "open_by_handle_at": 304,
    "clock_adjtime": 305,
    "setns": 308,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "kcmp": 312,
    "finit_module": 313,
    "kexec_file_load": 320,
    "bpf": 321,
    "execveat": 322,
    "userfaultfd": 323,
    "ioctl": 16,
    "socket": 41,
    "socketpair": 53,
    "shmget": 29,
    "shmat": 30,
    "shmctl": 31,
    "semget": 64,
    "semop": 65,
    "semctl": 66,
    "msgget": 68,
    "msgsnd": 69,
    "msgrcv": 70,
    "msgctl": 71,
    "fcntl": 72,
    "chmod": 90,
    "chown": 92,
    "fchown": 93,
    "lchown": 94,
    "syslog": 103,
    "setpriority": 141,
    "sched_setparam": 142,
    "sched_setscheduler": 144,
    "prctl": 157,
    "setxattr": 188,
    "lsetxattr": 189,
    "fsetxattr": 190,
    "removexattr": 197,
    "lremovexattr": 198,
    "fremovexattr": 199,
    "semtimedop": 220,
    "mq_open": 240,
    "mq_unlink": 241,
    "ioprio_set": 251,
    "inotify_add_watch": 254,
    "migrate_pages": 256,
    "fchownat": 260,
    "fchmodat": 268,
    "move_pages": 279,
    "sched_setattr": 314,
}
# asm-generic/unistd.h
_AARCH64 = {
    "clone": 220,
    "execve": 221,
    "kill": 129,
    "ptrace": 117,
    "personality": 92,
    "pivot_root": 41,
    "adjtimex": 171,
    "chroot": 51,
    "acct": 89,
    "settimeofday": 170,
    "mount": 40,
    "umount2": 39,
    "swapon": 224,
    "swapoff": 225,
    "reboot": 142,
    "sethostname": 161,
    "setdomainname": 162,
    "init_module": 105,
    "delete_module": 106,
    "quotactl": 60,
    "tkill": 130,
    "clock_settime": 112,
    "tgkill": 131,
    "kexec_load": 104,
    "add_key": 217,
    "request_key": 218,
    "keyctl": 219,
    "unshare": 97,
    "perf_event_open": 241,
    "rt_sigqueueinfo": 138,
    "rt_tgsigqueueinfo": 240,
    "fanotify_init": 262,
    "prlimit64": 261,
    "name_to_handle_at": 264,
    "open_by_handle_at": 265,
    "clock_adjtime": 266,
    "setns": 268,
    "process_vm_readv": 270,
    "process_vm_writev": 271,
    "kcmp": 272,
    "finit_module": 273,
    "kexec_file_load": 294,
    "bpf": 280,
    "execveat": 281,
    "userfaultfd": 282,
    "ioctl": 29,
    "socket": 198,
    "socketpair": 199,
    "shmget": 194,
    "shmctl": 195,
    "shmat": 196,
    "semget": 190,
    "semctl": 191,
    "semtimedop": 192,
    "semop": 193,
    "msgget": 186,
    "msgctl": 187,
    "msgrcv": 188,
    "msgsnd": 189,
    "fcntl": 25,
    "fchmodat": 53,
    "fchownat": 54,
    "fchown": 55,
    "syslog": 116,
    "setpriority": 140,
    "sched_setparam": 118,
    "sched_setscheduler": 119,
    "prctl": 167,
    "setxattr": 5,
    "lsetxattr": 6,
    "fsetxattr": 7,
    "removexattr": 14,
    "lremovexattr": 15,
    "fremovexattr": 16,
    "mq_open": 180,
    "mq_unlink": 181,
    "ioprio_set": 30,
    "inotify_add_watch": 27,
    "migrate_pages": 238,
    "move_pages": 239,
    "sched_setattr": 274,
}
# since 2019 new calls have one number everywhere
_COMMON = {
    "pidfd_send_signal": 424,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "clone3": 435,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
    "process_mrelease": 448,
    "fchmodat2": 452,
    "setxattrat": 463,
    "removexattrat": 466,
    "file_setattr": 469,
}
_ARCHITECTURES = {
    "x86_64": Architecture(0xC000003E, {**_X86_64, **_COMMON}, 0x40000000),
    "aarch64": Architecture(
        0xC00000B7,
        {**_AARCH64, **_COMMON},
        absent=frozenset(
            ("fork", "vfork", "iopl", "ioperm", "modify_ldt", "chmod", "chown", "lchown")
        ),
    ),
}


def architecture() -> Architecture | None:
    """This processor's; None where these walls do not exist."""
    if sys.platform != "linux" or sys.maxsize < 1 << 32:
        return None
    return _ARCHITECTURES.get(os.uname().machine)


def call(name: str, *arguments: object) -> int:
    """A call by its name; what it returns. Raises OSError."""
    known = architecture()
    assert known is not None
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = int(_libc().syscall(ctypes.c_long(known.numbers[name]), *given))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return result


def prctl(option: int, *arguments: object) -> None:
    """A property of this process. Raises OSError."""
    given = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments]
    while len(given) < 4:
        given.append(ctypes.c_ulong(0))
    if _libc().prctl(ctypes.c_int(option), *given) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "prctl")


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
