"""Runs a program so that it finds the same world every time: the way to two equal builds.

    python repeatable.py SEED PROGRAM [ARGUMENT ...]

componentize-py starts CPython in WebAssembly, imports the notebook and takes a picture of its
memory: that picture is the component. Whatever CPython saw of this machine is in it. Comparing
many pictures showed what that is, and componentize-py has an option for none of it:

- random bytes: the seed of `hash()`, and so the layout of every dict and set; in componentize-py
  itself, the order of its hash maps, and so the order of the stubs that it writes;
- times, sizes and inode numbers of directories and files, most of them temporary;
- the order in which a file system lists a directory;
- the clock.

So the program runs traced, and the results of the few system calls that tell these things are
replaced by ones that follow from SEED. Nothing else of the program is touched. The alternatives
are worse: the calls are made without libc, so preloading a library misses them, and nobody could
tell what editing the finished picture would break.
"""

import ctypes
import errno
import hashlib
import os
import platform
import re
import signal
import struct
import sys

# The time of everything: 2020-01-01T00:00:00Z.
NOW = 1_577_836_800

# Numbers of the system calls to watch, by machine.
CALLS = {
    "x86_64": {
        "arch": 0xC000003E,
        "numbers": {
            4: "stat", 5: "stat_open", 6: "stat", 262: "stat_at", 332: "statx",
            217: "getdents64", 318: "getrandom",
            228: "clock_gettime", 96: "gettimeofday", 201: "time",
        },
        "links": ("<Q", 16), "mode": 24,
        "clock": {
            # mov rax, NOW; mov [rsi], rax; mov qword [rsi+8], 0; xor eax, eax; ret
            b"__vdso_clock_gettime": bytes.fromhex("48b8") + struct.pack("<Q", NOW)
            + bytes.fromhex("488906 48c7460800000000 31c0 c3"),
            # The same at rdi, unless it is null.
            b"__vdso_gettimeofday": bytes.fromhex("4885ff 7415 48b8") + struct.pack("<Q", NOW)
            + bytes.fromhex("488907 48c7470800000000 31c0 c3"),
            # mov rax, NOW; test rdi, rdi; jz +3; mov [rdi], rax; ret
            b"__vdso_time": bytes.fromhex("48b8") + struct.pack("<Q", NOW)
            + bytes.fromhex("4885ff 7403 488907 c3"),
            # mov rax, -ENOSYS; ret
            b"__vdso_getrandom": bytes.fromhex("48c7c0daffffff c3"),
        },
    },
    "aarch64": {
        "arch": 0xC00000B7,
        "numbers": {
            80: "stat_open", 79: "stat_at", 291: "statx",
            61: "getdents64", 278: "getrandom",
            113: "clock_gettime", 169: "gettimeofday",
        },
        "links": ("<I", 20), "mode": 16, "clock": None,
    },
}

PTRACE_TRACEME, PTRACE_CONT, PTRACE_SYSCALL = 0, 7, 24
PTRACE_SETOPTIONS, PTRACE_GET_SYSCALL_INFO = 0x4200, 0x420E
OPTIONS = 1 | 2 | 4 | 8 | 16 | 128 | 0x100000  # sysgood, forks, clone, exec, seccomp, exitkill
EVENT_EXEC, EVENT_SECCOMP = 4, 7
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 38, 22
AT_IGNORE, AT_SYSINFO_EHDR = 1, 33
AT_FDCWD = 0xFFFFFF9C

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid, address=0, data=0):
    if libc.ptrace(request, pid, address, data) < 0:
        number = ctypes.get_errno()
        if number != errno.ESRCH:
            raise OSError(number, os.strerror(number))


def watch(machine):
    """Tells the kernel to stop this process, and what it starts, at the watched calls."""
    numbers = sorted(machine["numbers"])
    load, equal, give_back = 0x20, 0x15, 0x06
    allow, trace = 0x7FFF0000, 0x7FF00000
    filters = [(load, 0, 0, 4), (equal, 0, len(numbers) + 1, machine["arch"]), (load, 0, 0, 0)]
    for index, number in enumerate(numbers):
        filters.append((equal, len(numbers) - index, 0, number))
    filters += [(give_back, 0, 0, allow), (give_back, 0, 0, trace)]
    code = b"".join(struct.pack("<HBBI", *line) for line in filters)
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("<HxxxxxxQ", len(filters), ctypes.addressof(buffer))
    for call in [(PR_SET_NO_NEW_PRIVS, 1, None, 0, 0), (PR_SET_SECCOMP, 2, program, 0, 0)]:
        if libc.prctl(*call) != 0:
            raise OSError(ctypes.get_errno(), "cannot watch system calls")


class World:
    """What the traced program is told."""

    def __init__(self, seed, machine):
        self.seed = seed
        self.machine = machine
        self.times = struct.pack("<qq", NOW, 0)
        self.home = os.getcwd().encode()
        self.temporary = {}

    def getrandom(self, memory, call, result):
        memory.write(call[0], hashlib.shake_256(self.seed).digest(result))

    def clock_gettime(self, memory, call, result):
        memory.write(call[1], self.times)

    def gettimeofday(self, memory, call, result):
        if call[0]:
            memory.write(call[0], self.times)

    def time(self, memory, call, result):
        if call[0]:
            memory.write(call[0], struct.pack("<q", NOW))

    def stat(self, memory, call, result):
        self.file(memory, call[1], memory.path(AT_FDCWD, call[0]))

    def stat_open(self, memory, call, result):
        self.file(memory, call[1], memory.path(call[0], 0))

    def stat_at(self, memory, call, result):
        self.file(memory, call[2], memory.path(call[0], call[1]))

    def inode(self, path):
        """A number for a file that follows from its path: inode numbers are reused at random."""
        def number(name):
            return b"/%d" % self.temporary.setdefault(name[0], len(self.temporary))

        path = re.sub(rb"/\.tmp\w{6}(?=/|$)", number, path.removeprefix(self.home))
        return int.from_bytes(hashlib.sha256(path).digest()[:7], "little")

    def file(self, memory, address, path):
        (mode,) = struct.unpack("<I", memory.read(address + self.machine["mode"], 4))
        (size,) = struct.unpack("<q", memory.read(address + 48, 8))
        size = self.size(mode, size)
        form, offset = self.machine["links"]
        memory.write(address, struct.pack("<QQ", 1, self.inode(path)))
        memory.write(address + offset, struct.pack(form, 1))
        memory.write(address + 48, struct.pack("<qq", size, 4096))
        memory.write(address + 64, struct.pack("<q", -(-size // 512)) + self.times * 3)

    def statx(self, memory, call, result):
        address = call[4]
        if not address:
            return
        (mode,) = struct.unpack("<H", memory.read(address + 28, 2))
        (size,) = struct.unpack("<Q", memory.read(address + 40, 8))
        size = self.size(mode, size)
        memory.write(address + 4, struct.pack("<IQI", 4096, 0, 1))
        inode = self.inode(memory.path(call[0], call[1]))
        memory.write(address + 32, struct.pack("<QQQQ", inode, size, -(-size // 512), 0))
        memory.write(address + 64, self.times * 4)
        memory.write(address + 136, struct.pack("<IIQ", 0, 1, 0))

    @staticmethod
    def size(mode, size):
        # File systems differ in what a directory measures.
        return 4096 if mode & 0o170000 == 0o040000 else size

    def getdents64(self, memory, call, result):
        data = memory.read(call[1], result)
        entries, offset = [], 0
        while offset < result:
            (length,) = struct.unpack_from("<H", data, offset + 16)
            entries.append(data[offset:offset + length])
            offset += length
        entries.sort(key=lambda entry: entry[19:].split(b"\0", 1)[0])
        # Nobody goes back to an entry by its place, so all places can be the same.
        told = b"".join(struct.pack("<QQ", 1, 0) + entry[16:] for entry in entries)
        memory.write(call[1], told)


class Memory:
    """The memory of a stopped process."""

    def __init__(self, pid):
        self.pid = pid
        self.file = os.open(f"/proc/{pid}/mem", os.O_RDWR)

    def read(self, address, length):
        return os.pread(self.file, length, address)

    def write(self, address, data):
        if os.pwrite(self.file, data, address) != len(data):
            raise OSError("the memory of the traced program cannot be written")

    def word(self, address):
        return struct.unpack("<Q", self.read(address, 8))[0]

    def text(self, address):
        """The text that ends with a zero byte at `address`, which is 0 for none."""
        text = b""
        while address and b"\0" not in text:
            # Not across a page at once: the next one may not be there.
            there = 4096 - (address + len(text)) % 4096
            text += self.read(address + len(text), min(there, 256))
        return text.split(b"\0", 1)[0]

    def path(self, directory, address):
        """Where a file is that a call names by a descriptor and a text."""
        name = self.text(address)
        if not name.startswith(b"/"):
            start = "cwd" if directory & 0xFFFFFFFF == AT_FDCWD else f"fd/{directory & 0xFFFFFFFF}"
            name = os.path.join(os.fsencode(os.readlink(f"/proc/{self.pid}/{start}")), name)
        return os.path.normpath(name)

    def close(self):
        os.close(self.file)


def call_info(pid):
    """Number and arguments of the call that a process enters, or its result."""
    info = ctypes.create_string_buffer(88)
    ptrace(PTRACE_GET_SYSCALL_INFO, pid, 88, ctypes.addressof(info))
    return info.raw


def stop_fast_clock(pid, machine):
    """Clocks that are read without a system call cannot be watched: the kernel lends a program a
    small library for it, the vDSO. Its functions are replaced by ones that tell NOW; without the
    code for this machine the program does not find the library and makes system calls."""
    (at,) = struct.unpack_from("<Q", call_info(pid), 16)
    memory = Memory(pid)
    at += 8 * (2 + memory.word(at))
    while memory.word(at):
        at += 8
    at += 8
    while memory.word(at):
        if memory.word(at) == AT_SYSINFO_EHDR:
            if machine["clock"]:
                stop_clocks(memory, memory.word(at + 8), machine["clock"])
            else:
                memory.write(at, struct.pack("<Q", AT_IGNORE))
        at += 16
    memory.close()


def stop_clocks(memory, base, code):
    """Replaces functions of the ELF library at `base`."""
    start, count = memory.word(base + 32), struct.unpack("<H", memory.read(base + 56, 2))[0]
    headers = [struct.unpack("<IIQQQQQQ", memory.read(base + start + 56 * n, 56)) for n in range(count)]
    dynamic = next(header for header in headers if header[0] == 2)
    tags = struct.iter_unpack("<QQ", memory.read(base + dynamic[3], dynamic[6]))
    tags = dict(reversed(list(tags)))
    names, symbols = base + tags[5], base + tags[6]
    # The table of symbols ends where the table of their names starts.
    for at in range(symbols, names, 24):
        name, _, _, _, value, _ = struct.unpack("<IBBHQQ", memory.read(at, 24))
        name = memory.text(names + name)
        if name in code:
            memory.write(base + value, code[name])


class Tracer:
    """Follows a program and all that it starts."""

    def __init__(self, world):
        self.world = world
        self.memories = {}
        self.calls = {}

    def memory(self, pid):
        if pid not in self.memories:
            self.memories[pid] = Memory(pid)
        return self.memories[pid]

    def forget(self, pid):
        if pid in self.memories:
            self.memories.pop(pid).close()
        self.calls.pop(pid, None)

    def enter(self, pid):
        words = struct.unpack_from("<7Q", call_info(pid), 24)
        self.calls[pid] = (self.world.machine["numbers"][words[0]], words[1:])

    def leave(self, pid):
        name, call = self.calls.pop(pid)
        (result,) = struct.unpack_from("<q", call_info(pid), 24)
        if result >= 0:
            getattr(self.world, name)(self.memory(pid), call, result)

    def stopped(self, pid, status):
        """Handles one stop; returns how to go on, and with which signal."""
        stop, event = os.WSTOPSIG(status), status >> 16
        if event == EVENT_SECCOMP:
            self.enter(pid)
            return PTRACE_SYSCALL, 0
        if stop == signal.SIGTRAP | 0x80:
            self.leave(pid)
            return PTRACE_CONT, 0
        if event == EVENT_EXEC:
            self.forget(pid)
            stop_fast_clock(pid, self.world.machine)
            return PTRACE_CONT, 0
        if event or stop == signal.SIGSTOP:
            return PTRACE_CONT, 0
        return PTRACE_CONT, stop

    def follow(self, first):
        while True:
            pid, status = os.waitpid(-1, 0x40000000)  # threads too
            if os.WIFSTOPPED(status):
                how, number = self.stopped(pid, status)
                ptrace(how, pid, 0, number)
                continue
            self.forget(pid)
            if pid == first:
                return os.waitstatus_to_exitcode(status)


def main():
    machine = CALLS.get(platform.machine())
    if machine is None or sys.platform != "linux":
        sys.exit(f"repeatable builds need Linux on {' or '.join(CALLS)}")
    world = World(sys.argv[1].encode(), machine)
    pid = os.fork()
    if pid == 0:
        ptrace(PTRACE_TRACEME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        watch(machine)
        os.execv(sys.argv[2], sys.argv[2:])
    os.waitpid(pid, 0)
    ptrace(PTRACE_SETOPTIONS, pid, 0, OPTIONS)
    ptrace(PTRACE_CONT, pid)
    code = Tracer(world).follow(pid)
    sys.exit(128 - code if code < 0 else code)


main()
