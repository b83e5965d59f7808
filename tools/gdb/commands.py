# SPDX-License-Identifier: MIT
# The second half of crank-gdb.py, which the build makes of records.py and this: registers of parked tasks, frames, the
# commands.

# ---- registers and frames


def is_sanitized():
    """A build for a sanitizer: its switch is written in C, and sp points at a place whose first word is the sp."""
    return gdb.lookup_global_symbol("cr_fiber_park") is not None


def registers_of(sp, swapped):
    """The registers of a parked context; swapped: left by cr_stack_swap, without control words and errno."""
    if gdb.selected_frame().architecture().name().startswith("aarch64"):
        saved = struct.unpack("<12Q", memory(sp, 96))
        result = {f"x{19 + i}": saved[i] for i in range(11)}
        result["pc"] = result["x30"] = saved[11] & ((1 << 48) - 1)  # without its signature
        result["sp"] = sp + (160 if swapped else 176)
        return result
    begin = sp if swapped else sp + 16
    names = ("r15", "r14", "r13", "r12", "rbx", "rbp", "rip")
    result = dict(zip(names, struct.unpack("<7Q", memory(begin, 56))))
    result["rsp"] = begin + 56
    return result


def parked_registers(task):
    return registers_of(word(task.sp), True) if is_sanitized() else registers_of(task.sp, False)


class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class ParkedUnwinder(Unwinder):
    """While it is armed, the thread's newest frame seems to have been called by a parked context."""

    def __init__(self):
        super().__init__("crank")
        self.registers = None

    def arm(self, registers):
        self.disarm()
        newest = gdb.newest_frame()
        while newest.type() == gdb.INLINE_FRAME:
            newest = newest.older()
        self.names = ("sp", "pc") if "sp" in registers else ("rsp", "rip")
        self.real = [int(newest.read_register(name)) for name in self.names]
        self.registers = registers
        gdb.invalidate_cached_frames()

    def disarm(self):
        if self.registers:
            self.registers = None
            gdb.invalidate_cached_frames()

    def __call__(self, pending):
        if not self.registers:
            return None
        if [int(pending.read_register(name)) for name in self.names] != self.real:
            return None
        sp = self.registers[self.names[0]]
        info = pending.create_unwind_info(FrameId(gdb.Value(sp - 16), gdb.Value(self.real[1])))
        long = gdb.lookup_type("unsigned long")
        for name, value in self.registers.items():
            info.add_saved_register(name, gdb.Value(value).cast(long))
        return info


unwinder = ParkedUnwinder()
gdb.unwinder.register_unwinder(None, unwinder, True)


class Kept:
    """The selected thread and frame, given back at the end."""

    def __enter__(self):
        self.thread, self.level = gdb.selected_thread(), gdb.selected_frame().level()
        return self

    def __exit__(self, *_):
        unwinder.disarm()
        self.thread.switch()
        gdb.execute(f"frame {self.level}", to_string=True)


def hidden_frames():
    """How many of the newest frames are the thread's own: those inlined into its newest, and that one."""
    frame, count = gdb.newest_frame(), 1
    while frame.type() == gdb.INLINE_FRAME:
        frame, count = frame.older(), count + 1
    return count


def backtrace(registers, arguments):
    """The lines of bt of a parked context."""
    unwinder.arm(registers)
    hidden = hidden_frames()
    lines = gdb.execute(f"bt {arguments}".strip(), to_string=True).split("\n")
    unwinder.disarm()
    shown, skip = [], True
    for line in lines:
        if line.startswith("#"):
            level, _, rest = line[1:].partition(" ")
            skip = int(level) < hidden
            line = f"#{int(level) - hidden:<2} {rest.lstrip()}"
        if line and not skip:
            shown.append(line)
    return shown


def nap_lines(task):
    """A stack that is put away: its bytes are on the heap, where gdb does not look for them. So frame pointers are
    followed, as far as they lead."""
    hibernated = ("hibernated", "cr_hibernate_wake")
    sp, used = field(task.sp, hibernated[0], "sp", hibernated[1]), field(task.sp, hibernated[0], "used", hibernated[1])
    kept = task.sp + Types.offset("hibernated", "kept", "cr_hibernate_wake")
    registers = registers_of(kept, False)
    aarch64 = "pc" in registers
    pc, frame = registers["pc" if aarch64 else "rip"], registers["x29" if aarch64 else "rbp"]
    lines, last = [], 0
    while pc and len(lines) < 100:
        place = gdb.find_pc_line(pc - 1)
        block = gdb.block_for_pc(pc - 1)
        while block and not block.function:
            block = block.superblock
        at = f" at {place.symtab.filename}:{place.line}" if place.symtab else ""
        lines.append(f"#{len(lines):<2} {pc:#018x} in {block.function.name if block else '??'} (){at}")
        if not last < frame <= sp + used - 16 or frame < sp:
            break
        last = frame
        frame, pc = struct.unpack("<2Q", memory(kept + frame - sp, 16))
    return lines + ["(its stack is put away: by frame pointers only)"]


def thread_of(task):
    """The thread that runs a task: whose stack pointer is in the task's stack, or in one of its generators'."""
    tops = [task.stack] + [field(g, "crank_generator", "stack") for g in generators_of(task)]
    usable = field(task.loop, "cr_sched", "stack_usable", size=4)
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        frame = gdb.newest_frame()
        while frame:
            sp = int(frame.read_register("sp"))
            if any(top - usable <= sp < top + 4096 for top in tops if top):
                return thread
            frame = frame.older()
    return None


def generators_of(task):
    """The generators in which it runs, innermost first."""
    found, generator = [], task.generator if task.has_stack else 0
    while generator and len(found) < 1000:
        found.append(generator)
        generator = field(generator, "crank_generator", "body.up")
    return found


def task_lines(task, arguments):
    """The backtrace of any task, line by line."""
    if not task.has_stack:
        return ["(no stack: " + {
            HELD: "its group is full", ASIDE: "a future" if task.flags & FUTURE else "a job on a worker thread",
            RETURNED: "its function has returned", ENDED: "it has ended"
        }.get(task.life, "it has not run yet" if task.is_new else "a sleep of crank's own") + ")"]
    if task.run == HIBERNATED:
        return nap_lines(task)
    if task.running:
        thread = thread_of(task)
        if not thread:
            return ["(it runs, but no thread is on its stack)"]
        thread.switch()
        lines = [line for line in gdb.execute(f"bt {arguments}".strip(), to_string=True).split("\n") if line]
    else:
        lines = backtrace(parked_registers(task), arguments)
    for generator in generators_of(task):
        site = field(generator, "crank_generator", "site")
        lines.append(f"(generator {text(field(site, 'crank_site', 'function'))}, asked by)")
        lines += backtrace(registers_of(field(generator, "crank_generator", "asker.sp"), True), arguments)
    return lines


def is_crank(frame):
    """One of crank's own frames, by its file or, in assembly, by its name: a task waits in the first that is not."""
    home = os.path.dirname(os.path.dirname(gdb.lookup_global_symbol("cr_slabs").symtab.filename))
    symtab = frame.find_sal().symtab
    return symtab.filename.startswith(home + "/") if symtab else (frame.name() or "").startswith("cr_")


def place(task):
    """Where a task waits: the innermost place that is not crank's own."""
    if not task.has_stack or task.run == HIBERNATED or task.running:
        return ""
    try:
        unwinder.arm(parked_registers(task))
        frame = gdb.newest_frame()
        for _ in range(hidden_frames()):
            frame = frame.older()
        while frame and frame.older() and is_crank(frame):
            frame = frame.older()
        line = frame.find_sal() if frame else None
        if line and line.symtab:
            return f"at {os.path.basename(line.symtab.filename)}:{line.line} in {frame.name()}"
        return f"at {frame.pc():#x} in {frame.name() or '??'}" if frame else ""
    except (gdb.error, gdb.GdbError):
        return "at ? (its stack is not in the core file)"
    finally:
        unwinder.disarm()


# ---- commands


def command(name, kind=gdb.COMMAND_STACK, completes=gdb.COMPLETE_NONE):
    """Make a command of gdb's of a function with the rest of the line; its first words are the help."""
    def make(function):
        def invoke(self, argument, from_tty):
            if not gdb.selected_thread():
                raise gdb.GdbError("the program is not being run, and there is no core file")
            function(argument)
        type(name, (gdb.Command,), {"__doc__": function.__doc__, "invoke": invoke})(name, kind, completes)
        return function
    return make


def loop_line(loop, tasks):
    backend = field(field(loop, "crank_loop", "backend"), "cr_backend", "type")
    name = text(field(backend, "cr_backend_type", "name"))
    here = [task for task in tasks if task.loop == loop]
    ended = sum(task.life == ENDED for task in here)
    return f"loop {loop:#x} ({name}): {len(here) - ended} tasks, {ended} ended and kept"


class Crank(gdb.Command):
    """Look at crank's tasks: tasks, bt, select, core. See help crank tasks and the others."""


Crank("crank", gdb.COMMAND_STACK, gdb.COMPLETE_NONE, True)


@command("crank tasks")
def list_tasks(_argument):
    """List the tasks of every loop: state, name, function, wait, since when, place, where spawned."""
    with Kept():
        tasks = all_tasks()
        for loop in sorted({task.loop for task in tasks}):
            print(loop_line(loop, tasks))
            clock, rows = Clock(loop), []
            for task in tasks:
                if task.loop == loop and task.life != ENDED:
                    function, spawned = task.spawned()
                    away = " (stack put away)" if task.run == HIBERNATED else ""
                    rows.append((task.name, task.state(), function, wait_text(task, clock) + away, since(task, clock),
                                 place(task), spawned))
            widths = [min(max(map(len, column)), 44) for column in zip(*rows)]
            for row in rows:
                print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


@command("crank bt")
def print_backtraces(argument):
    """Print the backtrace of a task, or of all: crank bt TASK|all [as for bt]."""
    words = gdb.string_to_argv(argument)
    if not words:
        raise gdb.GdbError("crank bt TASK|all: a task's number or name; crank tasks lists them")
    tasks = [t for t in all_tasks() if t.life != ENDED] if words[0] == "all" else [find_task(words[0])]
    with Kept():
        for task in tasks:
            function, spawned = task.spawned()
            print(f"{task.name} {task.state()} {function} {spawned}".rstrip())
            try:
                lines = task_lines(task, " ".join(words[1:]))
            except (gdb.error, gdb.GdbError) as problem:
                lines = [f"({problem})"]
            print("\n".join(lines) + ("\n" if words[0] == "all" else ""))


@command("crank select")
def select(argument):
    """Let bt, up, frame and info locals speak of a parked task, until the program goes on: crank select TASK.
Its frames are those above number 0, which stays the thread's own. Without a task: back to the thread."""
    unwinder.disarm()
    if not argument:
        return
    task = find_task(argument)
    if not task.has_stack or task.running or task.run == HIBERNATED:
        raise gdb.GdbError(f"{task.name} is {task.state()}: it has no parked stack to select")
    unwinder.arm(parked_registers(task))
    gdb.execute(f"frame {hidden_frames()}")


def segments(core):
    """(address, size, place in the file) of all that a core file has room for."""
    header = core.read(64)
    at, (size, count) = struct.unpack_from("<Q", header, 32)[0], struct.unpack_from("<HH", header, 54)
    core.seek(at)
    table = [struct.unpack_from("<IIQQQQ", core.read(size)) for _ in range(count)]
    return [(address, in_file, offset) for kind, _, offset, address, _, in_file in table if kind == 1]


def stacks_in_use():
    """(low, high) of what tasks use of their stacks; of all of it where no stack pointer is on record."""
    for task in all_tasks():
        if not task.has_stack or task.run == HIBERNATED:
            continue
        if not task.running and not task.generator:
            yield task.sp, task.stack
            continue
        usable = field(task.loop, "cr_sched", "stack_usable", size=4)
        tops = [task.stack] + [field(g, "crank_generator", "stack") for g in generators_of(task)]
        yield from ((top - usable, top) for top in tops if top)


def copy_pages(core, table, low, high):
    """Page by page, since some may not be readable. Gives how many bytes were written."""
    written, low, high = 0, low & ~4095, (high + 4095) & ~4095
    for address, size, offset in table:
        for page in range(max(low, address), min(high, address + size), 4096):
            try:
                data = gdb.selected_inferior().read_memory(page, 4096)
            except gdb.MemoryError:
                continue
            core.seek(offset + page - address)
            core.write(data)
            written += 4096
    return written


@command("crank core", gdb.COMMAND_DATA, gdb.COMPLETE_FILENAME)
def write_core(argument):
    """Write a core file with the stacks of all tasks: crank core FILE. gcore gives a mapping up at its first unreadable
page, and stacks have guards; so what it leaves out is written afterwards, from each task's stack pointer to the top."""
    name = os.path.expanduser(argument.strip()) or f"core.{gdb.selected_inferior().pid}"
    print(gdb.execute(f"generate-core-file {name}", to_string=True).strip().split("\n")[-1])
    with open(name, "r+b") as core, Kept():
        table = segments(core)
        written = sum(copy_pages(core, table, low, high) for low, high in stacks_in_use())
    print(f"and {written // 1024} KiB of stacks")


def goes_on(_event):
    unwinder.registers = None


def new_objects(_event):
    Types.cache.clear()


gdb.events.cont.connect(goes_on)
gdb.events.exited.connect(goes_on)
gdb.events.new_objfile.connect(new_objects)
gdb.events.clear_objfiles.connect(new_objects)
