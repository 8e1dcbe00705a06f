"""The component's side of the endpoint: native ports over a byte memory, and the host's registers.

A stand-in with the component's contract (abi, `request`): requests take effect when they are
accepted, answers come later and in any order. Unmapped pages, forbidden and poisoned lines are
sets that a test fills.
"""

import random

from cocotb.triggers import RisingEdge

READ, WRITE, FETCH_ADD, COMPARE_SWAP = range(4)
OK, NOT_MAPPED, NO_PERMISSION, NO_MEMORY, BAD_REQUEST, UNCORRECTABLE = range(6)


class Memory:
    """Lines of processes; what was never written is zero."""

    def __init__(self):
        self.lines = {}
        self.failing = {}  # (pid, line's address) -> status

    def read(self, pid, va, size):
        out = bytearray()
        while size:
            line, at = va & ~63, va & 63
            take = min(64 - at, size)
            out += self.lines.get((pid, line), bytes(64))[at : at + take]
            va, size = va + take, size - take
        return bytes(out)

    def write(self, pid, va, data):
        for i, byte in enumerate(data):
            key = (pid, (va + i) & ~63)
            line = bytearray(self.lines.get(key, bytes(64)))
            line[(va + i) & 63] = byte
            self.lines[key] = bytes(line)

    def serve(self, op, pid, va, mask, data):
        key = (pid, va & ~63)
        status = self.failing.get(key, OK)
        if status != OK:
            return status, bytes(64)
        old = self.lines.get(key, bytes(64))
        if op == READ:
            return OK, old
        if op == WRITE:
            self.lines[key] = bytes(d if mask >> i & 1 else o for i, (o, d) in enumerate(zip(old, data)))
            return OK, bytes(64)
        at = va & 63
        before = int.from_bytes(old[at : at + 8], "little")
        operand = int.from_bytes(data[:8], "little")
        expected = int.from_bytes(data[8:16], "little")
        if op == FETCH_ADD:
            after = (before + operand) % 2**64
        else:
            after = operand if before == expected else before
        self.lines[key] = old[:at] + after.to_bytes(8, "little") + old[at + 8 :]
        return OK, before.to_bytes(8, "little") + bytes(56)


class Port:
    """Answers one native port."""

    def __init__(self, dut, name, memory, rng):
        self.dut, self.memory, self.rng = dut, memory, rng
        self.pin = lambda what: getattr(dut, f"{name}_{what}")
        self.stall, self.delay = 0.0, 12
        self.waiting = []
        self.most_in_flight = 0
        for what in ["req_ready", "resp_valid", "resp_tag", "resp_status", "resp_data"]:
            self.pin(what).value = 0

    async def run(self):
        ready, offered, cycle = False, None, 0
        while True:
            await RisingEdge(self.dut.clock)
            cycle += 1
            if ready and self.pin("req_valid").value:
                op, pid = int(self.pin("req_op").value), int(self.pin("req_pid").value)
                va, mask = int(self.pin("req_va").value), int(self.pin("req_mask").value)
                data = int(self.pin("req_data").value).to_bytes(64, "little")
                assert op in (FETCH_ADD, COMPARE_SWAP) or va % 64 == 0
                status, out = self.memory.serve(op, pid, va, mask, data)
                due = cycle + self.rng.randint(2, self.delay)
                self.waiting.append((due, int(self.pin("req_tag").value), status, out))
                self.most_in_flight = max(self.most_in_flight, len(self.waiting))
            if offered and self.pin("resp_ready").value:
                offered = None
            if not offered and not self.rng.random() < self.stall:
                due = [w for w in self.waiting if w[0] <= cycle]
                if due:
                    offered = self.rng.choice(due)
                    self.waiting.remove(offered)
                    self.pin("resp_tag").value = offered[1]
                    self.pin("resp_status").value = offered[2]
                    self.pin("resp_data").value = int.from_bytes(offered[3], "little")
            self.pin("resp_valid").value = int(offered is not None)
            ready = self.rng.random() >= self.stall
            self.pin("req_ready").value = int(ready)


class HostBus:
    """The component's registers as the host sees them: a dictionary; offsets not in it are denied."""

    def __init__(self, dut, registers):
        self.dut, self.registers = dut, registers
        self.accesses = 0
        for what in ["done", "rdata", "error"]:
            getattr(dut, f"h_{what}").value = 0

    async def run(self):
        while True:
            await RisingEdge(self.dut.clock)
            if not self.dut.h_valid.value:
                continue
            for _ in range(5):
                await RisingEdge(self.dut.clock)
                assert self.dut.h_valid.value, "valid fell before done"
            address, write = int(self.dut.h_addr.value), int(self.dut.h_write.value)
            self.accesses += 1
            known = address in self.registers
            if known and write:
                self.registers[address] = int(self.dut.h_wdata.value)
            self.dut.h_done.value = 1
            self.dut.h_error.value = int(not known)
            self.dut.h_rdata.value = self.registers[address] if known and not write else 0
            await RisingEdge(self.dut.clock)
            self.dut.h_done.value = 0
            await RisingEdge(self.dut.clock)
