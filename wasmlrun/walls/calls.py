"""Which system calls the working process may no longer make, and the filter that refuses them.

Everything else stays allowed: engines and Python make many calls that differ from version to
version. What is refused is what leads out of the process: programs and processes, networks, other
processes' memory, messages, signals and priorities, the kernel's own machinery, new names for
files, and what Landlock leaves alone: whose a file is, what its name allows to whom, its further
attributes, and being told what happens in a folder.
"""

from __future__ import annotations

import ctypes
import errno
import os

from wasmlrun.walls import bpf
from wasmlrun.walls.system import Architecture, architecture, prctl

REFUSED = (
    *("execve", "execveat", "fork", "vfork"),
    *("io_uring_setup", "io_uring_enter", "io_uring_register"),
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd"),
    *("tkill", "pidfd_send_signal", "rt_sigqueueinfo", "rt_tgsigqueueinfo"),
    *("init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot"),
    *("add_key", "request_key", "keyctl", "bpf", "perf_event_open", "userfaultfd"),
    *("unshare", "setns", "chroot", "pivot_root", "mount", "umount2", "mount_setattr"),
    *("open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick"),
    *("name_to_handle_at", "open_by_handle_at", "fanotify_init", "quotactl", "quotactl_fd"),
    *("acct", "swapon", "swapoff", "sethostname", "setdomainname", "personality"),
    *("settimeofday", "clock_settime", "clock_adjtime", "adjtimex"),
    *("iopl", "ioperm", "modify_ldt", "syslog"),
    *("shmget", "shmat", "shmctl", "semget", "semop", "semtimedop", "semctl"),
    *("msgget", "msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink"),
    *("setpriority", "ioprio_set", "sched_setscheduler", "sched_setparam", "sched_setattr"),
    *("migrate_pages", "move_pages", "process_mrelease"),
    # of an open file the mode alone may be changed: what cannot be opened stays as it is
    *("chmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat"),
    *("setxattr", "lsetxattr", "fsetxattr", "setxattrat"),
    *("removexattr", "lremovexattr", "fremovexattr", "removexattrat", "file_setattr"),
    *("inotify_add_watch",),
)
"""By their names; some exist on one architecture only."""

# linux/sched.h
_THREAD = 0x00010000
_NAMESPACES = 0x7E020080
# AF_INET, AF_INET6, and AF_NETLINK, by which addresses are looked up
_INTERNET = (2, 10, 16)
# linux/net.h: one of a pair of datagram sockets can send to any local service that takes datagrams;
# of a pair of streams (1) it cannot
_NO_STREAM = 2 | 4
# asm-generic/ioctls.h: typing into the terminal, the console's own, another line discipline, the
# modes, whose terminal it is, and who hears its Ctrl-C
_TERMINAL = (0x5412, 0x541C, 0x5423, *range(0x5402, 0x5409), 0x540E, 0x5410, 0x5422)
# the modes again, asm-generic/termbits.h
_TERMINAL_2 = (0x402C542B, 0x402C542C, 0x402C542D)
# asm-generic/fcntl.h and sockios.h: whom the system sends a signal when something can be read
_SIGNALLED_BY_FCNTL, _SIGNALLED_BY_IOCTL = (8, 15), (0x8901, 0x8902)
# linux/prctl.h: to outlive the parent
_DEATH_SIGNAL = 1

_SET_SECCOMP, _FILTER = 22, 2


class _Program(ctypes.Structure):
    """A filter as the kernel takes it: `struct sock_fprog`."""

    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def program(known: Architecture, process: int, *, network: bool = False) -> list[bpf.Instruction]:
    """The filter for a process of this number, which may send signals to itself alone.

    With `network` it may open sockets of the Internet's families. Raises KeyError for a call to be
    refused whose number is not known: it would be allowed.
    """
    numbers = known.numbers
    steps: list[bpf.Instruction] = [
        bpf.caller(),
        bpf.equal(known.audit, "own"),
        bpf.refuse(errno.EPERM),
        bpf.Label("own"),
        bpf.number(),
    ]
    if known.foreign is not None:
        steps.append(bpf.at_least(known.foreign, "refused"))
    steps += [bpf.equal(numbers[name], "refused") for name in REFUSED if name not in known.absent]
    steps += [
        bpf.equal(numbers["clone3"], "unknown"),
        bpf.equal(numbers["clone"], "clone"),
        bpf.equal(numbers["kill"], "one process"),
        bpf.equal(numbers["tgkill"], "one process"),
        bpf.equal(numbers["prlimit64"], "limit"),
        bpf.equal(numbers["ioctl"], "ioctl"),
        bpf.equal(numbers["fcntl"], "fcntl"),
        bpf.equal(numbers["prctl"], "prctl"),
        bpf.equal(numbers["socket"], "socket" if network else "refused"),
        bpf.equal(numbers["socketpair"], "pair"),
        bpf.allow(),
        # threads are made, processes are not
        bpf.Label("clone"),
        bpf.argument(0),
        bpf.any_bit(_NAMESPACES, "refused"),
        bpf.any_bit(_THREAD, "allowed", "refused"),
        bpf.Label("limit"),
        bpf.argument(0),
        bpf.equal(0, "allowed"),
        bpf.Label("one process"),
        bpf.argument(0),
        bpf.equal(process, "allowed", "refused"),
        bpf.Label("socket"),
        bpf.argument(0),
        *(bpf.equal(family, "allowed") for family in _INTERNET[:-1]),
        bpf.equal(_INTERNET[-1], "allowed", "refused"),
        bpf.Label("pair"),
        bpf.argument(1),
        bpf.any_bit(_NO_STREAM, "refused", "allowed"),
        bpf.Label("ioctl"),
        bpf.argument(1),
        *(
            bpf.equal(request, "refused")
            for request in (*_TERMINAL, *_TERMINAL_2, *_SIGNALLED_BY_IOCTL)
        ),
        bpf.allow(),
        bpf.Label("fcntl"),
        bpf.argument(1),
        *(bpf.equal(command, "refused") for command in _SIGNALLED_BY_FCNTL),
        bpf.allow(),
        bpf.Label("prctl"),
        bpf.argument(0),
        bpf.equal(_DEATH_SIGNAL, "refused"),
        bpf.Label("allowed"),
        bpf.allow(),
        # its flags are out of a filter's sight; C libraries then call `clone`
        bpf.Label("unknown"),
        bpf.refuse(errno.ENOSYS),
        bpf.Label("refused"),
        bpf.refuse(errno.EPERM),
    ]
    return steps


def refuse_calls(*, network: bool = False) -> None:
    """Install the filter for this thread and all that it starts, for good.

    Raises OSError where the kernel has no such filters, or this processor is not known.
    """
    known = architecture()
    if known is None:
        raise OSError(errno.ENOSYS, "no filter for this system")
    code = bpf.assembled(program(known, os.getpid(), network=network))
    filtering = _Program(len(code) // 8, code)
    prctl(_SET_SECCOMP, _FILTER, ctypes.byref(filtering))
