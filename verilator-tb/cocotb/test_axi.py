"""The AXI4 subordinate against cocotbext-axi's manager and channel models. The component's side is
native.py."""

import itertools
import os
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import Combine, RisingEdge, with_timeout
from cocotbext.axi import AxiBus, AxiMaster, AxiResp
from cocotbext.axi.axi_channels import (AxiARBus, AxiARSource, AxiARTransaction, AxiAWBus, AxiAWSource,
                                        AxiAWTransaction, AxiBBus, AxiBSink, AxiRBus, AxiRSink, AxiWBus,
                                        AxiWSource, AxiWTransaction)

import native

SEED = int(os.environ.get("COCOTB_RANDOM_SEED", os.environ.get("RANDOM_SEED", "1")))
# Of `splitmem_abi::cxl`.
WINDOW_PID = 0x20010
PID, BASE, SPAN = 7, 0x12_3456_7000, 1 << 28
FIXED, INCR, WRAP = range(3)


class Bench:
    def __init__(self, dut):
        self.dut = dut
        self.rng = random.Random(SEED)
        self.memory = native.Memory()
        self.port = native.Port(dut, "p", self.memory, self.rng)
        for pin in ["k_valid", "k_write", "k_addr", "k_wdata"]:
            getattr(dut, pin).value = 0
        cocotb.start_soon(Clock(dut.clock, 4, "ns").start())

    async def reset(self):
        self.dut.reset.value = 1
        for _ in range(4):
            await RisingEdge(self.dut.clock)
        self.dut.reset.value = 0
        cocotb.start_soon(self.port.run())
        # The windows are emptied.
        for _ in range(80):
            await RisingEdge(self.dut.clock)

    def manager(self):
        self.axi = AxiMaster(AxiBus.from_prefix(self.dut, "s_axi"), self.dut.clock, self.dut.reset)

    def channels(self):
        end = [self.dut.clock, self.dut.reset]
        self.aw = AxiAWSource(AxiAWBus.from_prefix(self.dut, "s_axi"), *end)
        self.w = AxiWSource(AxiWBus.from_prefix(self.dut, "s_axi"), *end)
        self.b = AxiBSink(AxiBBus.from_prefix(self.dut, "s_axi"), *end)
        self.ar = AxiARSource(AxiARBus.from_prefix(self.dut, "s_axi"), *end)
        self.r = AxiRSink(AxiRBus.from_prefix(self.dut, "s_axi"), *end)

    def stall(self, much):
        """Random pauses in every channel, and a slow, unwilling component."""
        write, read = self.axi.write_if, self.axi.read_if
        ends = [write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel]
        for i, end in enumerate(ends):
            rng = random.Random(SEED + i)
            end.set_pause_generator(rng.random() < much for _ in itertools.count())
        self.port.stall, self.port.delay = much, 40

    async def store(self, address, value):
        dut = self.dut
        dut.k_valid.value, dut.k_write.value = 1, 1
        dut.k_addr.value, dut.k_wdata.value = address, value
        await RisingEdge(dut.clock)
        while not dut.k_done.value:
            await RisingEdge(dut.clock)
        dut.k_valid.value = 0
        await RisingEdge(dut.clock)
        await RisingEdge(dut.clock)

    async def window(self, slot, pid, va, pages, read=True, write=True):
        words = [pid | read << 16 | write << 17, va >> 12 & 0xFFFFFFFF, va >> 44, pages, slot]
        for i, word in enumerate(words):
            await self.store(WINDOW_PID + 4 * i, word)


async def start(dut):
    bench = Bench(dut)
    bench.manager()
    await bench.reset()
    return bench


@cocotb.test()
async def reads_and_writes_of_all_sizes(dut):
    """Random lengths, alignments and beat sizes, under pauses everywhere, many at once."""
    bench = await start(dut)
    rng = bench.rng
    pages = 16
    await bench.window(3, PID, BASE, pages)
    bench.stall(0.3)
    local = bytearray(pages * 4096)
    for _ in range(12):
        # Writes that do not touch each other, all at once, then reads of what was written.
        writes, edge = [], 0
        while edge < len(local) - 6000:
            at, size = edge + rng.randint(0, 3000), rng.choice([1, 2, 3, 8, 61, 64, 65, 200, 1500, 5000])
            if at + size > len(local):
                break
            writes.append((at, rng.randbytes(size)))
            edge = at + size
        rng.shuffle(writes)
        tasks = []
        for at, data in writes:
            local[at : at + len(data)] = data
            beat = rng.choice([None, None, 3, 5]) if len(data) < 300 else None
            write = bench.axi.write(3 * SPAN + at, data, awid=rng.randint(0, 255), size=beat)
            tasks.append(cocotb.start_soon(write))
        await with_timeout(Combine(*tasks), 200, "us")
        assert all(task.result().resp == AxiResp.OKAY for task in tasks)

        async def check(at, size, beat):
            got = await bench.axi.read(3 * SPAN + at, size, arid=rng.randint(0, 255), size=beat)
            assert got.resp == AxiResp.OKAY
            assert bytes(got.data) == bytes(local[at : at + size]), f"{size} bytes at {at:#x}"

        tasks = []
        for _ in range(20):
            size = rng.choice([1, 4, 7, 64, 100, 3000])
            at = rng.randint(0, len(local) - size)
            beat = rng.choice([None, 2, 4]) if size <= 100 else None
            tasks.append(cocotb.start_soon(check(at, size, beat)))
        await with_timeout(Combine(*tasks), 200, "us")
    for at in range(0, len(local), 64):
        assert bench.memory.read(PID, BASE + at, 64) == bytes(local[at : at + 64]), f"{at:#x}"
    assert bench.port.most_in_flight > 8


@cocotb.test()
async def bursts_of_every_kind(dut):
    """Fixed, incrementing and wrapping bursts of narrow beats too, beat by beat."""
    bench = Bench(dut)
    bench.channels()
    await bench.reset()
    rng = bench.rng
    await bench.window(0, PID, BASE, 4)
    content = rng.randbytes(4 * 4096)
    bench.memory.write(PID, BASE, content)

    def places(kind, address, size, beats):
        """Address of each beat (IHI 0022H, A3.4.1)."""
        step = 1 << size
        for i in range(beats):
            if kind == FIXED:
                yield address
            elif i == 0:
                yield address
            elif kind == INCR:
                yield (address & -step) + i * step
            else:
                low = address & -(step * beats)
                yield low + (address - low + i * step) % (step * beats)

    for round in range(150):
        kind, size = round % 3, rng.randint(0, 6)
        beats = rng.choice([2, 4, 8, 16]) if kind == WRAP else rng.randint(1, 16)
        address = rng.randrange(0, 3 * 4096)
        if kind == WRAP:
            address &= -(1 << size)
        else:
            # Not across 4 KiB.
            address &= ~0xFFF | 0x3FF
        at = list(places(kind, address, size, beats))
        ident = rng.randint(0, 255)
        if rng.random() < 0.5:
            await bench.ar.send(AxiARTransaction(
                arid=ident, araddr=address, arlen=beats - 1, arsize=size, arburst=kind))
            for i, place in enumerate(at):
                got = await with_timeout(bench.r.recv(), 20, "us")
                assert (int(got.rid), int(got.rresp), int(got.rlast)) == (ident, 0, int(i == beats - 1))
                data = int(got.rdata).to_bytes(64, "little")
                # The lanes of this beat.
                end = (place & -(1 << size)) + (1 << size)
                line = place & ~63
                wanted = bench.memory.read(PID, BASE + place, end - place)
                assert data[place - line : end - line] == wanted, f"{kind} {size} beat {i} at {place:#x}"
        else:
            await bench.aw.send(AxiAWTransaction(
                awid=ident, awaddr=address, awlen=beats - 1, awsize=size, awburst=kind))
            expected = {}
            for i, place in enumerate(at):
                end, line = (place & -(1 << size)) + (1 << size), place & ~63
                data = rng.randbytes(64)
                strobes = 0
                for byte in range(place, end):
                    if rng.random() < 0.8:
                        strobes |= 1 << (byte - line)
                        expected[byte] = data[byte - line]
                await bench.w.send(AxiWTransaction(
                    wdata=int.from_bytes(data, "little"), wstrb=strobes, wlast=int(i == beats - 1)))
            got = await with_timeout(bench.b.recv(), 20, "us")
            assert (int(got.bid), int(got.bresp)) == (ident, 0)
            for byte, value in expected.items():
                assert bench.memory.read(PID, BASE + byte, 1)[0] == value, f"{kind} {size} at {byte:#x}"


@cocotb.test()
async def refusals(dut):
    """Windows that are not there, not allowed, or whose memory fails; and it goes on."""
    bench = await start(dut)
    await bench.window(0, PID, BASE, 2)
    await bench.window(1, PID, BASE, 2, write=False)
    await bench.window(2, PID, BASE, 2, read=False)
    bench.memory.write(PID, BASE, bytes(range(256)))
    bench.memory.failing[(PID, BASE + 0x80)] = native.UNCORRECTABLE

    async def read(address, length=64):
        return await with_timeout(bench.axi.read(address, length), 20, "us")

    async def write(address, data):
        return (await with_timeout(bench.axi.write(address, data), 20, "us")).resp

    for outside in [2 * 4096, SPAN - 64, 5 * SPAN, 64 * SPAN, 1 << 51]:
        got = await read(outside)
        assert (got.resp, bytes(got.data)) == (AxiResp.DECERR, bytes(64)), f"{outside:#x}"
        assert await write(outside, bytes(64)) == AxiResp.DECERR
    assert (await read(SPAN)).resp == AxiResp.OKAY
    assert await write(SPAN, bytes(64)) == AxiResp.SLVERR
    got = await read(2 * SPAN)
    assert (got.resp, bytes(got.data)) == (AxiResp.SLVERR, bytes(64))
    # One bad line of four: the burst says so, the others are there.
    got = await read(0, 256)
    assert got.resp == AxiResp.SLVERR
    assert bytes(got.data) == bytes(range(128)) + bytes(64) + bytes(range(192, 256))
    assert await write(0, bytes(256)) == AxiResp.SLVERR
    assert await write(0, b"x" * 128) == AxiResp.OKAY
    # What was refused before hangs on nothing.
    assert bytes((await read(0, 128)).data) == b"x" * 128
    # A burst's worst beat: the window's end is within it.
    assert await write(2 * 4096 - 64, bytes(64)) == AxiResp.OKAY
    assert bench.memory.read(PID, BASE + 2 * 4096 - 64, 64) == bytes(64)


@cocotb.test()
async def a_beat_every_cycle(dut):
    """Long bursts of reads leave no gap, and long bursts of writes neither."""
    bench = await start(dut)
    await bench.window(0, PID, BASE, 64)

    async def beats(valid, ready, count):
        """Cycles from the first to the last of so many handshakes."""
        seen, begin, cycle = 0, None, 0
        while seen < count:
            await RisingEdge(dut.clock)
            cycle += 1
            if valid.value and ready.value:
                begin = cycle if begin is None else begin
                seen += 1
        return cycle - begin + 1

    size = 16 * 4096
    watch = cocotb.start_soon(beats(dut.s_axi_wvalid, dut.s_axi_wready, size // 64))
    assert (await bench.axi.write(0, bytes(size))).resp == AxiResp.OKAY
    writing = await watch
    watch = cocotb.start_soon(beats(dut.s_axi_rvalid, dut.s_axi_rready, size // 64))
    assert (await bench.axi.read(0, size)).resp == AxiResp.OKAY
    reading = await watch
    dut._log.info(f"{size // 64} beats: {writing} cycles to write, {reading} to read")
    assert max(writing, reading) < size // 64 * 1.05
