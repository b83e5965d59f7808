# SPDX-License-Identifier: MIT
"""crank's commands for gdb: the tasks of a living process or of a core file, and their backtraces.

  crank tasks              every task of every loop: state, name, what it waits for, since when, where, spawned where
  crank bt TASK [ARGS]     the backtrace of one task, by number, name, or the address of its record; ARGS as for bt
  crank bt all             of all of them
  crank select TASK        let bt, up, info locals and the like speak of that task; crank select: no longer
  crank core FILE          a core file with the stacks of all tasks in it, which gcore leaves out

The build makes crank-gdb.py of this file, which reads, and commands.py, which finds frames. gdb loads it by itself
where crank is installed as a shared library; else: source .../crank-gdb.py

It reads memory and debug information only: nothing runs in the program, no register is written, so a core file will do.
A parked task's registers lie on its own stack, as src/context/switch_*.S leaves them. An unwinder hands them to gdb as
if the thread's newest frame had been called from there; from then on gdb unwinds as it always does, by the program's
own unwind information, so that code without frame pointers is no obstacle.

What is written here of crank's structures must follow them: tests/assurance/08_debuggers.sh compares.
"""
import os
import struct
import time

import gdb
from gdb.unwinder import Unwinder

FREE, HELD, ALIVE, ASIDE, RETURNED, ENDED = range(6)       # enum cr_life
RESUME, NEW, SERVICE, HIBERNATED, NATIVE, NATIVE_ENDS = range(6)  # CR_RUN_
WAIT_EAGER = 1                                              # CR_WAIT_EAGER
FAILED, CANCELED, IN_GROUP, FUTURE = 1 << 4, 1 << 5, 1 << 6, 1 << 9
NUMBER_MASK = (1 << 40) - 1

# ---- reading


def memory(address, size):
    try:
        return bytes(gdb.selected_inferior().read_memory(address, size))
    except gdb.MemoryError:
        raise gdb.GdbError(f"no memory at {address:#x}: is the core file complete? (gcore leaves stacks out; "
                           "see crank core)") from None


def word(address):
    return struct.unpack("<Q", memory(address, 8))[0]


def text(address, limit=200):
    if not address:
        return ""
    try:
        return gdb.Value(address).cast(gdb.lookup_type("char").pointer()).string("utf-8", "replace", length=-1)[:limit]
    except gdb.error:
        return "?"


class Types:
    """Layouts by debug information, looked up once per type. A name that only one file of crank's knows is looked up
    in that file, so that the program's own types do not come before it."""
    cache = {}

    @classmethod
    def of(cls, name, function=None):
        if name not in cls.cache:
            try:
                block = None
                if function:
                    symbol = gdb.lookup_global_symbol(function)
                    block = symbol.symtab.static_block() if symbol else None
                cls.cache[name] = gdb.lookup_type(name, block) if block else gdb.lookup_type(name)
            except gdb.error:
                raise gdb.GdbError(f"crank's debug information is missing (no type {name}); it comes with the "
                                   "library unless that is stripped") from None
        return cls.cache[name]

    @classmethod
    def offset(cls, name, path, function=None):
        """Of a member, in bytes; path as in C, "fiber.sp". Members of unnamed unions count as the struct's."""
        key = (name, path)
        if key not in cls.cache:
            kind, total = cls.of(name, function).strip_typedefs(), 0
            for part in path.split("."):
                found = cls.member(kind, part)
                if not found:
                    raise gdb.GdbError(f"{name} has no member {path}: this script is for another version of crank")
                total, kind = total + found[0], found[1].strip_typedefs()
            cls.cache[key] = total
        return cls.cache[key]

    @classmethod
    def member(cls, kind, name):
        for field in kind.fields():
            if field.name == name:
                return field.bitpos // 8, field.type
            if not field.name and field.type.code in (gdb.TYPE_CODE_UNION, gdb.TYPE_CODE_STRUCT):
                inner = cls.member(field.type, name)
                if inner:
                    return field.bitpos // 8 + inner[0], inner[1]
        return None


def field(address, name, path, function=None, size=8):
    data = memory(address + Types.offset(name, path, function), size)
    return int.from_bytes(data, "little")


def global_address(name):
    symbol = gdb.lookup_global_symbol(name)
    if not symbol:
        raise gdb.GdbError("no crank in this program, or its debug information is missing")
    return int(symbol.value().address)


# ---- tasks


class Task:
    """A record, as it lies in memory."""

    def __init__(self, slab, index, data):
        def get(path, form):
            return struct.unpack_from("<" + form, data, Types.offset("cr_task", path))[0]
        self.slab, self.index = slab, index
        self.address = slab["records"] + index * len(data)
        self.loop = slab["loop"]
        self.run, self.life, self.flags = get("fiber.run", "B"), get("fiber.life", "B"), get("fiber.flags", "H")
        self.counts = get("fiber.counts", "I")
        self.sp, self.wait = get("fiber.sp", "Q"), get("fiber.wait", "Q")
        self.stack, self.generator = get("fiber.stack", "Q"), get("fiber.generator", "Q")
        self.wait_object, self.wait_data = get("wait_object", "Q"), get("wait_data", "Q")
        self.deadline = get("timer.deadline", "q")
        self.number, self.site, self.ext = get("id", "Q") & NUMBER_MASK, get("site", "Q"), get("ext", "Q")

    @property
    def name(self):
        given = text(self.ext + Types.offset("cr_ext", "name")) if self.ext else ""
        return given or f"{'Future' if self.flags & FUTURE else 'Task'}-{self.number}"

    @property
    def is_new(self):
        return self.run in (NEW, NATIVE)

    @property
    def running(self):
        return field(self.loop, "cr_sched", "current") == self.address

    @property
    def parked(self):
        return self.life == ALIVE and not self.is_new and self.wait > WAIT_EAGER

    @property
    def has_stack(self):
        return self.life == ALIVE and self.run in (RESUME, HIBERNATED)

    def state(self):
        """In the words of crank_describe."""
        if self.life == ALIVE:
            return "running" if self.running else "cancelling" if self.counts >> 24 else "new" if self.is_new else \
                "pending" if self.parked or self.run == NATIVE_ENDS else "ready"
        if self.life == ENDED:
            return "cancelled" if self.flags & CANCELED else "failed" if self.flags & FAILED else "finished"
        return {FREE: "free", HELD: "held", RETURNED: "returned",
                ASIDE: "unset" if self.flags & FUTURE else "in a thread"}[self.life]

    def spawned(self):
        """The function, and where it was spawned, "" where that is not known."""
        line = field(self.site, "crank_site", "line", size=4)
        function = text(field(self.site, "crank_site", "function"))
        caller = text(field(self.site, "crank_site", "caller"))
        file = text(field(self.site, "crank_site", "file"))
        known = 0 < line < 1 << 31  # of a future, and of what a binding makes, crank knows no place
        return function, f"spawned at {os.path.basename(file)}:{line} in {caller}" if known else ""


def slabs():
    """The slabs of records of every loop alive."""
    table, kind = global_address("cr_slabs"), "cr_slab"
    entries = gdb.lookup_global_symbol("cr_slabs").type.sizeof // 8
    for address in struct.unpack(f"<{entries}Q", memory(table, entries * 8)):
        if address:
            yield {"address": address, "loop": field(address, kind, "loop"), "used": field(address, kind, "used"),
                   "records": field(address, kind, "records")}


def all_tasks():
    """The tasks, oldest first; a loop's spare record, into which the next spawn is captured, is none."""
    size, tasks, spares = Types.of("cr_task").sizeof, [], {}
    life, number = Types.offset("cr_task", "fiber.life"), Types.offset("cr_task", "id")
    for slab in slabs():
        if slab["loop"] not in spares:
            spares[slab["loop"]] = field(field(slab["loop"], "crank_loop", "tasks"), "cr_task_state", "spare")
        data = memory(slab["records"], size * slab["used"]) if slab["used"] else b""
        for index in range(slab["used"]):
            at = index * size
            is_task = data[at + life] != FREE and struct.unpack_from("<Q", data, at + number)[0] & NUMBER_MASK
            if is_task and slab["records"] + at != spares[slab["loop"]]:
                tasks.append(Task(slab, index, data[at:at + size]))
    return sorted(tasks, key=lambda task: task.number)


def task_at(address):
    return next((task for task in all_tasks() if task.address == address), None)


def find_task(word_given):
    tasks = all_tasks()
    for task in tasks:
        if word_given in (task.name, f"Task-{task.number}", str(task.number)):
            return task
    try:
        value = int(gdb.parse_and_eval(word_given))
    except gdb.error:
        value = None
    for task in tasks:
        if value in (task.address, task.number) or (value and value & NUMBER_MASK == task.number and value >> 40):
            return task
    raise gdb.GdbError(f"no task {word_given}; crank tasks lists them")


# ---- time


class Clock:
    """What time it is for a loop, and whether that is the time or only the last the loop has on record."""

    def __init__(self, loop):
        self.seen = field(loop, "crank_loop", "polled_at")
        self.exact = False
        simulated = field(loop, "crank_loop", "simulated", size=1)
        connection = gdb.selected_inferior().connection
        if not simulated and connection and connection.type == "native":
            self.seen, self.exact = time.clock_gettime_ns(time.CLOCK_MONOTONIC), True
        self.idle_since = field(loop, "crank_loop", "polled_at")
        self.awake = field(loop, "cr_sched", "current") or field(loop, "cr_sched", "head")

    def span(self, since):
        return f"{'' if self.exact else 'at least '}{max(self.seen - since, 0) / 1e9:.3f} s"


def since(task, clock):
    """For how long a parked task has waited. Debug mode notes it; otherwise there are bounds: a loop that has slept
    since has changed nothing, and a stack is put away after hibernate_after."""
    if not task.parked:
        return ""
    tasks = field(task.loop, "crank_loop", "tasks")
    tracer = tasks + Types.offset("cr_task_state", "since")
    noted = field(task.slab["address"], "cr_slab", "since")
    if noted and field(task.loop, "cr_sched", "tracer") == tracer:
        return "for " + clock.span(word(noted + 8 * task.index))
    if not clock.awake and clock.exact:
        return f"for at least {max(clock.seen - clock.idle_since, 0) / 1e9:.3f} s"
    return "since: unknown"


# ---- waits


def sleep_text(task, clock):
    left = (task.deadline - clock.seen) / 1e9
    if task.deadline == (1 << 63) - 1:
        return "for ever"
    if left < 0:
        return f"until {-left:.3f} s ago"
    return f"{left:.3f} s more" if clock.exact else f"at most {left:.3f} s more"


def lock_text(lock):
    holder = field(lock, "crank_lock", "holder") & NUMBER_MASK
    found = next((other for other in all_tasks() if other.number == holder), None)
    return f"{lock:#x}, held by {found.name if found else 'a task that has ended'}"


def counted(task, kind, function):
    return f"{field(task.wait_object, kind, 'left', function)} of {field(task.wait_object, kind, 'n', function)} tasks"


def group_text(task):
    alive = field(task.wait_object, "cr_group", "owner.alive", "crank_group_wait")
    return f"{alive} child{'' if alive == 1 else 'ren'} of its group"


# By the function that describes the wait inside the program: what it says, read from here.
THINGS = {
    "cr_sleep_describe": sleep_text,
    "join_describe": lambda task, clock: (task_at(task.wait_object) or task).name,
    "start_describe":
        lambda task, clock: (task_at(field(task.wait_object, "start", "child", "crank_group_start_")) or task).name,
    "gather_describe": lambda task, clock: counted(task, "gather", "crank_gather_"),
    "group.c wait_describe": lambda task, clock: group_text(task),
    "wait.c wait_describe": lambda task, clock: counted(task, "waiter", "crank_wait"),
    "op_describe": lambda task, clock: text(task.wait_object + Types.offset("file", "path", "crank_open")),
    "describe": lambda task, clock: text(task.wait_data),
}
# And those that name an object, in a line of which the task stands.
OBJECTS = {"event_describe": ("crank_event", "waiters"), "semaphore_describe": ("crank_semaphore", "waiters"),
           "condition_describe": ("crank_condition", "waiters"), "barrier_describe": ("crank_barrier", "waiters"),
           "cr_lock_describe": ("crank_lock", "waiters"), "describe_get": ("crank_queue", "getters"),
           "describe_put": ("crank_queue", "putters"), "describe_join": ("crank_queue", "joiners")}


def thing_text(task, clock, function):
    """What it waits for, by the name of the describing function; None where that is not known here."""
    if function.name in OBJECTS:
        kind, member = OBJECTS[function.name]
        at = task.wait_object - Types.offset(kind, member, kind + "_new")
        return lock_text(at) if kind == "crank_lock" else f"{at:#x}"
    found = THINGS.get(function.name) or THINGS.get(f"{os.path.basename(function.symtab.filename)} {function.name}")
    return found(task, clock) if found else None


def wait_text(task, clock):
    if task.life == RETURNED:
        return f"has returned; {task.counts & 0xffffff} children have not ended"
    if not task.parked:
        return ""
    what = text(field(task.wait, "cr_wait_ops", "what"))
    describe = field(task.wait, "cr_wait_ops", "describe")
    try:
        function = gdb.block_for_pc(describe).function if describe else None
        thing = thing_text(task, clock, function) if function else None
        if thing is not None:
            return f"{what} {thing}"
    except (gdb.error, gdb.GdbError, RuntimeError):
        pass
    return f"{what} {task.wait_object:#x}" if describe and task.wait_object else what
